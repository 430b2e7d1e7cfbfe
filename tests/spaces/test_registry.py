"""Spaces by name: those of archindex, and those that other packages register."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from archindex.core.errors import ArchitectureError, ArgumentError, UnknownNameError
from archindex.spaces import registry
from archindex.spaces.nats_sss import NATSSize
from archindex.store.addresses import parse_anywhere


class Widths(NATSSize):
    """A space of another package."""

    @property
    def name(self) -> str:
        return "widths"


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def plug(**places: str) -> None:
        found = [EntryPoint(name, place, registry.PLUGINS) for name, place in places.items()]
        monkeypatch.setattr(
            registry, "entry_points", lambda group: found if group == registry.PLUGINS else []
        )
        registry._plugins.cache_clear()
        registry._made.cache_clear()

    yield plug
    registry._plugins.cache_clear()
    registry._made.cache_clear()


def test_a_space_of_another_package_is_used_by_name(plugged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archindex.spaces.nats_sss.Widths", Widths, raising=False)
    plugged(widths="archindex.spaces.nats_sss:Widths", darts="no.such:Thing")
    assert registry.space_names() == [*registry.SPACES, "widths"]
    assert registry.space("widths").name == "widths"
    assert str(parse_anywhere("widths:8:8:8:8:8")) == "widths:8:8:8:8:8"
    assert type(registry.space("darts")).__name__ == "DARTS"  # no name of archindex's is taken over


@pytest.mark.parametrize("place", ["no.such:Thing", "archindex.spaces.nats_sss:Nothing", "builtins:dict"])
def test_what_is_no_space_is_refused(plugged: Any, place: str) -> None:
    plugged(mine=place)
    with pytest.raises(ArgumentError, match="mend the package"):
        registry.space("mine")


@pytest.mark.parametrize("name", ["nasbench20", "", None, 3])
def test_unknown_names_are_refused(name: Any) -> None:
    with pytest.raises(UnknownNameError):
        registry.space(name)


def test_a_bare_string_of_two_spaces_is_refused(plugged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_anywhere("8:16:24:32:40").space.name == "nats_sss"
    monkeypatch.setattr("archindex.spaces.nats_sss.Widths", Widths, raising=False)
    plugged(widths="archindex.spaces.nats_sss:Widths")
    with pytest.raises(ArchitectureError, match="nats_sss and widths: write it as space:native"):
        parse_anywhere("8:16:24:32:40")
    assert parse_anywhere("8:16:24:32:40", ["widths"]).space.name == "widths"
