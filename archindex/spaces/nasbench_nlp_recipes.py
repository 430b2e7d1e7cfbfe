"""NAS-Bench-NLP: recipes of recurrent cells, what makes one valid, drawing and changing them.

The rules are those of the official generator (class RecepieGenerator in search_space.py of
fmsnew/nas-bench-nlp-release, also found in copies of that file) as far as its three examples (a plain cell,
LSTM and GRU) keep them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

ACTIVATIONS: Final = ("activation_tanh", "activation_sigm", "activation_leaky_relu")
ARITY: Final[dict[str, tuple[int, ...]]] = {
    "linear": (2, 3),
    "blend": (3,),
    "elementwise_prod": (2,),
    "elementwise_sum": (2,),
    **dict.fromkeys(ACTIVATIONS, (1,)),
}
"""How many inputs every op may have."""

MAX_HIDDEN: Final = 3
"""Hidden states of the largest cells generated."""

MAX_NODES: Final = 25
"""Nodes of the largest recipe that the generator can give: 21 intermediate ones, 3 states, one to spare."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_STATE: Final = re.compile(r"h_(new|prev)_(0|[1-9]\d{0,2})")
_INTERMEDIATE: Final = (7, 14, 21)
_OP_WEIGHTS: Final = (3 / 6, 1 / 6, 1 / 6, 1 / 6)


class Step(NamedTuple):
    """One node of a recipe."""

    name: str
    op: str
    inputs: tuple[str, ...]


Recipe = tuple[Step, ...]
"""The nodes of a cell in the order written, which says nothing. Nodes ``h_new_k`` are the new states."""

_Nodes = Mapping[str, tuple[str, tuple[str, ...]]]


def n_hidden(recipe: Recipe) -> int:
    """Return the number of hidden states."""
    return sum(_is_state(step.name) for step in recipe)


def fault(recipe: Recipe) -> str | None:
    """Say what is wrong with a recipe, if anything is."""
    nodes = {step.name: (step.op, step.inputs) for step in recipe}
    if not 0 < len(recipe) <= MAX_NODES or len(nodes) != len(recipe):
        return f"it needs 1 to {MAX_NODES} nodes of different names"
    hidden = n_hidden(recipe)
    if not 0 < hidden <= MAX_HIDDEN or any(f"h_new_{k}" not in nodes for k in range(hidden)):
        return f"it needs new states h_new_0 to at most h_new_{MAX_HIDDEN - 1}, without gaps"
    given = ("x", *(f"h_prev_{k}" for k in range(hidden)))
    for name, (op, inputs) in nodes.items():
        if name == "x" or name.startswith("h_prev_") or not _NAME.fullmatch(name):
            return f"{name[:40]!r} cannot be the name of a node"
        if op not in ARITY:
            return f"{op[:40]!r} is no op: known ops are {', '.join(ARITY)}"
        if len(inputs) not in ARITY[op] or len(set(inputs)) != len(inputs):
            return f"{name} ({op}) needs {' or '.join(map(str, ARITY[op]))} different inputs"
        for source in inputs:
            if source not in nodes and source not in given:
                return f"{name} reads {source[:40]!r}, which is nowhere"
        if "x" in inputs and op != "linear":
            return f"{name} ({op}) reads x, which only linear may"
    order = _finishing_order(nodes)
    if order is None:
        return "nodes read one another in a cycle"
    if len(order) != len(nodes):
        return f"nothing reads {sorted(set(nodes) - set(order))[0]}"
    read = {source for _, inputs in nodes.values() for source in inputs}
    unread = [name for name in given if name not in read]
    return f"nothing reads {unread[0]}" if unread else None


def in_order(recipe: Recipe) -> list[Step]:
    """Return the nodes of a valid recipe, every node after those that it reads."""
    by_name = {step.name: step for step in recipe}
    order = _finishing_order({step.name: (step.op, step.inputs) for step in recipe})
    return [by_name[name] for name in order or ()]


def renamed(nodes: _Nodes) -> Recipe | None:
    """Return a recipe with its nodes named and ordered by structure alone; None where there is a cycle.

    Intermediate nodes are ``node_0``, ``node_1``, ... in the order in which a walk from ``h_new_0``,
    ``h_new_1``, ... through the inputs leaves them; the new states come last. What no state needs is lost.
    """
    order = _finishing_order(nodes)
    if order is None:
        return None
    inner = [name for name in order if not _is_state(name)]
    states = sorted(name for name in nodes if _is_state(name))
    new = {name: f"node_{i}" for i, name in enumerate(inner)}
    return tuple(
        Step(new.get(name, name), nodes[name][0], tuple(new.get(s, s) for s in nodes[name][1]))
        for name in (*inner, *states)
    )


def _is_state(name: str) -> bool:
    found = _STATE.fullmatch(name)
    return found is not None and found[1] == "new"


def _finishing_order(nodes: _Nodes) -> list[str] | None:
    """Return the nodes that the new states need, inputs first; None where there is a cycle."""
    order: list[str] = []
    state: dict[str, int] = {}  # 1 while its inputs are visited, 2 when it is done
    for start in sorted(name for name in nodes if _is_state(name)):
        stack = [start]
        while stack:
            name = stack[-1]
            if state.get(name) == 2:
                stack.pop()
                continue
            waiting = [s for s in nodes[name][1] if s in nodes and state.get(s) != 2]
            if any(state.get(s) == 1 for s in waiting):
                return None
            state[name] = 1
            if waiting:
                stack.append(waiting[0])
            else:
                state[name] = 2
                order.append(stack.pop())
    return order


