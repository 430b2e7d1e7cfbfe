"""Batch norms folded away: a convolution with a batch norm behind it is a convolution at inference."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.canonical import reduce_batch
from archindex.core.ops import ATTRIBUTE_ID, OP_ID

_FOLDS: Final = tuple(
    OP_ID[name] for name in ("conv", "linear", "transposed_conv", "separable_conv", "dilated_conv")
)
"""Ops that are linear in their weights channel by channel, so that scale and shift go into them."""


def fold_norms(batch: GraphBatch) -> GraphBatch:
    """Return the graphs without the batch norms that an optimiser folds into the layer before.

    A batch norm goes if its one input comes from a convolution or linear layer that feeds nothing else: in
    inference mode it scales and shifts the channels by constants, and the weights of the layer can do both.
    One with a ``setting`` stays, for it takes its statistics from the batch at hand. All other nodes keep
    their order and attributes.

    Parameters
    ----------
    batch : GraphBatch
        Graphs, of networks or cells.

    Returns
    -------
    GraphBatch
        As many graphs. Folding twice changes nothing more.

    References
    ----------
    Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference", CVPR 2018, section 3.2.
    """
    plain = np.isnan(batch.attrs[:, ATTRIBUTE_ID["setting"]])
    norm = (batch.op == OP_ID["batch_norm"]) & plain
    if not norm.any():
        return batch
    source, target, port = batch.edges
    entering = np.bincount(target, minlength=batch.n_nodes)
    leaving = np.bincount(source, minlength=batch.n_nodes)
    # The node that feeds a norm; of norms in a row, each but the first is fed by a norm that may go itself.
    before: npt.NDArray[np.int64] = np.full(batch.n_nodes, -1)
    single = norm[target] & (entering[target] == 1) & (leaving[source] == 1)
    before[target[single]] = source[single]
    stands_for = np.arange(batch.n_nodes)
    gone = np.zeros(batch.n_nodes, dtype=bool)
    takes = np.isin(batch.op, _FOLDS)
    while True:
        now = (before >= 0) & ~gone
        now[now] = takes[stands_for[before[now]]] & (takes | gone)[before[now]]
        if not now.any():
            break
        stands_for[now] = stands_for[before[now]]
        gone |= now
    kept_edge = ~gone[target]
    number = np.cumsum(~gone) - 1
    graph_of = batch.node_graph
    edges = np.stack([number[stands_for[source]], number[target], port])[:, kept_edge]
    nodes = np.bincount(graph_of[~gone], minlength=len(batch))
    per_graph = np.bincount(graph_of[target[kept_edge]], minlength=len(batch))
    return GraphBatch(
        batch.op[~gone],
        batch.attrs[~gone],
        edges,
        np.concatenate([[0], np.cumsum(nodes)]),
        np.concatenate([[0], np.cumsum(per_graph)]),
        batch.extra_ops,
    )


def inference_form(batch: GraphBatch) -> GraphBatch:
    """Return the functional DAGs of the graphs at inference: reduced, batch norms folded away."""
    return reduce_batch(fold_norms(batch))
