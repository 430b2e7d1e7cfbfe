"""Latency of a new device from ten measurements: HELP's task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from archindex.datasets.parquet import read_parquet
from archindex.predict.latency import FewShotLatency
from archindex.spaces.registry import space

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

GPUS: Final = ("1080ti", "2080ti", "titan_rtx", "titanx", "titanxp")
OTHERS: Final = (
    "gold_6226", "gold_6240", "silver_4114", "silver_4210r", "essential_ph_1", "pixel2", "samsung_a50",
    "samsung_s7", "pixel3", "raspi4", "eyeriss", "fpga",
)  # fmt: skip
TRAINED: Final = ("silver_4114", "silver_4210r", "samsung_a50", "pixel3", "essential_ph_1", "samsung_s7")
"""HELP's meta-training devices, beside the 1080 Ti at three batch sizes."""

TESTED: Final = {
    "nb201": ("titan_rtx_256", "gold_6226", "pixel2", "raspi4", "eyeriss", "fpga"),
    "fbnet": ("raspi4", "eyeriss", "fpga"),
}
SAMPLES: Final = 10
DRAWS: Final = 20
QUERIES: Final = 1000
RANKED: Final = 4000

PROTOCOL: Final = (
    "Spearman's rho of predicted with measured latency. nb201_help_latency.parquet (15,625 cells) and "
    "fbnet5000_help_latency.parquet. Split 'HELP': devices as in HELP's scripts (train: 1080 Ti at three "
    "batch sizes, Silver 4114 and 4210R, Samsung A50 and S7, Pixel 3, Essential PH-1; tested: those of its "
    "tables). Each training device is known by its first 900 networks (FBNet: a random 1,000 of the first "
    "4,000); ten of those first ones, drawn at random, are measured on the new device; means over 20 "
    "draws. 'others': ranked are 4,000 networks (family out: 2,000; FBNet 1,000) drawn from those after "
    "them. 'HELP queries': the 1,000 right after them, the slowest and the fastest tenth on the device "
    "left out, as HELP's loader does. Split 'family out': each of the 27 devices by a model that knows all "
    "devices but those of its family (GPUs are one; Xeons; phones; Raspberry Pi, Eyeriss and FPGA one "
    "each) by 900 networks; mean over devices, three draws each. 'proposed' measures the ten that "
    "propose() names. 'samples' counts measurements on the new device. Baselines: ridge regression of log- "
    "latency on op counts, params and FLOPs; the known device that ranks the samples best; FLOPs. Settings "
    "were looked at on HELP's validation devices, of which the choice not to count FLOPs among the known "
    "devices follows; NOISE_LEVELS were widened after the tested devices had been seen once. Published, by "
    "HELP's own protocol, which measures ten reference networks and ten more on the device and ranks the "
    "'HELP queries': NAS-Bench-201 Titan RTX .987, Gold 6226 .989, Pixel 2 .802, Raspberry Pi 4 .890, "
    "Eyeriss .940, FPGA .985, mean .932; FBNet .887, .943, .892, mean .910."
)


@dataclass(frozen=True)
class Task:
    """Networks, their latencies on all devices, and how many of them the known devices were timed on."""

    name: str
    groups: Mapping[str, npt.NDArray[np.float32]]
    latencies: Mapping[str, Floats]
    flops: Floats
    known: int

    def at(self, rows: Ints) -> dict[str, npt.NDArray[np.float32]]:
        """Return the features of some networks."""
        return {name: group[rows] for name, group in self.groups.items()}


def load(data: Path, name: str) -> Task:
    """Return the networks of ``"nb201"`` or ``"fbnet"``."""
    batches = (1, 32, 256) if name == "nb201" else (1, 32, 64)
    devices = [f"{gpu}_{batch}" for gpu in GPUS for batch in batches] + list(OTHERS)
    file, key, known = ("nb201_help_latency", "arch_str", 900)
    if name == "fbnet":
        file, key, known = ("fbnet5000_help_latency", "arch", 4000)
    read = read_parquet(data / f"{file}.parquet", [key, *(f"{device}_latency_ms" for device in devices)])
    natives = [str(text) for text in read[key]]
    if name == "nb201":
        own = space("nasbench201")
        costs = own.costs(natives, "cifar10")  # type: ignore[attr-defined]
        options = 5
    else:
        own = space("fbnet")
        costs = own.costs(natives, "cifar100")  # type: ignore[attr-defined]
        options = 9
    chosen = np.array([own._parse(text) for text in natives])
    ops = chosen[:, :, None] == np.arange(options)
    logs = np.log(np.stack([costs.params, costs.flops], axis=1) / 1e6)
    groups = {
        "positions": ops.reshape(len(ops), -1).astype(np.float32),
        "counts": ops.sum(axis=1).astype(np.float32),
        "costs": ((logs - logs.mean(axis=0)) / logs.std(axis=0)).astype(np.float32),
    }
    latencies = {device: np.asarray(read[f"{device}_latency_ms"], np.float64) for device in devices}
    return Task(name, groups, latencies, np.asarray(costs.flops, np.float64), known)


