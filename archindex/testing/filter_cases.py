"""Random ``where`` expressions for property tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st

from archindex.testing.expressions import Expressions, Sql
from archindex.testing.filter_tables import LITERALS, SCHEMA

T = TypeVar("T")


@st.composite
def conditions(draw: st.DrawFn) -> Sql:
    """A condition over the columns of `SCHEMA`, with 1 to 5 operators one inside the other."""

    def pick(items: Sequence[T]) -> T:
        return draw(st.sampled_from(items))

    return Expressions(SCHEMA, LITERALS, pick).condition(pick(range(1, 6)))
