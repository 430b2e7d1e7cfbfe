"""Search spaces by name."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, Final

from archindex.core.errors import ArchitectureError, UnknownNameError
from archindex.spaces.base import Architecture, SearchSpace

SPACES: Final[dict[str, str]] = {
    "nasbench101": "archindex.spaces.nasbench101:NASBench101",
    "nasbench201": "archindex.spaces.nasbench201:NASBench201",
    "nats_sss": "archindex.spaces.nats_sss:NATSSize",
    "darts": "archindex.spaces.darts:DARTS",
    "nasnet": "archindex.spaces.nasnet:NASNet",
    "transnas101_micro": "archindex.spaces.transnas101:TransNAS101Micro",
    "transnas101_macro": "archindex.spaces.transnas101:TransNAS101Macro",
    "nasbench_macro": "archindex.spaces.nasbench_macro:NASBenchMacro",
    "nasbench_nlp": "archindex.spaces.nasbench_nlp:NASBenchNLP",
    "fbnet": "archindex.spaces.fbnet:FBNet",
    "mobilenetv3": "archindex.spaces.mobilenetv3:MobileNetV3",
    "proxylessnas": "archindex.spaces.proxylessnas:ProxylessNAS",
    "mnasnet": "archindex.spaces.mnasnet:MnasNet",
    "archai_mobilenet": "archindex.spaces.archai_mobilenet:ArchaiMobileNet",
    "autoformer": "archindex.spaces.autoformer:AutoFormer",
    "pit": "archindex.spaces.pit:PiT",
    "hat": "archindex.spaces.hat:HAT",
    "bert": "archindex.spaces.bert:BERT",
    "nasbench_graph": "archindex.spaces.nasbench_graph:NASBenchGraph",
    "hytra": "archindex.spaces.hytra:HyTra",
    "resnet_pooling": "archindex.spaces.resnet_pooling:ResNetPooling",
    "gan_cells": "archindex.spaces.gan_cells:GANCells",
    "einspace": "archindex.spaces.einspace:EinSpace",
    "timm": "archindex.convert.zoo:Timm",
    "torchvision": "archindex.convert.zoo:Torchvision",
    "pytorchcv": "archindex.convert.zoo:Pytorchcv",
}
"""Module and class of every registered space."""

NAMED: Final = frozenset({"timm", "torchvision", "pytorchcv"})
"""Spaces of named models. Any word may be a name, so that a bare string is never taken for one of theirs."""


def space(name: str) -> SearchSpace[Any]:
    """Return the search space called `name`.

    Raises
    ------
    UnknownNameError
        If there is none; the message names the nearest.
    """
    if not isinstance(name, str) or name not in SPACES:
        raise UnknownNameError.of("search space", str(name), SPACES)
    return _made(name)


@cache
def _made(name: str) -> SearchSpace[Any]:
    module, _, class_name = SPACES[name].partition(":")
    made: SearchSpace[Any] = getattr(import_module(module), class_name)()
    return made


def parse_address(text: str) -> Architecture:
    """Return the architecture that ``space:native`` names.

    Raises
    ------
    ArchitectureError
        If there is no colon, or the native string is malformed.
    UnknownNameError
        If there is no such space.
    """
    name, colon, native = text.partition(":")
    if not colon:
        raise ArchitectureError(
            "expected an architecture as space:native", got=text, fix=f"known spaces: {', '.join(SPACES)}"
        )
    return space(name.strip()).parse(native)
