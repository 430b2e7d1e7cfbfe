"""Who proposes better candidates: the autoencoder's decoder, or a generator without an encoder?

Both are trained on unlabelled architectures, then, from a few labelled ones, further by weighted retraining,
and propose new architectures. Beside them: changes of the best labelled ones, and uniform draws.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import RidgeCV

from archindex.core.rng import generator
from archindex.encoders import make_encoder
from archindex.encoders.grammar import Grammar
from archindex.encoders.vae import VAEEncoder
from archindex.spaces.nasbench101_cells import PackedCells
from archindex.spaces.registry import space
from benchmarks.encoding.latent_generator import LatentGenerator

LABELLED: Final = (16, 48, 96)
CANDIDATES: Final = 100
ASKED: Final = 16
SEEDS: Final = 10
PRETRAINED_ON: Final = 20_000
PRETRAINING_STEPS: Final = 1500
RETRAINING_STEPS: Final = (30, 120)
MOST_DRAWS: Final = 40
"""Times that `CANDIDATES` * 5 are drawn before the missing candidates are filled up with uniform draws."""

PROTOCOL: Final = (
    "NAS-Bench-101 (all 423,624 classes) and NAS-Bench-201 (15,625 strings), CIFAR-10. N architectures drawn "
    "uniformly and labelled with their mean test accuracy, ten seeds; each model proposes 100 candidates, "
    "distinct by arch_id and none of the labelled ones. all_mean, all_best: true mean test accuracy of the "
    "100, in percent; asked_mean, asked_best: of the 16 that one predictor for all (ridge regression, its "
    "penalty by cross-validation, on structural vectors of the labelled) ranks first; sem: standard error of "
    "asked_mean over seeds. vae: the shipped autoencoder, fitted on 20,000 unlabelled architectures of the "
    "space (nasbench201: one string of each of its 5,425 classes) in 1,500 steps, then weighted retraining, "
    "w = 1/(0.01 N + rank), by which its latents are whitened, too; candidates are draws from its prior. "
    "generator: AG-Net without encoder, its latents learned and drawn from a Gaussian fitted by the same "
    "weights; the same decoder, masks and steps. generator, random latents: AG-Net's "
    "published training, a new random latent at each step. steps: of retraining, batches of N; both lengths "
    "are shown. mutations: one random change of labelled ones drawn with the same weights. uniform: draws "
    "from the space. filled: mean share of the candidates that uniform draws had to fill up because a model "
    "gave too few new ones."
)

Propose = Callable[[list[str], npt.NDArray[np.float64], int], Iterator[list[str]]]
"""Takes labelled architectures, weights and a seed; yields batches of proposals without end."""


@dataclass
class Bench:
    """A space whose accuracies are known."""

    name: str
    natives: list[str]
    accuracy: npt.NDArray[np.float64]

    @cached_property
    def by_id(self) -> dict[str, float]:
        """Accuracy of each arch_id; of several strings, the first."""
        found: dict[str, float] = {}
        for key, value in zip(self.arch_ids(self.natives), self.accuracy.tolist(), strict=True):
            found.setdefault(key, value)
        return found

    @property
    def grammar(self) -> Grammar:
        """The decisions of the space."""
        owner: Any = space(self.name)
        grammar: Grammar = owner.decisions()
        return grammar

    def arch_ids(self, natives: list[str]) -> list[str]:
        """Return the arch_ids of strings."""
        return [str(key) for key in space(self.name).arch_ids(natives)]


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Compare the models on both spaces."""
    rows = []
    for bench in _benches(data, quick):
        for what, steps, propose in _models(bench, quick):
            for n in LABELLED[:1] if quick else LABELLED:
                scores = [_scored(bench, propose, n, seed) for seed in range(1 if quick else SEEDS)]
                mean = {key: float(np.mean([score[key] for score in scores])) for key in scores[0]}
                sem = float(np.std([s["asked_mean"] for s in scores]) / max(1.0, len(scores) - 1) ** 0.5)
                rows.append(
                    {"space": bench.name, "labelled": n, "model": what, "steps": steps, **mean, "sem": sem}
                )
    return sorted(rows, key=lambda row: (row["space"], row["labelled"]))


def _benches(data: Path, quick: bool) -> Iterator[Bench]:
    table = duckdb.read_parquet(str(data / "nb201.parquet")).fetchnumpy()
    yield Bench(
        "nasbench201", [str(text) for text in table["arch_str"]], table["cifar10_test_acc"].astype(np.float64)
    )
    if quick:
        return
    table = duckdb.read_parquet(str(data / "nb101.parquet")).fetchnumpy()
    cells = PackedCells.from_table(table["adj_bits"], table["ops"])
    accuracy = table["cifar10_test_acc_108ep"].astype(np.float64)
    yield Bench("nasbench101", cells.natives(), accuracy * (100.0 if accuracy.max() <= 1.0 else 1.0))


