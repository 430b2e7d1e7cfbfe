"""Does a filter ever do harm? Random and mutated ``where`` expressions, asked of an index.

Each string has to be a filter or to raise an `InputError`, and never anything else. What is a filter selects
the same rows by `search` as by itself, and the same when it is asked again.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Final

import numpy as np

import archindex as ax
from archindex.core.errors import InputError
from archindex.datasets import load
from archindex.queries.where import compile_where
from archindex.testing.expressions import Expressions
from archindex.testing.filter_tables import LITERALS

ROWS: Final = 120
EXPRESSIONS: Final = 300  # valid ones that are mutated
WAYS: Final = ("auto", "engine", "ids", "exact")
MOTIFS: Final = (
    "contains('nor_conv_3x3 -> skip_connect')",
    "contains('conv3x3 ->> avg_pool, * -> conv1x1')",
    "contains('a:conv[kernel>=3] -> b:*, a ->> output')",
    "contains('input -> conv -> * -> output')",
)
RELATIVE: Final = (
    "cifar10_valid_acc >= query.cifar10_valid_acc",
    "n_ops < query.n_ops + 1",
    "cifar10_params_m <= 0.5 * query.cifar10_params_m OR query.depth IS NULL",
)


def expressions(index: ax.Index, seed: int) -> list[str]:
    """Return valid filters over the columns of an index, of every form of the dialect."""
    draw = random.Random(seed)
    source = Expressions(
        {**index.schema, "flag": "BOOLEAN"}, {**LITERALS, "space": ["'nasbench201'"]}, draw.choice
    )
    found: list[str] = []
    while len(found) < EXPRESSIONS:
        text = source.condition(1 + len(found) % 5).ours
        for name in ("flag", "FLAG", '"flag"'):
            text = text.replace(name, draw.choice(("(n_ops > 3)", "TRUE", draw.choice(MOTIFS))))
        if draw.random() < 0.2:
            text = f"({text}) {draw.choice(('AND', 'OR'))} {draw.choice((*MOTIFS, *RELATIVE))}"
        found.append(text)
    return [*found, *MOTIFS, *RELATIVE]


class Filtered:
    """An index to ask.

    Parameters
    ----------
    seed : int
        Of everything random.
    """

    def __init__(self, seed: int) -> None:
        self._folder = tempfile.TemporaryDirectory()
        table = load("nasbench201").take(np.random.default_rng(seed).permutation(15_625)[:ROWS])
        self._index = ax.build(Path(self._folder.name) / "index", table, engine="hnsw")
        self._draw = random.Random(seed)
        self.natives = expressions(self._index, seed)

    def attempt(self, text: str) -> str:
        """Ask for what a string lets through; return ``"valid"``, ``"refused"``, or what went wrong."""
        snapshot, like = self._index.snapshot, self._draw.randrange(ROWS)
        try:
            hits = self._index.query(like, 7, text, strategy=self._draw.choice(WAYS))
        except InputError as error:
            return "refused" if "expected" in str(error) else "a message that does not say what was expected"
        again = self._index.query(like, 7, text)
        if hits.ids.tolist() != again.ids.tolist():
            return "other rows when it is asked again"
        if "query." in text.lower():
            return "valid"
        if "contains" in text.lower():  # no column holds it
            selected = snapshot.matching(text)
        else:
            selected = snapshot.ids[compile_where(text, self._index.schema).mask(snapshot.columns)]
        assert selected is not None
        fits = set(hits.ids.tolist()) <= set(selected.tolist()) and len(hits) == min(7, len(selected))
        return "valid" if fits else "rows that the filter does not let through"
