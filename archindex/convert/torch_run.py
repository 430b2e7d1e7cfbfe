"""A second way from a torch module to a `Network`: run it on shapes, and trace every kind of call once.

``torch.export`` takes a second for a network. Networks of one search space are made of the same few calls:
a convolution with these sizes, a sum of those shapes. `Runner` runs the forward pass without numbers (meta
tensors) and looks at each call of a torch function on its way; a call that it has not met is traced alone by
torch, one that it has met is written down from memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

from archindex.convert.builder import Builder, Value
from archindex.convert.finish import finish
from archindex.convert.network import Network, Shape
from archindex.convert.torch_import import evaluating, mutates, quiet_torch
from archindex.convert.torch_trace import Trace
from archindex.core.errors import ArgumentError

_KNOWN_ELEMENTS: Final = 1 << 16

_MAKERS: Final = frozenset(_device_constructors())
"""Functions that make tensors on a device."""

_DRAWS: Final = (
    frozenset(
        getattr(nn.init, f"{name}_")
        for name in ("uniform", "normal", "trunc_normal", "constant", "ones", "zeros", "eye", "dirac")
    )
    | frozenset(
        getattr(nn.init, f"{kind}_{name}_")
        for kind in ("kaiming", "xavier")
        for name in ("uniform", "normal")
    )
    | {Tensor.fill_, Tensor.zero_, Tensor.uniform_, Tensor.normal_}
)
"""Functions that give weights their first numbers."""

_SIMPLE: Final = frozenset({int, float, bool, str, type(None), torch.dtype, torch.device, torch.layout})


@dataclass(frozen=True)
class _Met:
    """A kind of call: its ops, the names of its tensor operands and of its results, constants it holds."""

    trace: Trace
    operands: tuple[str, ...]
    results: tuple[tuple[str, Shape, torch.dtype], ...]
    constants: Mapping[str, Value]
    several: type | None
    changes: bool  # its first operand, in place
    views: bool  # results that are operands or parts of them


class Hollow(TorchFunctionMode):
    """Modules that are built inside have weights with a shape and no numbers, not even for a moment."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Make tensors on ``meta``, and leave out what would fill them."""
        kwargs = kwargs or {}
        if func in _DRAWS:
            return args[0] if args else kwargs["tensor"]
        if func in _MAKERS and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


class Runner:
    """Reads modules as networks and remembers the calls they are made of.

    The networks are those of `archindex.convert.from_torch`, in a twentieth to a hundredth of its time from
    the second network of a kind on.
    """

    def __init__(self) -> None:
        self._met: dict[Any, _Met | None] = {}

    @property
    def kinds(self) -> int:
        """Number of different calls met so far."""
        return len(self._met)

    def network(self, module: nn.Module, inputs: Sequence[Tensor]) -> Network:
        """Return the network of a module for inputs of these shapes, all of them on the ``meta`` device.

        Raises
        ------
        ArgumentError
            If the forward pass needs numbers, changes a tensor in place, or fails.
        """
        with evaluating(module), quiet_torch(), torch.no_grad():
            watch = _Watch(self._met, module)
            try:
                for i, tensor in enumerate(inputs):
                    watch.bind(tensor, watch.build.op("input", f"input_{i}", [], tuple(tensor.shape)))
                with watch:
                    result = module(*inputs)
                watch.outputs(result)
            except ArgumentError:
                raise
            except Exception as error:  # whatever the module and torch raise
                raise ArgumentError(
                    "expected a module that runs on meta tensors",
                    got=f"{type(error).__name__}: {error}",
                    fix="use from_torch",
                ) from error
        return finish(watch.build)


class _Watch(TorchFunctionMode):
    """Sees every call of a torch function during one forward pass."""

    def __init__(self, met: dict[Any, _Met | None], module: nn.Module) -> None:
        super().__init__()
        self.met = met
        self.build = Builder()
        self.values: dict[int, Value] = {}
        self.shared: set[int] = set()
        self.alive: list[Tensor] = []
        first: dict[int, str] = {}
        for name, tensor in module.named_parameters(remove_duplicate=False):
            shape = tuple(tensor.shape)
            if first.setdefault(id(tensor), name) == name:
                self.build.weight(name, shape)
                self.bind(tensor, Value(shape, None, (name,)))
        for _, buffer in module.named_buffers():
            self.bind(buffer, Value(tuple(buffer.shape)))

    def bind(self, tensor: Tensor, value: Value, *, shared: bool = True) -> None:
        """Say what a tensor stands for; `shared`: whether others may see its memory."""
        self.values[id(tensor)] = value
        if shared:
            self.shared.add(id(tensor))
        self.alive.append(tensor)  # or another tensor could get its id

    def outputs(self, result: Any) -> None:
        for i, tensor in enumerate([result] if isinstance(result, Tensor) else _tensors_in(result)):
            value = self.values[id(tensor)]
            self.build.op("output", f"output_{i}", [value], value.shape)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors: list[Tensor] = []
        kwargs = kwargs or {}
        if func in _MAKERS and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": "meta"}
        try:
            key = (func, _key(args, tensors), _key(kwargs, tensors) if kwargs else None)
        except TypeError:  # an argument that has no key, such as a module
            return func(*args, **kwargs)
        if key not in self.met:
            with torch.device("meta"):
                self.met[key] = _trace(func, args, kwargs, tensors)
        met = self.met[key]
        if met is None:
            return func(*args, **kwargs)
        given: dict[str, Value | list[Value]] = dict(met.constants)
        for name, tensor in zip(met.operands, tensors, strict=True):
            value = self.values.get(id(tensor))
            given[name] = _constant(tensor) if value is None else value
        if met.views:
            self.shared.update(map(id, tensors))
        elif met.changes and id(tensors[0]) in self.shared:
            raise ArgumentError("expected no call that changes what other tensors see", got=func.__name__)
        values = met.trace.into(self.build, given)
        results = []
        for name, shape, kind in met.results:
            made = values[name]
            assert isinstance(made, Value)
            result = torch.empty(shape, dtype=kind, device="meta")
            self.bind(result, made, shared=met.views)
            results.append(result)
        if met.changes:
            self.bind(tensors[0], self.values[id(results[0])], shared=False)
            return tensors[0]
        return results[0] if met.several is None else met.several(results)


