"""Latency of networks on a device that was never seen, from about ten measurements on it.

Devices agree on much: what is slow on one is mostly slow on others. So the log-latency of a new device is
taken as a sum of four Gaussian terms: a constant, the mean of the known devices, weights of its own on each
known device, and what no known device has, a function of the architecture's features. How large each term is,
says the marginal likelihood of the known devices, each explained in turn by those of other families. This is
empirical Bayes. Given measurements on the new device the posterior is in closed form, and what to measure
follows from the prior.

References
----------
Lee et al., "HELP: Hardware-Adaptive Efficient Latency Prediction for NAS via Meta-Learning", NeurIPS 2021
(the task: ten samples of a new device).
Rasmussen and Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, chapters 2 and 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import logsumexp

from archindex.core.checks import check_int
from archindex.core.errors import ArgumentError
from archindex.core.rng import generator
from archindex.predict.base import Floats, Groups, Prediction

Ints = npt.NDArray[np.int64]

FEWEST_SAMPLES: Final = 20
MOST_SAMPLES: Final = 1000
"""Measurements that a known device must have, and that are used of it; of more, a part drawn at random."""

NOISE_LEVELS: Final = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Variances of noise that a device may have, as multiples of the usual; averaged by marginal likelihood."""

_LENGTHS: Final = (0.5, 1.0, 2.0, 4.0, 8.0)  # of the kernel, tried for known devices
_NOISES: Final = (1e-4, 1e-3, 1e-2, 1e-1)  # shares of noise, tried for known devices
_USUAL: Final = (1.0, 0.1, 0.1, 0.02)  # sizes of the terms and of the noise to expect, in variances
_EVIDENCE: Final = 100  # architectures of each known device by which the terms are weighed
_CANDIDATES: Final = 1500  # architectures that `propose` chooses from
_CONSTANT: Final = 100.0  # variance of the constant: latencies from microseconds to minutes
_CHUNK: Final = 4096  # architectures predicted at a time


