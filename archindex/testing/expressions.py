"""Random ``where`` expressions of every operator, type and NULL, for tests and benchmarks.

The choices come from outside, so that hypothesis can make and shrink them, or a seeded generator repeat them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from archindex.queries import Schema

COMPARISONS = ("=", "<>", "!=", "<", "<=", ">", ">=")
NEGATION = ("", "NOT ")
FORMS = ("compare", "and", "not", "null", "truth", "between", "in", "like", "coalesce", "compare", "and")
PATTERNS = ("", "a", "%", "_", "a%", "%b", "_%a", "a%b%", "%a%", "x%x_", "%xx%")
NUMBERS = ("DOUBLE", "BIGINT")
USED = (
    *(
        f"condition {form}"
        for form in ("=", "<>", "!=", "<", "<=", ">", ">=", "AND", "OR", "NOT", "coalesce")
    ),
    *(
        f"condition {negated}{form}"
        for form in ("BETWEEN", "IN", "LIKE", "LIKE ESCAPE", "IS NULL", "IS TRUE", "IS FALSE")
        for negated in NEGATION
    ),
    *(f"DOUBLE {form}" for form in ("+", "-", "*", "/", "negative", "abs", "ln", "sqrt", "coalesce")),
    *(f"BIGINT {form}" for form in ("+", "-", "*", "negative", "abs", "coalesce")),
    "VARCHAR coalesce",
    *(
        f"{kind} {leaf}"
        for kind in ("DOUBLE", "BIGINT", "BOOLEAN", "VARCHAR")
        for leaf in ("column", "NULL", "literal")
    ),
)
"""Everything that `Expressions` may put into an expression, as its `used` counts it."""


class Sql(NamedTuple):
    """An expression in our dialect, and in SQL that says the same to DuckDB.

    They differ in two details: NaN is NULL also when it is computed, and a literal is a DOUBLE or a BIGINT.
    """

    ours: str
    duckdb: str


def quote(word: str) -> str:
    """Return `word` as a literal."""
    return "'" + word.replace("'", "''") + "'"


def literal(kind: str, text: str) -> Sql:
    """Return a literal as our dialect reads it."""
    return Sql(text, text if kind in ("BOOLEAN", "VARCHAR") else f"({text})::{kind}")


class Expressions:
    """A source of random expressions.

    Parameters
    ----------
    schema : mapping of str to Kind
        The columns, at least one of each kind.
    literals : mapping of str to sequence of str
        Literals to choose from by kind, and by name for columns whose values they are to be compared with.
    patterns : sequence of str
        LIKE patterns; in one with an ``x`` that is the escape.
    pick : callable
        Chooses one item of a sequence.

    Attributes
    ----------
    used : Counter of str
        How often each of `USED` was put into an expression.
    """

    def __init__(
        self,
        schema: Schema,
        literals: Mapping[str, Sequence[str]],
        pick: Callable[[Sequence[Any]], Any],
        patterns: Sequence[str] = PATTERNS,
    ) -> None:
        self._literals = literals
        self._patterns = patterns
        self._pick = pick
        self._columns: dict[str, list[str]] = {}
        for name, kind in schema.items():
            self._columns.setdefault(kind, []).append(name)
        self.used: Counter[str] = Counter()

    def column(self, kind: str) -> Sql:
        """A column of the kind, in either case, sometimes quoted."""
        name = self._pick(self._columns[kind])
        return self._use(f"{kind} column", _same(self._pick((name, name.upper(), f'"{name}"'))))

    def literal(self, kind: str, beside: str = "") -> Sql:
        """A literal of the kind, NULL included; `beside` a column, one of its own."""
        if self._pick(range(8)) == 0:
            return self._use(f"{kind} NULL", Sql("NULL", f"NULL::{kind}"))
        own = self._literals.get(beside.strip('"').lower())
        return self._use(f"{kind} literal", literal(kind, self._pick(own or self._literals[kind])))

    def value(self, kind: str, depth: int, beside: str = "") -> Sql:
        """An expression of the kind with at most `depth` operators one inside the other."""
        if kind == "BOOLEAN":
            return self.condition(depth)
        if depth <= 0 or self._pick(range(4)) == 0:
            return self.column(kind) if self._pick(range(4)) else self.literal(kind, beside)
        if kind == "VARCHAR" or self._pick(range(4)) == 0:
            return self._joined(f"{kind} coalesce", "coalesce({}, {})", kind, kind, depth=depth)
        if kind == "BIGINT":
            form = self._pick(("abs", "negative", "+", "-", "*"))
            if form in _UNARY:
                return self._joined(f"BIGINT {form}", _UNARY[form], kind, depth=depth)
            return self._joined(f"BIGINT {form}", f"({{}} {form} {{}})", kind, kind, depth=depth)
        form = self._pick((*_UNARY, "+", "-", "*", "/"))
        other = self._pick(NUMBERS)
        if form in _UNARY:
            made = self._joined(f"DOUBLE {form}", _UNARY[form], other, depth=depth)
            # abs and minus of a BIGINT are a BIGINT, which arithmetic with a DOUBLE turns into one.
            return _may_be_nan(_join("({} + {})", made, Sql("0e0", "0::DOUBLE")))
        kinds = self._pick(((kind, other), (other, kind)))
        return _may_be_nan(self._joined(f"DOUBLE {form}", f"({{}} {form} {{}})", *kinds, depth=depth))

    def condition(self, depth: int) -> Sql:
        """A condition with at most `depth` operators one inside the other."""
        if depth <= 0:
            return self.column("BOOLEAN") if self._pick(range(4)) else self.literal("BOOLEAN")
        form = self._pick(FORMS)
        negated = self._pick(NEGATION)
        if form == "and":
            word = self._pick(("AND", "OR"))
            return self._joined(f"condition {word}", f"({{}} {word} {{}})", "BOOLEAN", "BOOLEAN", depth=depth)
        if form == "not":
            return self._joined("condition NOT", "(NOT {})", "BOOLEAN", depth=depth)
        if form == "coalesce":
            return self._joined("condition coalesce", "coalesce({}, {})", "BOOLEAN", "BOOLEAN", depth=depth)
        if form == "truth":
            word = self._pick(("TRUE", "FALSE"))
            return self._joined(
                f"condition {negated}IS {word}", f"({{}} IS {negated}{word})", "BOOLEAN", depth=depth
            )
        if form == "like":
            pattern = self._pick(self._patterns)
            escape = " ESCAPE" if "x" in pattern else ""
            text = f"({{}} {negated}LIKE {quote(pattern)}{escape and escape + quote('x')})"
            return self._joined(f"condition {negated}LIKE{escape}", text, "VARCHAR", depth=depth)
        kind = self._pick(("DOUBLE", "BIGINT", "BOOLEAN", "VARCHAR"))
        other = self._pick(NUMBERS) if kind in NUMBERS else kind
        if form == "null":
            return self._joined(f"condition {negated}IS NULL", f"({{}} IS {negated}NULL)", kind, depth=depth)
        one = self.value(kind, depth - 1)
        beside = one.ours if other == kind else ""
        if form == "in":
            listed = [self.literal(other, beside) for _ in range(self._pick((1, 2, 3, 4)))]
            text = f"({{}} {negated}IN (" + ", ".join(["{}"] * len(listed)) + "))"
            return self._use(f"condition {negated}IN", _join(text, one, *listed))
        if form == "between":
            low, high = self.value(other, depth - 1, beside), self.value(kind, depth - 1, one.ours)
            text = f"({{}} {negated}BETWEEN {{}} AND {{}})"
            return self._use(f"condition {negated}BETWEEN", _join(text, one, low, high))
        word = self._pick(COMPARISONS)
        right = self.value(other, depth - 1, beside)
        return self._use(f"condition {word}", _join(f"({{}} {word} {{}})", one, right))

    def _joined(self, use: str, template: str, *kinds: str, depth: int) -> Sql:
        return self._use(use, _join(template, *(self.value(kind, depth - 1) for kind in kinds)))

    def _use(self, what: str, made: Sql) -> Sql:
        self.used[what] += 1
        return made


_UNARY = {"ln": "ln({})", "sqrt": "sqrt({})", "abs": "abs({})", "negative": "(- {})"}


def _same(text: str) -> Sql:
    return Sql(text, text)


def _join(template: str, *parts: Sql) -> Sql:
    return Sql(template.format(*(p.ours for p in parts)), template.format(*(p.duckdb for p in parts)))


def _may_be_nan(sql: Sql) -> Sql:
    return Sql(sql.ours, f"nullif({sql.duckdb}, 'nan'::DOUBLE)")
