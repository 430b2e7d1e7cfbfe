"""From a torch module to a `Network`, through ``torch.export``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from archindex.convert.builder import Builder, Value
from archindex.convert.finish import finish
from archindex.convert.network import Network
from archindex.convert.torch_trace import Trace, Values, shape_of
from archindex.core.errors import ArgumentError

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram
    from torch.fx import Node

_KNOWN_ELEMENTS = 1 << 16


def from_torch(
    module: nn.Module, example_inputs: Sequence[Any], kwargs: Mapping[str, Any] = MappingProxyType({})
) -> Network:
    """Read a torch module as a network, in the normal form of `archindex.convert.builder`.

    The module is traced by ``torch.export`` in evaluation mode and left as it was. Params are those of
    ``module.parameters()``, tied ones once; what the traced pass does not read is `Network.unused_params`.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    example_inputs : sequence
        Positional arguments of one call; their shapes are those of the network.
    kwargs : mapping from str
        Arguments by name.

    Raises
    ------
    ArgumentError
        If `module` is none, or ``torch.export`` cannot trace it with these inputs.
    ModelFileError
        If the network has more than `archindex.core.graph.MAX_NODES` ops.
    """
    from torch import nn

    if not isinstance(module, nn.Module):
        raise ArgumentError("expected a torch.nn.Module", got=module)
    if not isinstance(example_inputs, Sequence):
        raise ArgumentError("expected example inputs as a tuple", got=example_inputs)
    program = _traced(module, tuple(example_inputs), dict(kwargs))
    return finish(_Importer(module, program).build)


def _traced(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ExportedProgram:
    import torch

    with evaluating(module), quiet_torch():
        try:
            program = torch.export.export(module, args, kwargs)
            if any(mutates(node) for node in program.graph.nodes):
                # Ops that change a tensor in place become ops that make a new one.
                program = program.run_decompositions({})
        except Exception as error:  # whatever the module and torch's tracer raise
            raise ArgumentError(
                "expected a module that torch.export can trace with these inputs",
                got=f"{type(error).__name__}: {error}",
            ) from error
    return program


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module in evaluation mode, and every part of it back into its own mode afterwards."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


@contextmanager
def quiet_torch() -> Iterator[None]:
    """Silence what torch's own exporter says about itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        # Recurrent layers keep a list of their weights.
        warnings.filterwarnings("ignore", message=".*were assigned during export.*", category=UserWarning)
        yield


def mutates(node: Node) -> bool:
    """Return whether an op changes one of its operands in place."""
    schema = getattr(node.target, "_schema", None)
    return schema is not None and bool(schema.is_mutable)


class _Importer:
    def __init__(self, module: nn.Module, program: ExportedProgram) -> None:
        self.build = Builder()
        self.values: Values = {}
        self._placeholders(module, program)
        values = Trace(program.graph.nodes).into(self.build, self.values)
        for name in program.graph_signature.user_outputs:
            value = values.get(name) if isinstance(name, str) else None
            if isinstance(value, Value):
                self.build.op("output", str(name), [value], value.shape)

    def _placeholders(self, module: nn.Module, program: ExportedProgram) -> None:
        signature = program.graph_signature
        parameters = dict(module.named_parameters(remove_duplicate=False))
        first: dict[int, str] = {}
        for name, tensor in parameters.items():
            if first.setdefault(id(tensor), name) == name:
                self.build.weight(name, tuple(tensor.shape))
        for node in program.graph.nodes:
            if node.op not in ("placeholder", "get_attr"):
                continue
            shape = shape_of(node.meta.get("val"))
            owner = signature.inputs_to_parameters.get(node.name)
            if owner is not None:
                name = first[id(parameters[owner])] if owner in parameters else owner
                if name not in self.build.weights:
                    self.build.weight(name, shape)
                self.values[node.name] = Value(shape, None, (name,))
            elif node.name in signature.user_inputs:
                self.values[node.name] = self.build.op("input", node.name, [], shape)
            else:
                tensor = program.constants.get(
                    signature.inputs_to_lifted_tensor_constants.get(node.name, ""), None
                )
                small = tensor is not None and tensor.numel() <= _KNOWN_ELEMENTS and not tensor.is_meta
                data = np.asarray(tensor.detach().cpu().tolist()) if small and tensor is not None else None
                self.values[node.name] = Value(shape, None, (), data)
