"""Motifs: small patterns of ops, written as paths, that a graph contains or not.

::

    conv3x3 -> skip -> conv1x1
    i:input -> conv3x3 -> o:output, i -> conv1x1 -> o
    conv[kernel>=5, stride=2] -> * ->> output

A motif is one or more paths with commas between. ``a -> b`` says that b reads a; ``a ->> b`` that b is
reached from a by one or more edges. Each op written is a node of its own, and different nodes stand for
different ops; ``name:op`` gives a node a name, by which other paths take it up. An op is a name of the shared
vocabulary (`archindex.core.ops.OPS`), one of a search space's own (in double quotes, if it is no plain
word), or ``*`` for any. ``3x3`` behind it is its kernel, other attributes stand in brackets, compared by
``= < <= > >=``; what an op does not state satisfies no comparison.

A graph contains a motif if its nodes can be mapped to different nodes of the graph, so that ops fit and each
edge is there. Further edges between these nodes do not matter (a monomorphism; the subgraph need not be
induced), and neither do ports. The graph is the one that the search space gives for an architecture, that
of the cell or of the sequence of blocks, as it is written: with ops that do nothing, and with dead ones.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from archindex.core.errors import FilterError, UnknownNameError
from archindex.core.ops import ATTRIBUTE_ID

MAX_NODES: Final = 12
"""Nodes of a motif: matching takes time exponential in them at worst."""

ANY: Final = "*"

LIMITS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
"""How an attribute is compared with a number."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<arrow>->>|->)|(?P<limit><=|>=|<|>|=)|(?P<sign>[,:\[\]*])
    |(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[A-Za-z_][A-Za-z0-9_.]*|"[^"]+"))""",
    re.VERBOSE,
)
_KERNEL = re.compile(r"(.*[^_\d])_?(\d{1,4})x(\d{1,4})")
_COLUMN: Final = "contains("
_EXAMPLE: Final = "write it as in contains('conv3x3 -> skip -> conv1x1')"


@dataclass(frozen=True)
class Label:
    """What fits a node of a motif.

    Attributes
    ----------
    op : str
        Name of the op, as it was written; ``"*"`` for any.
    limits : tuple of (str, str, float)
        Attribute, comparison and number, all of which hold.
    """

    op: str
    limits: tuple[tuple[str, str, float], ...] = ()

    def resolved(self, ops: Collection[str]) -> tuple[str | None, tuple[tuple[str, str, float], ...]]:
        """Return the op among `ops`, None for any, and all limits, a kernel in the name included.

        Raises
        ------
        UnknownNameError
            If there is no such op; the message names the nearest.
        """
        if self.op == ANY:
            return None, self.limits
        if self.op in ops:
            return self.op, self.limits
        match = _KERNEL.fullmatch(self.op)
        name = self.op if match is None else match[1]
        if match is None or name not in ops:
            raise UnknownNameError.of("motif op", name, ops)
        height, width = float(match[2]), float(match[3])
        kernel = (("kernel", "=", height), ("kernel_w", "=", width))
        return name, kernel + self.limits

    def __str__(self) -> str:
        limits = ",".join(f"{name}{sign}{value:g}" for name, sign, value in self.limits)
        op = self.op if re.fullmatch(r"[A-Za-z_0-9.*]+", self.op) else f'"{self.op}"'
        return f"{op}[{limits}]" if limits else op


@dataclass(frozen=True)
class Motif:
    """A pattern of ops. Made by `parse_motif`.

    Attributes
    ----------
    labels : tuple of Label
        What fits each node.
    edges : tuple of (int, int, bool)
        From which node to which, and whether further nodes may lie between.
    """

    labels: tuple[Label, ...]
    edges: tuple[tuple[int, int, bool], ...]

    @property
    def name(self) -> str:
        """Name of the BOOLEAN column that says which architectures contain it; equal motifs share it."""
        told: set[int] = set()

        def node(i: int) -> str:
            text = f"n{i}" if i in told else f"n{i}:{self.labels[i]}"
            told.add(i)
            return text

        paths = [f"{node(a)} {'->>' if far else '->'} {node(b)}" for a, b, far in self.edges]
        alone = [node(i) for i in range(len(self.labels)) if i not in told]
        return f"{_COLUMN}{', '.join([*paths, *alone])})"


