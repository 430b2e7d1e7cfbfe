"""UniversalEncoder: the encoder that comes with archindex, trained on the graphs of all search spaces."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Self

from archindex.core.batch import GraphBatch
from archindex.core.progress import Progress, silent
from archindex.encoders.files import read_description
from archindex.encoders.learned import LearnedEncoder

SHIPPED: Final = Path(__file__).parent / "universal_weights"
"""Folder of the weights that come with archindex."""


class UniversalEncoder(LearnedEncoder):
    """Encode cells and whole networks of every search space into one vector space of 64 dimensions.

    Nothing is to be fitted: the weights come with archindex. They were learned without measurements, from
    computed distances between graphs of all search spaces; ``archindex encoder train --recipe universal``
    (`archindex.encoders.recipes`) makes them again.
    """

    registered = "universal"

    def __init__(self) -> None:
        content = read_description(SHIPPED)
        super().__init__(**content["config"])
        self._read(SHIPPED, content)

    def fit(self, batch: GraphBatch, *, seed: int = 0, progress: Progress = silent) -> None:
        """Return at once: the weights are given."""

    @classmethod
    def untrained(cls, **shape: int) -> Self:
        """Return one without weights, to be trained by its recipe."""
        encoder = cls.__new__(cls)
        LearnedEncoder.__init__(encoder, **shape)
        return encoder

    @classmethod
    def _with(cls, config: dict[str, Any]) -> Self:
        return cls.untrained(**config)
