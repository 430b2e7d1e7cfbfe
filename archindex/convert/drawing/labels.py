"""What a drawing says about a node: its kind, its colour, and short texts for op and attributes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from archindex.convert.given import graph_of
from archindex.convert.network import Network
from archindex.core.graph import ArchGraph
from archindex.spaces.base import Architecture, Costed
from archindex.spaces.cells import CellSpace

LONGEST_OP: Final = 26
"""Characters of an op's name; longer names are shortened in the middle."""
LONGEST_NATIVE: Final = 90
"""Characters of a native string in a title; a wide drawing has room for more."""


@dataclass(frozen=True)
class Kind:
    """A kind of ops and how it looks.

    Attributes
    ----------
    name : str
        What the legend says.
    fill, line : str
        Colours.
    ops : tuple of str
        Ops of the vocabulary that are of this kind.
    dashed : bool
        Whether the outline is dashed.
    """

    name: str
    fill: str
    line: str
    ops: tuple[str, ...]
    dashed: bool = False


KINDS: Final = (
    Kind("input, output", "#3d4a5c", "#3d4a5c", ("input", "output")),
    Kind(
        "convolution",
        "#d3e5f8",
        "#2f6fb0",
        ("conv", "separable_conv", "dilated_conv", "transposed_conv", "mbconv", "squeeze_excite"),
    ),
    Kind("pooling", "#d5efd8", "#3b8a4b", ("avg_pool", "max_pool", "global_avg_pool", "upsample")),
    Kind("attention", "#e7dcf7", "#7a4fb5", ("attention", "softmax")),
    Kind("linear, recurrent", "#d2eeee", "#23858a", ("linear", "feed_forward", "embedding", "recurrent")),
    Kind(
        "graph convolution",
        "#dbe0fb",
        "#4a58c4",
        ("gcn", "gat", "gin", "sage", "cheb", "arma", "graph_conv"),
    ),
    Kind(
        "norm, activation",
        "#fdf1c7",
        "#a98608",
        (
            *("norm", "batch_norm", "layer_norm", "group_norm", "rms_norm", "dropout"),
            *("activation", "relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu"),
            *("hard_swish", "hard_sigmoid", "elu"),
        ),
    ),
    Kind(
        "combine",
        "#fde0c8",
        "#c4681c",
        ("add", "mul", "sub", "div", "pow", "concat", "matmul", "mean", "sum"),
    ),
    Kind("shape", "#e8eaed", "#7d8590", ("reshape", "split", "transpose", "slice", "gather", "pad")),
    Kind("skip", "#ffffff", "#7d8590", ("skip",)),
    Kind("none", "#fafafa", "#a3a9b1", ("none",), dashed=True),
    Kind("other op", "#fbdce6", "#b8366b", ()),
)
"""All kinds, in the order of the legend; the last takes what is in none of the others."""

_KIND: Final = {op: kind for kind in KINDS for op in kind.ops}

_SQUARE: Final = frozenset(
    {"conv", "separable_conv", "dilated_conv", "transposed_conv", "mbconv"}
) | frozenset({"avg_pool", "max_pool"})

_ONE: Final = ("stride", "stride_w", "dilation", "groups")

_WIDTHS: Final = {"kernel": "kernel_w", "stride": "stride_w"}
"""Attributes whose value in width stands behind them, with the name of that value."""

_ADDED: Final = frozenset({"add", "mul", "maximum", "minimum"})
"""Ops that say themselves what becomes of several inputs at one port; all others get their sum."""

SHORT: Final[dict[str, str]] = {
    "kernel": "k",
    "stride": "s",
    "dilation": "d",
    "groups": "g",
    "channels": "c",
    "expansion": "e",
    "heads": "h",
    "bits": "b",
    "ratio": "r",
    "depth": "n",
    "padding": "p",
    "axis": "ax",
    "zero_parts": "z",
    "kernel_w": "kw",
    "stride_w": "sw",
}
"""Letters of the attributes; ``index`` and the kernels of windows stand beside the op instead, values in
width behind those in height."""


def kind_of(op: str) -> Kind:
    """Return the kind of an op."""
    return _KIND.get(op, KINDS[-1])


def op_text(op: str, attrs: Mapping[str, float]) -> str:
    """Return the first line of a node: ``sep conv 3x3``, ``input 1``."""
    text = shortened(printable(op), LONGEST_OP)
    if op in _KIND:
        text = op.replace("separable", "sep").replace("transposed", "transp").replace("_", " ")
        if op in _SQUARE and "kernel" in attrs:
            text += f" {number(attrs['kernel'])}x{number(attrs.get('kernel_w', attrs['kernel']))}"
    return f"{text} {number(attrs['index'])}" if "index" in attrs else text


