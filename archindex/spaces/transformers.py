"""What the transformer spaces share: native strings in JSON, and the residual branches of their graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archindex.core.build import GraphBuilder, Terms
from archindex.core.errors import ArchitectureError
from archindex.spaces.natives import read_json


def read_config(text: str, keys: tuple[str, ...], example: str) -> dict[str, Any]:
    """Return the object that a native string in JSON holds.

    Parameters
    ----------
    text : str
        The native string.
    keys : tuple of str
        The keys that it must have, and no others.
    example : str
        A well-formed native string, for the messages.

    Raises
    ------
    ArchitectureError
        If it is no JSON object, or has other keys.
    """
    config = read_json(text, example)
    if not isinstance(config, dict) or set(config) != set(keys):
        raise ArchitectureError(
            f"expected a JSON object with the keys {', '.join(keys)}",
            got=text,
            fix=f"a whole one is {example}",
        )
    return config


def spread(config: Mapping[str, Any], key: str, length: object) -> dict[str, Any]:
    """Return the entries of a list by the names ``key.0``, ``key.1``, ...

    Raises
    ------
    ArchitectureError
        If it is no list of that length.
    """
    values = config[key]
    if not isinstance(values, list) or length != len(values):
        raise ArchitectureError(f"expected {key} as a list of {length}", got=values)
    return {f"{key}.{i}": value for i, value in enumerate(values)}


def gather(taken: Mapping[str, Any], key: str, length: int) -> list[Any]:
    """Return the entries ``key.0``, ``key.1``, ... as a list."""
    return [taken[f"{key}.{i}"] for i in range(length)]


def residual(g: GraphBuilder, x: Terms, op: str, *others: Terms, **attrs: float) -> Terms:
    """Add an op that reads `x` (and `others` at further ports), and its sum with `x`; return the sum."""
    return g.add("add", x + g.add(op, x, *others, **attrs))
