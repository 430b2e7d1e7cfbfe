"""NAS-Bench-Graph as the PyPI package ``nas-bench-graph`` carries it: graph neural networks on nine graphs.

Qin et al., "NAS-Bench-Graph", NeurIPS 2022. The package's pickles are read as data; its code is not imported.
A key has five decimal digits: the position of the four links in `LINKS`, then that of the four ops in `OPS`
(architecture.py of the package, ``Arch.hash_arch``). On ogbn-proteins only five of the ops were run: 2,021
networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from archindex.core.errors import DataUnavailableError
from archindex.core.metrics import MeasurementSpec, Series, check_range
from archindex.datasets.folder import package_files
from archindex.datasets.known import DatasetSpec, PackageFiles
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import canonical
from archindex.datasets.unpickle import read_array_pickle

SOURCE: Final = "NAS-Bench-Graph (Qin et al., NeurIPS 2022), as packaged in nas-bench-graph"

GRAPHS: Final = (
    "cora",
    "citeseer",
    "pubmed",
    "cs",
    "physics",
    "photo",
    "computers",
    "arxiv",
    "proteins",
)
"""The data sets; accuracy in all but ogbn-proteins, where it is the area under the ROC curve."""

LINKS: Final = (
    "0,0,0,0",
    "0,0,0,1",
    "0,0,1,1",
    "0,0,1,2",
    "0,0,1,3",
    "0,1,1,1",
    "0,1,1,2",
    "0,1,2,2",
    "0,1,2,3",
)
"""Input of each of the four nodes, by the first digit of a key."""

OPS: Final = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
"""Op of a node, by the other digits."""

SPEC: Final = DatasetSpec(
    name="nasbench_graph",
    space="nasbench_graph",
    rows=26_206,
    measures="validation and test accuracy, latency, params on 9 graph data sets",
    description=(
        "validation and test accuracy (mean of three seeds), latency and params of all NAS-Bench-Graph "
        "networks on eight graph data sets, and of 2,021 of them on ogbn-proteins, where accuracy is the "
        "area under the ROC curve"
    ),
    licence="Apache-2.0",
    citation='Qin et al., "NAS-Bench-Graph", NeurIPS 2022',
    homepage="https://github.com/THUMNLab/NAS-Bench-Graph",
    package=PackageFiles(
        "nas-bench-graph", "nas_bench_graph", tuple(f"light/{graph}.bench" for graph in GRAPHS)
    ),
)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the table measures, without reading it."""
    return tuple(spec for graph in GRAPHS for spec, _ in _measured(graph).values())


def _measured(graph: str) -> dict[str, tuple[MeasurementSpec, float]]:
    """Return what each value of a record is, and what it is multiplied with to be in the metric's unit."""
    metric = "auc" if graph == "proteins" else "acc"
    return {
        "valid_perf": (MeasurementSpec(metric, graph, "valid", aggregate="mean", source=SOURCE), 100.0),
        "perf": (MeasurementSpec(metric, graph, "test", aggregate="mean", source=SOURCE), 100.0),
        "latency": (MeasurementSpec("latency", graph, source=SOURCE), 1e3),
        "para": (MeasurementSpec("params", graph, provenance="computed", source=SOURCE), 1.0),
    }


def load() -> Table:
    """Return the table; rows in the order of the keys.

    Raises
    ------
    DataUnavailableError
        If the package is not installed, or its files are damaged.
    UnsafeDataError
        If a file asks for code to be run.
    """
    records = {
        graph: read_array_pickle(path) for graph, path in zip(GRAPHS, package_files(SPEC), strict=True)
    }
    try:
        keys = sorted(records[GRAPHS[0]])
        natives = canonical(SPEC.space, map(native, keys))
        series = [one for graph in GRAPHS for one in _series(graph, records[graph], keys)]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise _damaged(f"{type(error).__name__}: {error}") from error
    if len(set(natives)) != SPEC.rows:
        raise _damaged(f"{len(set(natives))} architectures")
    return SPEC.table(natives, series)


def native(key: int) -> str:
    """Return the native string of a key of the package."""
    link, *ops = _digits(key)
    return f"{LINKS[link]}|{','.join(OPS[op] for op in ops)}"


def _digits(key: int) -> list[int]:
    """Return the five decimal digits of a key, the highest first."""
    if not 0 <= key < 100_000:
        raise ValueError(f"a key of five digits, got {key}")
    return [key // 10**place % 10 for place in range(4, -1, -1)]


def _series(graph: str, records: Mapping[int, Mapping[str, Any]], keys: list[int]) -> list[Series]:
    """Return what one file records, aligned with `keys`; NaN where it has no such network."""
    unknown = records.keys() - set(keys)
    if unknown:
        raise KeyError(f"{graph} has {len(unknown)} networks that {GRAPHS[0]} has not")
    made = []
    for name, (spec, factor) in _measured(graph).items():
        values = [float(records[key][name]) if key in records else np.nan for key in keys]
        made.append(Series(spec, np.array(values) * factor))
        check_range(made[-1])
    return made


def _damaged(got: str) -> DataUnavailableError:
    return DataUnavailableError(
        f"expected the {SPEC.rows} networks of NAS-Bench-Graph",
        got=got,
        fix="the package is damaged: type pip install --force-reinstall nas-bench-graph",
    )
