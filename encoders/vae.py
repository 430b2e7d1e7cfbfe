"""VAEEncoder: a variational graph autoencoder whose decoder gives valid architectures only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import safetensors
import torch
from safetensors.numpy import load_file, save

from archindex.core.batch import GraphBatch
from archindex.core.canonical import reduce_batch
from archindex.core.checks import check_float, check_int, check_vectors
from archindex.core.disk import disk_errors
from archindex.core.errors import ArgumentError, CorruptIndexError
from archindex.core.progress import Progress, silent
from archindex.core.rng import generator
from archindex.encoders.base import Encoder
from archindex.encoders.files import (
    WEIGHTS,
    check_description,
    check_fingerprint,
    content_hash,
    read_description,
    write_description,
)
from archindex.encoders.grammar import Grammar, Ids
from archindex.encoders.learned import one_thread
from archindex.encoders.vae_checks import SIGNATURE, checked
from archindex.encoders.vae_checks import signature as read_signature
from archindex.encoders.vae_decode import BEAM, Score, drawn, nearest_decoded
from archindex.encoders.vae_graph import PackedGraphs
from archindex.encoders.vae_model import VAEModel
from archindex.encoders.vae_train import VAEPlan, train_vae

_VERSION: Final = 2  # goes up with every change of the network
_CHUNK: Final = 4096  # graphs at a time


class VAEEncoder(Encoder):
    """Encode graphs of one search space, and decode vectors to valid architectures of it.

    A graph network reads the functional DAG; the latent's mean, through a fixed linear layer that makes the
    vectors of the training graphs N(0, I) as a whole, is the vector. The decoder writes the architecture down
    decision by decision and is given the space's `Grammar`: choices from which no valid architecture can
    be finished are masked out, so that every vector decodes to a valid one.

    Dead ops and skips are not seen, so that what comes back has the same arch_id, not always the same string.

    Parameters
    ----------
    dim : int
        Length of the vectors.
    width : int
        Length of the node states of the graph network.
    layers : int
        Rounds of messages.
    hidden : int
        Width of the decoder.
    steps : int
        Gradient steps of `fit`.
    batch_size : int
        Graphs a step; never more than there are to train on.
    divergence : float
        Weight of the divergence from the prior (beta). More makes samples more even, less makes
        reconstruction more exact.

    Raises
    ------
    ArgumentError
        If a number is out of range.

    Examples
    --------
    >>> import archindex as ax
    >>> from archindex.encoders import make_encoder
    >>> space = ax.space("nasbench201")
    >>> grammar = space.decisions()
    >>> natives = [architecture.native for architecture in space.sample(200, seed=0)]
    >>> encoder = make_encoder("vae", dim=8, steps=10)
    >>> encoder.fit(space.graphs(natives), grammar=grammar, ids=grammar.ids(natives))
    >>> space.validate(encoder.sample(1, grammar, seed=0)[0])
    True
    """

    def __init__(
        self,
        dim: int = 64,
        width: int = 64,
        layers: int = 2,
        hidden: int = 256,
        steps: int = 3000,
        batch_size: int = 128,
        divergence: float = 0.01,
    ) -> None:
        self._shape = {
            "dim": check_int("dim", dim, low=1, high=4096),
            "width": check_int("width", width, low=1, high=4096),
            "layers": check_int("layers", layers, low=1, high=64),
            "hidden": check_int("hidden", hidden, low=1, high=65536),
        }
        self._plan = VAEPlan(
            steps=check_int("steps", steps, low=1),
            batch_size=check_int("batch_size", batch_size, low=1),
            divergence=check_float("divergence", divergence, low=0.0),
        )
        self._signature: dict[str, Any] = {}
        self._model: VAEModel | None = None

    @property
    def name(self) -> str:
        """``"vae"``."""
        return "vae"

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self._shape["dim"]

    @property
    def fingerprint(self) -> str:
        """Hash of code version, sizes, grammar and weights.

        Raises
        ------
        ArgumentError
            If the encoder has not been fitted.
        """
        return self._hash(self._arrays())

    def fit(
        self,
        batch: GraphBatch,
        *,
        seed: int = 0,
        progress: Progress = silent,
        grammar: Grammar | None = None,
        ids: Ids | None = None,
        weights: npt.NDArray[np.float64] | None = None,
        steps: int | None = None,
    ) -> None:
        """Learn to write down the architectures behind graphs.

        Runs on one thread. The global random state and thread count of torch are left as they were.

        Parameters
        ----------
        batch : GraphBatch
            Training graphs.
        seed : int
            The same seed on the same machine gives the same fingerprint.
        progress : Progress
            Told every hundred steps.
        grammar : Grammar
            What may follow what, e.g. ``space.decisions()``. Needed, for a decoder cannot be learned from
            graphs alone.
        ids : ndarray of int64, shape (len(batch), grammar.length)
            The decisions behind every graph: ``grammar.ids(natives)``.
        weights : ndarray of float64, shape (len(batch),), optional
            Weighted retraining: how often each graph is seen relative to the others, e.g.
            ``1 / (0.01 * n + rank)``. What was learned before, of the same grammar, is kept and trained
            further; without weights it is forgotten.
        steps : int, optional
            Gradient steps instead of the encoder's own number.

        Raises
        ------
        ArgumentError
            If grammar or ids are missing or do not fit.

        References
        ----------
        Tripp et al., "Sample-Efficient Optimization in the Latent Space of Deep Generative Models via
        Weighted Retraining", NeurIPS 2020.
        Lukasik et al., "Learning Where To Look - Generative NAS is Surprisingly Efficient", ECCV 2022.
        """
        check_int("seed", seed, low=0)
        grammar, ids = checked(batch, grammar, ids)
        share = np.ones(len(batch)) if weights is None else np.asarray(weights, dtype=np.float64)
        if (
            share.shape != (len(batch),)
            or not np.isfinite(share).all()
            or not (share >= 0).all()
            or not share.any()
        ):
            raise ArgumentError(f"expected {len(batch)} weights, none negative, not all 0", got=weights)
        plan = replace(
            self._plan,
            steps=self._plan.steps if steps is None else check_int("steps", steps, low=1),
            batch_size=min(self._plan.batch_size, len(batch)),
        )
        signature = dict(zip(SIGNATURE, (grammar.name, grammar.vocabulary, grammar.length), strict=True))
        if weights is not None:
            self._own(grammar)
        with torch.random.fork_rng(devices=[]), one_thread():
            torch.manual_seed(seed % 2**63)
            model = self._empty_model(signature)
            if weights is not None:
                model.load_state_dict(self._fitted().state_dict())
            train_vae(model, batch, ids, plan, weights=share, seed=seed, progress=progress)
        self._signature, self._model = signature, model

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
                graphs = PackedGraphs.of(reduce_batch(batch.take(start, stop)))
                vectors[start:stop] = model.vectors(graphs).numpy()
        return vectors

    def decode(self, vectors: npt.ArrayLike, grammar: Grammar, beam: int = BEAM) -> list[str]:
        """Return the native string of an architecture near every vector; always valid ones.

        The likeliest choices or, where these have another vector, the nearest of the likeliest sequences.

        Parameters
        ----------
        vectors : array_like of float, shape (n, dim)
            Points of the space that `encode` maps to.
        grammar : Grammar
            The grammar that the encoder was fitted with.
        beam : int
            Sequences tried where the likeliest choices have another vector; 1 is fastest and tries no others.

        Raises
        ------
        ArgumentError
            If the encoder has not been fitted, or with another grammar, or vectors or beam do not fit.
        """
        self._own(grammar)
        points = check_vectors("vectors", vectors, dim=self.dim)
        best = nearest_decoded(
            points,
            grammar,
            self._score(points),
            lambda ids: self.encode(grammar.graphs(ids)),
            width=check_int("beam", beam, low=1),
        )
        return grammar.natives(best)

    def sample(self, n: int, grammar: Grammar, seed: int = 0) -> list[str]:
        """Return the native strings of `n` architectures, drawn from the prior; valid, repeats included.

        Latents are drawn from N(0, I), and every choice with the probability that the decoder gives it.

        Parameters
        ----------
        n : int
            Number of architectures.
        grammar : Grammar
            The grammar that the encoder was fitted with.
        seed : int
            The same seed gives the same architectures.

        Raises
        ------
        ArgumentError
            If the encoder has not been fitted, or with another grammar.
        """
        self._own(grammar)
        rng = generator(seed, "vae", "sample")
        points = rng.standard_normal((check_int("n", n, low=0), self.dim)).astype(np.float32)
        return grammar.natives(drawn(grammar, n, self._score(points), rng))

    def free_choices(self, vectors: npt.ArrayLike) -> Ids:
        """Return the likeliest choices for every vector with no grammar: what masks have to put right.

        Only for measuring the decoder; `decode` is what gives architectures.

        Parameters
        ----------
        vectors : array_like of float, shape (n, dim)
            Points of the space that `encode` maps to.

        Returns
        -------
        ndarray of int64, shape (n, length)
            See `archindex.encoders.grammar.valid` for which of them are valid.
        """
        model = self._fitted()
        points = check_vectors("vectors", vectors, dim=self.dim)
        ids = torch.empty((len(points), 0), dtype=torch.int64)
        with torch.inference_mode():
            given = model.decoder.start(model.latents(torch.from_numpy(points)))
            for _ in range(self._signature["length"]):
                ids = torch.hstack([ids, model.decoder.step(given, ids).argmax(dim=1, keepdim=True)])
        return ids.numpy()

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
        plan = {
            "steps": self._plan.steps,
            "batch_size": self._plan.batch_size,
            "divergence": self._plan.divergence,
        }
        config = {**self._shape, **plan, "grammar": self._signature}
        write_description(
            folder, name=self.name, version=_VERSION, config=config, fingerprint=self._hash(arrays)
        )
        with disk_errors(f"the weights in {folder}"):
            # Not by save_file, which makes a file that nobody else can read.
            (folder / WEIGHTS).write_bytes(save(arrays))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the encoder that `save` wrote; see `Encoder.load` for what it raises."""
        folder = Path(folder)
        content = read_description(folder)
        check_description(content, folder, name="vae", version=_VERSION)
        try:
            options = dict(content["config"])
            signature = read_signature(options.pop("grammar", None))
            encoder = cls(**options)
        except (TypeError, ArgumentError) as error:
            raise CorruptIndexError(
                f"expected options of the vae encoder in {folder}", got=str(error)
            ) from None
        encoder._signature = signature
        try:
            arrays = load_file(folder / WEIGHTS)
        except (OSError, ValueError, safetensors.SafetensorError) as error:
            raise CorruptIndexError(f"expected weights in {folder / WEIGHTS}", got=str(error)) from None
        check_fingerprint(content, folder, encoder._hash(arrays))
        with torch.random.fork_rng(devices=[]):
            model = encoder._empty_model(signature)
        try:
            model.load_state_dict({key: torch.from_numpy(array) for key, array in arrays.items()})
        except RuntimeError as error:
            raise CorruptIndexError(f"expected the weights of a vae in {folder}", got=str(error)) from None
        encoder._model = model.eval()
        return encoder

    def _score(self, points: npt.NDArray[np.float32]) -> Score:
        """Return what gives the decoder's logits for these points."""
        model = self._fitted()
        with torch.inference_mode():
            given = model.decoder.start(model.latents(torch.from_numpy(points)))

        def score(rows: Ids, prefix: Ids) -> npt.NDArray[np.float64]:
            with torch.inference_mode():
                logits = model.decoder.step(given[torch.from_numpy(rows)], torch.from_numpy(prefix))
                return logits.numpy().astype(np.float64)

        return score

    def _own(self, grammar: Grammar) -> None:
        self._fitted()
        given = dict(zip(SIGNATURE, (grammar.name, grammar.vocabulary, grammar.length), strict=True))
        if given != self._signature:
            raise ArgumentError(f"expected the grammar of the fit, {self._signature}", got=given)

    def _empty_model(self, signature: dict[str, Any]) -> VAEModel:
        return VAEModel(**self._shape, vocabulary=signature["vocabulary"], length=signature["length"]).float()

    def _fitted(self) -> VAEModel:
        if self._model is None:
            raise ArgumentError("expected a fitted encoder", got="vae without weights", fix="call fit first")
        return self._model

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {key: value.detach().numpy() for key, value in self._fitted().state_dict().items()}

    def _hash(self, arrays: dict[str, npt.NDArray[Any]]) -> str:
        return content_hash(self.name, _VERSION, self._shape | {"grammar": self._signature}, arrays)
