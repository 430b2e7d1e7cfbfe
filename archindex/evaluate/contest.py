"""A contest: several strategies, many seeds, one oracle, one budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from archindex.core.checks import check_choice, check_int
from archindex.core.progress import Progress, silent
from archindex.queries import Schema, compile_where
from archindex.search.oracle import ColumnOracle, Objective
from archindex.search.pool import Pool
from archindex.search.registry import make_strategy
from archindex.search.run import SearchResult, run_search
from archindex.store.snapshot import Snapshot


def within_table(schema: Schema, objective: str, where: str | None = None) -> str:
    """Return the constraint that keeps a search to architectures whose value a column can tell.

    An index need not hold the whole space, and a strategy would ask for neighbours that it has not seen.

    Raises
    ------
    UnknownNameError, FilterError
        If there is no such column, or `where` cannot be used.
    """
    check_choice("column", objective, schema)
    if where is None:
        return f'"{objective}" IS NOT NULL'
    # Alone first: an expression that is only whole inside the parentheses is none of the user's.
    compile_where(where, schema)
    return f'({where}) AND "{objective}" IS NOT NULL'


def run_contest(
    snapshot: Snapshot,
    objective: str,
    strategies: Sequence[str],
    *,
    seeds: int,
    budget: int,
    where: str | None = None,
    progress: Progress = silent,
) -> dict[str, list[SearchResult]]:
    """Let every strategy search once with every seed from 0.

    A query reveals the value of one architecture; no strategy asks one twice; aliases count.

    Parameters
    ----------
    snapshot : Snapshot
        The index.
    objective : str
        Attribute column that is revealed.
    strategies : sequence of str
        Names of strategies.
    seeds, budget : int
        Seeds of each strategy, and queries of each search.
    where : str, optional
        Constraint of all searches.
    progress : Progress
        Told after each search.

    Returns
    -------
    dict from str to list of SearchResult
        One result a seed, by strategy.
    """
    check_int("seeds", seeds, low=1)
    pool = Pool(snapshot, within_table(snapshot.schema, objective, where))
    oracle = ColumnOracle(snapshot, Objective.of(objective))
    results: dict[str, list[SearchResult]] = {name: [] for name in strategies}
    total = seeds * len(results)
    for seed in range(seeds):
        for i, name in enumerate(results):
            strategy = make_strategy(name, pool, objective, seed=seed)
            results[name].append(run_search(strategy, oracle, budget))
            progress("search", seed * len(results) + i + 1, total)
    return results


def curves_of(results: Sequence[SearchResult], budget: int) -> npt.NDArray[np.float64]:
    """Stack the curves of several seeds; shape (len(results), budget).

    A search that ran out of candidates keeps its last value.
    """
    return np.stack([np.pad(r.curve, (0, budget - len(r.curve)), mode="edge") for r in results])
