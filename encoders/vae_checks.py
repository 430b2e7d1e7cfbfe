"""What the variational autoencoder checks of what it is given and of what is on file."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from archindex.core.batch import GraphBatch
from archindex.core.checks import check_int
from archindex.core.errors import ArgumentError
from archindex.encoders.grammar import Grammar, Ids

SIGNATURE: Final = ("space", "vocabulary", "length")
"""What is kept of a grammar, to know it again."""


def checked(batch: GraphBatch, grammar: Grammar | None, ids: Ids | None) -> tuple[Grammar, Ids]:
    """Return grammar and ids if they can be learned from."""
    if grammar is None or ids is None:
        raise ArgumentError(
            "expected the grammar and the decisions of the graphs",
            got="graphs alone",
            fix="give fit grammar=space.decisions() and ids=grammar.ids(natives)",
        )
    if len(batch) == 0:
        raise ArgumentError("expected graphs to learn from", got="none")
    found = np.asarray(ids)
    shape = (len(batch), grammar.length)
    if (
        found.dtype.kind not in "iu"
        or found.shape != shape
        or ((found < 0) | (found >= grammar.vocabulary)).any()
    ):
        raise ArgumentError(f"expected ids of shape {shape} below {grammar.vocabulary}", got=ids)
    return grammar, found.astype(np.int64)


def signature(found: object) -> dict[str, Any]:
    """Return what is on file of the grammar, or raise `ArgumentError`."""
    kinds = dict(zip(SIGNATURE, (str, int, int), strict=True))
    if not isinstance(found, dict) or {key: type(value) for key, value in found.items()} != kinds:
        raise ArgumentError(f"expected {', '.join(SIGNATURE)} of a grammar", got=found)
    check_int("vocabulary", found["vocabulary"], low=1, high=1 << 20)
    check_int("length", found["length"], low=1, high=1 << 16)
    return dict(found)
