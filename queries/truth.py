"""What a condition is compiled to, and its junctions: evaluation stops where nothing is open any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from archindex.queries.table import Bools, Rows, positions_of

# Where fewer than one in so many rows are still open, the rest of a junction is asked about those alone.
SPARSE = 8
# Of fewer rows, finding the best order takes longer than it saves.
MANY = 16_384
# In a junction of less cost, finding the best order takes longer than it saves.
DEAR = 2.0


class Step:
    """A condition: asked of some rows, it says where it holds.

    Parameters
    ----------
    run : callable
        Gives one truth value for each of the `Rows`, in an array that is not to be written to.
    cost : float
        Relative time for a row; 1 is one pass over an array of DOUBLE.
    """

    __slots__ = ("_run", "cost", "shared")

    def __init__(self, run: Callable[[Rows], Bools], cost: float) -> None:
        self._run = run
        self.cost = cost
        # Asked from several places: answers are remembered for as long as the rows are.
        self.shared = False

    def __call__(self, rows: Rows) -> Bools:
        """Return where it holds among `rows`; the array is not to be written to."""
        if not self.shared:
            return self._run(rows)
        found = rows.memory.get(id(self))
        if found is None:
            found = rows.memory[id(self)] = self._run(rows)
        return found


Truth = bool | Step
"""Where a condition holds: everywhere, nowhere, or as a step says."""


def invert(truth: Truth) -> Truth:
    """Return where `truth` does not hold."""
    if isinstance(truth, bool):
        return not truth
    return Step(lambda rows: np.logical_not(truth(rows)), truth.cost + 0.1)


def all_of(items: Iterable[Truth], shares: Callable[[Step], float] | None = None) -> Truth:
    """Return where all of `items` hold.

    Parameters
    ----------
    items : iterable of Truth
        The conditions.
    shares : callable, optional
        Estimates where a step holds, as a share of the rows: then the steps that settle most rows in the
        least time come first. Without it, the cheap ones do.
    """
    return _junction(items, True, shares)


def any_of(items: Iterable[Truth], shares: Callable[[Step], float] | None = None) -> Truth:
    """Return where any of `items` holds; the parameters are those of `all_of`."""
    return _junction(items, False, shares)


def _junction(items: Iterable[Truth], every: bool, shares: Callable[[Step], float] | None) -> Truth:
    steps: list[Step] = []
    for item in items:
        if isinstance(item, Step):
            steps.append(item)
        elif item is not every:
            return item
    if len(steps) < 2:
        return steps[0] if steps else every

    total = sum(step.cost for step in steps)
    best = sorted(steps, key=lambda step: step.cost)
    tried = shares is None or total < DEAR
    join = np.logical_and if every else np.logical_or

    def rank(step: Step) -> float:
        assert shares is not None
        share = shares(step)
        return step.cost / max(1 - share if every else share, 1e-3)

    def run(rows: Rows) -> Bools:
        nonlocal best, tried
        if not tried and rows.size >= MANY:
            # A new list: another thread may be going through the old one.
            best, tried = sorted(best, key=rank), True
        return among(rows, best)

    def among(rows: Rows, steps: Sequence[Step]) -> Bools:
        found = steps[0](rows)
        fresh = False
        for at in range(1, len(steps)):
            held = int(np.count_nonzero(found))
            still = held if every else rows.size - held
            if still == 0:
                return found
            rest = steps[at:]
            if still * SPARSE < rows.size and sum(step.cost for step in rest) > picking(still / rows.size):
                chosen = positions_of(found if every else ~found, still)
                result = np.zeros(rows.size, dtype=np.bool_) if every else found.copy()
                result[chosen] = among(rows.among(chosen), rest)
                return result
            found = join(found, steps[at](rows), out=found if fresh else None)
            fresh = True
        return found

    return Step(run, total + 0.1 * len(steps))


def picking(share: float) -> float:
    """Return what it costs to pick out a share of the rows, as `Step.cost` for each of all rows."""
    return 0.6 + min(60.0 * share, 2.0)
