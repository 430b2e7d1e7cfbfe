"""ComputedEncoder: base of the encoders whose vectors are computed from the graph, nothing learned."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.errors import CorruptIndexError
from archindex.core.progress import Progress, silent
from archindex.encoders.base import Encoder
from archindex.encoders.features import Dags, Floats
from archindex.encoders.files import (
    check_description,
    check_fingerprint,
    content_hash,
    read_description,
    write_description,
)

_CHUNK: Final = 16_384  # graphs at a time; keeps the working memory small


class ComputedEncoder(Encoder):
    """Base of encoders that are a function of the functional DAG; a subclass states name, dim and function.

    Nothing is learned and nothing is scaled by data: the vector of an architecture never changes when others
    are added, and search spaces share one vector space. Needs NumPy only.

    Attributes
    ----------
    version : int
        Version of the code that computes the vectors; goes up with every change of a vector.
    """

    version: ClassVar[int] = 1

    @abstractmethod
    def compute(self, dags: Dags) -> Floats:
        """Return one row per graph; shape (len(dags), dim), finite."""

    @property
    def constants(self) -> Mapping[str, Floats]:
        """Numbers that the vectors depend on and that the fingerprint therefore covers."""
        return {}

    @property
    def fingerprint(self) -> str:
        """Hash of name, code version, dimension and constants."""
        return content_hash(self.name, self.version, self._config, self.constants)

    def fit(self, batch: GraphBatch, *, seed: int = 0, progress: Progress = silent) -> None:
        """Return at once: there is nothing to learn."""

    def encode(self, batch: GraphBatch) -> npt.NDArray[np.float32]:
        """Return the vector of every graph.

        Parameters
        ----------
        batch : GraphBatch
            The graphs, reduced or not.

        Returns
        -------
        ndarray of float32, shape (len(batch), dim)
        """
        vectors = np.empty((len(batch), self.dim), dtype=np.float32)
        for start in range(0, len(batch), _CHUNK):
            stop = min(start + _CHUNK, len(batch))
            vectors[start:stop] = self.compute(Dags(batch.take(start, stop)))
        return vectors

    def save(self, folder: Path) -> None:
        """Write ``encoder.json`` into `folder`."""
        write_description(
            Path(folder),
            name=self.name,
            version=self.version,
            config=self._config,
            fingerprint=self.fingerprint,
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the encoder that `save` wrote; see `Encoder.load` for what it raises."""
        encoder, folder = cls(), Path(folder)
        content = read_description(folder)
        check_description(content, folder, name=encoder.name, version=encoder.version)
        if content["config"] != encoder._config:
            raise CorruptIndexError(
                f"expected a vector length of {encoder.dim} in {folder}", got=content["config"]
            )
        check_fingerprint(content, folder, encoder.fingerprint)
        return encoder

    @property
    def _config(self) -> dict[str, int]:
        return {"dim": self.dim}
