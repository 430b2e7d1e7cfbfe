"""LearnedEncoder: base of the encoders whose vectors come from a trained graph network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt
import safetensors
from safetensors.numpy import load_file, save

from archindex.core.batch import GraphBatch
from archindex.core.checks import check_int
from archindex.core.disk import disk_errors
from archindex.core.errors import ArgumentError, CorruptIndexError
from archindex.core.parallel import for_each
from archindex.encoders.base import Encoder
from archindex.encoders.files import (
    WEIGHTS,
    check_description,
    check_fingerprint,
    content_hash,
    read_description,
    write_description,
)
from archindex.encoders.folding import inference_form
from archindex.encoders.gin_encode import encode_reduced

if TYPE_CHECKING:
    from archindex.encoders.gin_model import GINModel

CODE_VERSION: Final = 2
"""Goes up with every change of the network or of the features it reads."""

_CHUNK: Final = 8192  # graphs at a time; enough that most parts recur, few enough for the processor's cache


class LearnedEncoder(Encoder):
    """Base of encoders with a `GINModel`; a subclass says how it comes by its weights.

    Prefixes of the vectors of 8, 16 and 32 numbers work by themselves (Kusupati et al., "Matryoshka
    Representation Learning", NeurIPS 2022).

    Parameters
    ----------
    dim : int
        Length of the vectors.
    width : int
        Length of the node states.
    layers : int
        Rounds of messages in each direction.

    Raises
    ------
    ArgumentError
        If a number is out of range.
    """

    registered: ClassVar[str]

    def __init__(self, dim: int = 64, width: int = 64, layers: int = 4) -> None:
        self._shape = {
            "dim": check_int("dim", dim, low=1, high=4096),
            "width": check_int("width", width, low=1, high=4096),
            "layers": check_int("layers", layers, low=1, high=64),
        }
        self._weights: dict[str, npt.NDArray[Any]] | None = None

    @property
    def name(self) -> str:
        """Registered name."""
        return self.registered

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self._shape["dim"]

    @property
    def fingerprint(self) -> str:
        """Hash of code version, sizes and weights.

        Raises
        ------
        ArgumentError
            If the encoder has not been fitted.
        """
        return self._hash(self.weights)

    @property
    def weights(self) -> dict[str, npt.NDArray[Any]]:
        """What was learned, by name; float32.

        Raises
        ------
        ArgumentError
            If the encoder has not been fitted.
        """
        if self._weights is None:
            raise ArgumentError(
                "expected a fitted encoder", got=f"{self.name} without weights", fix="call fit first"
            )
        return self._weights

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
        weights = self.weights
        vectors = np.empty((len(batch), self.dim), dtype=np.float32)

        def encode_from(start: int) -> None:
            stop = min(start + _CHUNK, len(batch))
            vectors[start:stop] = encode_reduced(weights, inference_form(batch.take(start, stop)))

        for_each(encode_from, range(0, len(batch), _CHUNK))
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
        arrays = self.weights
        folder = Path(folder)
        write_description(
            folder,
            name=self.name,
            version=CODE_VERSION,
            config=self._config(),
            fingerprint=self._hash(arrays),
        )
        with disk_errors(f"the weights in {folder}"):
            # Not by save_file, which makes a file that nobody else can read.
            (folder / WEIGHTS).write_bytes(save(arrays))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the encoder that `save` wrote; see `Encoder.load` for what it raises."""
        folder = Path(folder)
        content = read_description(folder)
        check_description(content, folder, name=cls.registered, version=CODE_VERSION)
        try:
            encoder = cls._with(content["config"])
        except (TypeError, ArgumentError) as error:
            raise CorruptIndexError(
                f"expected options of the encoder {cls.registered!r} in {folder}", got=str(error)
            ) from None
        encoder._read(folder, content)
        return encoder

    @classmethod
    def _with(cls, config: dict[str, Any]) -> Self:
        """Return an encoder without weights."""
        return cls(**config)

    def _config(self) -> dict[str, Any]:
        """Return the options that `_with` takes."""
        return dict(self._shape)

    def _read(self, folder: Path, content: dict[str, Any]) -> None:
        """Take the weights on file."""
        try:
            arrays = load_file(folder / WEIGHTS)
        except (OSError, ValueError, safetensors.SafetensorError) as error:
            raise CorruptIndexError(f"expected weights in {folder / WEIGHTS}", got=str(error)) from None
        check_fingerprint(content, folder, self._hash(arrays))
        self._weights = arrays

    def adopt(self, model: GINModel) -> None:
        """Take the weights of a trained network of the sizes of this encoder for its own."""
        self._weights = {key: value.detach().numpy().copy() for key, value in model.state_dict().items()}

    def model(self) -> GINModel:
        """Return the network with these weights, in evaluation mode; loads torch."""
        import torch

        made = self.empty_model()
        made.load_state_dict({key: torch.from_numpy(array) for key, array in self.weights.items()})
        return made.eval()

    def empty_model(self, seed: int = 0) -> GINModel:
        """Return a network with random weights; the random state of torch is left as it was."""
        import torch

        from archindex.encoders.gin_model import GINModel

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed % 2**63)
            return GINModel(**self._shape).float()

    def _hash(self, arrays: dict[str, npt.NDArray[Any]]) -> str:
        # How it was trained is left out: that decides the weights, and the weights decide the vectors.
        return content_hash(self.name, CODE_VERSION, self._shape, arrays)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread: sums over threads depend on their number, and weights on the sums."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
