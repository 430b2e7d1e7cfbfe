"""From an architecture to an ONNX file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archindex.convert.torch_import import evaluating, quiet_torch
from archindex.core.checks import check_choice, check_int, check_path
from archindex.core.errors import ArgumentError, StorageError
from archindex.spaces.base import Architecture, Buildable

if TYPE_CHECKING:
    from torch import nn

OPSET: Final = 20
"""Version of the ONNX operators that files are written in; onnxruntime reads it since 1.17."""

_INLINE: Final = 2**30
"""Bytes of weights up to which they stand in the file itself; larger ones go to a file beside it."""


def to_onnx(
    architecture: Architecture, path: str | PathLike[str], dataset: str | None = None, *, seed: int = 0
) -> Path:
    """Write the network of an architecture, untrained, as an ONNX file.

    The file is in opset `OPSET`, for inference and a batch of one. Batch norms stay ops of their own, so that
    `archindex.convert.from_onnx` finds the network that ``from_torch`` finds in the module.

    Exceptions: the exporter leaves out layers that feed nothing but zeros, and their params with them (seen
    in ``nasbench201`` and ``nasnet``). A constant tensor that is neither zeros nor ones counts as a weight
    in the file (``hat``, ``nasbench_nlp``). Scattering and indexing are other ops in ONNX than in torch, so
    that the ids of ``nasbench_graph`` differ, and those of ``einspace`` where images are cut into columns.

    Parameters
    ----------
    architecture : Architecture
        Of a space that builds modules.
    path : path
        File to write; an existing one is replaced.
    dataset : str, optional
        Data set that the network is for; the first of the space if left out.
    seed : int
        Fixes the weights.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ArgumentError
        If the space builds no modules, or ONNX has no way to say what the module does.
    UnknownNameError
        If the space has no such data set.
    StorageError
        If the file cannot be written.
    """
    import torch

    target = check_path(path)
    check_int("seed", seed, low=0)
    if not isinstance(architecture, Architecture):
        raise ArgumentError("expected an Architecture", got=architecture, fix="parse it with its space")
    name, space = architecture.space.name, architecture.space
    if not isinstance(space, Buildable):
        raise ArgumentError("expected an architecture of a space that builds modules", got=name)
    chosen = check_choice(f"data set of {name}", dataset or space.datasets[0], space.datasets)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = space.build_module(architecture, chosen)
        inputs = space.example_inputs(chosen)
    return module_to_onnx(module, inputs, target)


def module_to_onnx(module: nn.Module, inputs: tuple[Any, ...], path: Path) -> Path:
    """Write a torch module for inputs of these shapes as an ONNX file; see `to_onnx`."""
    import torch
    from onnxscript import optimizer

    with evaluating(module), quiet_torch(), _quiet_exporter():
        try:
            program = torch.onnx.export(
                module, inputs, None, dynamo=True, optimize=False, opset_version=OPSET, verbose=False
            )
            assert program is not None
            model = program.model
            weights = {name for name, _ in module.named_parameters(remove_duplicate=False)}
            # Constants are folded, but nothing is rewritten: the optimiser of the exporter would fold batch
            # norms into convolutions. Weights stay as they are, so that shared ones stay shared.
            optimizer.fold_constants(
                model,
                onnx_shape_inference=False,
                input_size_limit=_INLINE,
                output_size_limit=_INLINE,
                should_fold=lambda node: False if _changes_weights(node, weights) else None,
            )
            _drop_zero_biases(model, weights)
            optimizer.remove_unused_nodes(model)
        except Exception as error:  # whatever the module, torch's exporter and its passes raise
            raise ArgumentError(
                "expected a module that torch can export to ONNX", got=f"{type(error).__name__}: {error}"
            ) from error
        held = sum(p.numel() * p.element_size() for p in module.parameters())
        try:
            program.save(path, external_data=held > _INLINE)
        except OSError as error:
            raise StorageError("expected a place to write the ONNX file to", got=str(path)) from error
    return path


def _changes_weights(node: Any, weights: set[str]) -> bool:
    """Return whether a node computes something from a weight, other than the weight itself."""
    if node.op_type in ("Cast", "CastLike", "Identity"):
        return False
    return any(value is not None and value.name in weights for value in node.inputs)


def _drop_zero_biases(model: Any, parameters: set[str]) -> None:
    """Take off the biases of zeros that the exporter gives to convolutions without one."""
    for node in model.graph:
        if node.op_type in ("Conv", "ConvTranspose") and len(node.inputs) == 3:
            bias = node.inputs[2]
            if bias is None or bias.name in parameters or bias.const_value is None:
                continue
            if not bias.const_value.numpy().any():
                node.resize_inputs(2)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep the exporter from logging that packages it does not need are missing."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
