"""Search spaces by name."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final

from archindex.core.errors import ArchitectureError, ArgumentError, UnknownNameError
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


PLUGINS: Final = "archindex.spaces"
"""Group of entry points by which other packages register spaces: ``name = "module:Class"``."""


def space_names() -> list[str]:
    """Return the names of all spaces: those of archindex first, then those of other packages."""
    return [*SPACES, *_plugins()]


def space(name: str) -> SearchSpace[Any]:
    """Return the search space called `name`, of archindex or of another package.

    Raises
    ------
    UnknownNameError
        If there is none; the message names the nearest.
    ArgumentError
        If another package registers something that is no search space of that name.
    """
    if not isinstance(name, str) or (name not in SPACES and name not in _plugins()):
        raise UnknownNameError.of("search space", str(name), space_names())
    return _made(name)


@cache
def _made(name: str) -> SearchSpace[Any]:
    place = SPACES[name] if name in SPACES else _plugins()[name]
    module, _, class_name = place.partition(":")
    try:
        made: Any = getattr(import_module(module), class_name)()
    except (ImportError, AttributeError) as error:
        raise ArgumentError(
            f"expected a search space at {place}", got=error, fix="mend the package that registers it"
        ) from error
    if not isinstance(made, SearchSpace) or made.name != name:
        raise ArgumentError(
            f"expected a search space called {name} at {place}",
            got=made,
            fix="mend the package that registers it",
        )
    return made


@cache
def _plugins() -> dict[str, str]:
    """Return what other packages register; a name of archindex's own is never taken over."""
    found = entry_points(group=PLUGINS)
    return {one.name: one.value for one in sorted(found, key=lambda e: e.name) if one.name not in SPACES}


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
            "expected an architecture as space:native",
            got=text,
            fix=f"known spaces: {', '.join(space_names())}",
        )
    return space(name.strip()).parse(native)
