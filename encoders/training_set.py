"""What a learned encoder is trained on: distinct graphs, and what can be computed of them beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.canonical import arch_ids
from archindex.core.edit_distance import SmallGraphs
from archindex.core.errors import ArgumentError
from archindex.core.ops import OP_ID
from archindex.core.progress import Progress, silent
from archindex.core.rng import generator
from archindex.encoders.features import Dags, op_counts, sizes, walk_means
from archindex.encoders.folding import inference_form
from archindex.encoders.structural import StructuralEncoder

Ints = npt.NDArray[np.int64]
Singles = npt.NDArray[np.float32]

GROUP: Final = 32
"""Graphs that are compared with one another by edit distance."""

MOST_NODES: Final = 6_000
"""Nodes of a training batch; whole networks come in smaller batches than cells."""

HELD_OUT: Final = 1_000
"""At most so many graphs of a source are held out, and at most a tenth."""


@dataclass(frozen=True)
class TrainingSet:
    """Graphs to learn from.

    Attributes
    ----------
    graphs : GraphBatch
        Functional DAGs at inference, no two of one source alike.
    source : ndarray of int64, shape (n,)
        Where each comes from: graphs of one source come together in batches.
    structure : ndarray of float32, shape (n, 128)
        Their structural vectors.
    computed : ndarray of float32, shape (n, t)
        Computed targets, each of variance 1.
    groups : ndarray of int64, shape (g, GROUP)
        Graphs whose edit distances are known.
    edits : ndarray of float32, shape (g, GROUP, GROUP)
        Roots of these, in units of the structural distances.
    labels : ndarray of float32, shape (n,)
        Measured values, standardised; NaN where there is none.
    weights : ndarray of float32, shape (n,)
        What each label counts.
    """

    graphs: GraphBatch
    source: Ints
    structure: Singles
    computed: Singles
    groups: Ints
    edits: Singles
    labels: Singles
    weights: Singles

    def __len__(self) -> int:
        return len(self.graphs)

    @classmethod
    def of(
        cls,
        sources: Sequence[GraphBatch],
        *,
        most: int,
        edit_groups: int,
        seed: int,
        labels: npt.NDArray[np.float64] | None = None,
        weights: npt.NDArray[np.float64] | None = None,
        progress: Progress = silent,
    ) -> TrainingSet:
        """Draw distinct graphs and compute what training needs of them.

        Parameters
        ----------
        sources : sequence of GraphBatch
            Graphs by where they come from.
        most : int
            Graphs of one source, drawn at random where there are more.
        edit_groups : int
            Groups of small graphs of one source that are compared exactly.
        seed : int
            Decides what is drawn.
        labels, weights : ndarray of float64, shape (n,), optional
            Measured values of the graphs of the only source (NaN: none), and what they count (1).
        progress : Progress
            Told after each source.

        Raises
        ------
        ArgumentError
            If there are not two different graphs.
        """
        rng = generator(seed, "training set")
        parts: list[GraphBatch] = []
        rows: list[Ints] = []
        for i, batch in enumerate(sources):
            # Four times as many as needed: finding aliases among millions would take longer than training.
            drawn = rng.permutation(len(batch))[: 4 * most]
            if labels is not None:  # what is measured is never left out
                drawn = np.concatenate([drawn, np.flatnonzero(np.isfinite(labels))])
            _, distinct = np.unique(arch_ids(batch.pick(drawn)), return_index=True)
            chosen = rng.permutation(drawn[distinct])
            if labels is not None:
                chosen = chosen[np.argsort(~np.isfinite(labels[chosen]), kind="stable")]
            rows.append(chosen[:most])
            parts.append(inference_form(batch.pick(rows[-1])))
            progress("draw graphs", i + 1, len(sources))
        graphs = GraphBatch.concat(parts)
        if len(graphs) < 2:
            raise ArgumentError("expected at least two different graphs to learn from", got=len(graphs))
        source = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        structure = StructuralEncoder().encode(graphs)
        groups, edits = _edit_groups(graphs, source, structure, edit_groups, rng, progress)
        known = np.full(len(graphs), np.nan) if labels is None else labels[rows[0]]
        if np.isfinite(known).any():
            known = (known - np.nanmean(known)) / max(float(np.nanstd(known)), 1e-9)
        counted = np.ones(len(graphs)) if weights is None else weights[rows[0]]
        return cls(
            graphs, source, structure, _computed(graphs), groups, edits,
            known.astype(np.float32), counted.astype(np.float32),
        )  # fmt: skip

    def split(self, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """Return the rows to train on and those held out; the same where there are too few to spare any."""
        if len(self) < 20:
            return np.arange(len(self)), np.arange(len(self))
        held_out = [
            rng.permutation(rows)[: min(len(rows) // 10, HELD_OUT)]
            for rows in (np.flatnonzero(self.source == s) for s in np.unique(self.source))
        ]
        out = np.sort(np.concatenate(held_out))
        return np.setdiff1d(np.arange(len(self)), out), out

    def batches(self, rows: Ints, size: int, mixed: float, rng: np.random.Generator) -> list[Ints]:
        """Cut `rows` into batches in random order.

        Parameters
        ----------
        rows : ndarray of int64
            What to cut.
        size : int
            Graphs of a batch, fewer where they are large.
        mixed : float
            Share of the graphs that come in batches of all sources; the others come with their own source.
        rng : numpy.random.Generator
            Decides the order.
        """
        shuffled = rng.permutation(rows)
        apart = int(len(rows) * mixed) if self.source.any() else 0
        piles = [shuffled[:apart]]
        rest = shuffled[apart:]
        piles += [rest[self.source[rest] == s] for s in np.unique(self.source)]
        cut = [batch for pile in piles for batch in self._cut(pile, size)]
        return [cut[i] for i in rng.permutation(len(cut)) if len(cut[i]) > 1]

    def _cut(self, pile: Ints, size: int) -> Iterator[Ints]:
        nodes = np.diff(self.graphs.node_ptr)[pile]
        start = 0
        while start < len(pile):
            fits = int(np.searchsorted(np.cumsum(nodes[start : start + size]), MOST_NODES, side="right"))
            stop = start + max(fits, 2)
            yield pile[start:stop]
            start = stop


def edited(batch: GraphBatch, rng: np.random.Generator) -> GraphBatch:
    """Return a copy in which one inner node of each graph is what another of the batch is."""
    inner = np.flatnonzero((batch.op != OP_ID["input"]) & (batch.op != OP_ID["output"]))
    op, attrs = batch.op.copy(), batch.attrs.copy()
    if len(inner):
        graph = batch.node_graph[inner]
        order = rng.permutation(len(inner))
        _, first = np.unique(graph[order], return_index=True)
        changed = inner[order[first]]
        other = inner[rng.integers(len(inner), size=len(changed))]
        op[changed], attrs[changed] = batch.op[other], batch.attrs[other]
    return replace(batch, op=op, attrs=attrs)


def _computed(graphs: GraphBatch) -> Singles:
    values = []
    for start in range(0, len(graphs), 16_384):
        dags = Dags(graphs.take(start, min(start + 16_384, len(graphs))))
        values.append(np.hstack([np.log1p(op_counts(dags)), sizes(dags), np.log1p(walk_means(dags))]))
    joined = np.vstack(values)
    spread = joined.std(axis=0)
    return np.asarray((joined - joined.mean(axis=0)) / np.where(spread > 0, spread, 1.0), dtype=np.float32)


def _edit_groups(
    graphs: GraphBatch,
    source: Ints,
    structure: Singles,
    number: int,
    rng: np.random.Generator,
    progress: Progress,
) -> tuple[Ints, Singles]:
    small = SmallGraphs(graphs)
    groups: list[Ints] = []
    for s in np.unique(source):
        among = np.flatnonzero(small.small & (source == s))
        if number and len(among) >= 4 * GROUP:
            groups += [rng.choice(among, GROUP, replace=False) for _ in range(number)]
    row, column = np.triu_indices(GROUP, 1)
    edits = np.zeros((len(groups), GROUP, GROUP), dtype=np.float32)
    for i, members in enumerate(groups):
        roots = np.sqrt(small.distances(members[row], members[column]))
        apart = np.linalg.norm(structure[members[row]] - structure[members[column]], axis=1)
        # In units of the structural distances, so that both objectives can hold at once.
        edits[i, row, column] = edits[i, column, row] = roots * (apart.mean() / max(roots.mean(), 1e-9))
        progress("edit distances", i + 1, len(groups))
    return np.array(groups, dtype=np.int64).reshape(-1, GROUP), edits
