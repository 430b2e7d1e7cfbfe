"""The section round_trip in its quick version, its ranks, and the rewrites of ONNX files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
import torch
from torch import nn

from archindex.convert import from_onnx, from_torch
from archindex.convert.onnx_export import module_to_onnx
from archindex.core.batch import GraphBatch
from archindex.core.canonical import arch_ids
from archindex.encoders.folding import fold_norms
from archindex.spaces.registry import space

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.encoding import round_trip
from benchmarks.encoding.networks import kept
from benchmarks.encoding.rewrites import REWRITES


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARCHINDEX_NETWORKS", str(tmp_path_factory.mktemp("networks")))
        return round_trip.measure(Path(), quick=True)


def test_networks_are_found_again_after_every_rewrite(rows: list[dict[str, Any]]) -> None:
    scored = [row for row in rows if "encoder" in row]
    assert {row["rewrite"] for row in scored} == {"as written", *REWRITES}
    for row in scored:
        if row["norms"] == "folded" or row["rewrite"] not in (
            "norms folded",
            "onnxruntime basic",
            "all together",
        ):
            assert row["same id"] == 1, row
            assert row["rank 1"] == row["mrr"] == 1, row
        elif row["encoder"] == "structural":
            # An encoder that sees norms does not find a network without them.
            assert row["same id"] == 0
            assert row["mrr"] < 0.5


def test_the_networks_of_the_index_are_different(rows: list[dict[str, Any]]) -> None:
    pools = [row for row in rows if "networks" in row]
    assert {row["space"]: row["networks"] for row in pools} == round_trip.QUICK
    assert all(row["different ids"] > 0.6 * row["networks"] for row in pools)
    assert sum(round_trip.MEMBERS.values()) == 51_129
    assert "51,129 networks" in round_trip.PROTOCOL
    for name, n in round_trip.MEMBERS.items():
        assert n <= (space(name).size or n)
    assert set(round_trip.QUERIES) <= set(round_trip.MEMBERS)


def test_stored_networks_are_read_again_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHINDEX_NETWORKS", str(tmp_path))
    made, _ = round_trip.expanded("gan_cells", 3)
    [path] = tmp_path.iterdir()
    written = path.stat().st_mtime_ns
    again, _ = round_trip.expanded("gan_cells", 3)
    assert arch_ids(again).tolist() == arch_ids(made).tolist()
    assert path.stat().st_mtime_ns == written
    # Networks of other architectures under this name are made again.
    other, more = round_trip.expanded("nats_sss", 3)
    path.unlink()
    kept(path.stem, lambda: (other, more))
    assert arch_ids(round_trip.expanded("gan_cells", 3)[0]).tolist() == arch_ids(made).tolist()


def test_ranks_count_ties_against_the_query() -> None:
    index = np.array([[0.0], [1.0], [1.0], [5.0]])
    queries = np.array([[1.0], [1.0], [0.1], [4.0]])
    right = np.array([[0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [1, 0, 0, 1]], dtype=bool)
    assert round_trip.pessimistic_ranks(index, queries, right).tolist() == [2, 1, 3, 1]


class Mixed(nn.Module):
    """Norms that fold and norms that do not, a reshape, a linear layer with a norm, hard swish."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.Hardswish()
        )
        self.conv, self.norm = nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)
        self.last = nn.Sequential(nn.Linear(128, 16), nn.BatchNorm1d(16), nn.Linear(16, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = self.conv(x)
        x = self.norm(x + y) + y
        x = nn.functional.adaptive_avg_pool2d(x, 4).flatten(1)
        scores: torch.Tensor = self.last(x)
        return scores


@pytest.mark.parametrize("name", REWRITES)
def test_a_rewrite_computes_the_same_and_is_the_same_network(name: str, tmp_path: Path) -> None:
    module = Mixed().eval()
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm2d, nn.BatchNorm1d)):
            for tensor in (part.running_mean, part.running_var, part.weight.data, part.bias.data):
                assert tensor is not None
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    images = torch.randn(1, 3, 16, 16, generator=generator)
    model = onnx.load(module_to_onnx(module, (images,), tmp_path / "net.onnx"))
    before = model.SerializeToString()
    made = REWRITES[name](model, np.random.default_rng(1))
    assert model.SerializeToString() == before
    onnx.checker.check_model(made)
    assert made.SerializeToString() != before
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]
    with torch.no_grad():
        assert np.allclose(found, module(images).numpy(), rtol=1e-4, atol=1e-5)
    graphs = GraphBatch.from_graphs(
        [from_torch(module, (images,)).graph, from_onnx(made.SerializeToString()).graph]
    )
    direct, through = arch_ids(fold_norms(graphs))
    assert direct == through
