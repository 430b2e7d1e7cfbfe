"""Layered drawings of graphs: where boxes stand and how lines run around them.

The steps of Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System Structures",
1981, with the layers of Gansner et al., "A Technique for Drawing Directed Graphs", 1993: layers of least
total edge length (a linear programme), an order in every layer with few crossings, then positions of least
squared distance between what is joined. All lines that leave a node share one trunk. Tall drawings are
cut into columns where few lines run.

The result depends on the graph alone: nothing here is random.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np

from archindex.convert.drawing.crossings import few_crossings
from archindex.convert.drawing.positions import positions
from archindex.core.errors import ArgumentError

GAP_X: Final = 26.0
"""Least distance between two boxes of one layer, in pixels."""
GAP_LINE: Final = 14.0
"""Least distance between two lines, and between a line and a box."""
GAP_Y: Final = 34.0
"""Distance between two layers."""
GAP_PART: Final = 64.0
"""Distance between parts that nothing connects, and between columns."""
TALLEST: Final = 1500.0
"""Height from which a part is cut into columns."""
MOST_CUT: Final = 4
"""Trunks that may run from one column into the next; where more run, nothing is cut."""
MOST_BENDS: Final = 100_000
"""Bends of a drawing, one for each layer that a trunk passes: more take minutes and hundreds of megabytes."""
PULLED: Final = 6
"""Layers over which an input is pulled to the top and an output to the bottom."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A piece of an edge: a trunk that several edges may share, or the end of one edge.

    Attributes
    ----------
    points : tuple of (float, float)
        Where it runs.
    edge : int or None
        Number of the edge that ends here, with an arrow; None for a trunk.
    """

    points: tuple[Point, ...]
    edge: int | None = None


@dataclass
class Layout:
    """Where everything stands, in pixels from the upper left corner.

    Attributes
    ----------
    centres : list of (float, float)
        Centre of every node's box.
    lines : list of Line
        All edges.
    parts : list of (tuple of int, float, float)
        Connected parts: their nodes, left edge and width.
    width, height : float
        Size of the drawing.
    """

    centres: list[Point]
    lines: list[Line] = field(default_factory=list)
    parts: list[tuple[tuple[int, ...], float, float]] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0


def layered(sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]]) -> Layout:
    """Lay a graph without cycles out from top to bottom.

    Parameters
    ----------
    sizes : sequence of (float, float)
        Width and height of every node's box.
    edges : sequence of (int, int)
        Source and target; an edge may stand several times.

    Raises
    ------
    ArgumentError
        If the edges need more than `MOST_BENDS` bends.
    """
    layout = Layout([(0.0, 0.0)] * len(sizes))
    x = 0.0
    for nodes in _parts(len(sizes), edges):
        inside = set(nodes)
        part = _Part(sizes, nodes, [(e, s, t) for e, (s, t) in enumerate(edges) if s in inside])
        width, height = part.place(layout, x)
        layout.parts.append((nodes, x, width))
        layout.width, layout.height = x + width, max(layout.height, height)
        x += width + GAP_PART
    return layout


def _parts(n: int, edges: Sequence[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Return the nodes of every connected part; parts by size class, then by their first node."""
    root = list(range(n))

    def find(v: int) -> int:
        while root[v] != v:
            root[v] = root[root[v]]
            v = root[v]
        return v

    for s, t in edges:
        a, b = find(s), find(t)
        root[max(a, b)] = min(a, b)
    members: dict[int, list[int]] = defaultdict(list)
    for v in range(n):
        members[find(v)].append(v)
    # Single nodes that hang nowhere come last.
    return sorted((tuple(nodes) for nodes in members.values()), key=lambda nodes: (len(nodes) == 1, nodes))


