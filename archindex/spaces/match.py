"""From a graph back to the decisions that build it.

Every declarative space builds a graph while it asks for one decision after the other. Here the asking is
answered by search: a decision stands as long as every op built so far occurs in the target, with the same
attributes and the same inputs all the way back to the target's inputs. What is tried first is what accounts
for most ops, so that a graph of the space is usually read without going back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np

from archindex.core.batch import GraphBatch
from archindex.core.build import GraphBuilder, Terms
from archindex.core.canonical import arch_id, reduce_batch
from archindex.core.graph import ArchGraph

MAX_RUNS: Final = 20_000
"""Runs of a build after which a graph counts as unreadable; graphs of the spaces here take hundreds."""


class Pick(Protocol):
    """Answers a decision."""

    def __call__(self, n: int, /) -> int:
        """Return the option taken out of `n`, 0 to ``n - 1``."""


Build = Callable[[GraphBuilder, Pick], None]
"""Builds a graph with the options picked."""


def find_decisions(build: Build, target: ArchGraph) -> list[int] | None:
    """Return the options, in the order asked for, that build `target`; None where none were found.

    The graph as written is looked for first (ops that do nothing included), then its functional DAG: the
    first options found whose graph has the arch_id of `target`.

    Parameters
    ----------
    build : callable
        Asks for decisions and builds the graph; must do the same for the same answers.
    target : ArchGraph
        The graph, its nodes in any order.
    """
    for functional in (False, True):
        graph = reduce_batch(GraphBatch.from_graphs([target])).graph(0) if functional else target
        found = _search(build, graph, functional)
        if found is not None:
            return found
    return None


class _RejectedError(Exception):
    """An op was built that the target does not have."""


class _UndecidedError(Exception):
    """A decision is asked for that has not been taken."""

    def __init__(self, n: int) -> None:
        self.n = n


class _Matcher(GraphBuilder):
    """A builder that refuses every op that the target does not have.

    Parameters
    ----------
    functional : bool
        Whether ops that do nothing (skips, zeros, and what hangs on zeros) leave no trace; what counts as
        nothing is what `reduce_batch` takes away.
    """

    def __init__(self, wanted: Counter[int], functional: bool) -> None:
        super().__init__()
        self._left = wanted.copy()
        self._functional = functional
        self._keys: list[tuple[int, ...]] = []  # of each node: the keys of the terms of its output
        self.matched = 0

    @property
    def complete(self) -> bool:
        """Whether every op of the target was built."""
        return not any(self._left.values())

    def add(self, op: str, *ports: Terms, **attrs: float) -> Terms:
        """Add an op, or refuse it."""
        node = super().add(op, *ports, **attrs)
        terms = [sorted(key for source in port for key in self._keys[source]) for port in ports]
        if self._functional and op == "skip":
            self._keys.append(tuple(terms[0]))
        elif self._functional and self._is_zero(op, ports, any(terms)):
            self._keys.append(())
        else:
            described = dict(self._attrs[-1])
            if self._functional and op == "concat":
                zeros = sum(bool(port) and not read for port, read in zip(ports, terms, strict=True))
                if zeros:
                    described["zero_parts"] = described.get("zero_parts", 0.0) + zeros
            key = _key(op, described, list(enumerate(terms)))
            if self._left[key] <= 0:
                raise _RejectedError
            self._left[key] -= 1
            self.matched += 1
            self._keys.append((key,))
        return node

    def _is_zero(self, op: str, ports: tuple[Terms, ...], fed: bool) -> bool:
        if op in ("input", "output"):
            return False
        zero_factor = op == "mul" and not all(self._keys[source] for port in ports for source in port)
        return op == "none" or not fed or zero_factor


def _key(op: str, attrs: Any, ports: list[tuple[int, list[int]]]) -> int:
    """Return what an op is: its name, its attributes, and what each port reads."""
    read = tuple((port, tuple(terms)) for port, terms in ports if terms)
    return hash((op, tuple(sorted(attrs.items())), read))


def _wanted(graph: ArchGraph) -> Counter[int]:
    """Return how often the target has each op."""
    keys = [0] * graph.n_nodes
    into: list[dict[int, list[int]]] = [{} for _ in range(graph.n_nodes)]
    out_of: list[list[tuple[int, int]]] = [[] for _ in range(graph.n_nodes)]
    for source, target, port in graph.edges:
        out_of[source].append((target, port))
    waiting = Counter(target for _, target, _ in graph.edges)
    ready = [node for node in range(graph.n_nodes) if not waiting[node]]
    for node in ready:  # grows: an order in which every edge points forward
        attrs = {name: float(np.float32(value)) for name, value in graph.attrs[node].items()}
        ports = [(port, sorted(terms)) for port, terms in sorted(into[node].items())]
        keys[node] = _key(graph.ops[node], attrs, ports)
        for target, port in out_of[node]:
            into[target].setdefault(port, []).append(keys[node])
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return Counter(keys)


def _search(build: Build, target: ArchGraph, functional: bool) -> list[int] | None:
    wanted = _wanted(target)
    identity: str | None = None  # of the target; looked up when something is to be compared with it

    def run(trace: list[int]) -> tuple[int, int | None]:
        """Return how many ops matched, and how many options the next decision has (None: finished)."""
        nonlocal identity
        matcher = _Matcher(wanted, functional)
        answers = iter(trace)

        def pick(n: int, /) -> int:
            answer = next(answers, None)
            if answer is None:
                raise _UndecidedError(n)
            return answer

        try:
            build(matcher, pick)
        except _UndecidedError as open_decision:
            return matcher.matched, open_decision.n
        if not matcher.complete:
            raise _RejectedError
        identity = identity or arch_id(target)
        if arch_id(matcher.graph()) != identity:
            raise _RejectedError
        return matcher.matched, None

    stack: list[list[int]] = [[]]
    runs = 0
    while stack and runs < MAX_RUNS:
        trace = stack.pop()
        runs += 1
        try:
            _, n = run(trace)
        except _RejectedError:
            continue
        if n is None:
            return trace
        ranked: list[tuple[int, int]] = []
        for option in range(n):
            runs += 1
            try:
                matched, _ = run([*trace, option])
            except _RejectedError:
                continue
            ranked.append((matched, -option))
        # The last is tried first: most ops matched, then the first option.
        stack += [[*trace, -option] for _, option in sorted(ranked)]
    return None
