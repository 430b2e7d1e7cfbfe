"""``Genotype(normal=[...], ...)``: how DARTS writes two cells, and others after it.

Liu et al., "DARTS: Differentiable Architecture Search", ICLR 2019; quark0/darts, ``cnn/genotypes.py``, which
writes NASNet's and AmoebaNet's cells in the same way. The text is Python, but is never run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from archindex.core.errors import ArchitectureError
from archindex.spaces.natives import check_length, read_number

if TYPE_CHECKING:
    from archindex.spaces.cells import Edges

CELLS: Final = ("normal", "reduce")

_TOKEN: Final = re.compile(r"\s*('?[A-Za-z0-9_]+'?|[()\[\],=])")
_EDGE: Final = re.compile(r"\( '(\w+)' , (\d+) \)", re.ASCII)
_WHOLE: Final = re.compile(
    r"Genotype \( "
    + " , ".join(
        rf"{cell} = \[ (?P<{cell}>[^][]*) \] , {cell}_concat = (?P<{cell}_concat>[^=]*?)" for cell in CELLS
    )
    + r"(?: ,)? \)"
)
_RANGE: Final = re.compile(r"range \( (\d+) , (\d+) \)", re.ASCII)


def read_genotype(text: str) -> tuple[dict[str, Edges], dict[str, list[int]]]:
    """Return the edges of both cells, two a node, and the nodes that each concatenates.

    Blanks and line breaks between the words do not matter; ``range(2, 4)`` and ``[2, 3]`` are the same.

    Raises
    ------
    ArchitectureError
        If the text is no genotype.
    """
    words: list[str] = []
    at = 0
    check_length(text)
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            break
        words.append(found[1])
        at = found.end()
    whole = _WHOLE.fullmatch(" ".join(words)) if not text[at:].strip() else None
    if whole is None:
        raise ArchitectureError(
            "expected Genotype(normal=[...], normal_concat=..., reduce=[...], reduce_concat=...)",
            got=text,
            fix="an edge is ('op', node), two for every node",
        )
    edges = {cell: _edges(whole[cell]) for cell in CELLS}
    return edges, {cell: _numbers(whole[f"{cell}_concat"]) for cell in CELLS}


def write_genotype(cells: Mapping[str, Edges], concat: Mapping[str, str]) -> str:
    """Return the text of both cells.

    Parameters
    ----------
    cells : mapping from str to Edges
        Edges of ``"normal"`` and ``"reduce"``.
    concat : mapping from str to str
        What each concatenates, as it is written.
    """
    parts = []
    for cell in CELLS:
        edges = ", ".join(f"('{op}', {source})" for into in cells[cell] for op, source in into)
        parts.append(f"{cell}=[{edges}], {cell}_concat={concat[cell]}")
    return f"Genotype({', '.join(parts)})"


def _edges(text: str) -> Edges:
    parts = text.removesuffix(" ,").split(" , (")
    found = [_EDGE.fullmatch(part if i == 0 else f"({part}") for i, part in enumerate(parts)]
    edges = [(match[1], read_number(match[2])) for match in found if match is not None]
    if len(edges) < len(found) or len(edges) % 2:
        raise ArchitectureError("expected edges ('op', node), two for every node", got=text)
    return [edges[i : i + 2] for i in range(0, len(edges), 2)]


def _numbers(text: str) -> list[int]:
    span = _RANGE.fullmatch(text)
    if span is not None:
        first, last = read_number(span[1]), read_number(span[2])
        if last - first <= 100:
            return list(range(first, last))
    elif text.startswith("[ ") and text.endswith(" ]"):
        return [read_number(word) for word in text[2:-2].removesuffix(" ,").split(" , ")]
    raise ArchitectureError("expected nodes to concatenate, as in range(2, 6) or [2, 3]", got=text)
