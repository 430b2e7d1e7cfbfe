"""Graphs to torch-geometric and back."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from archindex.convert.given import graph_of
from archindex.core.batch import GraphBatch
from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.core.ops import ATTRIBUTES, OPS

if TYPE_CHECKING:
    from torch_geometric.data import Data

    from archindex.convert.network import Network
    from archindex.spaces.base import Architecture


def to_pyg(graph: ArchGraph | Architecture | Network) -> Data:
    """Return a graph, or that of an architecture or a network, as a ``torch_geometric.data.Data``.

    Fields: ``op``, int64 (n,), positions in `archindex.core.ops.OPS`, or ``len(OPS) + i`` for
    ``extra_ops[i]``; ``attrs``, float32 (n, len(ATTRIBUTES)), NaN where a node has none; ``edge_index``,
    int64 (2, e); ``port``, int64 (e,); ``extra_ops``, list of str.

    Raises
    ------
    ArgumentError
        If it is none of these.
    """
    packed = GraphBatch.from_graphs([graph_of(graph)])
    import torch

    with warnings.catch_warnings():
        # torch-geometric scripts classes of its own when it is imported, which torch deprecates.
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        from torch_geometric.data import Data

    return Data(
        op=torch.from_numpy(packed.op.astype(np.int64)),
        attrs=torch.from_numpy(packed.attrs),
        edge_index=torch.from_numpy(packed.edges[:2].copy()),
        port=torch.from_numpy(packed.edges[2].copy()),
        extra_ops=list(packed.extra_ops),
        num_nodes=packed.n_nodes,
    )


def from_pyg(data: Data) -> ArchGraph:
    """Return the graph of a `Data` with the fields that `to_pyg` writes.

    Raises
    ------
    ArchitectureError
        If a field is missing or does not fit the others.
    """
    missing = [name for name in ("op", "attrs", "edge_index", "port") if getattr(data, name, None) is None]
    if missing:
        raise ArchitectureError("expected a Data with op, attrs, edge_index and port", got=f"no {missing[0]}")
    op, attrs = data.op.cpu().numpy(), data.attrs.cpu().numpy()
    edges, port = data.edge_index.cpu().numpy(), data.port.cpu().numpy()
    names = (*OPS, *(str(name) for name in getattr(data, "extra_ops", None) or ()))
    if op.ndim != 1 or attrs.shape != (len(op), len(ATTRIBUTES)):
        raise ArchitectureError(f"expected attrs of shape ({len(op)}, {len(ATTRIBUTES)})", got=attrs.shape)
    if edges.shape != (2, len(port)) or port.ndim != 1:
        raise ArchitectureError("expected edge_index of shape (2, e) and port of shape (e,)", got=edges.shape)
    if op.dtype.kind != "i" or edges.dtype.kind != "i" or port.dtype.kind != "i":
        raise ArchitectureError("expected whole numbers in op, edge_index and port", got=str(op.dtype))
    if len(op) and not (op.min() >= 0 and op.max() < len(names)):
        raise ArchitectureError(f"expected op ids from 0 to {len(names) - 1}", got=int(op.max()))
    return ArchGraph(
        ops=tuple(names[i] for i in op),
        edges=tuple((int(s), int(t), int(p)) for s, t, p in zip(*edges, port, strict=True)),
        attrs=tuple({ATTRIBUTES[j]: float(row[j]) for j in np.flatnonzero(~np.isnan(row))} for row in attrs),
    )
