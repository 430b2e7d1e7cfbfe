"""NAS-Bench-Macro from JSON that the tests write in the official form."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archindex.core.errors import DataUnavailableError
from archindex.datasets import Table
from archindex.datasets.official import nasbench_macro


def macro_results() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    results = {}
    for digits in product("012", repeat=8):
        runs = rng.uniform(80, 93, 3).tolist()
        results["".join(digits)] = {
            "test_acc": runs,
            "mean_acc": float(np.mean(runs)),
            "std": float(np.std(runs)),
            "params": int(rng.integers(10**5, 10**6)),
            "flops": int(rng.integers(10**6, 10**8)),
        }
    return results


def macro(path: Path, content: Any) -> Table:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return nasbench_macro.convert({nasbench_macro.FILE: path})


def test_all_of_nasbench_macro_is_read_value_by_value(
    tmp_path: Path, comes_back: Callable[..., Any], as_promised: Callable[..., Any]
) -> None:
    results = macro_results()
    table = macro(tmp_path / "macro.json", results)
    as_promised(table.name, table.series)
    assert len(table) == 6_561 == nasbench_macro.SPEC.rows
    assert table.natives == tuple(results)
    runs = {one.spec.seed: one for one in table.series if one.spec.metric == "acc"}
    for seed in range(3):
        assert runs[seed].spec.column == "cifar10_test_acc"
        assert runs[seed].values.tolist() == [one["test_acc"][seed] for one in results.values()]
    columns = table.columns()
    assert columns["cifar10_params_m"].values.tolist() == [one["params"] / 1e6 for one in results.values()]
    assert columns["cifar10_flops_m"].values.tolist() == [one["flops"] / 1e6 for one in results.values()]
    comes_back(table)


GOOD = {"test_acc": [90.0, 91.0, 92.0], "mean_acc": 91.0, "std": 1.0, "params": 10, "flops": 10}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '"text"',
        "[" * 100_000,
        {"0123": GOOD},
        {"00000003": GOOD},
        {"00000000": {}},
        {"00000000": {**GOOD, "test_acc": [90.0, 92.0]}},
        {"00000000": {**GOOD, "test_acc": [90.0, 91.0, "92.0"]}},
        {"00000000": {**GOOD, "mean_acc": 90.0}},
        {"00000000": {**GOOD, "test_acc": [90.0, 91.0, 101.0], "mean_acc": 94.0}},
        {"00000000": {**GOOD, "params": -1}},
        {"00000000": {**GOOD, "params": float("inf")}},
        json.dumps({"00000000": GOOD}).replace('"params": 10', '"params": 1e999'),
        f'{{"00000000": {json.dumps(GOOD)}, "00000000": {json.dumps(GOOD)}}}',
        json.dumps({"00000000": GOOD}).replace('"params": 10', '"params": 10, "params": 11'),
        {"00000000": {**GOOD, "flops": True}},
    ],
)
def test_macro_results_of_another_form_are_told(tmp_path: Path, content: Any) -> None:
    with pytest.raises(DataUnavailableError, match=r"macro\.json"):
        macro(tmp_path / "macro.json", content)