class FewShotLatency:
    """Latencies of known devices, from which to learn those of a new one.

    Examples
    --------
    >>> import numpy as np
    >>> from archindex.predict.latency import FewShotLatency
    >>> x = np.random.default_rng(0).random((200, 3), dtype=np.float32)
    >>> known = {"phone": np.exp(x @ [1, 2, 0]), "gpu": np.exp(x @ [0, 1, 1])}
    >>> model = FewShotLatency()
    >>> model.fit({"ops": x}, known)
    >>> rows = model.propose(10)
    >>> board = np.exp(x @ [1, 1.5, 0.5])
    >>> prediction = model.adapt({"ops": x[rows]}, board[rows]).predict({"ops": x})
    >>> bool(np.corrcoef(prediction.mean, board)[0, 1] > 0.95)
    True
    """

    def fit(
        self,
        groups: Groups,
        latencies: Mapping[str, npt.ArrayLike],
        *,
        families: Mapping[str, str] | None = None,
        seed: int = 0,
    ) -> None:
        """Learn what known devices have in common.

        Parameters
        ----------
        groups : mapping from str to ndarray of float32, each of shape (n, d)
            Features of n architectures, dead ops included: they take time, too.
        latencies : mapping from str to array_like of float, shape (n,)
            For every known device, its latencies of these architectures in ms, NaN where not measured.
        families : mapping from str to str, optional
            Family of each device: one device at several batch sizes, say. Devices of a family do not
            explain each other when the terms are weighed. A device that is left out is its own family.
        seed : int
            Decides all that is random.

        Raises
        ------
        ArgumentError
            If there are fewer than two families, a device has fewer than `FEWEST_SAMPLES` latencies, one is
            not positive, or lengths differ.
        """
        n = _length(groups)
        logs = {name: _logs(name, values, n) for name, values in latencies.items()}
        of_family = [(families or {}).get(name, name) for name in logs]
        if len(set(of_family)) < 2:
            raise ArgumentError("expected known devices of at least two families", got=list(logs))
        rng = generator(seed, "latency")
        self._scaling = {name: _scaling(group) for name, group in groups.items()}
        self._pool = self._features(groups)
        order = rng.permutation(n)
        together: dict[bytes, list[str]] = {}
        for name, values in logs.items():
            together.setdefault(np.isfinite(values).tobytes(), []).append(name)
        self._known = []
        for names in together.values():
            rows = order[np.isfinite(logs[names[0]][order])][:MOST_SAMPLES]
            self._known.append(
                _Known(self._pool[rows], np.stack([logs[name][rows] for name in names], axis=1))
            )
        self._length = float(np.median(np.concatenate([known.length for known in self._known])))
        self._center, self._spread = np.zeros(len(logs)), np.ones(len(logs))
        raw = self._devices(self._pool)
        self._center, self._spread = raw.mean(axis=0), raw.std(axis=0) + 1e-12
        self._pool_devices = (raw - self._center) / self._spread
        self._order = order
        names = [name for listed in together.values() for name in listed]
        self._theta = self._weigh(
            [logs[name] for name in names], [of_family[list(logs).index(m)] for m in names]
        )

    def propose(self, n: int = 10) -> Ints:
        """Return the rows of the `n` architectures of `fit` to measure on a new device.

        Chosen one by one, each so that the posterior variance of the others falls most: from the second on
        they complement one another. Nothing of the new device is needed.

        Returns
        -------
        ndarray of int64, shape (n,)

        Raises
        ------
        ArgumentError
            If nothing was fitted or there are fewer architectures.
        """
        self._check_fitted()
        rows = self._order[:_CANDIDATES]
        check_int("n", n, low=1, high=len(rows))
        noise = float(np.exp(self._theta[-1])) * self._scale**2
        covariance = self._prior(*(self._pool[rows], self._pool_devices[rows]) * 2)
        chosen: list[int] = []
        for _ in range(n):
            fall = (covariance**2).sum(axis=1) / (np.diag(covariance) + noise)
            fall[chosen] = -1.0
            best = int(fall.argmax())
            chosen.append(best)
            row = covariance[best]
            covariance = covariance - np.outer(row, row) / (row[best] + noise)
        return np.asarray(rows[chosen], dtype=np.int64)

    def adapt(self, groups: Groups, latencies: npt.ArrayLike) -> DeviceLatency:
        """Return the latency of a new device, given some measurements on it.

        Parameters
        ----------
        groups : mapping from str to ndarray of float32, each of shape (m, d)
            Features of the architectures measured, those of `propose` or any others.
        latencies : array_like of float, shape (m,)
            Their latencies in ms, positive.

        Raises
        ------
        ArgumentError
            If nothing was fitted, a latency is not positive, or the groups are others than in `fit`.
        """
        self._check_fitted()
        x = self._features(groups)
        logs = _logs("the new device", latencies, len(x), fewest=len(x))
        return DeviceLatency(self, x, logs)

    def _check_fitted(self) -> None:
        if not hasattr(self, "_theta"):
            raise ArgumentError("expected a fitted model", got="none", fix="call fit first")

    def _features(self, groups: Groups) -> Floats:
        _length(groups)
        shapes = {name: np.shape(group)[1:] for name, group in groups.items()}
        expected = {name: center.shape for name, (center, _) in self._scaling.items()}
        if shapes != expected:
            raise ArgumentError(f"expected the groups of fit, {expected}", got=shapes)
        parts = [(np.asarray(groups[name], np.float64) - c) * s for name, (c, s) in self._scaling.items()]
        return np.hstack(parts)

    def _devices(self, x: Floats) -> Floats:
        """Return the standardised log-latencies of the known devices, as their models say; shape (n, k)."""
        parts = []
        for start in range(0, len(x), _CHUNK):
            parts.append(np.hstack([known(x[start : start + _CHUNK]) for known in self._known]))
        return np.asarray((np.concatenate(parts) - self._center) / self._spread)

    @property
    def _scale(self) -> float:
        """How much log-latencies spread on a usual device."""
        return float(np.exp(np.log(self._spread).mean()))

    def _weigh(self, logs: list[Floats], families: list[str]) -> Floats:
        """Return the logarithms of the sizes of terms and noise, by maximum a posteriori."""
        tasks = []
        of = np.array(families)
        for i, values in enumerate(logs):
            others = np.flatnonzero(of != of[i])
            rows = self._order[np.isfinite(values[self._order])][:_EVIDENCE]
            scale = float(np.exp(np.log(self._spread[others]).mean()))
            z = self._pool_devices[rows][:, others]
            terms = _terms(self._pool[rows], z, self._pool[rows], z, self._length) * scale**2
            tasks.append((terms, scale, values[rows] - values[rows].mean()))
        prior = np.log(_USUAL)

        def loss(theta: Floats) -> float:
            total = float(((theta - prior) ** 2).sum()) / 8
            for terms, scale, values in tasks:
                covariance = _CONSTANT + np.tensordot(np.exp(theta[:-1]), terms, 1)
                total -= float(logsumexp(_evidence(covariance, np.exp(theta[-1]) * scale**2, values)))
            return total

        return np.asarray(minimize(loss, prior, method="L-BFGS-B", bounds=[(-9.0, 4.0)] * 4).x)

    def _prior(self, x: Floats, z: Floats, other_x: Floats, other_z: Floats) -> Floats:
        terms = _terms(x, z, other_x, other_z, self._length)
        weights = np.exp(self._theta[:-1]) * self._scale**2
        return np.asarray(_CONSTANT + np.tensordot(weights, terms, 1))


