"""Encoders by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archindex.core.errors import ArgumentError, EncoderMismatchError, UnknownNameError
from archindex.encoders import ENCODERS, Encoder, load_encoder, make_encoder
from archindex.encoders.structural import StructuralEncoder


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_is_made_by_its_name(name: str) -> None:
    encoder = make_encoder(name)
    assert isinstance(encoder, Encoder)
    assert encoder.name == name


def test_unknown_name_points_to_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'structural'"):
        make_encoder("structual")


def test_unknown_option() -> None:
    with pytest.raises(ArgumentError, match="epoch"):
        make_encoder("gin", epoch=3)
    with pytest.raises(ArgumentError, match="structural"):
        make_encoder("structural", dim=3)


def test_a_folder_of_another_encoder(tmp_path: Path) -> None:
    make_encoder("structural").save(tmp_path)
    path = tmp_path / "encoder.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"encoder": "gin"}))
    with pytest.raises(EncoderMismatchError):
        StructuralEncoder.load(tmp_path)


def test_vectors_of_older_code_are_refused(tmp_path: Path) -> None:
    make_encoder("structural").save(tmp_path)
    path = tmp_path / "encoder.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"code_version": 0}))
    with pytest.raises(EncoderMismatchError, match="version"):
        load_encoder(tmp_path)
