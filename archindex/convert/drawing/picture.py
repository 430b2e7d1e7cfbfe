"""An SVG document of rectangles, texts and lines."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final
from xml.etree import ElementTree

FONT: Final = "Verdana, DejaVu Sans, Helvetica, Arial, sans-serif"

Point = tuple[float, float]

# Advance widths of Verdana and DejaVu Sans in thousandths of the font size, rounded up: other sans-serif
# fonts are narrower, so that a text fits its box whatever the viewer has.
_WIDTHS: Final = {
    c: width
    for width, letters in (
        (350, " ',./:;IJ\\ijl|\u00b7"),
        (450, "!()-[]frt"),
        (560, '"*?_`csz'),
        (640, "$0123456789EFLPSTYabdeghknopquvxy{}"),
        (740, "ABCKNRUVXZ"),
        (860, "#&+<=>DGHOQ^w~M"),
    )
    for c in letters
}


def text_width(text: str, size: float) -> float:
    """Return how wide a text of a font size is at most, in pixels."""
    return sum(_WIDTHS.get(c, 1000) for c in text) * size / 1000


class Picture:
    """An SVG document in the making.

    Parameters
    ----------
    width, height : float
        Size in pixels.
    """

    def __init__(self, width: float, height: float) -> None:
        box = f"0 0 {_n(width)} {_n(height)}"
        self._root = ElementTree.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "width": _n(width),
                "height": _n(height),
                "viewBox": box,
                "font-family": FONT,
            },
        )
        self._x = self._y = 0.0
        self._add("rect", {"width": _n(width), "height": _n(height), "fill": "#ffffff"})

    def move(self, x: float, y: float) -> None:
        """Let what follows be drawn from this corner on."""
        self._x, self._y = x, y

    def title(self, text: str) -> None:
        """Name the document."""
        title = ElementTree.Element("title")
        title.text = text
        self._root.insert(0, title)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        colour: str,
        *,
        bold: bool = False,
        centred: bool = False,
        on_white: bool = False,
    ) -> None:
        """Write a line of text; on white it hides the lines below it."""
        style = {"font-size": _n(size), "fill": colour}
        if bold:
            style["font-weight"] = "bold"
        if centred:
            style["text-anchor"] = "middle"
        if on_white:
            # A rectangle, not a white outline: not every viewer paints outlines below the letters.
            place = {"x": _n(self._x + x), "y": _n(self._y + y - 0.8 * size)}
            area = {"width": _n(text_width(text, size)), "height": _n(size)}
            self._add("rect", {**place, **area, "fill": "#ffffff"})
        self._add("text", {"x": _n(self._x + x), "y": _n(self._y + y), **style}).text = text

    def rect(
        self,
        corner: Point,
        size: tuple[float, float],
        radius: float,
        fill: str,
        stroke: str,
        *,
        dashed: bool = False,
        tooltip: str = "",
    ) -> None:
        """Draw a rectangle with round corners, given its upper left one."""
        style = {"rx": _n(radius), "fill": fill, "stroke": stroke, "stroke-width": "1.2"}
        if dashed:
            style["stroke-dasharray"] = "5 3"
        x, y = self._x + corner[0], self._y + corner[1]
        place = {"x": _n(x), "y": _n(y), "width": _n(size[0]), "height": _n(size[1])}
        shape = self._add("rect", {**place, **style})
        if tooltip:
            ElementTree.SubElement(shape, "title").text = tooltip

    def line(self, points: Sequence[Point], colour: str, *, arrow: bool) -> None:
        """Draw a line through points: straight along the axes, and in S-curves elsewhere."""
        moved = [(self._x + x, self._y + y) for x, y in points]
        if arrow:
            x, y = moved[-1]
            moved[-1] = (x, y - 5)
            head = f"M{_n(x - 3.6)} {_n(y - 7.5)}L{_n(x + 3.6)} {_n(y - 7.5)}L{_n(x)} {_n(y)}Z"
            self._add("path", {"d": head, "fill": colour})
        self._add("path", {"d": _path(moved), "fill": "none", "stroke": colour, "stroke-width": "1.4"})

    def done(self) -> str:
        """Return the document."""
        ElementTree.indent(self._root, " ")
        return ElementTree.tostring(self._root, encoding="unicode") + "\n"

    def _add(self, name: str, attributes: dict[str, str]) -> ElementTree.Element:
        return ElementTree.SubElement(self._root, name, attributes)


def _path(points: Sequence[Point]) -> str:
    """Return path data, with round corners where straight pieces meet."""
    path = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for i, ((x0, y0), (x1, y1)) in enumerate(pairwise(points), start=1):
        if x0 != x1 and y0 != y1:
            middle = _n((y0 + y1) / 2)
            path.append(f"C{_n(x0)} {middle} {_n(x1)} {middle} {_n(x1)} {_n(y1)}")
        elif i + 1 < len(points) and _turns(points[i - 1 : i + 2]):
            x_in, y_in = _towards((x1, y1), (x0, y0))
            x_out, y_out = _towards((x1, y1), points[i + 1])
            path.append(f"L{_n(x_in)} {_n(y_in)}Q{_n(x1)} {_n(y1)} {_n(x_out)} {_n(y_out)}")
        else:
            path.append(f"L{_n(x1)} {_n(y1)}")
    return "".join(path)


def _turns(points: Sequence[Point]) -> bool:
    """Return whether two straight pieces along the axes meet at a right angle."""
    (x0, y0), (x1, y1), (x2, y2) = points
    return (x0 == x1 and y1 == y2 and x1 != x2) or (y0 == y1 and x1 == x2 and y1 != y2)


def _towards(start: Point, end: Point, most: float = 6.0) -> Point:
    """Return the point a few pixels from `start` on the way along an axis to `end`."""
    (x0, y0), (x1, y1) = start, end
    length = abs(x1 - x0) + abs(y1 - y0)
    step = min(most, length / 2) / length
    return x0 + (x1 - x0) * step, y0 + (y1 - y0) * step


def _n(value: float) -> str:
    """Return a number with at most one decimal."""
    return f"{value + 0.0:.1f}".removesuffix(".0").replace("-0", "0", int(abs(value) < 0.05))
