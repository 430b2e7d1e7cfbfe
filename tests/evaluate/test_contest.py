from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import archindex as ax
from archindex.core.errors import FilterError, UnknownNameError
from archindex.evaluate.contest import curves_of, run_contest, within_table
from archindex.search.run import SearchResult

COLUMN = "cifar10_valid_acc"


def test_every_strategy_asks_within_table_and_budget(built_index: Path) -> None:
    with ax.open(built_index) as index:
        names = ["random", "local"]
        results = run_contest(index.snapshot, COLUMN, names, seeds=2, budget=9, where="n_ops > 2")
        again = run_contest(index.snapshot, COLUMN, ["local"], seeds=2, budget=9, where="n_ops > 2")
        known = {a: index.get(a).attributes for found in results["local"] for a in found.asked}
    assert list(results) == names
    for found in results["local"]:
        assert len(set(found.asked)) == len(found.asked) == 9
        assert [known[a][COLUMN] for a in found.asked] == found.values.tolist()
        assert all(int(known[a]["n_ops"] or 0) > 2 for a in found.asked)
    # A strategy's searches do not depend on who else takes part.
    assert [f.asked for f in again["local"]] == [f.asked for f in results["local"]]
    assert results["local"][0].asked != results["local"][1].asked


def test_the_constraint_is_checked_by_itself(built_index: Path) -> None:
    with ax.open(built_index) as index:
        assert within_table(index.schema, COLUMN, "n_ops > 2") == f'(n_ops > 2) AND "{COLUMN}" IS NOT NULL'
        with pytest.raises(FilterError):
            within_table(index.schema, COLUMN, "TRUE) OR (TRUE")
        with pytest.raises(UnknownNameError, match=COLUMN):
            within_table(index.schema, "cifar10_acc")


def test_a_search_that_ran_out_keeps_its_last_value() -> None:
    short = SearchResult(None, 2.0, np.array([1.0, 2.0]), (), np.array([1.0, 2.0]))
    long = SearchResult(None, 3.0, np.array([1.0, 1.0, 3.0]), (), np.array([1.0, 0.0, 3.0]))
    assert curves_of([short, long], 3).tolist() == [[1.0, 2.0, 2.0], [1.0, 1.0, 3.0]]
