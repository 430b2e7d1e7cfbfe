"""What every encoder can do: turn graphs into vectors, and be stored so that the same vectors come again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.progress import Progress, silent
from archindex.encoders.grammar import Grammar


class Encoder(ABC):
    """Base of all encoders.

    The vector of a graph depends on nothing but the graph and the encoder: not on the other graphs of the
    batch, their order, the numbering of nodes (up to rounding) or the machine's state. Graphs with the same
    functional DAG have the same vector (up to rounding), whatever dead ops and skips they are written with.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Registered name, e.g. ``"structural"``."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """Length of the vectors."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Hexadecimal hash of all that determines the vectors: kind, options, code version, weights."""

    @abstractmethod
    def fit(self, batch: GraphBatch, *, seed: int = 0, progress: Progress = silent) -> None:
        """Learn from unlabelled graphs; encoders that learn nothing return at once.

        Parameters
        ----------
        batch : GraphBatch
            Training graphs.
        seed : int
            The same seed on the same machine gives the same fingerprint.
        progress : Progress
            Told after each epoch.
        """

    @abstractmethod
    def encode(self, batch: GraphBatch) -> npt.NDArray[np.float32]:
        """Return the vector of every graph; float32, shape (len(batch), dim), finite."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write ``encoder.json`` and, where there are weights, ``weights.safetensors`` into `folder`.

        The folder is made if it is not there.

        Raises
        ------
        StorageError
            If the disk refuses.
        """

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Return the encoder that `save` wrote.

        Raises
        ------
        IndexMissingError
            If there is no encoder in `folder`.
        IndexVersionError
            If it was written by a newer archindex.
        EncoderMismatchError
            If it is another encoder, or older code made its vectors.
        CorruptIndexError
            If a file is damaged, or is not what the fingerprint was taken of.
        """


@runtime_checkable
class Decoder(Protocol):
    """An encoder that also gives architectures back out.

    It was fitted with the grammar of a search space, and is given it again: whatever it returns is valid
    there by construction.
    """

    def encode(self, batch: GraphBatch) -> npt.NDArray[np.float32]:
        """Return the vector of every graph; float32, shape (len(batch), dim)."""

    def decode(self, vectors: npt.ArrayLike, grammar: Grammar) -> list[str]:
        """Return the native string of the likeliest architecture for every vector; shape (n, dim)."""

    def sample(self, n: int, grammar: Grammar, seed: int = 0) -> list[str]:
        """Return the native strings of `n` architectures drawn at random, repeats included."""
