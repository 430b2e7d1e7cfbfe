"""What differs between two architectures, and why their embeddings are near or far."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.core.canonical import canonical_form
from archindex.core.graph import ArchGraph
from archindex.encoders import Encoder, make_encoder
from archindex.spaces.base import Architecture, Costed
from archindex.spaces.nasbench201 import EDGES
from archindex.store.snapshot import Snapshot

Change = tuple[str, Any, Any]
"""What it is, its value in A, its value in B."""

# Spaces whose ops sit on edges: the edge that each inner node of the graph stands for.
_EDGE_NAMES: Final = {"nasbench201": tuple(f"{source}->{target}" for source, target in EDGES)}


@dataclass(frozen=True)
class Contribution:
    """What one group of features adds to the distance of two embeddings.

    Attributes
    ----------
    group : str
        Name of the group.
    share : float
        Its part of the squared distance, from 0 to 1.
    """

    group: str
    share: float


@dataclass(frozen=True)
class Difference:
    """Two architectures side by side.

    Attributes
    ----------
    a, b : Architecture
        The architectures.
    alias : bool
        Whether they are the same function: the same functional DAG in the same space.
    cell : tuple of Change
        Ops and edges that differ in the cells as written.
    live_ops : tuple of Change
        Counts of ops that differ when dead ops are gone and skips are contracted.
    costs : tuple of Change
        Params and FLOPs (in millions) that differ, by data set.
    columns : tuple of Change
        Attribute columns of the index that differ.
    metric, encoder : str
        Of the embeddings.
    distance : float
        Distance of the embeddings.
    contributions : tuple of Contribution
        What makes it up, largest first; empty where the encoder has no groups or the distance is 0.
    nearer : int or None
        Rows of the index nearer to A than B is; None without an index.
    rows : int or None
        Rows of the index.
    """

    a: Architecture
    b: Architecture
    alias: bool
    cell: tuple[Change, ...]
    live_ops: tuple[Change, ...]
    costs: tuple[Change, ...]
    columns: tuple[Change, ...]
    metric: str
    encoder: str
    distance: float
    contributions: tuple[Contribution, ...]
    nearer: int | None = None
    rows: int | None = None

    def explain(self) -> list[str]:
        """Return why they are near or far, as lines for people."""
        lines = []
        if self.a == self.b:
            lines.append("the same architecture")
        elif self.alias:
            lines.append("aliases: without dead ops and skips both are the same functional DAG")
        elif not self.live_ops:
            lines.append("the same live ops, wired differently")
        lines.append(
            f"{self.metric} distance {self.distance:.4g} in the embedding of the {self.encoder} encoder"
        )
        if self.nearer is not None and self.rows is not None:
            lines.append(
                f"{self.nearer:,} of {self.rows:,} architectures in the index are nearer to a than b is"
            )
        if self.contributions:
            named = ", ".join(f"{c.group} {c.share:.0%}" for c in self.contributions if c.share >= 0.005)
            lines.append(f"the distance comes from {named}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return it as values that JSON can hold."""

        def side_by_side(changes: tuple[Change, ...]) -> list[dict[str, Any]]:
            return [{"what": what, "a": a, "b": b} for what, a, b in changes]

        return {
            "a": {"architecture": str(self.a), "arch_id": self.a.arch_id},
            "b": {"architecture": str(self.b), "arch_id": self.b.arch_id},
            "alias": self.alias,
            "cell": side_by_side(self.cell),
            "live_ops": side_by_side(self.live_ops),
            "costs": side_by_side(self.costs),
            "columns": side_by_side(self.columns),
            "metric": self.metric,
            "encoder": self.encoder,
            "distance": self.distance,
            "contributions": [{"group": c.group, "share": c.share} for c in self.contributions],
            "nearer": self.nearer,
            "rows": self.rows,
        }


def compare(a: Architecture, b: Architecture) -> Difference:
    """Compare two architectures by themselves, in the embedding of the structural encoder."""
    encoder = make_encoder("structural")
    vectors = _embed(encoder, a, b)
    return _difference(a, b, vectors, encoder, "l2")


def compare_in(snapshot: Snapshot, a: Architecture, b: Architecture) -> Difference:
    """Compare two architectures, in an index or not, with its columns and in its embedding."""
    encoder = snapshot.encoder
    vectors = _embed(encoder, a, b)
    return _difference(
        a, b, vectors, encoder, snapshot.info.metric, columns=_columns(snapshot, a, b), snapshot=snapshot
    )