def is_motif(name: str) -> bool:
    """Return whether a column's name is that of a motif."""
    return name.startswith(_COLUMN)


def motif_of(name: str) -> Motif:
    """Return the motif that a column of this name is about."""
    return parse_motif(name.removeprefix(_COLUMN).removesuffix(")"))


def parse_motif(text: str) -> Motif:
    """Read a motif.

    Raises
    ------
    FilterError
        If it is not written as this module says, has a cycle, or more than `MAX_NODES` nodes.
    """
    return _Reader(text).motif()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._error(text[at:].strip()[:20])
            self._tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
            at = match.end()
        words = [*self._tokens, ("", "")]
        self._named = {a[1] for a, b in pairwise(words) if b == ("sign", ":")}
        self._labels: list[Label | None] = []
        self._nodes: dict[str, int] = {}
        self._at = 0

    def motif(self) -> Motif:
        edges: dict[tuple[int, int], bool] = {}
        while True:
            node = self._node()
            while self._kind() == "arrow":
                far = self._next() == "->>"
                following = self._node()
                edges[node, following] = far and edges.get((node, following), True)
                node = following
            if not self._tokens[self._at :]:
                break
            self._take(",")
        labels = tuple(label for label in self._labels if label is not None)
        assert len(labels) == len(self._labels), "a name that stands before a colon has an op"
        self._refuse_cycle(len(labels), set(edges))
        return Motif(labels, tuple((a, b, far) for (a, b), far in sorted(edges.items())))

    def _node(self) -> int:
        name: str | None = None
        if self._kind() == "word" and self._tokens[self._at][1] in self._named:
            name = self._next()
            if self._tokens[self._at : self._at + 1] != [("sign", ":")]:
                return self._place(name)
            self._take(":")
            if name in self._nodes and self._labels[self._nodes[name]] is not None:
                raise FilterError("expected one op for each name of a motif", got=name, fix=_EXAMPLE)
        label = self._label()
        place = self._place(name)
        self._labels[place] = label
        return place

    def _place(self, name: str | None) -> int:
        if name is None or name not in self._nodes:
            if len(self._labels) == MAX_NODES:
                raise FilterError(f"expected a motif of at most {MAX_NODES} ops", got=self._text)
            self._labels.append(None)
            if name is None:
                return len(self._labels) - 1
            self._nodes[name] = len(self._labels) - 1
        return self._nodes[name]

    def _label(self) -> Label:
        if self._kind() != "word":
            self._take(ANY)
            op = ANY
        else:
            op = self._next().strip('"')
        limits: list[tuple[str, str, float]] = []
        if self._tokens[self._at : self._at + 1] == [("sign", "[")]:
            while not limits or self._tokens[self._at : self._at + 1] == [("sign", ",")]:
                self._at += 1
                name, sign, number = self._next("word"), self._next("limit"), self._next("number")
                if name not in ATTRIBUTE_ID:
                    raise UnknownNameError.of("node attribute", name, ATTRIBUTE_ID)
                limits.append((name, sign, float(number)))
            self._take("]")
        return Label(op, tuple(limits))

    def _kind(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _next(self, kind: str | None = None) -> str:
        if self._at == len(self._tokens) or kind not in (None, self._kind()):
            raise self._error(self._tokens[self._at][1] if self._at < len(self._tokens) else "its end")
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _take(self, sign: str) -> None:
        if self._next("sign") != sign:
            raise self._error(self._tokens[self._at - 1][1])

    def _error(self, found: str) -> FilterError:
        return FilterError("expected a motif of ops with -> between", got=found, fix=_EXAMPLE)

    def _refuse_cycle(self, nodes: int, edges: set[tuple[int, int]]) -> None:
        left = set(range(nodes))
        while left:
            first = {n for n in left if not any(b == n and a in left for a, b in edges)}
            if not first:
                raise FilterError("expected a motif without a cycle: no network has one", got=self._text)
            left -= first
