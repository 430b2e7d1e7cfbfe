"""Features of predictors: computed, equal for aliases, and right on cells counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

import archindex as ax
from archindex.core.batch import GraphBatch
from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.encoders import make_encoder
from archindex.encoders.physical import physical_groups
from archindex.predict.features import COSTS, EMBEDDING, architecture_features
from archindex.testing.encoder_case import random_graph


def test_groups_of_several_spaces() -> None:
    widths = {}
    for name in ("nasbench101", "nasbench201", "nasbench_nlp"):
        space = ax.space(name)
        natives = [a.native for a in space.sample(6, seed=0)]
        groups = architecture_features(space, natives, encoder=make_encoder("structural"))
        assert groups[EMBEDDING].shape == (6, 128)
        assert all(v.dtype == np.float32 and len(v) == 6 and np.isfinite(v).all() for v in groups.values())
        assert groups[COSTS].shape == (6, 2)
        widths[name] = {key: v.shape[1] for key, v in groups.items()}
    assert widths["nasbench101"] == widths["nasbench201"] == widths["nasbench_nlp"]


def test_aliases_have_equal_features() -> None:
    space = ax.space("nasbench201")
    dead = "|nor_conv_3x3~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"
    live = "|none~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|none~2|"
    assert space.arch_ids([dead])[0] == space.arch_ids([live])[0]
    for values in architecture_features(space, [dead, live]).values():
        np.testing.assert_array_equal(values[0], values[1])


def test_nothing_given() -> None:
    with pytest.raises(ArchitectureError):
        architecture_features(ax.space("nasbench201"), [])


def test_numbering_of_nodes_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    graphs = [random_graph(rng) for _ in range(30)]
    turned = [g.relabelled([int(v) for v in rng.permutation(g.n_nodes)]) for g in graphs]
    before, after = (physical_groups(GraphBatch.from_graphs(g)) for g in (graphs, turned))
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_cell_counted_by_hand() -> None:
    space = ax.space("nasbench101")
    # conv3x3 -> conv1x1 -> output, and maxpool beside them; two share the channels of the output.
    batch = space.graphs(["conv3x3~0+conv1x1~1+maxpool3x3~0+output~23"])
    groups = physical_groups(batch, output_shares=True)
    walk = groups["walk_mixture"].reshape(6, 4, 3)
    assert walk[1, 1, 0] == pytest.approx(0.5)
    assert walk[0, 0, 1] == pytest.approx(0.5)
    assert walk.sum() == pytest.approx(1.0)
    weights = 9 * 0.5**2 + 0.5**2
    assert groups["mixture"][0, 0] == pytest.approx(np.log(weights + 0.05), rel=1e-5)
    assert groups["mixture"][0, 3] == pytest.approx(1.0)  # projections to the two that the input feeds
    width = groups["width_before_output"].reshape(4, 7)
    np.testing.assert_allclose(width[:3].sum(axis=1), 0.5)
    assert physical_groups(batch)["width_before_output"].reshape(4, 7)[0].sum() == pytest.approx(1.0)
    longest, shortest, mean = groups["reach"].reshape(3, 9)
    assert (longest[0], shortest[0], mean[0]) == pytest.approx((1.0, 0.0, 0.5))


def test_empty_and_degenerate() -> None:
    assert all(len(v) == 0 for v in physical_groups(GraphBatch.from_graphs([])).values())
    odd = GraphBatch.from_graphs(
        [ArchGraph((), ()), ArchGraph(("input", "none", "output"), ((0, 1, 0), (1, 2, 0)))]
    )
    assert all(np.isfinite(v).all() for v in physical_groups(odd, output_shares=True).values())