class DeviceLatency:
    """The latency of one device; made by `FewShotLatency.adapt`."""

    def __init__(self, model: FewShotLatency, x: Floats, logs: Floats) -> None:
        self._model, self._x, self._z = model, x, model._devices(x)
        self._center = float(logs.mean())
        usual = float(np.exp(model._theta[-1])) * model._scale**2
        covariance = model._prior(x, self._z, x, self._z)
        evidence = _evidence(covariance, usual, logs - self._center)
        self._noise = usual * np.array(NOISE_LEVELS)
        self._weight = np.exp(evidence - logsumexp(evidence))
        solvers = [np.linalg.inv(covariance + noise * np.eye(len(x))) for noise in self._noise]
        self._inverse = np.stack(solvers)
        self._solved = self._inverse @ (logs - self._center)

    def predict(self, groups: Groups) -> Prediction:
        """Return latencies in ms with their standard deviation, timing noise included.

        The mean is exp of the expected log-latency: the median, which noise does not push up. The standard
        deviation is that of a log-normal variable about it.

        Parameters
        ----------
        groups : mapping from str to ndarray of float32, each of shape (n, d)
            Features of any architectures, the groups of `FewShotLatency.fit`.

        Raises
        ------
        ArgumentError
            If the groups are others.
        """
        x = self._model._features(groups)
        z = self._model._devices(x)
        covariance = self._model._prior(x, z, self._x, self._z)
        own = np.exp(self._model._theta[:-1]) * self._model._scale**2
        alone = _CONSTANT + own[0] * z.mean(axis=1) ** 2 + own[1] * (z**2).mean(axis=1)
        alone += own[2] * (0.5 + 0.5 * (x**2).sum(axis=1))
        means = covariance @ self._solved.T
        falls = np.stack(
            [((covariance @ inverse) * covariance).sum(axis=1) for inverse in self._inverse], axis=1
        )
        variances = np.maximum(alone[:, None] - falls, 1e-9) + self._noise
        mean = means @ self._weight
        variance = (variances + (means - mean[:, None]) ** 2) @ self._weight
        latency = np.exp(mean + self._center)
        return Prediction(latency, latency * np.sqrt(np.exp(variance) * np.expm1(variance)))