def _models(bench: Bench, quick: bool) -> Iterator[tuple[str, int, Propose]]:
    rng, grammar, owner = generator(0, "generator", bench.name), bench.grammar, space(bench.name)
    _, first = np.unique(bench.arch_ids(bench.natives), return_index=True)
    chosen = rng.permutation(first)[: 200 if quick else PRETRAINED_ON]
    natives = [bench.natives[i] for i in chosen]
    ids, steps = grammar.ids(natives), 30 if quick else PRETRAINING_STEPS
    vae = VAEEncoder(steps=steps)
    vae.fit(owner.graphs(natives), grammar=grammar, ids=ids, seed=0)
    peers = {"generator": True, "generator, random latents": False}
    pretrained = {what: LatentGenerator(grammar, learned=learned) for what, learned in peers.items()}
    for model in pretrained.values():
        model.fit(ids, steps=steps, seed=0, batch_size=256)

    def mutations(labelled: list[str], weights: npt.NDArray[np.float64], seed: int) -> Iterator[list[str]]:
        rng = generator(seed, "mutations")
        while True:
            drawn = rng.choice(len(labelled), size=CANDIDATES, p=weights / weights.sum())
            yield [owner.mutate(owner.parse(labelled[i]), rng).native for i in drawn]

    for retraining in RETRAINING_STEPS[:1] if quick else RETRAINING_STEPS:
        yield "vae", retraining, _retrained_vae(bench, vae, retraining)
        for what, model in pretrained.items():
            yield what, retraining, _retrained_generator(bench, model, retraining)
    yield "mutations", 0, mutations
    yield "uniform", 0, lambda labelled, weights, seed: _uniform(bench, seed)


def _retrained_vae(bench: Bench, start: VAEEncoder, steps: int) -> Propose:
    def propose(labelled: list[str], weights: npt.NDArray[np.float64], seed: int) -> Iterator[list[str]]:
        model, grammar = copy.deepcopy(start), bench.grammar
        batch = space(bench.name).graphs(labelled)
        model.fit(batch, grammar=grammar, ids=grammar.ids(labelled), weights=weights, steps=steps, seed=seed)
        for draw in range(MOST_DRAWS):
            yield model.sample(5 * CANDIDATES, grammar, seed=1000 * seed + draw)

    return propose


def _retrained_generator(bench: Bench, start: LatentGenerator, steps: int) -> Propose:
    def propose(labelled: list[str], weights: npt.NDArray[np.float64], seed: int) -> Iterator[list[str]]:
        model, ids = copy.deepcopy(start), bench.grammar.ids(labelled)
        model.fit(ids, steps=steps, seed=seed, batch_size=len(ids), weights=weights)
        for draw in range(MOST_DRAWS):
            yield model.sample(5 * CANDIDATES, seed=1000 * seed + draw)

    return propose


def _uniform(bench: Bench, seed: int) -> Iterator[list[str]]:
    for draw in range(10**6):
        yield [a.native for a in space(bench.name).sample(CANDIDATES, seed=10**6 * (seed + 1) + draw)]


def _scored(bench: Bench, propose: Propose, n: int, seed: int) -> dict[str, float]:
    rng = generator(seed, "generator", "labelled", n)
    rows = rng.choice(len(bench.natives), size=n, replace=False)
    labelled, values = [bench.natives[i] for i in rows], bench.accuracy[rows]
    weights = np.reciprocal(0.01 * n + np.argsort(np.argsort(-values)))
    known = set(bench.arch_ids(labelled))
    candidates = _new(bench, propose(labelled, weights, seed), known, CANDIDATES)
    given = len(candidates)
    candidates |= _new(bench, _uniform(bench, seed), known | set(candidates), CANDIDATES - given)
    truth = np.array([bench.by_id[key] for key in candidates])
    encoder, owner = make_encoder("structural"), space(bench.name)
    predictor = RidgeCV(alphas=np.logspace(-4, 3, 15)).fit(encoder.encode(owner.graphs(labelled)), values)
    predicted = predictor.predict(encoder.encode(owner.graphs(list(candidates.values()))))
    asked = truth[np.argsort(-predicted, kind="stable")[:ASKED]]
    return {
        "all_mean": float(truth.mean()),
        "all_best": float(truth.max()),
        "asked_mean": float(asked.mean()),
        "asked_best": float(asked.max()),
        "filled": 1.0 - given / CANDIDATES,
    }


def _new(bench: Bench, proposed: Iterator[list[str]], known: set[str], n: int) -> dict[str, str]:
    """Return the first `n` proposals that are new, by arch_id."""
    found: dict[str, str] = {}
    while len(found) < n:
        natives = next(proposed, None)
        if natives is None:
            break
        for key, native in zip(bench.arch_ids(natives), natives, strict=True):
            if len(found) < n and key not in known:
                found.setdefault(key, native)
    return found
