"""Fitting to architectures of a space: with its grammar where an encoder decodes."""

from __future__ import annotations

import numpy as np
import pytest

from archindex.core.errors import ArgumentError
from archindex.encoders import make_encoder
from archindex.encoders.fitting import fit_to
from archindex.spaces.registry import space

CELLS = space("nasbench201")
NATIVES = [arch.native for arch in CELLS.sample(60, seed=0)]


def test_learns_what_fit_learns() -> None:
    one, other = make_encoder("gin", epochs=1), make_encoder("gin", epochs=1)
    reports: list[tuple[str, int, int]] = []
    fit_to(one, CELLS, NATIVES, seed=3, progress=lambda *report: reports.append(report))
    other.fit(CELLS.graphs(NATIVES), seed=3)
    assert one.fingerprint == other.fingerprint
    assert reports


def test_what_learns_nothing_stays_as_it_is() -> None:
    encoder = make_encoder("paths")
    before = encoder.fingerprint
    fit_to(encoder, CELLS, NATIVES)
    assert encoder.fingerprint == before


def test_encoders_with_a_decoder_get_the_grammar() -> None:
    encoder = make_encoder("vae", steps=3)
    fit_to(encoder, CELLS, NATIVES, seed=1)
    vectors = encoder.encode(CELLS.graphs(NATIVES))
    assert np.isfinite(vectors).all()
    decoded = encoder.decode(vectors[:5], CELLS.decisions())  # type: ignore[attr-defined]
    assert all(CELLS.validate(native) for native in decoded)


def test_a_space_without_decisions_is_refused() -> None:
    named = space("einspace")
    natives = [arch.native for arch in named.sample(3, seed=0)]
    if hasattr(named, "decisions"):
        pytest.fail("einspace has decisions now: take another space for this test")
    with pytest.raises(ArgumentError, match="take an encoder without a decoder"):
        fit_to(make_encoder("vae"), named, natives)