def _key(given: Any, tensors: list[Tensor]) -> Any:
    """Return what a call looks like, its tensors by type and shape alone; collect these."""
    if isinstance(given, Tensor):
        tensors.append(given)
        return (given.shape, given.dtype)
    kind = type(given)
    if kind in _SIMPLE:
        return (kind, given)
    if isinstance(given, (tuple, list)):
        return (list, *[_key(one, tensors) for one in given])
    if kind is dict:
        return (dict, *[(name, _key(one, tensors)) for name, one in given.items()])
    if kind is slice:
        return (slice, *[_key(end, tensors) for end in (given.start, given.stop, given.step)])
    if given is Ellipsis:
        return Ellipsis
    raise TypeError


def _rebuilt(given: Any, tensors: Any) -> Any:
    """Return the arguments with the tensors replaced, in the order of `_key`."""
    if isinstance(given, Tensor):
        return next(tensors)
    if isinstance(given, (tuple, list)):
        made = [_rebuilt(one, tensors) for one in given]
        return made if isinstance(given, list) else tuple(made)
    if isinstance(given, dict):
        return {name: _rebuilt(one, tensors) for name, one in given.items()}
    if isinstance(given, slice):
        return slice(*[_rebuilt(end, tensors) for end in (given.start, given.stop, given.step)])
    return given


def _trace(func: Any, args: Any, kwargs: Any, tensors: list[Tensor]) -> _Met | None:
    """Trace one call; None where it gives no tensors."""
    probe = func(*args, **kwargs)
    if not isinstance(probe, Tensor):
        found = _tensors_in(probe)
        if not found or not isinstance(probe, (tuple, list)) or len(found) != len(probe):
            return None

    def alone(*given: Tensor) -> Any:
        stand_in = iter(given)
        made = func(*_rebuilt(args, stand_in), **_rebuilt(kwargs, stand_in))
        return made if isinstance(made, Tensor) else tuple(made)

    shapes = [torch.empty_like(t, device="meta") for t in tensors]
    graph = make_fx(alone, tracing_mode="real", pre_dispatch=True)(*shapes)
    nodes = list(graph.graph.nodes)
    mutating = [node for node in nodes if mutates(node)]
    for node in mutating:
        # The op that makes a new tensor instead has the same name without the underscore.
        kind = getattr(torch.ops.aten, node.target._schema.name.removeprefix("aten::").removesuffix("_"))
        node.target = getattr(kind, node.target._overloadname)
    if mutating and (len(mutating) > 1 or probe is not tensors[0]):
        raise ArgumentError(
            "expected calls that change no tensor in place", got=getattr(func, "__name__", func)
        )
    operands = tuple(node.name for node in nodes if node.op == "placeholder")
    [ends] = nodes[-1].args
    ends = ends if isinstance(ends, (tuple, list)) else [ends]
    probes = [probe] if isinstance(probe, Tensor) else list(probe)
    return _Met(
        Trace(nodes),
        operands,
        tuple((end.name, tuple(p.shape), p.dtype) for end, p in zip(ends, probes, strict=True)),
        {n.name: _constant(getattr(graph, str(n.target))) for n in nodes if n.op == "get_attr"},
        None if isinstance(probe, Tensor) else (list if isinstance(probe, list) else tuple),
        bool(mutating),
        not mutating and any(p._is_view() or any(p is t for t in tensors) for p in probes),
    )


def _tensors_in(given: Any) -> list[Tensor]:
    if isinstance(given, Tensor):
        return [given]
    if isinstance(given, dict):
        given = list(given.values())
    if isinstance(given, (tuple, list)):
        return [t for one in given for t in _tensors_in(one)]
    return []


def _constant(tensor: Tensor) -> Value:
    known = not tensor.is_meta and tensor.numel() <= _KNOWN_ELEMENTS
    return Value(tuple(tensor.shape), None, (), np.asarray(tensor.detach().cpu().tolist()) if known else None)
