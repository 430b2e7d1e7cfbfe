"""Attention that is written out as products and a softmax, as ONNX files before opset 23 have it."""

from __future__ import annotations

from archindex.convert.builder import Builder, Step, solid
from archindex.convert.network import Shape


def fuse_attention(build: Builder, readers: list[int]) -> set[int]:
    """Turn ``softmax(scale * q @ k^T + mask) @ v`` into ``attention``; return the steps that went.

    The scale may stand at the queries, the keys, or their product; a guard that turns rows without any key
    into zeros is passed over.

    Parameters
    ----------
    build : Builder
        All ops; the steps that make values are changed in place.
    readers : list of int
        How many inputs each step feeds; kept up to date.
    """
    gone: set[int] = set()
    for number, step in enumerate(build.steps):
        if step.op == "matmul" and len(step.inputs) == 2:
            match = _Match(build, readers, number)
            if match.found:
                match.apply()
                gone |= match.inside
    return gone


class _Match:
    """One place where attention may stand, from its last product upwards."""

    def __init__(self, build: Builder, readers: list[int], number: int) -> None:
        self.build, self.steps, self.readers, self.number = build, build.steps, readers, number
        self.inside: set[int] = set()
        self.mask: list[tuple[int, int]] = []
        self.weights: list[str] = []
        self.keys_shape: Shape | None = None
        self.keys_order: tuple[int, ...] = ()
        self.found = self._scores()

    def _scores(self) -> bool:
        last = self.steps[self.number]
        (probabilities, first), (self.value, second) = last.inputs
        if (first, second) != (0, 1) or last.weights:
            return False
        softmax = self._softmax(probabilities)
        if softmax is None:
            return False
        step = self.steps[softmax]
        if step.shape is None or step.attrs.get("axis") != len(step.shape) - 1:
            return False
        self.inside.add(softmax)
        source = step.inputs[0][0]
        if self.steps[source].op == "add" and self._only(source) and self._split_mask(source):
            source = self._product
        elif self.steps[source].op == "where" and self._only(source) and len(self.steps[source].inputs) == 1:
            # A constant mask that chooses between the product and minus infinity.
            self.inside.add(source)
            source = self.steps[source].inputs[0][0]
        source = self._unscaled(source)
        product = self.steps[source]
        if product.op != "matmul" or len(product.inputs) != 2 or not self._only(source):
            return False
        self.inside.add(source)
        self.flops = product.flops
        (query, first), (key, second) = product.inputs
        keys = self._transposed(self._unscaled(key))
        if (first, second) != (0, 1) or keys is None:
            return False
        self.query, self.key = self._unscaled(query), keys
        shapes = [self.steps[i].shape for i in (self.query, self.value)]
        return all(shape is not None and len(shape) == 4 for shape in shapes)

    def _softmax(self, number: int) -> int | None:
        """Find the softmax behind ``where(isnan(p), 0, p)`` or at once."""
        step = self.steps[number]
        if step.op == "softmax":
            return number if self._only(number) else None
        if step.op != "where" or not self._only(number) or len(step.inputs) != 2:
            return None
        (condition, _), (softmax, _) = step.inputs
        tested = self.steps[condition]
        if tested.op != "IsNaN" or tested.inputs != [(softmax, 0)] or self.readers[softmax] != 2:
            return None
        self.inside |= {number, condition}
        return softmax if self.steps[softmax].op == "softmax" else None

    def _split_mask(self, number: int) -> bool:
        """Tell the mask of a sum from the product; a constant mask has no step."""
        step = self.steps[number]
        terms = [source for source, _ in step.inputs]
        products = [s for s in terms if self.steps[self._peek(s)].op == "matmul"]
        if len(terms) > 2 or len(products) != 1:
            return False
        self._product = products[0]
        self.mask = [(s, 3) for s in terms if s != self._product]
        # A constant mask of zeros and minus infinities is no weight.
        self.weights = [w for w in step.weights if w not in self.build.masks]
        self.inside.add(number)
        return True

    def _peek(self, number: int) -> int:
        step = self.steps[number]
        return step.inputs[0][0] if self._is_scale(step) else number

    def _unscaled(self, number: int) -> int:
        step = self.steps[number]
        if self._is_scale(step) and self._only(number):
            self.inside.add(number)
            return step.inputs[0][0]
        return number

    def _transposed(self, number: int) -> int | None:
        """Find the keys behind a swap of their last two axes, with heads and batch joined or not."""
        path: list[int] = []
        turned = self.steps[number].shape
        while self.steps[number].op == "reshape" and self._only(number):
            path.append(number)
            number = self.steps[number].inputs[0][0]
        step = self.steps[number]
        if step.op != "transpose" or len(step.order) < 2 or not self._only(number):
            return None
        turned_back = (*step.order[:-2], step.order[-1], step.order[-2])
        if turned_back != tuple(sorted(turned_back)):
            # It also brought the heads forward, and goes on doing that.
            if path or step.shape is None:
                return None
            self.keys_order = turned_back
            self.keys_shape = (*step.shape[:-2], step.shape[-1], step.shape[-2])
            return number
        path.append(number)
        number = step.inputs[0][0]
        if len(path) > 1 and self.steps[number].op == "reshape" and self._only(number) and turned is not None:
            expected = (*turned[:-2], turned[-1], turned[-2])
            before = self.steps[self.steps[number].inputs[0][0]].shape
            if before is not None and solid(before) == solid(expected):
                path.append(number)
                number = self.steps[number].inputs[0][0]
            else:
                # It also did what the keys need, such as joining the axis along which they are repeated.
                self.keys_shape = expected
        self.inside.update(path)
        return number

    def _is_scale(self, step: Step) -> bool:
        return step.op in ("mul", "div") and len(step.inputs) == 1 and step.operand == 1 and not step.weights

    def _only(self, number: int) -> bool:
        return self.readers[number] == 1

    def apply(self) -> None:
        step = self.steps[self.number]
        for number in self.inside:
            for source, _ in self.steps[number].inputs:
                self.readers[source] -= 1
            self.readers[number] = 0
        for source, _ in step.inputs:
            self.readers[source] = max(0, self.readers[source] - 1)
        step.op = "attention"
        step.inputs = [(self.query, 0), (self.key, 1), (self.value, 2), *self.mask]
        for source, _ in step.inputs:
            self.readers[source] += 1
        if self.keys_order:
            self.build.turn(self.key, self.keys_order, self.build.seen_by(self.key))
        if self.keys_shape is not None:
            self.steps[self.key].shape = self.keys_shape
        shape = self.steps[self.query].shape
        step.attrs = {} if shape is None else {"heads": float(shape[1])}
        step.weights = self.weights
        step.flops = None if step.flops is None or self.flops is None else step.flops + self.flops
