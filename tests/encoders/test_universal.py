"""The encoder that comes with archindex, and the network behind it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from archindex.core.batch import GraphBatch
from archindex.core.graph import ArchGraph
from archindex.encoders.files import WEIGHTS
from archindex.encoders.folding import inference_form
from archindex.encoders.gin_encode import encode_reduced
from archindex.encoders.gin_model import GraphTensors
from archindex.encoders.recipes import RECORD
from archindex.encoders.universal import SHIPPED, UniversalEncoder
from archindex.spaces.registry import NAMED, SPACES, space
from archindex.testing.encoder_case import EncoderCase, chain

Singles = npt.NDArray[np.float32]


class TestUniversal(EncoderCase):
    @staticmethod
    def make() -> UniversalEncoder:
        return UniversalEncoder()


def vectors(*graphs: ArchGraph) -> Singles:
    return TestUniversal.fitted().encode(GraphBatch.from_graphs(graphs))


def conv(kernel: float, op: str = "conv") -> ArchGraph:
    row = chain(op)
    return ArchGraph(row.ops, row.edges, ({}, {"kernel": kernel}, {}))


def test_it_is_small_and_says_how_it_was_made() -> None:
    assert (SHIPPED / WEIGHTS).stat().st_size < 4_000_000
    record = json.loads((SHIPPED / RECORD).read_text())
    assert record["fingerprint"] == UniversalEncoder().fingerprint
    assert record["losses"][-1] < record["losses"][0]
    assert set(record["recipe"]["cells"]) == set(SPACES) - NAMED


@pytest.mark.parametrize("name", [name for name in SPACES if name not in NAMED])
def test_what_is_computed_once_is_what_the_network_computes(name: str) -> None:
    found = space(name)
    batch = inference_form(found.graphs([a.native for a in found.sample(30, seed=4)]))
    encoder = UniversalEncoder()
    with torch.inference_mode():
        plain = encoder.model()(GraphTensors.of(batch)).numpy()
    np.testing.assert_allclose(encode_reduced(encoder.weights, batch), plain, rtol=1e-3, atol=1e-4)


def test_architectures_that_differ_have_different_vectors_in_every_space() -> None:
    for name in SPACES:
        if name in NAMED:
            continue
        found = space(name)
        natives = [a.native for a in found.sample(40, seed=5)]
        batch = found.graphs(natives)
        rows = np.unique(found.arch_ids(natives), return_index=True)[1]
        encoded = TestUniversal.fitted().encode(batch.pick(np.sort(rows)))
        gaps = np.linalg.norm(encoded[:, None] - encoded[None], axis=2)
        assert gaps[~np.eye(len(rows), dtype=bool)].min() > 1e-4, name


def test_alike_ops_lie_near_each_other() -> None:
    plain, separable, larger, pool, linear = vectors(
        conv(3), conv(3, "separable_conv"), conv(5), conv(3, "max_pool"), chain("linear")
    )

    def gap(a: Singles, b: Singles) -> float:
        return float(np.linalg.norm(a - b))

    assert gap(plain, separable) < gap(plain, pool)
    assert gap(plain, separable) < gap(plain, linear)
    assert gap(plain, larger) < gap(plain, pool)


def test_a_new_op_lies_near_what_its_name_says() -> None:
    new, plain, pool, attention = vectors(
        chain("HyperConv2d"), chain("conv"), chain("max_pool"), chain("attention")
    )
    far = [np.linalg.norm(new - other) for other in (pool, attention)]
    assert np.linalg.norm(new - plain) < min(far)


def test_folded_norms_do_not_matter() -> None:
    with_norm, without = vectors(chain("conv", "batch_norm", "relu"), chain("conv", "relu"))
    np.testing.assert_allclose(with_norm, without, rtol=1e-5, atol=1e-5)


def test_a_saved_one_is_the_same(tmp_path: Path) -> None:
    UniversalEncoder().save(tmp_path)
    again = UniversalEncoder.load(tmp_path)
    assert again.fingerprint == UniversalEncoder().fingerprint
