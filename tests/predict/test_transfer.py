"""Rankings that carry over from space to space, and the features that make them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import spearmanr

from archindex.core.batch import GraphBatch
from archindex.core.canonical import arch_ids
from archindex.core.errors import ArgumentError
from archindex.core.graph import ArchGraph
from archindex.datasets import Table
from archindex.encoders.live_features import LIVE_NAMES, live_features, with_projections
from archindex.predict.transfer import TransferRanker, normal_scores, transfer_groups
from archindex.spaces.registry import space


def of(native: str, name: str = "nasbench201") -> dict[str, float]:
    row = live_features(space(name).graphs([native]))[0]
    return dict(zip(LIVE_NAMES, row.tolist(), strict=True))


def test_features_of_a_cell_worked_by_hand() -> None:
    # Paths: 3x3, then pool (via node 1); skip straight to the output. The 1x1 is dead: nothing reads node 2.
    found = of("|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|avg_pool_3x3~1|none~2|")
    expected = {
        "fed": 1, "wide_ops": 1, "narrow_ops": 0, "pool_ops": 1, "log_area": np.log(10),
        "wide_walk": 0.5, "narrow_walk": 0, "pool_walk": 0.5, "wide_walk_variance": 0.25,
        "walk_without_wide": 0.5, "walk_without_narrow": 1, "walk_without_ops": 0.5, "wide_longest": 1,
        "ops_longest": 2, "weights_longest": 1, "reach_longest": 2, "ops_shortest": 0, "log_paths": np.log(3),
        "log_area_longest": np.log(10), "sums": 0, "output_terms": 2,
    }  # fmt: skip
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name


def test_a_cell_without_a_path_is_not_fed() -> None:
    found = of("|none~0|+|none~0|nor_conv_3x3~1|+|none~0|nor_conv_3x3~1|none~2|")
    assert found["fed"] == 0
    assert found["wide_ops"] == 0
    assert np.isfinite(list(found.values())).all()


def test_aliases_and_twins_of_another_space_look_the_same() -> None:
    chain = of("|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|none~0|none~1|skip_connect~2|")
    assert chain == of("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|")
    assert chain == of("conv3x3~0+conv1x1~1+output~2", "nasbench101")


def test_projections_stand_before_ops_that_read_the_input() -> None:
    batch = space("nasbench101").graphs(["conv3x3~0+maxpool3x3~01+output~02", "conv1x1~0+output~1"])
    one, three = {"kernel": 1.0}, {"kernel": 3.0}
    # 0 input, 1 and 2 projections, 3 conv3x3, 4 maxpool, 5 output
    first = ArchGraph(
        ("input", "conv", "conv", "conv", "max_pool", "output"),
        ((0, 1, 0), (1, 3, 0), (0, 2, 0), (2, 4, 0), (3, 4, 0), (4, 5, 0), (0, 5, 0)),
        ({}, one, one, three, three, {}),
    )
    second = ArchGraph(
        ("input", "conv", "conv", "output"), ((0, 1, 0), (1, 2, 0), (2, 3, 0)), ({}, one, one, {})
    )
    expected = GraphBatch.from_graphs([first, second])
    np.testing.assert_array_equal(arch_ids(with_projections(batch)), arch_ids(expected))


def test_an_empty_batch() -> None:
    batch = space("nasbench101").graphs([])
    assert live_features(with_projections(batch)).shape == (0, len(LIVE_NAMES))


def test_ranks_another_space_by_what_carries_over() -> None:
    known, asked = space("nasbench101"), space("nasbench201")
    cells = transfer_groups(known.graphs([a.native for a in known.sample(600, seed=1)]))
    others = transfer_groups(asked.graphs([a.native for a in asked.sample(400, seed=1)]))

    def worth(groups: dict[str, npt.NDArray[np.float32]]) -> npt.NDArray[np.float64]:
        column = dict(zip(LIVE_NAMES, groups["cell"].T, strict=True))
        return np.asarray(
            column["wide_walk"] + 0.3 * column["narrow_walk"] - 0.2 * column["pool_walk"], np.float64
        )

    told = worth(cells)
    for target in (None, others):
        ranker = TransferRanker()
        ranker.fit(cells, told, target=target, seed=3)
        scores = ranker.scores(others)
        fed = others["cell"][:, 0] > 0
        assert spearmanr(scores[fed], worth(others)[fed]).statistic > 0.9
        assert np.isneginf(scores[~fed]).all()
        assert np.isfinite(scores[fed]).all()
        again = TransferRanker()
        again.fit(cells, 2 * told, target=target, seed=3)
        np.testing.assert_array_equal(again.scores(others), scores)  # only the order of labels counts


def test_it_ranks_measured_accuracies_of_unseen_cells(small_table: Table) -> None:
    cells = transfer_groups(space("nasbench201").graphs(list(small_table.natives)))
    told = next(s.values for s in small_table.series if s.spec.metric == "acc")
    ranker = TransferRanker()
    ranker.fit({name: group[:200] for name, group in cells.items()}, told[:200])
    asked = {name: group[200:] for name, group in cells.items()}
    assert spearmanr(ranker.scores(asked), told[200:]).statistic > 0.75


def test_normal_scores() -> None:
    scores = normal_scores(np.array([3.0, 1.0, 2.0, 2.0]))
    assert scores[0] == pytest.approx(-scores[1])
    assert scores[2] == scores[3] == pytest.approx(0.0)


def test_bad_input_is_refused() -> None:
    known = space("nasbench201")
    batch = known.graphs([a.native for a in known.sample(30)])
    cells = transfer_groups(batch)
    for cost in (np.ones(29), np.full(30, np.nan), np.full(30, -1.0)):
        with pytest.raises(ArgumentError, match="costs"):
            transfer_groups(batch, cost=cost)
    for labels in (np.ones(19), np.full(30, np.inf), np.ones((30, 2))):
        with pytest.raises(ArgumentError, match="labels"):
            TransferRanker().fit(cells, labels)
    with pytest.raises(ArgumentError, match="features of 25"):
        TransferRanker().fit(cells, np.ones(25))
    with pytest.raises(ArgumentError, match="fitted"):
        TransferRanker().scores(cells)