class _Known:
    """Known devices that were measured on the same architectures: one kernel regression each."""

    def __init__(self, x: Floats, logs: Floats) -> None:
        self._x = x
        self._mean, self._std = logs.mean(axis=0), logs.std(axis=0) + 1e-12
        values = (logs - self._mean) / self._std
        self.length = np.full(logs.shape[1], _LENGTHS[0])
        self._alpha = np.zeros_like(values)
        best = np.full(logs.shape[1], np.inf)
        for length in _LENGTHS:
            eigenvalues, vectors = np.linalg.eigh(_kernel(x, x, length))
            turned = vectors.T @ values
            for noise in _NOISES:
                inverse = 1.0 / (np.maximum(eigenvalues, 0.0) + noise)
                alpha = vectors @ (inverse[:, None] * turned)
                # Leave-one-out errors in closed form (Rasmussen and Williams, 5.12).
                error = ((alpha / ((vectors**2) @ inverse)[:, None]) ** 2).mean(axis=0)
                better = error < best
                best[better] = error[better]
                self.length[better] = length
                self._alpha[:, better] = alpha[:, better]

    def __call__(self, x: Floats) -> Floats:
        found = np.empty((len(x), len(self.length)))
        for length in np.unique(self.length):
            which = self.length == length
            found[:, which] = _kernel(x, self._x, float(length)) @ self._alpha[:, which]
        return np.asarray(self._mean + self._std * found)


def _terms(x: Floats, z: Floats, other_x: Floats, other_z: Floats, length: float) -> Floats:
    """Return the covariance of the three terms, each of size 1: mean, own weights, features."""
    mean = np.outer(z.mean(axis=1), other_z.mean(axis=1))
    return np.stack([mean, z @ other_z.T / z.shape[1], _kernel(x, other_x, length)])


def _kernel(x: Floats, other: Floats, length: float) -> Floats:
    """Half linear, half Matern 5/2."""
    product = x @ other.T
    squared = np.maximum((x**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * product, 0.0)
    r = np.sqrt(5 * squared) / length
    return np.asarray(0.5 * (1 + r + r * r / 3) * np.exp(-r) + 0.5 * product)


def _evidence(covariance: Floats, noise: float, values: Floats) -> Floats:
    """Return the log marginal likelihood at every noise level, up to a constant."""
    eigenvalues, vectors = np.linalg.eigh(covariance)
    total = np.maximum(eigenvalues, 0.0) + noise * np.array(NOISE_LEVELS)[:, None]
    return np.asarray(-0.5 * ((vectors.T @ values) ** 2 / total + np.log(total)).sum(axis=1))


def _scaling(group: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """Return centre and scale of the columns: the mean squared distance within a group becomes 1."""
    values = np.asarray(group, dtype=np.float64)
    spread = float(values.var(axis=0).sum())
    scale = 1.0 / np.sqrt(2 * spread) if spread > 1e-12 else 0.0
    return values.mean(axis=0), np.full(values.shape[1], scale)


def _length(groups: Groups) -> int:
    lengths = {name: np.shape(group) for name, group in groups.items()}
    if (
        not lengths
        or any(len(s) != 2 for s in lengths.values())
        or len({s[0] for s in lengths.values()}) != 1
    ):
        raise ArgumentError("expected groups of features of shape (n, d) with one n", got=lengths)
    if not all(np.isfinite(group).all() for group in groups.values()):
        raise ArgumentError("expected finite features", got="NaN or infinity")
    return int(next(iter(lengths.values()))[0])


def _logs(name: str, latencies: npt.ArrayLike, n: int, fewest: int = FEWEST_SAMPLES) -> Floats:
    values = np.asarray(latencies, dtype=np.float64)
    if values.shape != (n,):
        raise ArgumentError(f"expected {n} latencies of {name}", got=values.shape)
    there = ~np.isnan(values)
    if not (np.isfinite(values[there]) & (values[there] > 0)).all():
        raise ArgumentError(f"expected positive latencies of {name}, in ms", got=float(values[there].min()))
    if there.sum() < max(fewest, 1):
        raise ArgumentError(f"expected at least {max(fewest, 1)} latencies of {name}", got=int(there.sum()))
    logs = np.full(n, np.nan)
    logs[there] = np.log(values[there])
    return logs