def draw(rng: np.random.Generator) -> Recipe:
    """Return a recipe drawn as the official generator draws, its nodes renamed.

    One to three states and 7, 14 or 21 intermediate nodes, all nine alike, as in the released examples. Until
    there are as many nodes, an op is drawn (linear with weight 3, the others 1), its inputs without
    replacement: of a linear node (two, or three with weight 1 to 4) among x, the old states and the
    activations, and an activation follows it; of the others among the old states and all nodes. Nodes drawn
    at random become the new states, what they do not need goes. Recipes that leave an input out, or in which
    a new state reads an old one directly, are drawn again.
    """
    while True:
        hidden = int(rng.integers(1, MAX_HIDDEN + 1))
        nodes = _drawn_nodes(hidden, hidden + int(rng.choice(_INTERMEDIATE)), rng)
        chosen = [list(nodes)[i] for i in rng.permutation(len(nodes))[:hidden]]
        new = {name: f"h_new_{k}" for k, name in enumerate(chosen)}
        put = {
            new.get(name, name): (op, tuple(new.get(s, s) for s in inputs))
            for name, (op, inputs) in nodes.items()
        }
        recipe = renamed(put)
        direct = any(s.startswith("h_prev_") for name in new.values() for s in put[name][1])
        if recipe is not None and not direct and fault(recipe) is None:
            return recipe


def _drawn_nodes(hidden: int, n: int, rng: np.random.Generator) -> dict[str, tuple[str, tuple[str, ...]]]:
    old = [f"h_prev_{k}" for k in range(hidden)]
    nodes: dict[str, tuple[str, tuple[str, ...]]] = {}
    activated: list[str] = []

    def add(op: str, candidates: Sequence[str], count: int) -> str:
        name = f"node_{len(nodes)}"
        nodes[name] = op, tuple(candidates[i] for i in rng.permutation(len(candidates))[:count])
        return name

    while len(nodes) < n:
        op = str(rng.choice(["linear", "blend", "elementwise_prod", "elementwise_sum"], p=_OP_WEIGHTS))
        if op == "linear":
            linear = add(op, ["x", *old, *activated], int(rng.choice([2, 3], p=[0.8, 0.2])))
            activated.append(add(ACTIVATIONS[rng.integers(3)], [linear], 1))
        elif ARITY[op][0] <= hidden + len(nodes):
            add(op, [*old, *nodes], ARITY[op][0])
    return nodes


def neighbors(recipe: Recipe) -> Iterator[Recipe]:
    """Yield the recipes that differ in one op, one input, or one node; renamed, some of them twice.

    A node more is an activation, or a linear node that reads something else too, between a node and one that
    reads it, or before a new state; a node less is the reverse.
    """
    nodes = {step.name: (step.op, step.inputs) for step in recipe}
    sources = ("x", *(f"h_prev_{k}" for k in range(n_hidden(recipe))), *nodes)
    for changed in (
        *_other_ops(nodes),
        *_other_inputs(nodes, sources),
        *_more(nodes, sources),
        *_less(nodes),
    ):
        new = renamed(changed)
        # A renamed recipe has lost what no state needs: that is no single change.
        if new is not None and len(new) == len(changed) and fault(new) is None:
            yield new


def _other_ops(nodes: _Nodes) -> Iterator[_Nodes]:
    for name, (op, inputs) in nodes.items():
        for other, arity in ARITY.items():
            if other != op and len(inputs) in arity:
                yield {**nodes, name: (other, inputs)}


def _other_inputs(nodes: _Nodes, sources: Sequence[str]) -> Iterator[_Nodes]:
    for name, (op, inputs) in nodes.items():
        for i in range(len(inputs)):
            for source in sources:
                if source not in inputs:
                    yield {**nodes, name: (op, (*inputs[:i], source, *inputs[i + 1 :]))}
        if op == "linear" and len(inputs) == 3:
            yield {**nodes, name: (op, inputs[:2])}
        if op == "linear" and len(inputs) == 2:
            yield from (
                {**nodes, name: (op, (*inputs, source))} for source in sources if source not in inputs
            )


def _more(nodes: _Nodes, sources: Sequence[str]) -> Iterator[_Nodes]:
    def between(source: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        yield from ((op, (source,)) for op in ACTIVATIONS)
        yield from (("linear", (source, other)) for other in sources if other != source)

    if len(nodes) == MAX_NODES:
        return
    for name, (op, inputs) in nodes.items():
        for i, source in enumerate(inputs):
            for new in between(source):
                yield {**nodes, name: (op, (*inputs[:i], "new", *inputs[i + 1 :])), "new": new}
        if _is_state(name):
            moved = _with_name(nodes, name, "old")
            for new_op, read in between("old"):
                yield {**moved, name: (new_op, tuple("old" if s == name else s for s in read))}


def _less(nodes: _Nodes) -> Iterator[_Nodes]:
    readers = Counter(source for _, inputs in nodes.values() for source in inputs)
    for name, (op, inputs) in nodes.items():
        first = inputs[0]
        if op not in ACTIVATIONS and (op != "linear" or len(inputs) != 2):
            continue
        left = {other: entry for other, entry in nodes.items() if other != name}
        if not _is_state(name) and readers[name] == 1:
            yield {n: (o, tuple(first if s == name else s for s in read)) for n, (o, read) in left.items()}
        elif _is_state(name) and not readers[name] and first in nodes and not _is_state(first):
            yield _with_name(left, first, name)


def _with_name(nodes: _Nodes, name: str, new: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {
        new if n == name else n: (op, tuple(new if s == name else s for s in inputs))
        for n, (op, inputs) in nodes.items()
    }
