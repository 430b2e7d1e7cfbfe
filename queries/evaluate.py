"""Typed filter trees compiled for one table: conditions as steps over rows.

Conditions are never computed as three-valued arrays. `Conditions.holds` asks of a condition either where it
is TRUE or where it is FALSE, and passes the question down: ``NOT c`` is true where ``c`` is false,
``a AND b`` is false where ``a`` or ``b`` is. What is neither is NULL, and that is most often just where an
operand is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np

from archindex.queries import tree
from archindex.queries.compare import MIRRORED, OPERATORS, compare_doubles, compare_rounded, compare_wholes
from archindex.queries.numbers import Numbers, absent, known, present
from archindex.queries.spans import Spans, inside
from archindex.queries.table import EXACT, Bools, Positions, Rows, Table
from archindex.queries.text import among, places
from archindex.queries.texts import coded, missing, ordered, passes
from archindex.queries.truth import Step, Truth, all_of, any_of, invert

# Rows evaluated at a time: intermediate arrays of this length stay in the cache of a core.
BLOCK = 32_768
# Steps are tried on so many rows, spread evenly, to see which of them settles most.
SAMPLE = 1024
# IN with more numbers than these looks them up instead of comparing with each.
FEW_VALUES = 6

_OPPOSITE: dict[tree.CompareOp, tree.CompareOp] = {
    "=": "<>",
    "<>": "=",
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
}


class Program:
    """A condition compiled for one table.

    Parameters
    ----------
    node : Node or Spans
        A BOOLEAN, or what to ask of single columns.
    table : Table
        The rows that it will be asked about.
    """

    def __init__(self, node: tree.Node | Spans, table: Table) -> None:
        self.table = table
        conditions = Conditions(table)
        if isinstance(node, Mapping):
            self._checks: Sequence[Callable[[Rows], None]] = ()
            self._truth = conditions.inside(node)
            return
        with np.errstate(all="ignore"):
            self._checks = conditions.checks(node)
            self._truth = conditions.holds(node, True)

    @property
    def checked(self) -> bool:
        """Whether it holds BIGINT arithmetic that may overflow on some row."""
        return bool(self._checks)

    @property
    def constant(self) -> bool | None:
        """Whether it holds on every row or on none; None where that depends on the row."""
        return None if isinstance(self._truth, Step) else self._truth

    def run(self, at: slice | Positions) -> Bools:
        """Return for each of some rows whether the condition is TRUE; a slice has step 1 and no open end.

        Raises
        ------
        FilterError
            If BIGINT arithmetic on one of these rows goes beyond 64 bits.
        """
        size = at.stop - at.start if isinstance(at, slice) else at.size
        selected = np.empty(size, dtype=np.bool_)
        truth = self._truth
        if not isinstance(truth, Step):
            selected[:] = truth
            if not self._checks:
                return selected
        with np.errstate(all="ignore"):
            for start in range(0, size, BLOCK):
                stop = min(start + BLOCK, size)
                rows = Rows(
                    slice(at.start + start, at.start + stop) if isinstance(at, slice) else at[start:stop]
                )
                for check in self._checks:
                    check(rows)
                if isinstance(truth, Step):
                    selected[start:stop] = truth(rows)
        return selected


class Conditions:
    """Compiles conditions over one table.

    Parameters
    ----------
    table : Table
        The rows that they will be asked about.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._numbers = Numbers(table)
        self._made: dict[tuple[int, bool], Truth] = {}
        # Nodes made here stay, so that none that follows has the id of one that is gone.
        self._nodes: list[tree.Node] = []
        self._shares: dict[int, float] = {}

    def checks(self, node: tree.Node) -> list[Callable[[Rows], None]]:
        """Return what checks that BIGINT arithmetic in `node` stays within 64 bits, the innermost first."""
        found: list[Callable[[Rows], None]] = []
        for part in _parts(node):
            found += self.checks(part)
        if isinstance(node, tree.Arithmetic | tree.Math) and node.kind == "BIGINT":
            check = self._numbers.overflows(node)
            found += [] if check is None else [check]
        return found

    def holds(self, node: tree.Node, truth: bool) -> Truth:
        """Return where the BOOLEAN `node` is `truth`; where it is NULL, it is neither."""
        key = (id(node), truth)
        found = self._made.get(key)
        if found is None:
            self._nodes.append(node)
            found = self._made[key] = self._holds(node, truth)
        elif isinstance(found, Step):
            found.shared = True
        return found

    def inside(self, spans: Spans) -> Truth:
        """Return where each column lies in its span, or is one of its words."""
        return self._join(True, [inside(self._table[name], span) for name, span in spans.items()])

    def _holds(self, node: tree.Node, truth: bool) -> Truth:
        match node:
            case tree.Junction():
                items = [self.holds(item, truth) for item in node.items]
                return self._join((node.op == "and") == truth, items)
            case tree.Not():
                return self.holds(node.operand, not truth)
            case tree.Compare():
                return self._compare(node.op if truth else _OPPOSITE[node.op], node.left, node.right)
            case tree.In():
                return self._among(node, truth)
            case tree.Like():
                like = self._table.like
                return passes(self._table, node.operand, lambda names: like(node.pattern, names) == truth)
            case tree.IsNull():
                null = self.null(node.operand)
                return null if truth else self._known(node.operand, null)
            case tree.IsTruth():
                found = self.holds(node.operand, node.value)
                return found if truth else invert(found)
            case tree.Coalesce():
                found = self.holds(node.items[-1], truth)
                for item in reversed(node.items[:-1]):
                    found = any_of((self.holds(item, truth), all_of((self.null(item), found))))
                return found
            case tree.ColumnRef():
                return coded(self._table[node.name], np.array([not truth, truth]))
            case tree.Constant():
                return node.value is truth
        raise AssertionError(f"{node} is no condition")

    def null(self, node: tree.Node) -> Truth:
        """Return where `node` is NULL."""
        if node.kind == "DOUBLE":
            return self._numbers.double(node).null
        if node.kind == "BIGINT":
            return self._numbers.whole(node).null
        if node.kind == "VARCHAR":
            return missing(self._table, node)
        match node:
            case tree.Constant():
                return node.value is None
            case tree.ColumnRef():
                return absent(self._table[node.name])
            case tree.IsNull() | tree.IsTruth():
                return False
            case tree.Not() | tree.Like():
                return self.null(node.operand)
            case tree.In() if not node.null:
                return self.null(node.operand)
            case tree.Compare():
                return any_of((self.null(node.left), self.null(node.right)))
            case tree.Coalesce():
                return all_of(self.null(item) for item in node.items)
        return invert(any_of((self.holds(node, True), self.holds(node, False))))

    def _known(self, node: tree.Node, null: Truth) -> Truth:
        if isinstance(node, tree.ColumnRef):
            return present(self._table[node.name])
        return invert(null)

    def _join(self, every: bool, items: Sequence[Truth]) -> Truth:
        many = self._table.rows >= 16 * SAMPLE
        return (all_of if every else any_of)(items, self._share if many else None)

    @cached_property
    def _sample(self) -> Rows:
        size = self._table.rows
        return Rows(np.arange(0, size, size // SAMPLE))

    def _share(self, step: Step) -> float:
        found = self._shares.get(id(step))
        if found is None:
            found = float(np.count_nonzero(step(self._sample))) / self._sample.size
            self._shares[id(step)] = found
        return found

    def _compare(self, op: tree.CompareOp, left: tree.Node, right: tree.Node) -> Truth:
        if isinstance(left, tree.Constant) and not isinstance(right, tree.Constant):
            left, right, op = right, left, MIRRORED[op]
        if isinstance(left, tree.Coalesce) and isinstance(right, tree.Constant) and left.kind != "BOOLEAN":
            found = self._compare(op, left.items[-1], right)
            for item in reversed(left.items[:-1]):
                found = any_of((self._compare(op, item, right), all_of((self.null(item), found))))
            return found
        if left.kind == "BOOLEAN":
            return self._compare_truth(op, left, right)
        if left.kind == "VARCHAR":
            return self._compare_text(op, left, right)
        if left.kind == "BIGINT":
            a, b = self._numbers.whole(left), self._numbers.whole(right)
            return compare_wholes(op, a, b)
        if isinstance(left, tree.ToDouble) and isinstance(right, tree.Constant) and right.value is not None:
            a = self._numbers.whole(left.operand)
            if a.low >= -EXACT and a.high <= EXACT:
                return compare_rounded(op, a, float(right.value))
        return compare_doubles(op, self._numbers.double(left), self._numbers.double(right))

    def _compare_truth(self, op: tree.CompareOp, left: tree.Node, right: tree.Node) -> Truth:
        if op in (">", ">="):
            left, right, op = right, left, MIRRORED[op]
        (yes, no), (yes2, no2) = ((self.holds(side, True), self.holds(side, False)) for side in (left, right))
        for step in (yes, no, yes2, no2):
            if isinstance(step, Step):
                step.shared = True
        if op == "=":
            return any_of((all_of((yes, yes2)), all_of((no, no2))))
        if op == "<>":
            return any_of((all_of((yes, no2)), all_of((no, yes2))))
        if op == "<":
            return all_of((no, yes2))
        return any_of((all_of((no, any_of((yes2, no2)))), all_of((yes, yes2))))

    def _compare_text(self, op: tree.CompareOp, left: tree.Node, right: tree.Node) -> Truth:
        if not isinstance(right, tree.Constant):
            return ordered(self._table, OPERATORS[op], left, right)
        if right.value is None:
            return False
        word = str(right.value)
        operator = OPERATORS[op]

        def test(names: Sequence[str]) -> Bools:
            return operator(2 * np.arange(len(names)), places((word,), names)[0])

        return passes(self._table, left, test)

    def _among(self, node: tree.In, truth: bool) -> Truth:
        operand = node.operand
        if not truth and node.null:
            return False  # NULL in the list may have been the value
        if operand.kind == "BOOLEAN":
            wanted = {bool(value) for value in node.values}
            return any_of(self.holds(operand, value) for value in (True, False) if (value in wanted) == truth)
        if operand.kind == "VARCHAR":
            words = [str(value) for value in node.values]
            return passes(self._table, operand, lambda names: among(words, names) == truth)
        if isinstance(operand, tree.Coalesce):
            one: list[Truth] = []
            for item in operand.items:
                made: tree.Node = tree.In(item, node.values, node.null)
                one.append(self.holds(made, truth))
            found = one[-1]
            for item, own in zip(reversed(operand.items[:-1]), reversed(one[:-1]), strict=True):
                found = any_of((own, all_of((self.null(item), found))))
            return found
        return self._among_numbers(operand, node.values, truth)

    def _among_numbers(self, operand: tree.Node, values: Sequence[object], truth: bool) -> Truth:
        whole = operand.kind == "BIGINT"
        number = self._numbers.whole(operand) if whole else self._numbers.double(operand)
        inside = sorted({v for v in values if isinstance(v, int | float) and number.low <= v <= number.high})
        attribute, span = number.attribute, number.high - number.low
        if whole and attribute is not None and attribute.codes is not None and 0 <= span < BLOCK:
            chosen = np.zeros(int(span) + 1, dtype=np.bool_)
            chosen[[int(v) - attribute.low for v in inside]] = True
            return coded(attribute, chosen == truth)
        listed = np.array(inside, dtype=np.int64 if whole else np.float64)

        def equal(rows: Rows) -> Bools:
            found = np.asarray(number.compute(rows))
            if listed.size > FEW_VALUES:
                return np.isin(found, listed, kind="sort")
            held = np.zeros(rows.size, dtype=np.bool_)
            for value in listed:
                held |= found == value
            return held

        held: Truth = Step(equal, number.cost + len(inside)) if inside else False
        if truth:
            return all_of((held, known(number))) if whole else held
        return all_of((invert(held), known(number)))


def _parts(node: tree.Node) -> Sequence[tree.Node]:
    match node:
        case tree.Constant() | tree.ColumnRef() | tree.QueryRef():
            return ()
        case tree.Junction() | tree.Coalesce():
            return node.items
        case tree.Compare() | tree.Arithmetic():
            return node.left, node.right
    return (node.operand,)
