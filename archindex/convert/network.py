"""A whole network as a graph with the costs of its ops."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from archindex.core.canonical import arch_id
from archindex.core.graph import ArchGraph

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Network:
    """A network read from a model file or a module, in the normal form of `archindex.convert.builder`.

    **Params** are the elements of weight tensors. A tensor that several ops share counts once, at the first
    op that reads it. Running statistics and other buffers are no params.

    **FLOPs** are multiply-adds of one pass over inputs of the given shapes, batch included: those of
    convolutions, linear layers, products of two tensors (matmul, einsum, both products of attention) and
    recurrent layers. Everything else counts nothing: biases, norms, activations, pools, sums, look-ups.

    Attributes
    ----------
    graph : ArchGraph
        One node an op, ``input`` and ``output`` included.
    names : tuple of str
        Name of each node in the model.
    shapes : tuple of (tuple of int or None)
        Shape of the output of each node; None where it is unknown.
    params, flops : ndarray of int64, shape (n_nodes,)
        Costs of each node; 0 where they are unknown.
    unknown_params, unknown_flops : tuple of int
        Nodes whose cost is not known, because a shape is missing or the op is not known to the counting rule.
    unused_params : int
        Elements of weights that no op reads.
    """

    graph: ArchGraph
    names: tuple[str, ...]
    shapes: tuple[Shape | None, ...]
    params: npt.NDArray[np.int64] = field(repr=False)
    flops: npt.NDArray[np.int64] = field(repr=False)
    unknown_params: tuple[int, ...] = ()
    unknown_flops: tuple[int, ...] = ()
    unused_params: int = 0

    @property
    def total_params(self) -> int | None:
        """Params of the network, unused ones included; None where those of a node are unknown."""
        return None if self.unknown_params else int(self.params.sum()) + self.unused_params

    @property
    def total_flops(self) -> int | None:
        """Multiply-adds of one pass; None where those of a node are unknown."""
        return None if self.unknown_flops else int(self.flops.sum())

    @cached_property
    def arch_id(self) -> str:
        """Content hash of the functional DAG of the whole network."""
        return arch_id(self.graph)
