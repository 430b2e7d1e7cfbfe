"""A table of measurements: architectures of one search space, one array for each measurement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArgumentError, TableError
from archindex.core.metrics import Series, wide_columns


@dataclass(frozen=True, eq=False)
class Table:
    """Architectures of one search space with their measurements, by column.

    Attributes
    ----------
    name : str
        Name of the data set.
    space : str
        Name of the search space.
    natives : tuple of str
        Native strings, unique, in the form that the space's ``format`` writes; importers check that.
    series : tuple of Series
        Measurements, each of shape (n,) like `natives`; NaN where a value is missing. Training seeds are
        series of their own; no two series have the same column and seed.
    licence : str
        Under what terms the data may be used.
    citation : str
        What to cite.
    homepage : str
        Where the data come from.
    description : str
        One sentence on what was measured and how.
    """

    name: str
    space: str
    natives: tuple[str, ...]
    series: tuple[Series, ...]
    licence: str = ""
    citation: str = ""
    homepage: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        if len(set(self.natives)) != len(self.natives):
            native, times = Counter(self.natives).most_common(1)[0]
            raise TableError(
                "expected every architecture once", got=native, fix=f"it stands in {times} rows: keep one"
            )
        seen = Counter((one.spec.column, one.spec.seed) for one in self.series)
        for one in self.series:
            if seen[one.spec.column, one.spec.seed] > 1:
                raise ArgumentError(
                    "expected every measurement once",
                    got=one.spec.column,
                    fix="tell repetitions apart by seed",
                )
            if one.values.shape != (len(self.natives),) or one.values.dtype != np.float64:
                raise ArgumentError(
                    f"{one.spec.column}: expected float64 values of shape ({len(self.natives)},)",
                    got=(str(one.values.dtype), one.values.shape),
                )

    def __len__(self) -> int:
        return len(self.natives)

    def columns(self) -> dict[str, Series]:
        """Return the attribute columns by name: seeds averaged, one series each."""
        return wide_columns(self.series)

    def take(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> Table:
        """Return the table of these rows, in this order.

        Parameters
        ----------
        rows : sequence of int
            Row numbers, none twice.
        """
        at = np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            natives=tuple(self.natives[i] for i in at),
            series=tuple(Series(one.spec, one.values[at]) for one in self.series),
        )

    def merge(self, other: Table) -> Table:
        """Return both tables as one: the outer join on the native string.

        Rows of this table come first, then those that only `other` has. Where both have a column, this
        table's values stand and those of `other` are left out, in the rows that only `other` has too: one
        column never mixes two origins.

        Raises
        ------
        ArgumentError
            If the tables are of different search spaces.
        """
        if other.space != self.space:
            raise ArgumentError(f"expected a table of the search space {self.space}", got=other.space)
        known = set(self.natives)
        natives = self.natives + tuple(native for native in other.natives if native not in known)
        row = {native: i for i, native in enumerate(natives)}
        own = {one.spec.column for one in self.series}
        added = [one for one in other.series if one.spec.column not in own]
        moved = np.array([row[native] for native in other.natives], dtype=np.int64)
        return Table(
            name=f"{self.name}+{other.name}",
            space=self.space,
            natives=natives,
            series=(
                *(_spread(one, np.arange(len(self)), len(natives)) for one in self.series),
                *(_spread(one, moved, len(natives)) for one in added),
            ),
            licence=_both(self.licence, other.licence),
            citation=_both(self.citation, other.citation),
            homepage=_both(self.homepage, other.homepage),
            description=_both(self.description, other.description),
        )


def _spread(one: Series, rows: npt.NDArray[np.int64], n: int) -> Series:
    """Return the series with its values at `rows` of `n`, missing elsewhere."""
    values = np.full(n, np.nan)
    values[rows] = one.values
    return Series(one.spec, values)


def _both(first: str, second: str) -> str:
    return "; ".join(dict.fromkeys(part for part in (first, second) if part))
