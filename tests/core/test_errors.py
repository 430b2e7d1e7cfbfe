"""The error tree: drawn as it is, worded as promised."""

from __future__ import annotations

import inspect
import pickle

import pytest

from archindex.core import errors
from archindex.core.errors import ArchindexError, ArgumentError, UnknownNameError

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, ArchindexError)]


def drawn_tree() -> tuple[dict[str, str], dict[str, str]]:
    """Read the module docstring: parent, and the built-in error named in brackets, of every class."""
    assert errors.__doc__ is not None
    parents: dict[str, str] = {}
    builtins: dict[str, str] = {}
    path: list[tuple[int, str]] = [(-1, "Exception")]
    for line in errors.__doc__.splitlines():
        bare = line.lstrip(" │├└─")
        name = bare.partition(" ")[0]
        if not name.endswith("Error"):
            continue
        indent = len(line) - len(bare)
        while path[-1][0] >= indent:
            path.pop()
        parents[name] = path[-1][1]
        path.append((indent, name))
        if "(also " in bare:
            builtins[name] = bare.partition("(also ")[2].rstrip(")")
    return parents, builtins


def test_the_drawn_tree_is_the_real_one() -> None:
    parents, _ = drawn_tree()
    assert parents == {c.__name__: c.__bases__[0].__name__ for c in CLASSES}


def test_what_python_would_raise_is_a_base_too() -> None:
    _, drawn = drawn_tree()
    real = {c.__name__: c.__bases__[1].__name__ for c in CLASSES if len(c.__bases__) > 1}
    assert real == drawn


@pytest.mark.parametrize("kind", CLASSES, ids=lambda c: str(c.__name__))
def test_every_error_says_expected_got_and_fix(kind: type[ArchindexError]) -> None:
    error = kind("expected a thing", got="another", fix="try this")
    assert str(error) == "expected a thing, got 'another'; try this"
    assert (error.expected, error.got, error.fix) == ("expected a thing", "'another'", "try this")
    assert str(kind("expected a thing")) == "expected a thing"
    assert error.__doc__


def test_long_values_are_shortened() -> None:
    error = ArgumentError("expected less", got="x" * 10_000)
    assert error.got is not None
    assert len(error.got) == 120
    assert error.got.endswith("...")


@pytest.mark.parametrize("kind", CLASSES, ids=lambda c: str(c.__name__))
def test_errors_cross_processes(kind: type[ArchindexError]) -> None:
    error = kind("expected a thing", got=3, fix="try this")
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 (bytes of our own)
    assert type(back) is kind
    assert str(back) == str(error)


@pytest.mark.parametrize(
    ("name", "known", "says"),
    [
        ("cifar", ["cifar10", "svhn"], "did you mean 'cifar10'?"),
        ("zzz", ["b", "a"], "known: a, b"),
        ("zzz", [f"n{i:02}" for i in range(20)], "n11, ..."),
        ("zzz", [], "there is no data set here"),
    ],
)
def test_unknown_names_point_to_known_ones(name: str, known: list[str], says: str) -> None:
    error = UnknownNameError.of("data set", name, known)
    assert str(error).startswith(f"expected the name of a data set, got '{name}'; ")
    assert says in str(error)
    assert str(UnknownNameError.of("data set", name, known, "type this")).endswith("type this")
