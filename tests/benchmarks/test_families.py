"""The section families in its quick version, its list, and its scores."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.encoding import families

CONTENT = json.loads(families.LIST.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARCHINDEX_NETWORKS", str(tmp_path_factory.mktemp("networks")))
        return families.measure(Path(), quick=True)


def test_every_encoder_is_scored_at_every_grain(rows: list[dict[str, Any]]) -> None:
    scored = {(row["encoder"], row["norms"], row["relevance"]): row for row in rows if "encoder" in row}
    for grain in ("type", "family", "kind"):
        assert scored["random", "kept", grain]["MAP@20"] < 0.5
        for norms in ("kept", "folded"):
            row = scored["structural", norms, grain]
            assert row["left out"] == "none"
            assert row["MAP@20"] > scored["random", "kept", grain]["MAP@20"] + 0.2
            assert row["NDCG@20"] >= row["MAP@20"]


def test_the_list_is_whole() -> None:
    networks, kinds = CONTENT["networks"], CONTENT["kinds"]
    # Two networks of the size space were drawn twice, and the list stays as it was committed.
    assert len(networks) == 433
    assert len({n["name"] for n in networks}) == 431
    types = {n["type"] for n in networks}
    named = [t for listed in kinds.values() for t in listed]
    assert sorted(named) == sorted(types)
    assert {t for f in CONTENT["families"] for t in f["types"]} <= types
    of_transformers = {n["type"] for n in networks if n["from"] == "transformers"}
    assert len(of_transformers) >= 12
    assert all(sum(n["type"] == t for n in networks) >= 6 for t in of_transformers)
    assert sum(n["from"] == "onnx" for n in networks) == 9


def test_average_precision_and_gain_by_hand() -> None:
    vectors = np.array([[0.0], [1.0], [2.0], [3.5], [20.0]])
    precision, gain = families.retrieval(vectors, ["a", "b", "a", "a", "c"])
    # From 0 the others come as b, a, a, c.
    assert precision[0] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert gain[0] == pytest.approx((1 / math.log2(3) + 1 / 2) / (1 + 1 / math.log2(3)))
    # Alone in its group: no query.
    assert np.isnan(precision[[1, 4]]).all()
    assert np.isnan(gain[[1, 4]]).all()


def test_ties_go_against_the_query() -> None:
    precision, _ = families.retrieval(np.zeros((3, 2)), ["a", "b", "a"])
    assert precision[0] == pytest.approx(1 / 2)
