"""ChoiceSpace: decisions that come up or not, ordered ones, ones that are written but not counted."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from archindex.core.build import GraphBuilder
from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.spaces.choices import Choice, ChoiceSpace, Genotype
from archindex.testing.space_case import SpaceCase


class Toy(ChoiceSpace):
    """One to three layers of two ops; convolutions have a kernel, and the network a head or none."""

    choices: tuple[Choice, ...] = (
        Choice("head", ("none", "linear"), written=("no",), uncounted=("tanh",)),
        Choice("op0", ("pool", "conv")),
        Choice("kernel0", (1, 3, 5), when=("op0", ("conv",)), ordered=True),
        Choice("depth", (1, 2, 3), ordered=True),
        Choice("op1", ("pool", "conv"), when=("depth", (2, 3))),
        Choice("kernel1", (1, 3, 5), when=("op1", ("conv",)), ordered=True),
        Choice("op2", ("pool", "conv"), when=("depth", (3,))),
        Choice("kernel2", (1, 3, 5), when=("op2", ("conv",)), ordered=True),
    )

    @property
    def name(self) -> str:
        return "toy"

    def _read(self, text: str) -> Mapping[str, Any]:
        head, *layers = text.split("-")
        taken: dict[str, Any] = {"head": head, "depth": len(layers)}
        for i, layer in enumerate(layers):
            taken[f"op{i}"] = layer.rstrip("135")
            if layer[-1:].isascii() and layer[-1:].isdigit():
                taken[f"kernel{i}"] = int(layer[-1])
        return taken

    def _write(self, taken: Mapping[str, Any]) -> str:
        layers = (f"{taken[f'op{i}']}{taken.get(f'kernel{i}', '')}" for i in range(taken["depth"]))
        return "-".join((taken["head"], *layers))

    def _build(self, g: GraphBuilder, taken: Mapping[str, Any]) -> None:
        x = g.input()
        for i in range(3):
            if i and i >= taken["depth"]:
                break
            if taken[f"op{i}"] == "conv":
                x = g.add("conv", x, kernel=taken[f"kernel{i}"])
            else:
                x = g.add("max_pool", x)
        head = taken["head"]
        g.output(x if head in ("none", "no") else g.add(head, x))


class Ruled(Toy):
    """Two layers, of which one is a pool."""

    choices = (Choice("head", ("none",)), Choice("op0", ("pool", "conv")), Choice("op1", ("pool", "conv")))

    @property
    def name(self) -> str:
        return "ruled"

    @property
    def size(self) -> int:
        return sum(1 for _ in self.enumerate())

    def _allowed(self, genotype: Genotype) -> bool:
        return sum(genotype[1:]) == 1

    def _read(self, text: str) -> Mapping[str, Any]:
        return {key: value for key, value in super()._read(text).items() if key != "depth"}

    def _write(self, taken: Mapping[str, Any]) -> str:
        return super()._write({**taken, "depth": 2})

    def _build(self, g: GraphBuilder, taken: Mapping[str, Any]) -> None:
        x = g.input()
        for i in range(2):
            x = g.add(taken[f"op{i}"], x)
        g.output(x)


SPACE, RULED = Toy(), Ruled()
LAYERS = ("pool", "conv1", "conv3", "conv5")


class TestToy(SpaceCase):
    space = SPACE


def test_counted_is_what_is_listed() -> None:
    by_hand = {
        "-".join((head, *layers))
        for head in ("none", "linear")
        for depth in (1, 2, 3)
        for layers in itertools.product(LAYERS, repeat=depth)
    }
    listed = [arch.native for arch in SPACE.enumerate()]
    assert SPACE.size == len(listed) == len(set(listed)) == 2 * (4 + 16 + 64)
    assert set(listed) == by_hand


def test_drawn_alike() -> None:
    counts = Counter(arch.native for arch in SPACE.sample(100 * SPACE.size, seed=1))
    chi_square = sum((count - 100) ** 2 / 100 for count in counts.values())
    assert len(counts) == SPACE.size
    assert abs(chi_square - (SPACE.size - 1)) <= 5 * math.sqrt(2 * SPACE.size)


def test_one_change_moves_ordered_options_by_one() -> None:
    near = {arch.native for arch in SPACE.neighbors(SPACE.parse("none-conv1-pool"))}
    assert near == {
        "linear-conv1-pool",  # another head
        "none-conv3-pool",  # not conv5: kernels are ordered
        "none-pool-pool",  # no kernel now
        *(f"none-conv1-conv{kernel}" for kernel in (1, 3, 5)),  # a kernel that comes up takes any
        "none-conv1",
        *(f"none-conv1-pool-{layer}" for layer in LAYERS),
    }


def test_neighbours_are_mutual() -> None:
    around = {arch: SPACE.neighbors(arch) for arch in SPACE.enumerate()}
    assert all(arch in around[near] for arch, listed in around.items() for near in listed)


def test_written_options_are_kept_and_mean_the_same() -> None:
    other = SPACE.parse("no-pool")
    assert other.native == "no-pool"
    assert other.graph == SPACE.parse("none-pool").graph
    assert SPACE.from_graph(other.graph).native == "none-pool"
    assert other.native not in {arch.native for arch in SPACE.enumerate()}
    assert SPACE.parse("none-pool") in SPACE.neighbors(other)


def test_uncounted_options_are_kept_and_found_in_graphs() -> None:
    other = SPACE.parse("tanh-conv3")
    assert other.native == "tanh-conv3"
    assert SPACE.from_graph(other.graph) == other
    drawn = SPACE.sample(2000, seed=2)
    assert not any(arch.native.startswith(("tanh", "no-")) for arch in drawn)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("none-conv", "kernel0"),
        ("none-conv4", "op0"),
        ("none-pool3", "no more values"),
        ("some-pool", "none, linear, tanh, no"),
        ("none", "op0"),
        ("none-pool-pool-pool-pool", "depth"),
    ],
)
def test_refusals_name_the_choice(text: str, says: str) -> None:
    with pytest.raises(ArchitectureError) as caught:
        SPACE.parse(text)
    assert says in str(caught.value)


def test_values_are_options_of_the_same_type() -> None:
    choices = (Choice("n", (1, 2)),)
    for value in (True, 1.0, [1], "1"):
        space = type("One", (Toy,), {"choices": choices, "_read": lambda _, text, v=value: {"n": v}})()
        with pytest.raises(ArchitectureError, match="expected n among 1, 2"):
            space.parse("any")


def test_a_rule_over_several_choices() -> None:
    assert {arch.native for arch in RULED.enumerate()} == {"none-pool-conv", "none-conv-pool"}
    assert RULED.size == 2
    assert not RULED.validate("none-pool-pool")
    assert {arch.native for arch in RULED.sample(50)} == {"none-pool-conv", "none-conv-pool"}
    assert RULED.neighbors(RULED.parse("none-pool-conv")) == []
    with pytest.raises(ArchitectureError):
        RULED.mutate(RULED.parse("none-pool-conv"), np.random.default_rng(0))
    both = ArchGraph(("input", "pool", "pool", "output"), ((0, 1, 0), (1, 2, 0), (2, 3, 0)))
    with pytest.raises(ArchitectureError, match="ruled"):
        RULED.from_graph(both)


def test_every_graph_is_read_back_however_numbered() -> None:
    rng = np.random.default_rng(3)
    for arch in SPACE.enumerate():
        order = [int(v) for v in rng.permutation(arch.graph.n_nodes)]
        assert SPACE.from_graph(arch.graph.relabelled(order)) == arch


def test_sizes_beyond_64_bits_are_exact_and_drawn_from() -> None:
    wide = type("Wide", (Toy,), {"choices": tuple(Choice(f"c{i}", (0, 1, 2)) for i in range(200))})()
    assert wide.size == 3**200
    drawn = np.array([wide._draw(np.random.default_rng(seed)) for seed in range(20)])
    assert set(drawn.ravel().tolist()) == {0, 1, 2}
    assert abs(drawn.mean() - 1) < 0.05
    assert wide._at(wide.size - 1) == (2,) * 200
