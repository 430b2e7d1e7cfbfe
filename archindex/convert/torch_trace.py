"""The calls that torch traced, to be put into a builder as often as they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from archindex.convert.builder import Builder, Value, own_name
from archindex.convert.network import Shape
from archindex.convert.torch_call import Call
from archindex.convert.torch_ops import LOWER, uncounted

if TYPE_CHECKING:
    from torch.fx import Node

Values = dict[str, Value | list[Value]]
_Step = Callable[[Builder], Value | list[Value]]

_MANY: Final = 256
"""Most weights that a constant is made of; a computation on more of them is kept as an op."""


class Trace:
    """The calls of a graph that torch traced.

    What is asked of a call and of its op is looked up once; `into` does no more than write the ops.

    Parameters
    ----------
    nodes : iterable of Node
        Nodes of the graph in its order; all but calls of functions are passed over.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._values: Values = {}
        self._steps = [(node.name, self._step(node)) for node in nodes if node.op == "call_function"]

    def into(self, build: Builder, given: Mapping[str, Value | list[Value]]) -> Values:
        """Write the ops into `build`; return the values of all nodes by name, those `given` included."""
        values = self._values
        values.clear()
        values.update(given)
        for name, step in self._steps:
            values[name] = step(build)
        return dict(values)

    def _step(self, node: Node) -> _Step:
        name = _op_name(node)
        val = node.meta.get("val")
        if name == "getitem":
            return self._item(node.name, getattr(node.args[0], "name", ""), int(node.args[1]), shape_of(val))  # type: ignore[arg-type]
        several = isinstance(val, (tuple, list))
        shape = shape_of(val[0] if several and val else val)
        call = Call(node, name, self._values, shape)
        if call.made_of_one_number:
            constant = Value(shape, data=call.filled)
            return lambda build: constant
        random = getattr(node.target, "_nondeterministic_seeded", False) or "rand" in name
        shapes = [shape_of(v) for v in val] if isinstance(val, (tuple, list)) else []
        lower = LOWER.get(name) or _kept(node, name, call)

        def step(build: Builder) -> Value | list[Value]:
            if not random:
                operands = call.operands
                if all(v.step is None for v in operands):
                    weights = tuple(dict.fromkeys(w for v in operands for w in v.weights))
                    if len(weights) <= _MANY:
                        if several:
                            return [Value(s, None, weights) for s in shapes]
                        return Value(shape, None, weights, call.filled)
            return lower(build, call)

        return step

    def _item(self, name: str, source: str, index: int, shape: Shape | None) -> _Step:
        def step(build: Builder) -> Value:
            made = self._values[source]
            if isinstance(made, list):
                return made[index]
            if index == 0 or made.step is None:
                return Value(shape, made.step, made.weights)
            return build.item(name, made, shape, index)

        return step


def _kept(node: Node, name: str, call: Call) -> Callable[[Builder, Call], Value]:
    """Return what adds an op that is not known here under its own name."""
    flops = None if uncounted(name) or not call.standard else 0
    kept = own_name(name, "aten") if call.standard else _own_name(node.target)
    return lambda build, call: build.op(kept, call.name, call.operands, call.shape, flops=flops)


def _op_name(node: Node) -> str:
    """Return ``conv2d`` for ``aten.conv2d.default``, and the name of a Python function as it is."""
    schema = getattr(node.target, "_schema", None)
    if schema is not None:
        return str(schema.name).split("::")[-1]
    return str(getattr(node.target, "__name__", node.target))


def _own_name(target: Any) -> str:
    """Return the name of what is no op of ATen; a plain function is named by its module, not its address."""
    if isinstance(target, FunctionType):
        return f"{target.__module__}.{target.__qualname__}"
    return str(target).removesuffix(".default")


def shape_of(value: Any) -> Shape | None:
    """Return the shape of a traced tensor; None for other things and for sizes that are left open."""
    sizes = getattr(value, "shape", None)
    if sizes is None:
        return () if isinstance(value, (bool, int, float)) else None
    if not all(isinstance(s, int) for s in sizes):
        return None
    return tuple(int(s) for s in sizes)
