"""One call of an op in a program that torch traced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from archindex.convert.builder import Value
from archindex.convert.network import Shape

if TYPE_CHECKING:
    from torch.fx import Node


_FILLED: Final = {
    **dict.fromkeys(("zeros", "zeros_like", "new_zeros"), 0.0),
    **dict.fromkeys(("ones", "ones_like", "new_ones"), 1.0),
}

_PASSES_ON: Final = frozenset({"to", "_to_copy", "clone", "detach", "lift_fresh_copy", "alias", "expand"})
"""Ops that leave the numbers of a constant as they are."""


class Call:
    """One call of an op in a traced program.

    Arguments are read by the names of the op's schema, with its defaults.

    Attributes
    ----------
    name, op : str
        Names of the node and of its op.
    shape : tuple of int or None
        Shape of its first output; `shapes` are those of all.
    """

    def __init__(
        self, node: Node, op: str, values: Mapping[str, Value | list[Value]], shape: Shape | None
    ) -> None:
        self.name, self.op = node.name, op
        self.shape = shape
        self._node = node
        self._values = values
        schema = getattr(node.target, "_schema", None)
        self.standard = schema is not None and str(schema.name).startswith("aten::")
        self._arguments: dict[str, Any] = dict(node.kwargs)
        if schema is not None:
            for argument, given in zip(schema.arguments, node.args, strict=False):
                self._arguments[argument.name] = given
            for argument in schema.arguments:
                if argument.has_default_value():
                    self._arguments.setdefault(argument.name, argument.default_value)
        else:
            self._arguments.update({str(i): a for i, a in enumerate(node.args)})

    @property
    def operands(self) -> list[Value]:
        """All tensors among the arguments, in their order, those in lists too."""
        return list(self._tensors(self._arguments.values()))

    @property
    def to_other_kind(self) -> bool:
        """Whether the op turns numbers of a kind (whole, floating point, truth) into another."""
        given = [a.meta.get("val") for a in self._node.all_input_nodes]
        before, after = (given or [None])[0], self._node.meta.get("val")
        if before is None or after is None or before.dtype == after.dtype:
            return False
        return not (before.is_floating_point() and after.is_floating_point())

    @property
    def shapes(self) -> list[Shape | None]:
        """Shapes of all outputs."""
        return [tuple(int(d) for d in v.shape) for v in self._node.meta["val"]]

    def get(self, name: str, default: Any = None) -> Any:
        """Return an argument that is no tensor."""
        return self._arguments.get(name, default)

    def tensor(self, name: str) -> Value | None:
        """Return a tensor argument, or a number as a constant; None where it is left out."""
        given = self._arguments.get(name)
        if isinstance(given, (bool, int, float)):
            return Value((), data=np.array(given))
        value = self._values.get(getattr(given, "name", ""))
        return value if isinstance(value, Value) else None

    def need(self, name: str) -> Value:
        """Return a tensor argument that must be there; an unknown constant where it is not."""
        return self.tensor(name) or Value(None)

    def tensors(self, name: str) -> list[Value]:
        """Return an argument that is a list of tensors."""
        return list(self._tensors(self._arguments.get(name) or ()))

    def sizes(self, name: str, n: int) -> list[int]:
        """Return an argument of one number or `n` numbers as `n` numbers."""
        given = self._arguments.get(name)
        numbers = [given] if isinstance(given, int) else list(given or ())
        return [int(v) for v in (numbers * n if len(numbers) == 1 else numbers)]

    def axes(self, name: str = "dim") -> list[int] | None:
        """Return an argument of one axis or several; None for all."""
        given = self._arguments.get(name)
        if given is None or given == []:
            return None
        return [given] if isinstance(given, int) else [int(a) for a in given]

    @property
    def made_of_one_number(self) -> bool:
        """Whether the op fills a tensor with one number, its operand giving no more than shape and type."""
        return self.op in _FILLED or self.op in ("full", "full_like", "new_full", "scalar_tensor")

    @property
    def filled(self) -> npt.NDArray[np.generic] | None:
        """The number of a constant that is made of one number."""
        number = _FILLED.get(self.op, self.get("fill_value", self.get("s")))
        if self.made_of_one_number and isinstance(number, (int, float)):
            return np.array(number)
        if self.op in _PASSES_ON:
            return self.operands[0].data
        return None

    def _tensors(self, given: Any) -> Iterator[Value]:
        for one in given:
            if isinstance(one, (tuple, list)):
                yield from self._tensors(one)
                continue
            value = self._values.get(getattr(one, "name", ""))
            if isinstance(value, Value):
                yield value
            elif value is not None:
                yield from value
