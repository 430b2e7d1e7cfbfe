"""The section families in its quick version, its list, and its scores."""

from __future__ import annotations

import itertools
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
    scored = {
        (row["encoder"], row["norms"], row["relevance"]): row
        for row in rows
        if "encoder" in row and row["set"] == "list"
    }
    for grain in ("type", "family", "kind"):
        assert scored["random", "kept", grain]["MAP@20"] < 0.5
        for name, norms in itertools.product(("structural", "motifs"), ("kept", "folded")):
            row = scored[name, norms, grain]
            assert row["left out"] == "none"
            assert row["MAP@20"] > scored["random", "kept", grain]["MAP@20"] + 0.2
            assert row["NDCG@20"] >= row["MAP@20"]
    assert scored["motifs", "kept", "type"]["MAP@20"] == scored["motifs", "folded", "type"]["MAP@20"]
    assert scored["motifs", "kept", "type"]["MAP@20"] > 0.9


def test_variants_are_compared_on_the_development_set_alone(rows: list[dict[str, Any]]) -> None:
    variants = {row["variant"]: row for row in rows if "variant" in row and row["relevance"] == "type"}
    assert list(variants) == list(families.VARIANTS)
    assert {row["set"] for row in variants.values()} == {"development"}
    [shipped] = [
        row
        for row in rows
        if row["set"] == "development"
        and (row.get("encoder"), row.get("norms"), row.get("relevance")) == ("motifs", "kept", "type")
    ]
    again = variants["ops .5, shapes, ratios, widths .25, counts .02"]
    assert (again["MAP@20"], again["queries"]) == (shipped["MAP@20"], shipped["queries"])
    assert shipped["left out"] == "none"


def test_no_two_types_share_a_graph(rows: list[dict[str, Any]]) -> None:
    twins = {row["sizes"]: row["twins"] for row in rows if "twins" in row}
    assert twins == {"kept": 0, "left out": 0}


def test_the_development_set_has_no_network_of_the_list() -> None:
    other = json.loads(families.DEVELOPMENT.read_text(encoding="utf-8"))["networks"]
    assert len({n["name"] for n in other}) == len(other) == 545
    assert not {n["name"] for n in other} & {n["name"] for n in CONTENT["networks"]}
    kinds = json.loads(families.DEVELOPMENT.read_text(encoding="utf-8"))["kinds"]
    assert sorted(t for listed in kinds.values() for t in listed) == sorted({n["type"] for n in other})
    # Of the types only the search spaces are the same, with other members.
    shared = {n["type"] for n in other} & {n["type"] for n in CONTENT["networks"]}
    assert shared == {n["type"] for n in other if n["from"] == "space"}


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