def _ranks(nodes: Sequence[int], edges: Sequence[tuple[int, int, int]]) -> dict[int, int]:
    """Return layers, so that every edge points down and the edges are shortest in sum."""
    if not edges:
        return dict.fromkeys(nodes, 0)
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    place = {v: i for i, v in enumerate(nodes)}
    s = np.array([place[s] for _, s, _ in edges])
    t = np.array([place[t] for _, _, t in edges])
    cost = np.bincount(t, minlength=len(nodes)) - np.bincount(s, minlength=len(nodes)).astype(float)
    rows = np.arange(len(edges))
    ones = np.ones(len(edges))
    upper = coo_array(
        (np.r_[ones, -ones], (np.r_[rows, rows], np.r_[s, t])), shape=(len(edges), len(nodes))
    ).tocsr()
    # The matrix is totally unimodular: the vertex that the simplex method ends in is whole-numbered.
    solved = linprog(cost, A_ub=upper, b_ub=-ones, bounds=(0, len(nodes)), method="highs-ds")
    rank = np.rint(solved.x).astype(int)
    rank -= rank.min()
    fed, feeding = set(t.tolist()), set(s.tolist())
    last = int(rank.max())
    for i in range(len(nodes)):
        if i not in fed and rank[i] <= PULLED:
            rank[i] = 0
        if i not in feeding and last - rank[i] <= PULLED:
            rank[i] = last
    return {v: int(rank[i]) for v, i in place.items()}