def attribute_text(op: str, attrs: Mapping[str, float]) -> str:
    """Return the second line of a node: ``s2 e6 c64``, ``s2x1``."""
    texts = []
    for name in shown_attributes(op, attrs):
        text = f"{SHORT[name]}{number(attrs[name])}"
        wide = attrs.get(_WIDTHS.get(name, ""))
        texts.append(text if wide is None else f"{text}x{number(wide)}")
    return " ".join(texts)


def shown_attributes(op: str, attrs: Mapping[str, float]) -> list[str]:
    """Return the attributes that `attribute_text` shows: not what stands elsewhere, nor a stride of 1."""
    beside = {"kernel"} if op in _SQUARE else set()
    beside |= {width for name, width in _WIDTHS.items() if name in attrs}
    plain = {name for name in _ONE if attrs.get(name) == 1 and attrs.get(_WIDTHS.get(name, name), 1) == 1}
    return [name for name in SHORT if name in attrs and name not in beside | plain]


def cell_names(drawn: ArchGraph | Architecture | Network) -> dict[int, str]:
    """Return the name of the cell that ends in an output, by node; nothing where there is one cell only."""
    cells = (
        drawn.space.cells if isinstance(drawn, Architecture) and isinstance(drawn.space, CellSpace) else ()
    )
    if len(cells) < 2 or not isinstance(drawn, Architecture):
        return {}
    graph = drawn.graph
    return {
        node: cells[int(attrs["index"])].name
        for node, (op, attrs) in enumerate(zip(graph.ops, graph.attrs, strict=True))
        if op == "output" and attrs.get("index", -1) in range(len(cells))
    }


def ordered_nodes(graph: ArchGraph) -> frozenset[int]:
    """Return the nodes whose inputs have an order: edges come into several ports."""
    ports = Counter(target for target, _ in {(target, port) for _, target, port in graph.edges})
    return frozenset(target for target, n in ports.items() if n > 1)


def port_marks(graph: ArchGraph) -> list[str]:
    """Return what stands at the end of each edge: its port where ports have an order, + where it is added.

    Edges into one port are added: ``0+`` twice and ``1`` once are the sum of two inputs, then a third.
    """
    ordered = ordered_nodes(graph)
    shared = Counter((target, port) for _, target, port in graph.edges)
    return [
        (str(port) if target in ordered else "")
        + ("+" if shared[target, port] > 1 and graph.ops[target] not in _ADDED else "")
        for _, target, port in graph.edges
    ]


def title_of(drawn: ArchGraph | Architecture | Network, room: int = LONGEST_NATIVE) -> tuple[str, list[str]]:
    """Return the heading of a drawing and the lines below it, the native string within `room` characters."""
    graph = graph_of(drawn)
    size = f"{graph.n_nodes} nodes, {len(graph.edges)} edges"
    if isinstance(drawn, Network):
        totals = ((drawn.total_params, "params"), (drawn.total_flops, "FLOPs"))
        known = ", ".join(f"{quantity(n)} {unit}" for n, unit in totals if n is not None)
        return "network", [f"{size} · {known}" if known else size]
    if not isinstance(drawn, Architecture):
        return "graph", [size]
    lines = [shortened(printable(drawn.native), room)]
    space = drawn.space
    if isinstance(space, Costed):
        dataset = space.datasets[0]
        costs = space.costs([drawn.native], dataset)
        params, flops = int(costs.params[0]), int(costs.flops[0])
        size += f" · {quantity(params)} params, {quantity(flops)} FLOPs ({dataset})"
    return space.name, [*lines, size]


def quantity(value: int) -> str:
    """Return a count with three digits: ``342 k``, ``1.29 M``."""
    for unit, letter in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= unit:
            return f"{value / unit:.3g} {letter}" if value < 999.5 * unit else f"{value / unit:.0f} {letter}"
    return str(value)


def number(value: float) -> str:
    """Return a number without a needless point: ``3``, ``0.25``."""
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def shortened(text: str, room: int) -> str:
    """Return `text`, its middle left out where it is longer than `room` characters."""
    if len(text) <= room:
        return text
    head = (room - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (room - 1 - head) :]}"


def printable(text: str) -> str:
    """Return `text` on one line; what no drawing can show becomes a replacement character."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)


def letters_of(nodes: Iterable[tuple[str, Mapping[str, float]]]) -> list[tuple[str, str]]:
    """Return the letters that the nodes use, each with its attribute."""
    used = {name for op, attrs in nodes for name in shown_attributes(op, attrs)}
    return [(letter, name) for name, letter in SHORT.items() if name in used]
