"""One ONNX node with its operands, read with care: types and lengths are checked before they are used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archindex.convert.builder import Value
from archindex.convert.network import Shape
from archindex.core.errors import ModelFileError

if TYPE_CHECKING:
    from onnx import AttributeProto, NodeProto


@dataclass
class Node:
    """An ONNX node.

    Attributes
    ----------
    proto : NodeProto
        As the file has it.
    label : str
        Its name, or that of its first output.
    operands : list of (Value or None)
        What it reads; None where an optional operand is left out.
    shape : tuple of int or None
        Shape of its first output; `shapes` are those of all.
    """

    proto: NodeProto
    label: str
    operands: list[Value | None]
    shape: Shape | None
    shapes: tuple[Shape | None, ...] = ()
    from_float: bool = False
    to_float: bool = False

    def operand(self, i: int) -> Value:
        """Return a required operand."""
        value = self.operands[i] if i < len(self.operands) else None
        if value is None:
            raise self.fault(f"operand {i}", len(self.operands))
        return value

    def constant(self, i: int) -> bool:
        """Return whether operand `i` is there and a constant."""
        value = self.operands[i] if i < len(self.operands) else None
        return value is not None and value.constant

    def numbers(self, i: int) -> list[float] | None:
        """Return the numbers of a constant operand; None where they are unknown or it is left out."""
        value = self.operands[i] if i < len(self.operands) else None
        return None if value is None or value.data is None else [float(v) for v in value.data.reshape(-1)]

    def whole(self, name: str, default: int) -> int:
        """Return a whole-number attribute."""
        from onnx import AttributeProto

        found = self._attribute(name, AttributeProto.INT)
        return default if found is None else int(found.i)

    def ints(self, name: str, length: int | None = None) -> list[int] | None:
        """Return a list attribute of `length` whole numbers, if it is there."""
        from onnx import AttributeProto

        found = self._attribute(name, AttributeProto.INTS)
        if found is None:
            return None
        if length is not None and len(found.ints) != length:
            raise self.fault(f"{length} numbers in attribute {name!r}", list(found.ints))
        return [int(v) for v in found.ints]

    def text(self, name: str, default: str) -> str:
        """Return a text attribute."""
        from onnx import AttributeProto

        found = self._attribute(name, AttributeProto.STRING)
        return default if found is None else found.s.decode("utf-8", "replace")

    def texts(self, name: str) -> list[str]:
        """Return a list attribute of texts, empty where it is left out."""
        from onnx import AttributeProto

        found = self._attribute(name, AttributeProto.STRINGS)
        return [] if found is None else [s.decode("utf-8", "replace") for s in found.strings]

    def real(self, name: str, default: float) -> float:
        """Return a number attribute."""
        from onnx import AttributeProto

        found = self._attribute(name, AttributeProto.FLOAT)
        return default if found is None else float(found.f)

    def window(self, kernel: Sequence[int], stride_default: int = 1) -> tuple[list[int], list[int], float]:
        """Return strides, dilations and padding (mean over all sides) of an op with a window."""
        rank = len(kernel)
        stride = self.ints("strides", rank) or [stride_default] * rank
        dilation = self.ints("dilations", rank) or [1] * rank
        if rank < 1 or any(v < 1 for v in (*kernel, *stride, *dilation)):
            raise self.fault("a window with sizes of at least 1", (list(kernel), stride, dilation))
        auto = self.text("auto_pad", "NOTSET")
        pads = self.ints("pads", 2 * rank) or [0] * (2 * rank)
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            x = self.operand(0).shape
            sizes = x[2:] if x is not None and len(x) == rank + 2 else stride
            pads = [
                max(0, (-(-size // s) - 1) * s + d * (k - 1) + 1 - size)
                for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)
            ]
            return stride, dilation, sum(pads) / (2 * rank)
        return stride, dilation, 0.0 if auto == "VALID" else sum(pads) / (2 * rank)

    def _attribute(self, name: str, kind: int) -> AttributeProto | None:
        for attribute in self.proto.attribute:
            if attribute.name == name:
                if attribute.type != kind:
                    raise self.fault(f"an attribute {name!r} of type {kind}", attribute.type)
                found: AttributeProto = attribute
                return found
        return None

    def fault(self, expected: str, got: object) -> ModelFileError:
        """Return the error for a node that is not as its definition says."""
        return ModelFileError(f"expected {expected} in {self.proto.op_type} node {self.label!r}", got=got)
