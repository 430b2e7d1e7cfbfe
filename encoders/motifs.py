"""MotifEncoder: which neighbourhoods of ops occur in a network, not how many nor how wide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.canonical import reduce_batch, wl_colours
from archindex.core.ops import ATTRIBUTE_ID
from archindex.encoders.computed import ComputedEncoder
from archindex.encoders.features import Dags, Floats, Ints, scrambled
from archindex.encoders.folding import fold_norms

Colours = npt.NDArray[np.uint64]

# Group, its columns, and its share in the squared distance of two networks that have nothing in common.
# Chosen on networks of benchmarks/encoding/families_development.json, which are not those of the list.
_GROUPS: Final[dict[str, tuple[int, float]]] = {
    "ops": (40, 0.5),
    "shapes": (88, 1.0),
    "ratios": (80, 1.0),
    "widths": (32, 0.25),
    "counts": (16, 0.02),
}
_SHAPE: Final = (
    "kernel", "stride", "dilation", "expansion", "bits", "ratio", "depth", "index", "padding",
    "kernel_w", "stride_w", "axis", "zero_parts", "setting",
)  # fmt: skip
"""Attributes that do not grow with a network; spelled out, because a new one must not change old vectors."""

_SIZES: Final = ("channels", "groups", "heads")
_STEPS: Final = 2.0  # ratios of widths are rounded to this many steps an octave
_RADIUS: Final = 3  # of the neighbourhoods that are counted


class MotifEncoder(ComputedEncoder):
    """Encode a whole network by the neighbourhoods of ops that occur in it, whatever its depth and width.

    Networks of one family are built of the same parts; how often the parts come and how wide they are is
    what changes from one to the next. So a neighbourhood (an op with what it reads and what reads it) counts
    once, however often it occurs, as in the circular fingerprints of chemistry. There are five groups:

    - *ops*: single ops, told apart by kernel, stride, axis and other attributes that do not grow with the
      network, convolutions moreover by whether they are depthwise or grouped;
    - *shapes*: neighbourhoods of radius 1 of these;
    - *ratios*: the same, ops told apart also by how much wider they make what they read;
    - *widths*: single ops with all attributes, widths too: the stem and head that a search space fixes;
    - *counts*: how often neighbourhoods of radius 3 with all attributes occur, on a logarithmic scale. This
      weighs little, and tells networks apart that are built of the same parts.

    Each group is hashed to its columns with signs and scaled to its length, so that Euclidean nearness is
    the cosine of sets. Batch norms are folded away first: a network is near to what an optimiser makes of it.

    References
    ----------
    Rogers and Hahn, "Extended-Connectivity Fingerprints", Journal of Chemical Information and Modeling 2010.
    Shervashidze et al., "Weisfeiler-Lehman Graph Kernels", JMLR 2011. Weinberger et al., "Feature Hashing
    for Large Scale Multitask Learning", ICML 2009.
    """

    @property
    def name(self) -> str:
        """``"motifs"``."""
        return "motifs"

    @property
    def dim(self) -> int:
        """256."""
        return sum(columns for columns, _ in _GROUPS.values())

    @property
    def constants(self) -> Mapping[str, Floats]:
        """Columns and shares of the groups."""
        return {"groups": np.array(list(_GROUPS.values()))}

    @property
    def shares(self) -> dict[str, float]:
        """Share of each group in the squared distance of two networks that have nothing in common."""
        return {name: share for name, (_, share) in _GROUPS.items()}

    @property
    def feature_groups(self) -> dict[str, slice]:
        """Columns of each group, so that they can be weighted anew."""
        groups, start = {}, 0
        for name, (columns, _) in _GROUPS.items():
            groups[name] = slice(start, start + columns)
            start += columns
        return groups

    def encode(self, batch: GraphBatch) -> npt.NDArray[np.float32]:
        """Return the vector of every graph; float32, shape (len(batch), 256).

        Graphs of which one becomes the other when batch norms are folded away have the same vector.
        """
        # Reduced first: a dead op that reads a convolution must not keep its norm from being folded.
        return super().encode(fold_norms(reduce_batch(batch)))

    def compute(self, dags: Dags) -> Floats:
        """Return the groups side by side; shape (len(dags), 256)."""
        batch = dags.batch
        shape = _columns(batch, _SHAPE)
        shape[:, ATTRIBUTE_ID["groups"]] = _grouping(batch)
        exact = replace(batch, attrs=_columns(batch, (*_SHAPE, *_SIZES)))
        shapes = wl_colours(replace(batch, attrs=shape), rounds=0)[0]
        shape[:, ATTRIBUTE_ID["channels"]] = _ratios(dags)
        ratios = wl_colours(replace(batch, attrs=shape), rounds=0)[0]
        colours = {
            "ops": shapes,
            "shapes": _neighbourhoods(batch, shapes),
            "ratios": _neighbourhoods(batch, ratios),
            "widths": wl_colours(exact, rounds=0)[0],
            "counts": wl_colours(exact, rounds=_RADIUS)[0],
        }
        return np.hstack(
            [
                np.sqrt(share) * _sketch(dags, colours[name], columns, counted=name == "counts")
                for name, (columns, share) in _GROUPS.items()
            ]
        )


def _columns(batch: GraphBatch, names: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """Return the attributes of the nodes, those not among `names` left out."""
    kept = [ATTRIBUTE_ID[name] for name in names]
    attrs = np.full_like(batch.attrs, np.nan)
    attrs[:, kept] = batch.attrs[:, kept]
    return attrs


def _grouping(batch: GraphBatch) -> Floats:
    """Return 0 for ops with one group, 2 for those with a group a channel, 1 between, NaN without groups."""
    groups = batch.attrs[:, ATTRIBUTE_ID["groups"]].astype(np.float64)
    channels = batch.attrs[:, ATTRIBUTE_ID["channels"]].astype(np.float64)
    some = groups > 1
    return np.where(np.isnan(groups), np.nan, some + 1.0 * (some & (groups >= channels)))


def _ratios(dags: Dags) -> Floats:
    """Return the rounded logarithm of width over width read; NaN where an op states or reads none.

    An op that states no width passes on the largest that it reads.
    """
    stated = dags.batch.attrs[:, ATTRIBUTE_ID["channels"]].astype(np.float64)
    stated = np.where(np.isfinite(stated) & (stated > 0), np.minimum(stated, 1e30), 0.0)

    def step(joined: Floats, nodes: Ints, n_terms: Floats) -> Floats:
        own = stated[nodes]
        return np.stack([np.where(own > 0, own, joined[:, 0]), joined[:, 0]], axis=1)

    _, read = dags.flow(np.stack([stated, np.zeros_like(stated)], axis=1), np.maximum, step).T
    known = (stated > 0) & (read > 0)
    ratio = np.where(known, stated, 1.0) / np.where(known, read, 1.0)
    return np.where(known, np.round(_STEPS * np.log2(ratio)), np.nan)


def _neighbourhoods(batch: GraphBatch, colours: Colours) -> Colours:
    """Refine colours once by the set of those that come in, with ports, and the set of those that read."""
    source, target, port = batch.edges
    ports = port.astype(np.uint64)
    # A set and no count: a mask that all layers read is the same thing in a deeper network.
    came_in = _sums(target, scrambled(colours[source] + scrambled(ports + np.uint64(1))), len(colours))
    went_out = _sums(source, scrambled(colours[target] + scrambled(~ports)), len(colours))
    return scrambled(scrambled(colours + scrambled(came_in)) + scrambled(went_out) * np.uint64(3))


def _sums(nodes: Ints, terms: Colours, n_nodes: int) -> Colours:
    """Add up the different terms of every node; shape (n_nodes,)."""
    nodes, terms = _distinct(nodes, terms)[:2]
    total = np.zeros(n_nodes, dtype=np.uint64)
    np.add.at(total, nodes, terms)
    return total


def _distinct(owners: Ints, terms: Colours) -> tuple[Ints, Colours, Ints]:
    """Return the different pairs of owner and term, and how often each occurs."""
    order = np.lexsort((terms, owners))
    owners, terms = owners[order], terms[order]
    new = np.ones(len(owners), dtype=bool)
    new[1:] = (owners[1:] != owners[:-1]) | (terms[1:] != terms[:-1])
    first = np.flatnonzero(new)
    return owners[first], terms[first], np.diff(first, append=len(owners))


def _sketch(dags: Dags, colours: Colours, columns: int, *, counted: bool) -> Floats:
    """Hash the colours of every graph to columns with a sign, and scale to length 1."""
    graph, colour, times = _distinct(dags.graph, colours)
    sign = np.where(colour >> np.uint64(63), -1.0, 1.0)
    cell = graph * columns + (colour % np.uint64(columns)).astype(np.int64)
    value = sign * (1.0 + np.log(times)) if counted else sign
    total = np.bincount(cell, weights=value, minlength=len(dags) * columns).reshape(-1, columns)
    length: Floats = np.linalg.norm(total, axis=1, keepdims=True)
    # Where signs cancel, what rounding leaves is not a direction.
    return np.where(length > 1e-6, total / np.maximum(length, 1e-6), 0.0)
