"""einspace: the shapes of tensors on their way through a derivation, and what it costs.

A tensor is an image (channels, height, width) or columns (rows, features); the number of sizes tells which,
as the two modes of einspace do. Nothing here needs torch.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

Shape = tuple[int, ...]
"""Sizes of a tensor, the batch left out: three of an image, two of columns."""

MAX_ELEMENTS: Final = 2**20
"""Elements of the largest tensor (of one example) in the space."""

MAX_PARAMS: Final = 2**26
MAX_FLOPS: Final = 2**31
MAX_FUNCTIONS: Final = 256

_GROUP: Final = re.compile(r"group_dim(\d+)s(\d)d")
_CAT: Final = re.compile(r"cat_tensors(\d)d(\d+)t")
_WINDOW: Final = re.compile(r"im2col(\d+)k(\d+)s(\d+)p")


class DoesNotFitError(Exception):
    """A tensor has no shape that the next function takes. Caught in einspace."""


@dataclass
class Meter:
    """Counts the costs of a derivation.

    Attributes
    ----------
    params, flops, functions : int
        Parameters, multiply-adds of linear layers and matrix products, and functions (nodes of the graph).
    copies : int
        How often what comes next is counted: it may stand in several branches.
    """

    params: int = 0
    flops: int = 0
    functions: int = 0
    copies: int = 1

    def add(self, params: int = 0, flops: int = 0, functions: int = 1) -> None:
        """Count a layer.

        Raises
        ------
        DoesNotFitError
            If the whole is larger than any network of the space.
        """
        self.params += params * self.copies
        self.flops += flops * self.copies
        self.functions += functions * self.copies
        if self.params > MAX_PARAMS or self.flops > MAX_FLOPS or self.functions > MAX_FUNCTIONS:
            raise DoesNotFitError


def parse_group(name: str) -> tuple[int, int] | None:
    """Return parts and dimension (1 the first after the batch) of ``group_dim*``; None for a clone."""
    found = _GROUP.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else None


def parse_cat(name: str) -> int | None:
    """Return the dimension of ``cat_tensors*``; None for other aggregations."""
    found = _CAT.fullmatch(name)
    return int(found[1]) if found else None


def parse_window(name: str) -> tuple[int, int, int]:
    """Return kernel, stride and padding of ``im2col*``."""
    kernel, stride, padding = map(int, _WINDOW.fullmatch(name).groups())  # type: ignore[union-attr]
    return kernel, stride, padding


def parse_permute(name: str) -> tuple[int, ...]:
    """Return the dimensions, counted from 1, in their new order."""
    return tuple(map(int, name.removeprefix("permute")))


def split(name: str, x: Shape, meter: Meter) -> Shape:
    """Return the shape of one part."""
    group = parse_group(name)
    if group is None:
        return x
    parts, dim = group
    meter.add(functions=parts)
    if dim > len(x) or x[dim - 1] % parts:
        raise DoesNotFitError
    return _replaced(x, dim, x[dim - 1] // parts)


def join(name: str, parts: list[Shape], meter: Meter) -> Shape:
    """Return the shape of an aggregation of parts."""
    first, last = parts[0], parts[-1]
    if len(first) != len(last):
        raise DoesNotFitError
    dim = parse_cat(name)
    if dim is not None:
        if dim > len(first) or _replaced(first, dim, 0) != _replaced(last, dim, 0):
            raise DoesNotFitError
        meter.add()
        return _fitting(_replaced(first, dim, sum(part[dim - 1] for part in parts)))
    if name == "add_tensors":
        if first != last:
            raise DoesNotFitError
        meter.add()
        return first
    # A matrix product: of columns, or of every channel.
    if first[:-2] != last[:-2] or first[-1] != last[-2]:
        raise DoesNotFitError
    product = _fitting((*first[:-1], last[-1]))
    meter.add(0, math.prod(product) * first[-1])
    return product


def permute(name: str, x: Shape) -> Shape:
    """Return the shape after ``identity`` or a permutation."""
    if name == "identity":
        return x
    order = parse_permute(name)
    if len(order) != len(x):
        raise DoesNotFitError
    return tuple(x[dim - 1] for dim in order)


def windows(name: str, x: Shape) -> tuple[Shape, tuple[int, int]]:
    """Return the shape of the columns of an image, one row a window, and how many windows stand each way."""
    kernel, stride, padding = parse_window(name)
    if len(x) != 3 or min(x[1:]) < kernel:
        raise DoesNotFitError
    rows, columns = ((side + 2 * padding - kernel) // stride + 1 for side in x[1:])
    return _fitting((rows * columns, x[0] * kernel**2)), (rows, columns)


def fold(name: str, x: Shape, sides: tuple[int, int]) -> Shape:
    """Return the shape after ``col2im``, which gives an image of some sides, or what `permute` takes."""
    if name != "col2im":
        return permute(name, x)
    if len(x) != 2 or math.prod(x) % math.prod(sides):
        raise DoesNotFitError
    return math.prod(x) // math.prod(sides), *sides


def compute(name: str, x: Shape, meter: Meter) -> Shape:
    """Return the shape after a computation."""
    if name.startswith("linear"):
        width = int(name.removeprefix("linear"))
        y = _fitting((*x[:-1], width))
        meter.add((x[-1] + 1) * width, math.prod(y) * x[-1])
        return y
    weights = {"norm": 2 * (x[0] if len(x) == 3 else x[-1]), "learnable_positional_encoding": math.prod(x)}
    meter.add(weights.get(name, 0))
    return x


def _replaced(x: Shape, dim: int, size: int) -> Shape:
    return (*x[: dim - 1], size, *x[dim:])


def _fitting(x: Shape) -> Shape:
    if math.prod(x) > MAX_ELEMENTS:
        raise DoesNotFitError
    return x
