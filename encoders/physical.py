"""What an architecture is made of and how a signal passes through it, by group of features.

These are the features that predictors learn from beside `feature_groups`. Every inner node is of one of four
kinds (weighted and wide, weighted with a kernel of 1, pooling, any other) and has a place (distance from the
input, distance to the output), a share of the random walk from the output (see `features`), and a width.

References
----------
Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019 (widths of vertices).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.ops import OP_ID
from archindex.encoders.features import Dags

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

WIDE, POINTWISE, POOL, OTHER, INPUT, OUTPUT = range(6)
"""Kinds of nodes; the first four are those of inner nodes."""

MIXTURE: Final = "mixture"
"""Group of totals in different units: ops of a kind, their widths, their weights, the ends of the cell."""

REACH: Final = "reach"
"""Group of what the longest, the shortest and the random path add up to, in different units."""

ENDS: Final = "ends"
"""Group of where nodes stand and how many hang on input and output, in different units."""

_KINDS: Final = 4
_PLACES: Final = 7  # distances told apart; more fall into the last one
_ON_PATH: Final = (
    6,
    4,
    3,
)  # nodes of the first three kinds on a path told apart: 0, 1, ..., this - 1 or more
_MANY_PATHS: Final = 1e12
_CHUNK: Final = 16_384


def physical_groups(batch: GraphBatch, *, output_shares: bool = False) -> dict[str, npt.NDArray[np.float32]]:
    """Return the features of every graph by group; aliases have equal features.

    Parameters
    ----------
    batch : GraphBatch
        The graphs, reduced or not.
    output_shares : bool
        Whether the inner nodes that feed the output share its channels, as in NAS-Bench-101; otherwise all
        nodes are equally wide.

    Returns
    -------
    dict from str to ndarray of float32, shape (len(batch), d)
        ``d`` depends on the group alone.
    """
    parts = []
    for start in range(0, max(len(batch), 1), _CHUNK):
        cells = _Cells(batch.take(start, min(start + _CHUNK, len(batch))), output_shares)
        groups = {**_paths(cells), **_places(cells), **_sequences(cells), **_totals(cells)}
        parts.append({name: values.astype(np.float32) for name, values in groups.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class _Cells(Dags):
    """DAGs with kind, place, share and width of every node; all of shape (n_nodes,)."""

    def __init__(self, batch: GraphBatch, output_shares: bool) -> None:
        super().__init__(batch)
        n = self.batch.n_nodes
        self.source, self.target, _ = self.batch.edges
        wide = self.weighted & (self.kernel > 1)
        at_input, at_output = self.batch.op == OP_ID["input"], self.batch.op == OP_ID["output"]
        self.kind = np.select(
            [at_input, at_output, wide, self.weighted, self.pool],
            [INPUT, OUTPUT, WIDE, POINTWISE, POOL],
            default=OTHER,
        )
        self.n_terms = np.bincount(self.target, minlength=n)
        self._backwards = self._sort_backwards()
        end, start = at_output.astype(np.float64), at_input.astype(np.float64)
        self.height = self._back(np.zeros(n), np.maximum, 1.0).astype(np.int64)
        self.to_output = self._back(np.where(at_output, 0.0, np.inf), np.minimum, 1.0)
        self.paths_out = np.minimum(self._back(end, np.add), _MANY_PATHS)
        self.share = self._back(end, np.add, scale=1.0 / np.maximum(self.n_terms, 1))
        self.from_start = self._forth(np.where(at_input, 0.0, np.inf), np.minimum, 1.0)
        self.paths_in = np.minimum(self._forth(start, np.add), _MANY_PATHS)
        self.width = self._widths() if output_shares else np.ones(n)

    def _sort_backwards(self) -> list[tuple[Ints, Ints, Ints]]:
        """Group the edges by depth of their source, deepest first: (sources, first edge of each, targets)."""
        order = np.lexsort((self.target, self.source, -self.depth[self.source]))
        cuts = np.flatnonzero(np.diff(self.depth[self.source][order])) + 1
        levels = []
        for now in np.split(order, cuts):
            if len(now):
                sources, first = np.unique(self.source[now], return_index=True)
                levels.append((sources, first, self.target[now]))
        return levels

    def _back(
        self, state: Floats, combine: np.ufunc, more: float = 0.0, scale: Floats | None = None
    ) -> Floats:
        """Carry numbers from the outputs to every node: `more` an edge, times `scale` of its target."""
        for sources, first, target in self._backwards:
            carried = state[target] if scale is None else state[target] * scale[target]
            state[sources] = combine.reduceat(carried, first) + more
        return state

    def _forth(self, state: Floats, combine: np.ufunc, more: float = 0.0) -> Floats:
        return self.flow(state[:, None].copy(), combine, lambda joined, *_: joined + more)[:, 0]

    def _widths(self) -> Floats:
        """Return the channels of every node as a share of those of the output.

        Those that feed the output share its channels; every other is as wide as the widest that it feeds.
        """
        feeds = np.zeros(self.batch.n_nodes, dtype=bool)
        feeds[self.source[self.kind[self.target] == OUTPUT]] = True
        feeds &= self.inner
        number = self.per_graph(feeds[:, None].astype(np.float64))[:, 0]
        width = np.where(feeds, 1.0 / np.maximum(number, 1.0)[self.graph], 0.0)
        for sources, first, target in self._backwards:
            widest = np.maximum.reduceat(width[target], first)
            width[sources] = np.where(feeds[sources], width[sources], widest)
        return np.where(self.inner, width, 1.0)

    def table(self, column: npt.NDArray[np.integer], n_columns: int, weight: Floats) -> Floats:
        """Add up `weight` over the inner nodes of each graph by `column`; shape (len(self), n_columns)."""
        cells = self.graph[self.inner] * n_columns + column[self.inner]
        filled = np.bincount(cells, weights=weight[self.inner], minlength=len(self) * n_columns)
        return np.asarray(filled, dtype=np.float64).reshape(-1, n_columns)

    def by_kind_and_place(self, place: npt.NDArray[np.number], weight: Floats) -> Floats:
        """Add up `weight` of the inner nodes by kind and place; shape (len(self), 28)."""
        near = np.minimum(place, _PLACES - 1).astype(np.int64)
        return self.table(np.minimum(self.kind, OTHER) * _PLACES + near, _KINDS * _PLACES, weight)

    def edges_by(self, column: Ints, n_columns: int, weight: Floats) -> Floats:
        """Add up `weight` over the edges of each graph by `column`; shape (len(self), n_columns)."""
        cells = self.graph[self.target] * n_columns + column
        filled = np.bincount(cells, weights=weight, minlength=len(self) * n_columns)
        return np.asarray(filled, dtype=np.float64).reshape(-1, n_columns)


def _paths(cells: _Cells) -> dict[str, Floats]:
    """Count the paths with i wide, j pointwise and k pooling ops: for a random walk, and all of them."""
    columns = int(np.prod(_ON_PATH))

    def moved(joined: Floats, nodes: Ints) -> Floats:
        counts = joined.reshape(-1, *_ON_PATH)
        out = counts.copy()
        for axis, kind in enumerate((WIDE, POINTWISE, POOL), start=1):
            of_kind = cells.kind[nodes] == kind
            rolled = np.moveaxis(counts[of_kind], axis, 1)
            one_more = np.concatenate([np.zeros_like(rolled[:, :1]), rolled[:, :-1]], axis=1)
            one_more[:, -1] += rolled[:, -1]
            out[of_kind] = np.moveaxis(one_more, 1, axis)
        return out.reshape(-1, columns)

    def walk(joined: Floats, nodes: Ints, n_terms: Floats) -> Floats:
        return moved(joined, nodes) / n_terms

    def count(joined: Floats, nodes: Ints, n_terms: Floats) -> Floats:
        return np.minimum(moved(joined, nodes), _MANY_PATHS)

    def carried(step: Callable[[Floats, Ints, Floats], Floats]) -> Floats:
        return cells.at_output(cells.flow(cells.from_input(columns), np.add, step))

    return {"walk_mixture": carried(walk), "path_mixture": np.log1p(carried(count))}


def _places(cells: _Cells) -> dict[str, Floats]:
    """Add up ops by kind and place: their number, share of the walk, paths through them, width."""
    one = np.ones(cells.batch.n_nodes)
    through = cells.paths_in * cells.paths_out
    nearest = [cells.by_kind_and_place(place, one) for place in (cells.from_start, cells.to_output)]
    return {
        "after_input": cells.by_kind_and_place(cells.depth, one),
        "before_output": cells.by_kind_and_place(cells.height, one),
        "nearest_ends": np.hstack(nearest),
        "share_after_input": cells.by_kind_and_place(cells.depth, cells.share),
        "share_before_output": cells.by_kind_and_place(cells.height, cells.share),
        "paths_through": np.log1p(cells.by_kind_and_place(cells.height, through)),
        "width_after_input": cells.by_kind_and_place(cells.depth, cells.width),
        "width_before_output": cells.by_kind_and_place(cells.height, cells.width),
    }


def _sequences(cells: _Cells) -> dict[str, Floats]:
    """Count two and three kinds in a row: every such pair or triple, and its share of the walk."""
    n, source, target = cells.batch.n_nodes, cells.source, cells.target
    pair = cells.kind[source] * 6 + cells.kind[target]
    one, flowing = np.ones(len(pair)), (cells.share / np.maximum(cells.n_terms, 1))[target]
    narrow = np.minimum(cells.width[source], cells.width[target])
    groups = {
        "pairs": cells.edges_by(pair, 36, one),
        "pairs_walk": cells.edges_by(pair, 36, flowing),
        "pairs_width": cells.edges_by(pair, 36, narrow),
    }

    def kinds_beside(node: Ints, other: Ints, weight: Floats) -> Floats:
        beside = np.bincount(node * 6 + cells.kind[other], weights=weight, minlength=n * 6)
        return np.asarray(beside, dtype=np.float64).reshape(n, 6)

    before = kinds_beside(target, source, one)
    for name, into, out in (
        ("triples", before, kinds_beside(source, target, one)),
        (
            "triples_walk",
            before / np.maximum(cells.n_terms, 1)[:, None],
            kinds_beside(source, target, flowing),
        ),
    ):
        around = (into[:, :, None] * out[:, None, :]).reshape(n, 36)
        groups[name] = np.hstack(
            [cells.per_graph(around * (cells.kind == kind)[:, None]) for kind in (WIDE, POINTWISE, POOL)]
        )
    terms, uses = np.minimum(cells.n_terms, 4), np.minimum(np.bincount(source, minlength=n), 4)
    kind, every = np.minimum(cells.kind, OTHER) * 5, np.ones(n)
    groups["degrees"] = np.hstack([cells.table(kind + terms, 20, every), cells.table(kind + uses, 20, every)])
    return groups


def _totals(cells: _Cells) -> dict[str, Floats]:
    """Return totals by kind, path extremes by kind, and what hangs on the ends."""
    n = cells.batch.n_nodes
    every, column, width = np.ones(n), np.zeros(n, dtype=np.int64), cells.width
    wide, pointwise, pool = (cells.inner * (cells.kind == kind) for kind in (WIDE, POINTWISE, POOL))

    def total(weight: Floats) -> Floats:
        return cells.table(column, 1, weight)

    from_input, to_output = cells.kind[cells.source] == INPUT, cells.kind[cells.target] == OUTPUT
    at = np.zeros(len(cells.source), dtype=np.int64)
    projected = cells.edges_by(at, 1, from_input * width[cells.target])
    starts, stops = (cells.edges_by(at, 1, ends.astype(np.float64)) for ends in (from_input, to_output))
    direct = cells.edges_by(at, 1, (from_input & to_output).astype(np.float64))
    weights = total((9.0 * wide + pointwise) * width**2)
    mixture = [
        np.log(weights + 0.05), np.log(weights + projected + 0.05), np.sqrt(weights), projected,
        starts, stops, direct, np.log(np.maximum(stops - direct, 1.0)),
    ]  # fmt: skip
    through = cells.paths_in * cells.paths_out
    for kind in (wide, pointwise, pool):
        shares = (every, width, width**2, cells.share, cells.share * width)
        mixture += [total(kind * share) for share in shares] + [np.log1p(total(kind * through))]
    adds = np.stack(
        [
            wide, pointwise, pool, wide + pointwise, wide + pool, cells.inner,
            wide * width, (wide + pointwise) * width, wide - 0.5 * pool,
        ],
        axis=1,
    ).astype(np.float64)  # fmt: skip

    def add(joined: Floats, nodes: Ints, n_terms: Floats) -> Floats:
        return joined + adds[nodes]

    def add_mean(joined: Floats, nodes: Ints, n_terms: Floats) -> Floats:
        return joined / n_terms + adds[nodes]

    steps = ((np.maximum, add), (np.minimum, add), (np.add, add_mean))
    reach = [cells.at_output(cells.flow(np.zeros_like(adds), kind, step)) for kind, step in steps]
    longest, nearest = cells.depth + cells.height, cells.from_start + cells.to_output
    last = _PLACES - 1
    ends = [
        cells.table(np.minimum(cells.depth, last), 7, every),
        cells.table(np.minimum(cells.height, last), 7, every),
        cells.table(np.minimum(longest, 7), 8, every),
        cells.table(np.minimum(nearest, 8).astype(np.int64), 9, every),
        starts, stops, direct,
    ]  # fmt: skip
    return {MIXTURE: np.hstack(mixture), REACH: np.hstack(reach), ENDS: np.hstack(ends)}
