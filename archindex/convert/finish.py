"""From the steps of a builder to a `Network`: what can only be seen when all ops are known."""

from __future__ import annotations

import math

import numpy as np

from archindex.convert.builder import Builder, Step
from archindex.convert.fuse import fuse_attention
from archindex.convert.network import Network
from archindex.core.errors import ModelFileError
from archindex.core.graph import ArchGraph

_MOST_WEIGHTS = 8
"""Weights of a layer up to which it takes those of the next op; layers that exist have fewer."""

_BIASED = frozenset({"conv", "transposed_conv", "linear"})


def finish(build: Builder) -> Network:
    """Return the network of all steps.

    Raises
    ------
    ModelFileError
        If costs go beyond 64 bits.
    """
    steps = build.steps
    readers = _readers(steps)
    gone = fuse_attention(build, readers)
    gone |= _absorb(build, readers, gone)
    _join_sums(steps, readers, gone)
    for number in reversed(range(len(steps))):
        step = steps[number]
        if step.optional and not readers[number] and number not in gone:
            gone.add(number)
            for source, _ in step.inputs:
                readers[source] -= 1
    left = [i for i in range(len(steps)) if i not in gone]
    number_of = {old: new for new, old in enumerate(left)}
    live = [steps[i] for i in left]
    params, unknown_params = _params(build, live)
    _count_ends(live)
    graph = ArchGraph(
        ops=tuple(step.op for step in live),
        edges=tuple((number_of[s], t, port) for t, step in enumerate(live) for s, port in step.inputs),
        attrs=tuple({k: float(v) for k, v in step.attrs.items()} for step in live),
    )
    unused = [build.weights[name] or 0 for name in build.weights if name not in build.read]
    return Network(
        graph,
        names=tuple(step.name for step in live),
        shapes=tuple(step.shape for step in live),
        params=_int64("params", params),
        flops=_int64("flops", [step.flops or 0 for step in live]),
        unknown_params=unknown_params,
        unknown_flops=tuple(i for i, step in enumerate(live) if step.flops is None),
        unused_params=int(_int64("params", [sum(unused)])[0]),
    )


def _readers(steps: list[Step]) -> list[int]:
    readers = [0] * len(steps)
    for step in steps:
        for source, _ in step.inputs:
            readers[source] += 1
    return readers


def _absorb(build: Builder, readers: list[int], fused: set[int]) -> set[int]:
    """Give constants that are one number a channel to the layer before; return the steps that went."""
    steps = build.steps
    becomes = list(range(len(steps)))
    gone: set[int] = set()
    for number, step in enumerate(steps):
        step.inputs = [(becomes[source], port) for source, port in step.inputs]
        if number in fused:
            continue
        if step.op not in ("add", "mul") or len(step.inputs) != 1 or step.operand is None:
            continue
        source = step.inputs[0][0]
        before = steps[source]
        if readers[source] != 1 or before.shape != step.shape or before.shape is None:
            continue
        if len(before.weights) > _MOST_WEIGHTS:
            continue
        if step.op == "add" and before.op in _BIASED and step.operand == before.attrs.get("channels"):
            before.weights += step.weights
        elif before.op == "batch_norm" and len(before.shape) > 1 and step.operand == before.shape[1]:
            # Caffe's norm has no scale and shift of its own; converters write ones and zeros.
            before.weights = [w for w in before.weights if w in build.varied or w in build.affine]
            before.weights += step.weights
            build.affine.update(step.weights)
        else:
            continue
        becomes[number] = source
        readers[source] = readers[number]
        gone.add(number)
    return gone


def _join_sums(steps: list[Step], readers: list[int], gone: set[int]) -> None:
    """Join each sum that only one other sum reads with it."""

    def plain(step: Step) -> bool:
        return step.op == "add" and not step.weights and step.operand is None and len(step.inputs) > 1

    for number, step in enumerate(steps):
        if number in gone or not plain(step):
            continue
        inner = [
            source
            for source, _ in step.inputs
            if readers[source] == 1 and plain(steps[source]) and steps[source].shape == step.shape is not None
        ]
        if not inner:
            continue
        # The longest list is taken over, so that a long row of sums costs no more than its length.
        inner.sort(key=lambda source: -len(steps[source].inputs))
        joined = steps[inner[0]].inputs
        joined += [edge for edge in step.inputs if edge[0] not in inner]
        for source in inner[1:]:
            joined += steps[source].inputs
        step.inputs = joined
        gone.update(inner)


def _params(build: Builder, live: list[Step]) -> tuple[list[int], tuple[int, ...]]:
    counted: set[str] = set()
    params, unknown = [], []
    for number, step in enumerate(live):
        total = 0
        for name in step.weights:
            if name not in counted:
                counted.add(name)
                size = build.weights[name]
                if size is None:
                    unknown.append(number)
                total += size or 0
        params.append(total)
    return params, tuple(dict.fromkeys(unknown))


def _count_ends(live: list[Step]) -> None:
    """Number inputs and outputs where there are several."""
    for op in ("input", "output"):
        ends = [step for step in live if step.op == op]
        if len(ends) > 1:
            for i, step in enumerate(ends):
                step.attrs["index"] = i


def _int64(what: str, values: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if max(map(abs, values), default=0) >= 2**63 or sum(values) >= 2**63:
        raise ModelFileError(
            f"expected {what} below 2**63", got=f"about 10**{int(math.log10(sum(map(abs, values))))}"
        )
    return np.array(values, dtype=np.int64)
