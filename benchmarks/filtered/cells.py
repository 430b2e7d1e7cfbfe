"""Filters of the grid: conditions on columns, near the query and far from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.queries import Column
from benchmarks.filtered.sets import Columns, Set

SHARES: Final = (0.001, 0.01, 0.1, 0.5)
KINDS: Final = ("independent", "around", "far")
OF_FIVE: Final = 0.65
"""Share of the rows that each of five conditions lets through."""

PROTOCOL: Final = (
    "Cells: the share of rows let through; 'independent': a window of 'free0'; 'around': a window of 'bound' "
    "(mixed: params_m, with ties) around the query's own value; 'far': the end of 'bound' that is farther "
    "from it; 'five conditions': a window of .65 of the rows on each of five columns (mixed: params_m, "
    "n_nodes, n_edges, space IN a list, free0); 'none'. Each query has numbers of its own."
)


@dataclass(frozen=True)
class Between:
    """A number within bounds, both included."""

    column: str
    low: float
    high: float


@dataclass(frozen=True)
class Among:
    """A word out of several."""

    column: str
    words: tuple[str, ...]


Condition = Between | Among
Conditions = tuple[Condition, ...]


def text_of(conditions: Conditions) -> str | None:
    """Return a conjunction as SQL; None where there is no condition."""
    parts = []
    for one in conditions:
        if isinstance(one, Between):
            parts.append(f"{one.column} BETWEEN {one.low!r} AND {one.high!r}")
        else:
            parts.append(f"{one.column} IN ({', '.join(repr(word) for word in one.words)})")
    return " AND ".join(parts) or None


def mask_of(columns: Columns, conditions: Conditions) -> npt.NDArray[np.bool_] | None:
    """Return which rows a conjunction lets through, by NumPy over whole columns; None: no condition."""
    mask: npt.NDArray[np.bool_] | None = None
    for one in conditions:
        values: npt.NDArray[Any] = columns[one.column].values
        if isinstance(one, Between):
            inside = (values >= one.low) & (values <= one.high)
        else:
            wanted = np.array([name in one.words for name in columns[one.column].categories])
            inside = wanted[values]
        mask = inside if mask is None else np.logical_and(mask, inside, out=mask)
    return mask


@dataclass(frozen=True)
class Cell:
    """One cell: the conditions for the query of some number."""

    name: str
    conditions: Callable[[int], Conditions]


def cells(one: Set) -> Iterator[Cell]:
    """Yield the cells of a set."""
    n = len(one.vectors)
    ordered = {name: np.sort(one.columns[name].values) for name in {one.bound, "free0", *one.five}}
    rng = np.random.default_rng(1)
    for share in SHARES:
        size = max(1, round(share * n))
        for kind in KINDS:

            def window(query: int, kind: str = kind, size: int = size) -> Conditions:
                name = "free0" if kind == "independent" else one.bound
                values = ordered[name]
                place = int(np.searchsorted(values, one.asked[name].values[query]))
                if kind == "independent":
                    first = int(rng.integers(n - size + 1))
                elif kind == "around":
                    first = int(np.clip(place - size // 2, 0, n - size))
                else:
                    # Drawn a little, or all queries at one side would have the same numbers.
                    first = int(rng.integers(1 + size // 50))
                    first = n - size - first if place < n / 2 else first
                return (_between(name, values, first, size),)

            yield Cell(f"{share:.1%} {kind}", window)

    def five(query: int) -> Conditions:
        parts: list[Condition] = []
        for name in one.five:
            if one.columns[name].kind == "VARCHAR":
                parts.append(_words(name, one.columns[name], rng))
            else:
                size = round(OF_FIVE * n)
                parts.append(_between(name, ordered[name], int(rng.integers(n - size + 1)), size))
        return tuple(parts)

    yield Cell("five conditions", five)
    yield Cell("none", lambda query: ())


def _between(name: str, values: npt.NDArray[Any], first: int, size: int) -> Between:
    low, high = values[first].item(), values[first + size - 1].item()
    return Between(name, low, high)


def _words(name: str, column: Column, rng: np.random.Generator) -> Among:
    counts = np.bincount(column.values, minlength=len(column.categories))
    order = rng.permutation(len(counts))
    number = int(np.searchsorted(np.cumsum(counts[order]), OF_FIVE * counts.sum())) + 1
    return Among(name, tuple(sorted(column.categories[i] for i in order[:number])))