class _Part:
    """One connected part: its nodes, and the bends of its trunks as further, empty nodes."""

    def __init__(
        self,
        sizes: Sequence[tuple[float, float]],
        nodes: Sequence[int],
        edges: Sequence[tuple[int, int, int]],
    ) -> None:
        self.edges = edges
        self.real = set(nodes)
        self.size: dict[int, tuple[float, float]] = {v: sizes[v] for v in nodes}
        self.down: dict[int, list[int]] = {v: [] for v in nodes}
        self.at: dict[int, Point] = {}
        self.row: dict[int, tuple[float, float]] = {}
        self._next = len(sizes)
        rank = _ranks(nodes, edges)
        self.depth = max(rank.values()) + 1
        layers: list[list[int]] = [[] for _ in range(self.depth)]
        for v in nodes:
            layers[rank[v]].append(v)
        leaving: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for e, s, t in edges:
            leaving[s].append((e, t))
        # What every edge reaches its target from: its source, or the last bend of the trunk.
        self.last: dict[int, int] = {}
        for s in nodes:
            trunk = [s]
            for e, t in sorted(leaving[s], key=lambda edge: rank[edge[1]]):
                while rank[s] + len(trunk) < rank[t]:
                    trunk.append(self._bend(trunk[-1]))
                    layers[rank[s] + len(trunk) - 1].append(trunk[-1])
                self.last[e] = trunk[-1]
                self.down[trunk[-1]].append(t)
        self.layers = few_crossings(layers, self.down)

    def place(self, layout: Layout, left: float) -> tuple[float, float]:
        """Write positions and lines into `layout`; return width and height."""
        columns, cut = self._columns()
        most = max(map(len, cut), default=0)
        head = GAP_LINE * (most + 1) if cut else 0.0
        x, right, feet = left, [], []
        for column in columns:
            width, foot = self._place_column(column, x, head)
            right.append(x + width)
            feet.append(foot)
            x += width + GAP_PART + GAP_LINE * most
        for v in self.real:
            layout.centres[v] = self.at[v]
        for i, leaving in enumerate(cut):
            for k, (u, v) in enumerate(leaving):
                layout.lines.append(Line(self._turn(u, v, len(leaving) - k, feet[i], right[i])))
        turns = {u for leaving in cut for u, _ in leaving}
        for u in self.at:
            if u not in turns:
                layout.lines += [
                    Line(self._points(u, v, self.at[v][0])) for v in self.down[u] if v not in self.real
                ]
        for (e, _, t), x_end in zip(self.edges, self._ends(), strict=True):
            layout.lines.append(Line(self._points(self.last[e], t, x_end), e))
        return right[-1] - left, max(feet) + GAP_LINE * most

    def _bend(self, above: int) -> int:
        bend = self._next
        self._next += 1
        if len(self.size) - len(self.real) == MOST_BENDS:
            raise ArgumentError(
                f"expected a graph to draw whose lines have at most {MOST_BENDS} bends",
                got=f"{len(self.real)} nodes in {self.depth} layers and {len(self.edges)} edges",
                fix="write .dot and give it to a program of Graphviz",
            )
        self.size[bend] = (0.0, 0.0)
        self.down[bend] = []
        self.down[above].append(bend)
        return bend

    def _columns(self) -> tuple[list[list[list[int]]], list[list[tuple[int, int]]]]:
        """Cut the layers into columns of about equal height, where few trunks run.

        Returns
        -------
        columns, cut
            The layers of every column, and the bends at the foot of every column but the last, each with
            the one at the head of the next column that it leads to.
        """
        pitch = [max(self.size[v][1] for v in layer) + GAP_Y for layer in self.layers]
        height = np.cumsum(pitch)
        total = float(height[-1])
        widest = max(sum(self.size[v][0] + GAP_LINE for v in layer) for layer in self.layers)
        # As many columns as make the drawing about as wide as high, none of them much under the limit.
        n = max(1, min(round((1.6 * total / (widest + 2 * GAP_PART)) ** 0.5), int(total / (0.6 * TALLEST))))
        trunks = [sum(bool(self.down[v]) for v in layer) for layer in self.layers]
        starts = [0]
        for k in range(1, n if total > TALLEST else 1):
            goal = total * k / n
            near = [
                r
                for r in range(starts[-1] + 2, len(self.layers) - 2)
                if abs(height[r] - goal) < 0.2 * total / n and trunks[r] <= MOST_CUT
            ]
            if near:
                starts.append(1 + min(near, key=lambda r: abs(height[r] - goal) + 80 * trunks[r]))
        columns = [self.layers[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]
        cut = []
        for before, after in pairwise(columns):
            cut.append([self._split(u) for u in before[-1] if self.down[u]])
            before.append([foot for foot, _ in cut[-1]])
            after.insert(0, [head for _, head in cut[-1]])
        return columns, cut

    def _split(self, u: int) -> tuple[int, int]:
        """Put two bends below `u`, which ends a column; what it led to hangs on the second."""
        below = self.down[u]
        self.down[u] = []
        foot = self._bend(u)
        head = self._bend(foot)
        self.down[head] = below
        self.last = {e: head if last == u else last for e, last in self.last.items()}
        return foot, head

    def _place_column(self, layers: list[list[int]], left: float, top: float) -> tuple[float, float]:
        """Set the positions of a column; return its width and its foot."""
        middle = positions(layers, self.down, self._room, lambda v: v not in self.real)
        outer = min(middle[v] - self.size[v][0] / 2 for v in middle)
        y = top
        for layer in layers:
            tall = max(self.size[v][1] for v in layer)
            for v in layer:
                self.at[v] = (left + middle[v] - outer, y + tall / 2)
                self.row[v] = (y, y + tall)
            y += tall + GAP_Y
        return max(middle[v] + self.size[v][0] / 2 for v in middle) - outer, y - GAP_Y

    def _room(self, u: int, v: int) -> float:
        """Return the least distance between the middles of two neighbours in a layer."""
        gap = GAP_X if u in self.real and v in self.real else GAP_LINE
        return (self.size[u][0] + self.size[v][0]) / 2 + gap

    def _points(self, u: int, v: int, x: float) -> tuple[Point, ...]:
        """Return how a line runs from the foot of `u` to the place `x` on top of `v`."""
        start, end = self.at[u], self.at[v]
        foot = start[1] + self.size[u][1] / 2 if u in self.real else self.row[u][1]
        top = end[1] - self.size[v][1] / 2 if v in self.real else self.row[v][1]
        return tuple(
            dict.fromkeys([(start[0], foot), (start[0], self.row[u][1]), (x, self.row[v][0]), (x, top)])
        )

    def _turn(self, u: int, v: int, level: int, foot: float, right: float) -> tuple[Point, ...]:
        """Return how a trunk runs from the foot of a column to the head of the next.

        The leftmost goes deepest, farthest out, and turns in lowest: so none crosses another.
        """
        low, high = foot + GAP_LINE * level, GAP_LINE * (level - 1)
        track = right + GAP_PART / 2 + GAP_LINE * level
        (x, y), (into, y_in) = self.at[u], self.at[v]
        return ((x, y), (x, low), (track, low), (track, high), (into, high), (into, y_in))

    def _ends(self) -> list[float]:
        """Return where on top of its target every edge ends: side by side, as they come in."""
        coming: dict[int, list[int]] = defaultdict(list)
        for e, _, t in self.edges:
            coming[t].append(e)
        place: dict[int, float] = {}
        for t, edges in coming.items():
            edges.sort(key=lambda e: (self.at[self.last[e]][0], e))
            step = min(24.0, (self.size[t][0] - 16) / len(edges))
            for i, e in enumerate(edges):
                place[e] = self.at[t][0] + (i - (len(edges) - 1) / 2) * step
        return [place[e] for e, _, _ in self.edges]
