"""Encoders side by side on architectures of a table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from archindex.core.edit_distance import SmallGraphs
from archindex.core.errors import ArgumentError, UnknownNameError
from archindex.core.metrics import Series, spec_of_column
from archindex.datasets import Table
from archindex.encoders import make_encoder
from archindex.evaluate.comparison import Sample
from archindex.evaluate.embedding import nearest_others, neighbour_regression
from archindex.spaces.registry import space


def table_of(name: str, n: int, column: str = "cifar10_test_acc") -> Table:
    natives = tuple(dict.fromkeys(arch.native for arch in space(name).sample(n, seed=0)))
    values = np.linspace(10, 90, len(natives))
    return Table("made", name, natives, (Series(spec_of_column(column), values),))


def test_one_architecture_for_each_arch_id(small_table: Table) -> None:
    sample = Sample(small_table, n=300)
    cells = space("nasbench201")
    ids = cells.arch_ids(sample.natives)
    assert len(set(ids.tolist())) == len(sample) < 300
    assert sample.objective == "cifar10_valid_acc"
    known = dict(zip(small_table.natives, small_table.columns()[sample.objective].values, strict=True))
    assert [known[native] for native in sample.natives] == sample.values.tolist()


def test_measures_are_those_of_the_embedding(small_table: Table) -> None:
    sample = Sample(small_table, "cifar10_latency_ms", seed=4)
    encoder = make_encoder("structural")
    found = sample.measure(encoder)
    vectors = encoder.encode(space("nasbench201").graphs(sample.natives))
    assert found.tau == neighbour_regression(nearest_others(vectors, seed=4), sample.values)
    assert found.ratio == found.difference / sample.random_difference < 1
    assert found.edits is not None and 0.2 < found.edits < 1
    assert found.to_dict()["between"] == found.between
    again = Sample(small_table, "cifar10_latency_ms", seed=4)
    assert again.natives == sample.natives
    assert again.measure(encoder) == found
    assert Sample(small_table, "cifar10_latency_ms", seed=5).natives != sample.natives


def test_structural_is_better_than_paths(nasbench201: Table) -> None:
    sample = Sample(nasbench201, n=1500)
    structural, paths = (sample.measure(make_encoder(name)) for name in ("structural", "paths"))
    assert structural.tau > paths.tau + 0.05
    assert structural.ratio < paths.ratio
    assert structural.edits is not None and paths.edits is not None
    assert structural.edits > paths.edits


def test_large_graphs_have_no_edit_distances() -> None:
    sample = Sample(table_of("darts", 30))
    assert not sample.has_edits
    assert not SmallGraphs(sample.batch).small.all()
    assert sample.measure(make_encoder("wl")).edits is None


def test_values_that_are_all_equal_have_no_measures() -> None:
    table = table_of("nasbench201", 30)
    same = replace(table, series=(Series(table.series[0].spec, np.full(len(table), 50.0)),))
    found = Sample(same).measure(make_encoder("statistics"))
    assert found.difference == 0
    assert np.isnan([found.tau, found.ratio, found.between]).all()


def test_rows_without_a_value_are_left_out() -> None:
    table = table_of("nasbench201", 60)
    values = np.where(np.arange(len(table)) % 2, table.series[0].values, np.nan)
    halved = replace(table, series=(Series(table.series[0].spec, values),))
    sample = Sample(halved)
    assert np.isfinite(sample.values).all()
    assert set(sample.natives) <= set(table.natives[1::2])


def test_bad_input(small_table: Table) -> None:
    with pytest.raises(UnknownNameError, match="cifar10_valid_acc"):
        Sample(small_table, "cifar10_valid_ac")
    with pytest.raises(ArgumentError, match="at least 11"):
        Sample(small_table, n=10)
    with pytest.raises(ArgumentError, match="more than 10"):
        Sample(small_table.take(range(8)))
    with pytest.raises(ArgumentError, match="how good"):
        Sample(table_of("nasbench201", 30, "cifar10_flops_m"))