def _difference(
    a: Architecture,
    b: Architecture,
    vectors: npt.NDArray[np.float64],
    encoder: Encoder,
    metric: str,
    *,
    columns: tuple[Change, ...] = (),
    snapshot: Snapshot | None = None,
) -> Difference:
    points = vectors if metric == "l2" else _unit(vectors)
    squares = (points[0] - points[1]) ** 2
    # On the unit sphere half the squared distance is 1 - cosine, so the shares are those of either metric.
    distance = float(np.sqrt(squares.sum())) if metric == "l2" else float(squares.sum() / 2)
    nearer = None
    if snapshot is not None:
        found = snapshot.exact.search(vectors[:1].astype(np.float32), max(len(snapshot), 1))
        nearer = int((found.distances[0, : int(found.counts[0])] < distance * (1 - 1e-5) - 1e-6).sum())
    return Difference(
        a=a,
        b=b,
        alias=a.arch_id == b.arch_id,
        cell=_cell(a, b),
        live_ops=_op_changes(canonical_form(a.graph), canonical_form(b.graph)),
        costs=_costs(a, b),
        columns=columns,
        metric=metric,
        encoder=encoder.name,
        distance=distance,
        contributions=_contributions(squares, getattr(encoder, "feature_groups", {})),
        nearer=nearer,
        rows=None if snapshot is None else len(snapshot),
    )


def _embed(encoder: Encoder, a: Architecture, b: Architecture) -> npt.NDArray[np.float64]:
    parts = [encoder.encode(x.space.graphs([x.native])) for x in (a, b)]
    return np.concatenate(parts).astype(np.float64)


def _unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0))


def _contributions(squares: npt.NDArray[np.float64], groups: dict[str, slice]) -> tuple[Contribution, ...]:
    total = float(squares.sum())
    if total == 0:
        return ()
    shares = [Contribution(name, float(squares[part].sum()) / total) for name, part in groups.items()]
    return tuple(sorted((c for c in shares if c.share > 0), key=lambda c: -c.share))


def _cell(a: Architecture, b: Architecture) -> tuple[Change, ...]:
    """Compare the cells node by node where they are of one shape, else by counts and edges."""
    left, right = a.graph, b.graph
    names = _EDGE_NAMES.get(a.space.name, ()) if a.space == b.space else ()
    if left.n_nodes == right.n_nodes and left.edges == right.edges:
        labels = [f"op on edge {name}" for name in names] or [
            f"op of node {i}" for i in range(1, left.n_nodes - 1)
        ]
        pairs = zip(labels, range(1, left.n_nodes - 1), strict=True)
        ops = [(label, _op(left, node), _op(right, node)) for label, node in pairs]
        return tuple(change for change in ops if change[1] != change[2])
    changes = list(_op_changes(left, right))
    ours, theirs = Counter(left.edges), Counter(right.edges)
    only_a = [f"{s}->{t}" for s, t, _ in (ours - theirs).elements()]
    only_b = [f"{s}->{t}" for s, t, _ in (theirs - ours).elements()]
    changes += [("edge between nodes", x, y) for x, y in zip_longest(only_a, only_b)]
    return tuple(changes)


def _op_changes(left: ArchGraph, right: ArchGraph) -> tuple[Change, ...]:
    counts = [
        Counter(
            _op(graph, node) for node in range(graph.n_nodes) if graph.ops[node] not in ("input", "output")
        )
        for graph in (left, right)
    ]
    names = sorted({*counts[0], *counts[1]})
    return tuple(
        (name, counts[0][name], counts[1][name]) for name in names if counts[0][name] != counts[1][name]
    )


def _op(graph: ArchGraph, node: int) -> str:
    """Name an op with its attributes: ``conv(kernel=3)``."""
    attrs = ", ".join(f"{name}={value:g}" for name, value in sorted(graph.attrs[node].items()))
    return f"{graph.ops[node]}({attrs})" if attrs else graph.ops[node]


def _costs(a: Architecture, b: Architecture) -> tuple[Change, ...]:
    if not (isinstance(a.space, Costed) and isinstance(b.space, Costed)):
        return ()
    changes: list[Change] = []
    for dataset in a.space.datasets:
        if dataset in b.space.datasets:
            left, right = a.space.costs([a.native], dataset), b.space.costs([b.native], dataset)
            changes.append(
                (f"{dataset} params, millions", int(left.params[0]) / 1e6, int(right.params[0]) / 1e6)
            )
            changes.append(
                (f"{dataset} FLOPs, millions", int(left.flops[0]) / 1e6, int(right.flops[0]) / 1e6)
            )
    return tuple(change for change in changes if change[1] != change[2])


def _columns(snapshot: Snapshot, a: Architecture, b: Architecture) -> tuple[Change, ...]:
    values = []
    for architecture in (a, b):
        rows = snapshot.find(architecture.native, architecture.space.name)
        place = snapshot.positions(np.array([row.row_id for row in rows[:1]], dtype=np.int64))
        taken = {name: snapshot.columns[name].take(place).to_list() for name in snapshot.schema}
        values.append({name: items[0] if items else None for name, items in taken.items()})
    return tuple(
        (name, values[0][name], values[1][name])
        for name in snapshot.schema
        if values[0][name] != values[1][name]
    )
