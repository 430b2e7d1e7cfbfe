"""Expressions that differ in numbers and words only: checked once, and completed with those of each.

A search loop asks for ``latency_ms < 5.31`` now and for ``latency_ms < 5.28`` next, one tenant's program for
``owner = 'ann'`` and the next for ``owner = 'bob'``. Reading such a text takes as long as the search; putting
numbers and words into one that was read before does not.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from typing import Final

from archindex.core.errors import ArchindexError, FilterError
from archindex.queries.columns import Kind, Schema, Value
from archindex.queries.relative import Relative, compile_relative
from archindex.queries.spans import Words
from archindex.queries.where import Predicate, compile_where

MAX_TEMPLATES: Final = 256
MAX_LENGTH: Final = 2_000
"""Longer texts are read each time."""

# A word behind "=", words behind IN; other strings and quoted names are passed over. A number stands by
# itself, and has a point or an exponent or not.
_VALUE: Final = re.compile(
    r"""=\s*'(?P<word>[^']*)'(?!')|\bIN\s*\((?P<words>\s*'[^']*'\s*(?:,\s*'[^']*'\s*)*)\)"""
    r"""|'[^']*'|"[^"]*"|(?<![\w.])(?P<whole>\d+)(?P<rest>\.\d*)?(?P<power>[eE][+-]?\d+)?(?![\w.])""",
    re.IGNORECASE | re.ASCII,
)
# What stands for them, as a value of the row asked from.
_NAME: Final = re.compile(r"_[dbsw]\d", re.IGNORECASE)
_KINDS: Final[dict[str, Kind]] = {"d": "DOUBLE", "b": "BIGINT", "s": "VARCHAR", "w": "VARCHAR"}
_BIGINT_DIGITS: Final = 18


class Prepared:
    """Compiles expressions against one schema; safe to use from several threads at once.

    Parameters
    ----------
    schema : mapping of str to Kind
        The columns that may be used, in lower case.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._templates: OrderedDict[str, Relative | None] = OrderedDict()
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def compile(self, text: str) -> Predicate:
        """Return the same as `compile_where`; raise what it raises."""
        values: dict[str, Value | Words] = {}
        if not isinstance(text, str) or len(text) > MAX_LENGTH:
            return compile_where(text, self._schema)
        if "query" in text.lower() or _NAME.search(text):
            return compile_where(text, self._schema)

        def named(found: re.Match[str]) -> str:
            # With space around it: what stood beside the value is to be no part of it, as in "!IN" and 'a'b.
            if found["word"] is not None:
                name = f"_s{len(values)}"
                values[name] = found["word"]
                return f"= query.{name} "
            if found["words"] is not None:
                name = f"_w{len(values)}"
                values[name] = tuple(found["words"].split("'")[1::2])
                return f" = query.{name} "
            digits = found["whole"]
            if digits is None:
                return found[0]
            double = found["rest"] is not None or found["power"] is not None
            if not double and len(digits) > _BIGINT_DIGITS:
                return found[0]  # it may not fit
            name = f"_{'d' if double else 'b'}{len(values)}"
            values[name] = float(found[0]) if double else int(digits)
            return f" query.{name} "

        template = _VALUE.sub(named, text)
        if not values or float("inf") in values.values():
            return compile_where(text, self._schema)
        relative = self._template(template, tuple(values))
        if relative is None:
            return compile_where(text, self._schema)
        try:
            return relative.bind(values, text)
        except FilterError:
            return compile_where(text, self._schema)  # which says it when rows are looked at

    def _template(self, template: str, names: tuple[str, ...]) -> Relative | None:
        with self._lock:
            if template in self._templates:
                self._templates.move_to_end(template)
                return self._templates[template]
            if template not in self._seen:
                # Most texts never come again with other numbers.
                if len(self._seen) >= 4 * MAX_TEMPLATES:
                    self._seen.clear()
                self._seen.add(template)
                return None
        made: Relative | None
        try:
            made = compile_relative(template, {**self._schema, **{name: _KINDS[name[1]] for name in names}})
        except ArchindexError:
            # Wrong, which only the text itself can explain, or a value where only a literal may stand.
            made = None
        with self._lock:
            self._templates[template] = made
            while len(self._templates) > MAX_TEMPLATES:
                self._templates.popitem(last=False)
        return made
