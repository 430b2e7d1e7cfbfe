"""einspace: networks of fundamental operations, derived by a probabilistic context-free grammar.

Ericsson et al., "einspace: Searching for Neural Architectures from Fundamental Operations", NeurIPS 2024.
Functions, shapes and the sampler follow linusericsson/einspace (einspace/search_spaces.py,
einspace/layers.py, einspace/network.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from archindex.core.build import GraphBuilder, Terms
from archindex.core.checks import check_choice
from archindex.spaces import einspace_shapes as shapes
from archindex.spaces.base import Architecture, Costs
from archindex.spaces.derivation import Node, Production, Rules, Tree
from archindex.spaces.einspace_sampler import Sampler
from archindex.spaces.einspace_shapes import DoesNotFitError, Meter, Shape
from archindex.spaces.grammar import GrammarSpace

if TYPE_CHECKING:
    from torch import Tensor, nn

INPUT: Final[Shape] = (3, 32, 32)
"""Shape of an image."""

CLASSES: Final = {"cifar10": 10, "cifar100": 100}

COMPUTATION_PROBABILITY: Final = 0.32
"""Probability that a module is a computation, the published setting."""

_COMPUTATIONS: Final = (
    "identity",
    *(f"linear{width}" for width in (16, 32, 64, 128, 256, 512, 1024, 2048)),
    "norm",
    "leakyrelu",
    "softmax",
    "learnable_positional_encoding",
)
_PERMUTATIONS: Final = ("21", "132", "213", "231", "312", "321")
_ROUTES: Final = ("identity", *(f"permute{order}" for order in _PERMUTATIONS))
_WINDOWS: Final = ("1k1s0p", "1k2s0p", "3k1s1p", "3k2s1p", "4k4s0p", "8k8s0p", "16k16s0p")
_REST: Final = (1 - COMPUTATION_PROBABILITY) / 3
_OPS: Final = {
    "identity": "skip",
    "norm": "norm",
    "leakyrelu": "leaky_relu",
    "softmax": "softmax",
    "learnable_positional_encoding": "positional_encoding",
    "add_tensors": "add",
    "dot_product": "matmul",
    "scaled_dot_product": "scaled_matmul",
    "col2im": "col2im",
}


_MODULES: Final = (
    *(Production(name, (), COMPUTATION_PROBABILITY / len(_COMPUTATIONS)) for name in _COMPUTATIONS),
    Production("sequential", ("module", "module"), _REST),
    Production("branching2", ("split2", "module", "module", "join2"), _REST / 3),
    Production("branching4", ("split4", "module", "join4"), _REST / 3),
    Production("branching8", ("split8", "module", "join8"), _REST / 3),
    Production("routing", ("route", "module", "route"), _REST / 2),
    Production("unfolding", ("windows", "module", "fold"), _REST / 2),
)


def _terminals(*names: str) -> tuple[Production, ...]:
    return tuple(Production(name) for name in names)


def _splits(n: int) -> tuple[Production, ...]:
    return _terminals(f"clone_tensor{n}", *(f"group_dim{n}s{dim}d" for dim in (1, 2, 3)))


def _joins(n: int, *more: str) -> tuple[Production, ...]:
    return _terminals("add_tensors", *more, *(f"cat_tensors{dim}d{n}t" for dim in (1, 2, 3)))


class EinSpace(GrammarSpace):
    """The einspace grammar on images of 3 x 32 x 32.

    Native string: the derivation as nested terms, functions named as in the official code. The official code
    keeps an architecture as nested dictionaries ``{"fn": ..., "children": {...}}``; a term is one of these:

    - ``sequential(first_fn,second_fn)``;
    - ``branching2(branching_fn,inner_fn,inner_fn,aggregation_fn)``, and ``branching4`` and ``branching8``
      with one ``inner_fn``, which every branch has a copy of (the number stands in the name, so that the
      functions of a branching always suit each other);
    - ``routing(prerouting_fn,inner_fn,postrouting_fn)``, called ``unfolding`` where the first function is an
      ``im2col``: only there the last may be ``col2im``, back to as many windows each way;
    - a ``computation_module`` is written as its ``computation_fn`` alone.

    Draws follow the probabilities of the grammar and are not uniform: short networks come more often.

    A derivation is in the space if its tensors fit: permutations, windows and groups suit the mode and the
    shape that they meet, matrix products, sums and concatenations the shapes that come together. The
    outermost module is no computation. The official sampler leaves out what exceeds the memory of its
    machine; here no tensor has more than 2^20 elements, no network more than 2^26 parameters, 2^31
    multiply-adds or 256 functions.

    The official mutation draws a node anew with all below it. Here one change swaps a function, wraps a
    module into another or takes it out again, so that the reverse is one change too.

    The network ends in a mean over all dimensions but the first (channels, or rows) and a linear layer.

    Params: all of the network's. FLOPs: multiply-adds of linear layers and matrix products, as torch's
    FlopCounterMode counts them.

    Examples
    --------
    >>> import archindex as ax
    >>> space = ax.space("einspace")
    >>> conv = "unfolding(im2col3k1s1p,linear64,col2im)"
    >>> arch = space.parse(f"branching2(clone_tensor2,{conv},{conv},add_tensors)")
    >>> int(space.costs([arch.native], "cifar10").params[0])  # two convolutions and the last layer
    4234
    """

    datasets: tuple[str, ...] = tuple(CLASSES)
    start = "network"
    max_productions = 300
    rules: ClassVar[Rules] = {
        "network": tuple(one for one in _MODULES if one.children),
        "module": _MODULES,
        "split2": _splits(2),
        "split4": _splits(4),
        "split8": _splits(8),
        "join2": _joins(2, "dot_product", "scaled_dot_product"),
        "join4": _joins(4),
        "join8": _joins(8),
        "route": _terminals(*_ROUTES),
        "windows": _terminals(*(f"im2col{window}" for window in _WINDOWS)),
        "fold": _terminals(*_ROUTES, "col2im"),
    }

    @property
    def name(self) -> str:
        """``"einspace"``."""
        return "einspace"

    @property
    def size(self) -> None:
        """Not known: how many derivations fit has never been counted."""

    def _expand(self, g: GraphBuilder, node: Node, x: Terms) -> Terms:
        if node.name == "sequential":
            first, second = node.children
            return second(first(x))
        if node.name.startswith("branching"):
            branching, *inner, aggregation = node.children
            n = int(node.name.removeprefix("branching"))
            group = shapes.parse_group(branching.name)
            parts = [x] * n
            if group is not None:
                parts = [g.add("slice", x, groups=n, axis=group[1], index=i) for i in range(n)]
            values = [inner[min(i, len(inner) - 1)](part) for i, part in enumerate(parts)]
            axis = shapes.parse_cat(aggregation.name)
            if axis is not None:
                return g.add("concat", *values, axis=axis)
            ports = [sum(values, ())] if aggregation.name == "add_tensors" else values
            return g.add(_OPS[aggregation.name], *ports)
        if node.children:
            before, module, after = node.children
            return self._function(g, after.name, module(self._function(g, before.name, x)))
        return self._function(g, node.name, x)

    def _function(self, g: GraphBuilder, name: str, x: Terms) -> Terms:
        """Add a function of one value."""
        if name.startswith("linear"):
            return g.add("linear", x, channels=int(name.removeprefix("linear")))
        if name.startswith("permute"):
            return g.add("transpose", x, index=int(name.removeprefix("permute")))
        if name.startswith("im2col"):
            kernel, stride, padding = shapes.parse_window(name)
            return g.add("im2col", x, kernel=kernel, stride=stride, padding=padding)
        return g.add(_OPS[name], x)

    def _allowed(self, tree: Tree) -> bool:
        try:
            self._measure(tree, Meter(), symbol="network")
        except DoesNotFitError:
            return False
        return True

    def _measure(self, tree: Tree, meter: Meter, x: Shape = INPUT, symbol: str = "module") -> Shape:
        """Return the shape that a module gives for a tensor of shape `x`, and count its costs."""
        production = self.rules[symbol][tree.production]
        if not tree.children:
            return shapes.compute(production.name, x, meter)
        names = [
            self.rules[symbol][below.production].name
            for symbol, below in zip(production.children, tree.children, strict=True)
        ]
        if production.name == "sequential":
            first, second = tree.children
            return self._measure(second, meter, self._measure(first, meter, x))
        if production.name.startswith("branching"):
            n, inner = int(production.name.removeprefix("branching")), tree.children[1:-1]
            part = shapes.split(names[0], x, meter)
            copies = n // len(inner)
            meter.copies *= copies
            parts = [y for module in inner for y in [self._measure(module, meter, part)] * copies]
            meter.copies //= copies
            return shapes.join(names[-1], parts, meter)
        meter.add(functions=2)
        if production.name == "unfolding":
            columns, sides = shapes.windows(names[0], x)
            y = self._measure(tree.children[1], meter, columns)
            return shapes.fold(names[2], y, sides)
        return shapes.permute(names[2], self._measure(tree.children[1], meter, shapes.permute(names[0], x)))

    def _draw(self, rng: np.random.Generator) -> Tree:
        """Return a derivation drawn as the official sampler draws: from the top, among what fits.

        Every function is drawn among those that fit the shapes that reach it; where none is left for one of a
        module's functions, the module is drawn anew without that kind. What gets larger than the space allows
        is drawn anew as a whole.
        """
        while True:
            tree = Sampler(self.rules, rng, self.max_productions).draw("network", INPUT)
            if tree is not None and self._allowed(tree):
                return tree

    def costs(self, natives: Iterable[str], dataset: str) -> Costs:
        """Return params and FLOPs of the networks for `dataset`.

        Parameters
        ----------
        natives : iterable of str
            Native strings.
        dataset : {"cifar10", "cifar100"}
            Fixes the number of classes.
        """
        classes = CLASSES[check_choice("data set of einspace", dataset, CLASSES)]
        counted = []
        for native in natives:
            meter = Meter()
            features = self._measure(self._parse(native), meter, symbol="network")[0]
            counted.append((meter.params + (features + 1) * classes, meter.flops + features * classes))
        params, flops = np.array(counted, dtype=np.int64).reshape(-1, 2).T
        return Costs(params.copy(), flops.copy())

    def example_inputs(self, dataset: str = "cifar10", batch: int = 1) -> tuple[Tensor]:
        """Return random images, float (batch, 3, 32, 32)."""
        import torch

        check_choice("data set of einspace", dataset, CLASSES)
        return (torch.randn(batch, *INPUT),)

    def build_module(self, architecture: Architecture, dataset: str = "cifar10") -> nn.Module:
        """Return the network of `architecture` for `dataset`; output (batch, classes)."""
        from archindex.spaces.einspace_module import Network

        classes = CLASSES[check_choice("data set of einspace", dataset, CLASSES)]
        return Network(self._parse(self._own(architecture).native), self.rules, INPUT, classes)
