"""Fit any encoder to architectures of a search space: one that decodes needs more than their graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archindex.core.errors import ArgumentError
from archindex.core.progress import Progress, silent
from archindex.encoders.base import Decoder, Encoder
from archindex.spaces.base import SearchSpace


def fit_to(
    encoder: Encoder,
    space: SearchSpace[Any],
    natives: Sequence[str],
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> None:
    """Fit an encoder to architectures, without labels; one that learns nothing stays as it is.

    Parameters
    ----------
    encoder : Encoder
        What is fitted. One with a decoder is given the grammar of the space.
    space : SearchSpace
        The search space.
    natives : sequence of str
        Architectures to learn from.
    seed : int
        The same seed on the same machine gives the same fingerprint.
    progress : Progress
        Told how far it is.

    Raises
    ------
    ArgumentError
        If the encoder has a decoder, and the space has no grammar; or there is too little to learn from.
    """
    batch = space.graphs(natives)
    if not isinstance(encoder, Decoder):
        encoder.fit(batch, seed=seed, progress=progress)
        return
    if not hasattr(space, "decisions"):
        raise ArgumentError(
            f"expected a search space with decisions that {encoder.name} can decode to",
            got=space.name,
            fix="take an encoder without a decoder, for example gin",
        )
    grammar = space.decisions()
    # The further arguments are those of decoding encoders only.
    options: dict[str, Any] = {"grammar": grammar, "ids": grammar.ids(natives)}
    encoder.fit(batch, seed=seed, progress=progress, **options)
