"""Encoders by name."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Final

from archindex.core.errors import ArgumentError, CorruptIndexError, UnknownNameError
from archindex.encoders.base import Encoder
from archindex.encoders.files import read_description

ENCODERS: Final[dict[str, str]] = {
    "universal": "archindex.encoders.universal:UniversalEncoder",
    "structural": "archindex.encoders.structural:StructuralEncoder",
    "motifs": "archindex.encoders.motifs:MotifEncoder",
    "paths": "archindex.encoders.baselines:PathEncoder",
    "adjacency": "archindex.encoders.adjacency:AdjacencyEncoder",
    "wl": "archindex.encoders.baselines:WLEncoder",
    "statistics": "archindex.encoders.baselines:StatisticsEncoder",
    "gin": "archindex.encoders.gin:GINEncoder",
    "vae": "archindex.encoders.vae:VAEEncoder",
}
"""Module and class of every registered encoder; a module is imported when its encoder is first used."""


def make_encoder(name: str, **options: Any) -> Encoder:
    """Return a new encoder.

    Parameters
    ----------
    name : str
        Registered name.
    **options
        Arguments of its class, e.g. ``dim`` of ``"gin"``.

    Raises
    ------
    UnknownNameError
        If there is no such encoder; the message names the nearest.
    ArgumentError
        If it has no such option, or an option is out of range.
    """
    kind = _encoder_class(name)
    try:
        return kind(**options)
    except TypeError as error:
        raise ArgumentError(f"expected options of the encoder {name!r}", got=str(error)) from None


def load_encoder(folder: str | Path) -> Encoder:
    """Return the encoder that is stored in `folder`, of whatever kind.

    Raises
    ------
    IndexMissingError
        If there is none.
    UnknownNameError
        If it is of a kind that is not registered here.
    IndexVersionError
        If a newer archindex wrote it.
    EncoderMismatchError
        If an older archindex wrote it whose vectors were different ones.
    CorruptIndexError
        If a file is damaged, or the fingerprint is not that of the content.
    """
    path = Path(folder)
    kind = _encoder_class(read_description(path)["encoder"])
    try:
        return kind.load(path)
    except ArgumentError as error:
        raise CorruptIndexError(f"expected valid options of an encoder in {path}", got=str(error)) from None


def _encoder_class(name: str) -> type[Encoder]:
    if name not in ENCODERS:
        raise UnknownNameError.of("encoder", name, ENCODERS)
    module, _, class_name = ENCODERS[name].partition(":")
    kind: type[Encoder] = getattr(import_module(module), class_name)
    return kind