def family(device: str) -> str:
    """Return the family of a device."""
    if device.startswith(GPUS):
        return "gpu"
    if device.startswith(("gold", "silver")):
        return "xeon"
    return (
        "phone" if device in ("essential_ph_1", "pixel2", "pixel3", "samsung_a50", "samsung_s7") else device
    )


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Measure latency prediction for new devices on both spaces."""
    rows: list[dict[str, Any]] = []
    for name in ("nb201",) if quick else ("nb201", "fbnet"):
        task = load(data, name)
        gpus = [device for device in task.latencies if device.startswith("1080ti")]
        fits = 150 if quick else task.known
        model = _fitted(task, [*gpus, *TRAINED], fits)
        own = [
            row
            for device in TESTED[name]
            for row in _tested(task, model, device, 2 if quick else DRAWS, fits)
        ]
        rows += own + list(_means(own))
        if not quick:
            rows += _family_out(task)
    return rows


def _fitted(task: Task, devices: list[str], n: int) -> FewShotLatency:
    model = FewShotLatency()
    rows = np.arange(n)
    families = {device: family(device) for device in devices}
    model.fit(task.at(rows), {device: task.latencies[device][:n] for device in devices}, families=families)
    return model


def _tested(
    task: Task, model: FewShotLatency, device: str, draws: int, fits: int
) -> Iterator[dict[str, Any]]:
    latency = task.latencies[device]
    after = np.arange(task.known, len(latency))
    queries = after[np.argsort(latency[after[:QUERIES]])[QUERIES // 10 : QUERIES * 9 // 10]]
    others = np.random.default_rng(0).permutation(after)[:RANKED]
    asked, at = np.unique(np.concatenate([others, queries]), return_inverse=True)
    of_others, of_queries = at[: len(others)], at[len(others) :]
    features, flops = task.at(asked), task.flops[asked]
    known = model._devices(model._features(features))
    named = model.propose(SAMPLES)

    def adapted(rows: Ints) -> Floats:
        return model.adapt(task.at(rows), latency[rows]).predict(features).mean

    def ridge(rows: Ints) -> Floats:
        from sklearn.linear_model import Ridge

        fitted = Ridge(1.0).fit(_plain(task.at(rows)), np.log(latency[rows]))
        return np.asarray(fitted.predict(_plain(features)))

    def nearest(rows: Ints) -> Floats:
        there = model._devices(model._features(task.at(rows)))
        agreement = [np.nan_to_num(_rho(column, latency[rows])) for column in there.T]
        return known[:, int(np.argmax(agreement))]

    def drawn(n: int) -> list[Ints]:
        return [np.random.default_rng(seed).choice(fits, n, replace=False) for seed in range(draws)]

    methods: dict[str, tuple[int, Callable[[Ints], Floats], list[Ints]]] = {
        "FewShotLatency": (SAMPLES, adapted, drawn(SAMPLES)),
        "FewShotLatency, proposed": (SAMPLES, adapted, [named]),
        "FewShotLatency, as many as HELP": (2 * SAMPLES, adapted, drawn(2 * SAMPLES)),
        "ridge": (SAMPLES, ridge, drawn(SAMPLES)),
        "nearest known device": (SAMPLES, nearest, drawn(SAMPLES)),
        "FLOPs": (0, lambda rows: flops, [named]),
    }
    for method, (n, predicted, samples) in methods.items():
        found = [predicted(rows) for rows in samples]
        everywhere = [_rho(p[of_others], latency[others]) for p in found]
        trimmed = [_rho(p[of_queries], latency[queries]) for p in found]
        yield _row(task.name, "HELP", device, method, n, everywhere, trimmed)


def _plain(groups: Mapping[str, npt.NDArray[np.float32]]) -> Floats:
    return np.hstack([groups["counts"], groups["costs"]]).astype(np.float64)


def _family_out(task: Task) -> list[dict[str, Any]]:
    """Measure every device by a model that knows no device of its family."""
    drawn: list[float] = []
    proposed: list[float] = []
    models: dict[str, FewShotLatency] = {}
    for device, latency in task.latencies.items():
        out = family(device)
        if out not in models:
            models[out] = _fitted(task, [d for d in task.latencies if family(d) != out], 900)
        model = models[out]
        others = np.random.default_rng(0).permutation(np.arange(900, len(latency)))[: RANKED // 2]
        samples = [np.random.default_rng(seed).choice(900, SAMPLES, replace=False) for seed in range(3)]
        for kept, lists in ((drawn, samples), (proposed, [model.propose(SAMPLES)])):
            found = [model.adapt(task.at(r), latency[r]).predict(task.at(others)).mean for r in lists]
            kept.append(float(np.mean([_rho(p, latency[others]) for p in found])))
    return [
        _row(task.name, "family out", f"mean of {len(drawn)}", method, SAMPLES, rhos, [])
        for method, rhos in (("FewShotLatency", drawn), ("FewShotLatency, proposed", proposed))
    ]


def _means(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        mean = {k: round(float(np.mean([row[k] for row in mine])), 4) for k in ("others", "HELP queries")}
        yield {**mine[0], "device": f"mean of {len(mine)}", **mean, "std": "-"}


def _row(
    data: str,
    split: str,
    device: str,
    method: str,
    samples: int,
    everywhere: list[float],
    trimmed: list[float],
) -> dict[str, Any]:
    return {
        "data": data, "split": split, "device": device, "method": method, "samples": samples,
        "others": round(float(np.mean(everywhere)), 4), "std": round(float(np.std(everywhere)), 4),
        "HELP queries": round(float(np.mean(trimmed)), 4) if trimmed else "-",
    }  # fmt: skip


def _rho(scores: Floats, truth: Floats) -> float:
    return float(spearmanr(scores, truth).statistic)
