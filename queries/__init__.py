"""Filter expressions over attribute columns, and the planner of filtered nearest-neighbour search.

`compile_where` turns the text of a ``where`` into a `Predicate` whose `Predicate.mask` says which rows
satisfy it. `filtered_search` finds the nearest rows among those, and tells in a `Plan` how it did so.
This package knows no store and no engine: it is handed a schema, columns, and objects that can search.
"""

if not __name__.startswith("archindex."):
    raise ImportError(
        "'queries' is a part of archindex and not a package of its own: import archindex.queries instead"
    )

from archindex.queries.columns import Column, Kind, Schema, schema_of
from archindex.queries.filters import Filter, Filters
from archindex.queries.plan import Found, Plan, Strategy
from archindex.queries.planner import RECALLS, check_recall, filtered_search
from archindex.queries.searched import Searched
from archindex.queries.where import Predicate, compile_where

__all__ = [
    "RECALLS",
    "Column",
    "Filter",
    "Filters",
    "Found",
    "Kind",
    "Plan",
    "Predicate",
    "Schema",
    "Searched",
    "Strategy",
    "check_recall",
    "compile_where",
    "filtered_search",
    "schema_of",
]
