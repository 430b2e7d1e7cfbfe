"""GINEncoder: a graph network that learned, without labels, to put alike graphs close together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import safetensors
import torch
from safetensors.numpy import load_file, save

from archindex.core.batch import GraphBatch
from archindex.core.canonical import reduce_batch
from archindex.core.checks import check_int
from archindex.core.errors import ArgumentError, CorruptIndexError, StorageError
from archindex.core.progress import Progress, silent
from archindex.encoders.base import Encoder
from archindex.encoders.files import (
    WEIGHTS,
    check_description,
    check_fingerprint,
    content_hash,
    read_description,
    write_description,
)
from archindex.encoders.gin_model import GINModel, GraphTensors
from archindex.encoders.train import TrainingPlan, train

_VERSION: Final = 1  # goes up with every change of the network
_CHUNK: Final = 4096  # graphs at a time


class GINEncoder(Encoder):
    """Encode the functional DAG by a direction-aware graph isomorphism network.

    `fit` needs no labels: it makes distances agree with those of the structural encoder
    (`archindex.encoders.train`). Ops outside the vocabulary are hashed to rows of the op table.

    Parameters
    ----------
    dim : int
        Length of the vectors.
    width : int
        Length of the node states.
    layers : int
        Rounds of messages.
    epochs : int
        At most so many passes over the training graphs.
    graphs : int
        Train on at most so many distinct graphs.

    Raises
    ------
    ArgumentError
        If a number is out of range.

    References
    ----------
    Xu et al., "How Powerful are Graph Neural Networks?", ICLR 2019.
    """

    def __init__(
        self, dim: int = 64, width: int = 64, layers: int = 4, epochs: int = 30, graphs: int = 12_000
    ) -> None:
        self._config = {
            "dim": check_int("dim", dim, low=1, high=4096),
            "width": check_int("width", width, low=1, high=4096),
            "layers": check_int("layers", layers, low=1, high=64),
        }
        self._plan = TrainingPlan(
            epochs=check_int("epochs", epochs, low=1), graphs=check_int("graphs", graphs, low=2)
        )
        self._model: GINModel | None = None

    @property
    def name(self) -> str:
        """``"gin"``."""
        return "gin"

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self._config["dim"]

    @property
    def fingerprint(self) -> str:
        """Hash of code version, options and weights.

        Raises
        ------
        ArgumentError
            If the encoder has not been fitted.
        """
        return self._hash(self._arrays())

    def fit(self, batch: GraphBatch, *, seed: int = 0, progress: Progress = silent) -> None:
        """Learn from unlabelled graphs; what was learned before is forgotten.

        Runs on one thread, because sums over threads depend on their number. The global random state and
        thread count of torch are left as they were.

        Parameters
        ----------
        batch : GraphBatch
            Training graphs, at least two different ones.
        seed : int
            The same seed on the same machine gives the same fingerprint.
        progress : Progress
            Told after each epoch.

        Raises
        ------
        ArgumentError
            If there are not two different graphs.
        """
        check_int("seed", seed, low=0)
        with torch.random.fork_rng(devices=[]), _one_thread():
            torch.manual_seed(seed % 2**63)
            model = self._empty_model()
            train(model, batch, self._plan, seed=seed, progress=progress)
        self._model = model

    def encode(self, batch: GraphBatch) -> npt.NDArray[np.float32]:
        """Return the vector of every graph.

        Parameters
        ----------
        batch : GraphBatch
            The graphs, reduced or not.

        Returns
        -------
        ndarray of float32, shape (len(batch), dim)

        Raises
        ------
        ArgumentError
            If the encoder has not been fitted.
        """
        model = self._fitted()
        vectors = np.empty((len(batch), self.dim), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(batch), _CHUNK):
                stop = min(start + _CHUNK, len(batch))
                reduced = reduce_batch(batch.take(start, stop))
                vectors[start:stop] = model(GraphTensors.of(reduced)).numpy()
        return vectors

    def save(self, folder: Path) -> None:
        """Write ``encoder.json`` and ``weights.safetensors`` into `folder`.

        Raises
        ------
        ArgumentError
            If the encoder has not been fitted.
        StorageError
            If the disk refuses.
        """
        arrays = self._arrays()
        folder = Path(folder)
        write_description(
            folder,
            name=self.name,
            version=_VERSION,
            config=self._config | {"epochs": self._plan.epochs, "graphs": self._plan.graphs},
            fingerprint=self._hash(arrays),
        )
        try:
            # Not by save_file, which makes a file that nobody else can read.
            (folder / WEIGHTS).write_bytes(save(arrays))
        except (OSError, safetensors.SafetensorError) as error:
            raise StorageError(f"cannot write {folder / WEIGHTS}", got=str(error)) from error

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the encoder that `save` wrote; see `Encoder.load` for what it raises."""
        folder = Path(folder)
        content = read_description(folder)
        check_description(content, folder, name="gin", version=_VERSION)
        try:
            encoder = cls(**content["config"])
        except (TypeError, ArgumentError) as error:
            raise CorruptIndexError(
                f"expected options of the gin encoder in {folder}", got=str(error)
            ) from None
        try:
            arrays = load_file(folder / WEIGHTS)
        except (OSError, ValueError, safetensors.SafetensorError) as error:
            raise CorruptIndexError(f"expected weights in {folder / WEIGHTS}", got=str(error)) from None
        check_fingerprint(content, folder, encoder._hash(arrays))
        with torch.random.fork_rng(devices=[]):
            model = encoder._empty_model()
        try:
            model.load_state_dict({key: torch.from_numpy(array) for key, array in arrays.items()})
        except RuntimeError as error:
            raise CorruptIndexError(f"expected the weights of a gin in {folder}", got=str(error)) from None
        encoder._model = model.eval()
        return encoder

    def _empty_model(self) -> GINModel:
        return GINModel(**self._config).float()

    def _fitted(self) -> GINModel:
        if self._model is None:
            raise ArgumentError("expected a fitted encoder", got="gin without weights", fix="call fit first")
        return self._model

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {key: value.detach().numpy() for key, value in self._fitted().state_dict().items()}

    def _hash(self, arrays: dict[str, npt.NDArray[Any]]) -> str:
        # The training plan is left out: it decides the weights, and the weights decide the vectors.
        return content_hash(self.name, _VERSION, self._config, arrays)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
