"""NAS-Bench-101 cells in packed arrays: from the published table to graphs, strings and costs, no objects.

Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.errors import ArchitectureError
from archindex.core.ops import ATTRIBUTE_ID, ATTRIBUTES, OP_ID
from archindex.spaces.base import Costs

OPS: Final = ("conv3x3", "conv1x1", "maxpool3x3")
"""The three ops (convolutions with batch norm and ReLU after them); a cell holds positions in this tuple."""

GRAPH_OPS: Final = (("conv", 3.0), ("conv", 1.0), ("max_pool", 3.0))
"""Op and kernel of each op in the shared vocabulary."""

MAX_VERTICES: Final = 7
MAX_EDGES: Final = 9

CLASSES: Final = 10
IMAGE_SIDE: Final = 32
STEM_CHANNELS: Final = 128
STACKS: Final = 3
CELLS_PER_STACK: Final = 3

_Ints = npt.NDArray[np.int64]
_SOURCE, _TARGET = np.array([(x, y) for y in range(1, MAX_VERTICES) for x in range(y)]).T


class Cell(NamedTuple):
    """One cell of ``len(sources) + 1`` vertices: 0 is the input, the last one the output.

    Attributes
    ----------
    sources : tuple of int
        Bit ``x`` of ``sources[y - 1]`` is set if there is an edge from vertex ``x`` to vertex ``y``.
    ops : tuple of int
        Position in `OPS` of each interior vertex.
    """

    sources: tuple[int, ...]
    ops: tuple[int, ...]


@dataclass(frozen=True)
class PackedCells:
    """Many cells in packed arrays.

    Attributes
    ----------
    bits : ndarray of int64, shape (n,)
        Edge ``x -> y`` (``x < y``) is bit ``x + y (y - 1) / 2``, as in published tables.
    ops : ndarray of int8, shape (n, 5)
        Position in `OPS` of each interior vertex, then -1.
    """

    bits: _Ints
    ops: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.bits)

    @property
    def n_vertices(self) -> _Ints:
        """Vertices of each cell, input and output included; int64, shape (n,)."""
        interior: _Ints = (self.ops >= 0).sum(axis=1)
        return interior + 2

    @classmethod
    def from_table(cls, adj_bits: npt.ArrayLike, ops: npt.ArrayLike) -> PackedCells:
        """Pack the rows of a table.

        Parameters
        ----------
        adj_bits : array_like of int, shape (n,)
            Adjacency matrices, see `bits`.
        ops : array_like of str, shape (n,)
            A digit for each interior vertex: its position in `OPS`.

        Raises
        ------
        ArchitectureError
            If a row is no valid, pruned cell; the message names the first such row.
        """
        bits = np.asarray(adj_bits, dtype=np.int64).reshape(-1)
        text = np.asarray(ops, dtype=np.str_).reshape(-1)
        if len(text) != len(bits):
            raise ArchitectureError(f"expected the ops of {len(bits)} cells", got=len(text))
        # One digit more than a cell can have, so that what is too long is seen.
        width = MAX_VERTICES - 1
        codes = text.astype(f"U{width}").view(np.uint32).reshape(len(bits), width).astype(np.int64)
        digits = np.where(codes == 0, -1, codes - ord("0"))
        bad = ((digits >= len(OPS)) | ((digits < 0) & (codes != 0))).any(axis=1) | (codes[:, -1] != 0)
        cells = cls(bits, np.where(bad[:, None], -1, digits)[:, :-1].astype(np.int8))
        bad |= ~cells._valid()
        if bad.any():
            row = int(bad.argmax())
            raise ArchitectureError(
                f"expected pruned cells of at most {MAX_VERTICES} vertices and {MAX_EDGES} edges",
                got=(int(bits[row]), str(text[row])),
                fix=f"look at row {row}",
            )
        return cells

    @classmethod
    def from_cells(cls, cells: Iterable[Cell]) -> PackedCells:
        """Pack cells that are known to be valid."""
        bits, ops = [], []
        for cell in cells:
            bits.append(sum(mask << (y * (y - 1) // 2) for y, mask in enumerate(cell.sources, start=1)))
            ops.append(cell.ops + (-1,) * (MAX_VERTICES - 2 - len(cell.ops)))
        return cls(np.array(bits, dtype=np.int64), np.array(ops, dtype=np.int8).reshape(-1, MAX_VERTICES - 2))

    def take(self, rows: npt.NDArray[np.integer[Any]]) -> PackedCells:
        """Return the cells at `rows`."""
        return PackedCells(self.bits[rows], self.ops[rows])

    def _sources(self, vertex: int) -> _Ints:
        return (self.bits >> (vertex * (vertex - 1) // 2)) & ((1 << vertex) - 1)

    def _valid(self) -> npt.NDArray[np.bool_]:
        # Edges point forward: a vertex with a source that is one itself lies on a path from input to output.
        n = self.n_vertices
        covered = np.zeros(len(self), dtype=np.int64)
        valid = (self.bits >= 0) & (np.bitwise_count(self.bits) <= MAX_EDGES)
        valid &= (self.bits >> (n * (n - 1) // 2)) == 0
        for vertex in range(1, MAX_VERTICES):
            sources = self._sources(vertex)
            covered |= sources
            valid &= (sources != 0) | (vertex >= n)
        valid &= covered == (1 << (n - 1)) - 1
        return valid

    def natives(self) -> list[str]:
        """Return the native strings, as ``NASBench101.format`` writes them."""
        natives = np.empty(len(self), dtype=object)
        for n, rows in self._by_size():
            columns: list[Sequence[str]] = []
            for y in range(1, n):
                sources = self._sources(y)[rows]
                kinds = self.ops[rows, y - 1] if y < n - 1 else np.full(len(rows), len(OPS))
                table = [vertex_text(kind, mask) for kind in range(len(OPS) + 1) for mask in range(1 << y)]
                columns.append([table[i] for i in (kinds.astype(np.int64) << y) + sources])
            natives[rows] = ["+".join(parts) for parts in zip(*columns, strict=True)]
        return natives.tolist()

    def graphs(self) -> GraphBatch:
        """Return the graphs: vertices in their order, every edge into port 0."""
        n = self.n_vertices
        interior = np.array([OP_ID[op] for op, _ in GRAPH_OPS], dtype=np.int32)
        op = np.full((len(self), MAX_VERTICES), OP_ID["input"], dtype=np.int32)
        op[:, 1:-1] = interior[self.ops]
        op[np.arange(len(self)), n - 1] = OP_ID["output"]
        kernel = np.full((len(self), MAX_VERTICES), np.nan, dtype=np.float32)
        kernel[:, 1:-1] = np.where(self.ops >= 0, np.array([k for _, k in GRAPH_OPS])[self.ops], np.nan)
        present = np.arange(MAX_VERTICES) < n[:, None]
        attrs = np.full((int(n.sum()), len(ATTRIBUTES)), np.nan, dtype=np.float32)
        attrs[:, ATTRIBUTE_ID["kernel"]] = kernel[present]

        row, edge = np.nonzero((self.bits[:, None] >> np.arange(len(_SOURCE))) & 1)
        node_ptr = np.concatenate([[0], np.cumsum(n)])
        edges = np.stack([_SOURCE[edge] + node_ptr[row], _TARGET[edge] + node_ptr[row], np.zeros_like(row)])
        edge_ptr = np.concatenate([[0], np.cumsum(np.bitwise_count(self.bits), dtype=np.int64)])
        return GraphBatch(op[present], attrs, edges, node_ptr, edge_ptr)

    def costs(self) -> Costs:
        """Return params and FLOPs of the CIFAR-10 networks.

        Params as published: convolutions without bias, scale and shift of batch norm, the classifier with
        bias. FLOPs are the multiply-adds of all convolutions (projections too) and of the classifier (its
        bias too); batch norm, pooling and sums count nothing.
        """
        params = np.zeros(len(self), dtype=np.int64)
        flops = np.zeros(len(self), dtype=np.int64)
        widths = [STEM_CHANNELS << stack for stack in range(STACKS)]
        for n, rows in self._by_size():
            cells = self.take(rows)
            before = STEM_CHANNELS
            for stack, channels in enumerate(widths):
                pixels = (IMAGE_SIDE >> stack) ** 2
                of_vertex = cells._channels(n, channels)
                for _ in range(CELLS_PER_STACK):
                    weights, normed = cells._weights(n, before, of_vertex)
                    params[rows] += weights + 2 * normed
                    flops[rows] += weights * pixels
                    before = channels
        stem, classifier = 27 * STEM_CHANNELS, widths[-1] * CLASSES + CLASSES
        return Costs(
            params + stem + 2 * STEM_CHANNELS + classifier, flops + stem * IMAGE_SIDE**2 + classifier
        )

    def _by_size(self) -> Iterator[tuple[int, _Ints]]:
        n_vertices = self.n_vertices
        for n in range(2, MAX_VERTICES + 1):
            rows = np.flatnonzero(n_vertices == n)
            if len(rows):
                yield n, rows

    def _edge(self, source: int, target: int) -> _Ints:
        return (self._sources(target) >> source) & 1

    def _channels(self, n: int, out: int) -> list[_Ints]:
        """Return the channels of every vertex but the input (put as 0) of cells that all have `n` vertices.

        The vertices that feed the output share its channels, the first of them taking one more where the
        division leaves a rest; every other vertex is as wide as the widest that it feeds.
        """
        direct = [np.zeros_like(self.bits), *(self._edge(v, n - 1) for v in range(1, n - 1))]
        share, rest = np.divmod(out, np.maximum(sum(direct), 1))
        channels = [np.zeros_like(self.bits) for _ in range(n - 1)] + [np.full_like(self.bits, out)]
        taken = np.zeros_like(self.bits)
        for v in range(1, n - 1):
            channels[v] = direct[v] * (share + (taken < rest))
            taken += direct[v]
        for v in range(n - 3, 0, -1):
            widest = channels[v]
            for target in range(v + 1, n - 1):
                widest = np.maximum(widest, (1 - direct[v]) * self._edge(v, target) * channels[target])
            channels[v] = widest
        return channels

    def _weights(self, n: int, before: int, channels: list[_Ints]) -> tuple[_Ints, _Ints]:
        """Return, for one cell, the weights of its convolutions and the channels that it normalises."""
        weights, normed = np.zeros_like(self.bits), np.zeros_like(self.bits)
        areas = np.array([9, 1, 0])
        for v in range(1, n):
            projected = self._edge(0, v) * channels[v]
            weights += before * projected
            normed += projected
            if v < n - 1:
                area = areas[self.ops[:, v - 1]]
                weights += area * channels[v] ** 2
                normed += (area > 0) * channels[v]
        return weights, normed


def vertex_text(kind: int, sources: int) -> str:
    """Return how the native string writes one vertex: ``op~sources``.

    Parameters
    ----------
    kind : int
        Position in `OPS`, or ``len(OPS)`` for the output.
    sources : int
        Bit mask of the vertices that feed it.
    """
    digits = "".join(str(x) for x in range(MAX_VERTICES) if sources >> x & 1)
    return f"{(*OPS, 'output')[kind]}~{digits}"
