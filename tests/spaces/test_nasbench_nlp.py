"""NAS-Bench-NLP: all released recipes, their params, and cells by value."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
import torch
from torch.nn.functional import leaky_relu, linear

from archindex.core.canonical import canonical_form
from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.spaces.base import Architecture
from archindex.spaces.nasbench_nlp import NASBenchNLP
from archindex.spaces.nasbench_nlp_module import Cell
from archindex.spaces.nasbench_nlp_recipes import draw, n_hidden
from archindex.testing.space_case import SpaceCase

SPACE = NASBenchNLP()
DATA = os.environ.get("ARCHINDEX_DATA")


Nodes = dict[str, tuple[str, ...]]


def recipe(**nodes: tuple[str, ...]) -> str:
    return json.dumps({name: {"op": op, "input": list(inputs)} for name, (op, *inputs) in nodes.items()})


PLAIN = recipe(f=("linear", "x", "h_prev_0"), h_new_0=("activation_tanh", "f"))
GRU = recipe(
    r=("linear", "x", "h_prev_0"),
    r_act=("activation_sigm", "r"),
    z=("linear", "x", "h_prev_0"),
    z_act=("activation_sigm", "z"),
    rh=("elementwise_prod", "r_act", "h_prev_0"),
    h=("linear", "x", "rh"),
    h_act=("activation_tanh", "h"),
    h_new_0=("blend", "z_act", "h_prev_0", "h_act"),
)


def outputs(native: str) -> torch.Tensor:
    """Return the outputs of a cell over five steps."""
    torch.manual_seed(0)
    cell, states, given = Cell(SPACE._parse(native), 6, 6), None, []
    for x in torch.randn(5, 3, 6):
        states = cell(x, states)
        given.append(states[0])
    return torch.stack(given).detach()


class TestNASBenchNLP(SpaceCase):
    space = SPACE
    n_built = 4  # three layers over 70 steps each

    @pytest.fixture
    def archs(self) -> list[Architecture]:
        """Architectures that learn: where the output stays at zero, nothing gets a gradient."""
        return [arch for arch in SPACE.sample(self.n_samples, seed=1) if outputs(arch.native).any()]


def test_some_cells_stay_at_zero() -> None:
    gate = ("activation_sigm", "f")
    product = recipe(f=("linear", "x", "h_prev_0"), g=gate, h_new_0=("elementwise_prod", "g", "h_prev_0"))
    assert not outputs(product).any()
    assert sum(not outputs(arch.native).any() for arch in SPACE.sample(25, seed=1)) == 1


@pytest.fixture(scope="module")
def table() -> list[dict[str, Any]]:
    if DATA is None:
        pytest.skip("ARCHINDEX_DATA is not set")
    with duckdb.connect() as connection:
        path = str(Path(DATA) / "nb_nlp_wikitext2.parquet")
        read = connection.execute("select recipe, num_params from read_parquet(?)", [path]).fetchall()
    return [{"recipe": text, "num_params": params} for text, params in read]


def test_all_released_recipes_are_read_and_written_literally(table: list[dict[str, Any]]) -> None:
    assert len(table) == 345
    for row in table:
        assert SPACE.parse(row["recipe"]).native == row["recipe"]
    assert len({row["recipe"] for row in table}) == 291


def test_params_are_those_of_the_table(table: list[dict[str, Any]]) -> None:
    costs = SPACE.costs([row["recipe"] for row in table], "wikitext2")
    assert costs.params.tolist() == [row["num_params"] for row in table]


def test_released_recipes_come_back_from_their_graphs(table: list[dict[str, Any]]) -> None:
    rng = np.random.default_rng(1)
    for row in table[:60]:
        arch = SPACE.parse(row["recipe"])
        shuffled = arch.graph.relabelled([int(v) for v in rng.permutation(arch.graph.n_nodes)])
        assert SPACE.from_graph(shuffled).arch_id == arch.arch_id
        assert SPACE.from_graph(canonical_form(shuffled)).arch_id == arch.arch_id


def test_names_and_the_order_of_sums_say_nothing() -> None:
    other = recipe(h_new_0=("activation_tanh", "node_7"), node_7=("linear", "h_prev_0", "x"))
    assert SPACE.parse(other).native == other
    assert SPACE.parse(other).arch_id == SPACE.parse(PLAIN).arch_id
    sigmoid = PLAIN.replace("tanh", "sigm")
    assert SPACE.parse(sigmoid).arch_id != SPACE.parse(PLAIN).arch_id


def test_the_order_of_a_blend_matters() -> None:
    swapped = GRU.replace('"h_prev_0", "h_act"', '"h_act", "h_prev_0"')
    assert SPACE.parse(swapped).arch_id != SPACE.parse(GRU).arch_id


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "JSON"),
        ("[]", "JSON object"),
        ("{}", "1 to 25 nodes"),
        ('{"h_new_0": 1}', "op"),
        ('{"h_new_0": {"op": "linear"}}', "op"),
        ('{"h_new_0": {"op": "linear", "input": "x"}}', "list of inputs"),
        ('{"h_new_0": {"op": ["linear"], "input": ["x", "h_prev_0"]}}', "op"),
        ('{"h_new_0": {"op": "linear", "input": ["x", 1]}}', "names"),
        ("[" * 100_000, "JSON"),
        (recipe(h_new_0=("linear", "x", "x", "h_prev_0")), "different inputs"),
        (recipe(h_new_0=("linear", "x")), "2 or 3"),
        (recipe(h_new_0=("conv", "x", "h_prev_0")), "no op"),
        (recipe(h_new_0=("elementwise_sum", "x", "h_prev_0")), "only linear"),
        (recipe(h_new_1=("linear", "x", "h_prev_0")), "without gaps"),
        (recipe(h_new_0=("linear", "x", "h_prev_1")), "nowhere"),
        (recipe(f=("linear", "x", "h_prev_0")), "new states"),
        (recipe(f=("linear", "x", "h_prev_0"), h_new_0=("linear", "x", "h_prev_0")), "nothing reads f"),
        (
            recipe(f=("linear", "x", "g"), g=("activation_tanh", "f"), h_new_0=("linear", "g", "h_prev_0")),
            "cycle",
        ),
        (recipe(f=("linear", "x", "h_new_0"), h_new_0=("activation_tanh", "f")), "cycle"),
        (
            recipe(h_new_0=("linear", "x", "h_prev_0"), h_new_1=("activation_tanh", "h_new_0")),
            "nothing reads h_prev_1",
        ),
        (PLAIN.replace('"f"', '"x"'), "name of a node"),
        (PLAIN.replace('"f"', '"h_prev_7"'), "name of a node"),
        (PLAIN.replace('"f"', '"f g"'), "name of a node"),
        (PLAIN.replace('"op": "linear"', '"op": "linear", "op": "linear"'), "JSON"),
    ],
)
def test_malformed_recipes_say_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(ArchitectureError) as caught:
        SPACE.parse(text)
    assert says in str(caught.value)


def test_too_many_nodes_are_refused() -> None:
    nodes: Nodes = {"node_0": ("linear", "x", "h_prev_0")}
    nodes.update({f"node_{i + 1}": ("activation_tanh", f"node_{i}") for i in range(23)})
    largest = recipe(**nodes, h_new_0=("activation_tanh", "node_23"))
    assert SPACE.validate(largest)
    assert all(len(json.loads(near.native)) <= 25 for near in SPACE.neighbors(SPACE.parse(largest)))
    nodes["node_24"] = ("activation_tanh", "node_23")
    assert not SPACE.validate(recipe(**nodes, h_new_0=("activation_tanh", "node_24")))


@pytest.mark.parametrize(
    "graph",
    [
        ArchGraph(("input", "tanh", "output"), ((0, 1, 0), (1, 2, 0)), ({"index": 0}, {}, {"index": 0})),
        ArchGraph(
            ("input", "input", "linear", "output", "output"),
            ((0, 2, 0), (1, 2, 0), (2, 3, 0), (2, 4, 0)),
            ({"index": 0}, {"index": 1}, {}, {"index": 0}, {"index": 1}),
        ),
        ArchGraph(
            ("input", "input", "linear", "output"),
            ((0, 2, 0), (1, 2, 1), (2, 3, 0)),
            ({"index": 0}, {"index": 1}, {}, {"index": 0}),
        ),
        ArchGraph(
            ("input", "input", "linear", "output"),
            ((0, 2, 0), (1, 2, 0), (2, 3, 0)),
            ({"index": 0}, {"index": float("inf")}, {}, {"index": 0}),
        ),
    ],
    ids=["no state", "two outputs of one node", "ports", "index"],
)
def test_other_graphs_are_refused(graph: ArchGraph) -> None:
    with pytest.raises(ArchitectureError):
        SPACE.from_graph(graph)


def test_what_one_change_is() -> None:
    plain = SPACE.from_graph(SPACE.parse(PLAIN).graph)
    near = {arch.native for arch in SPACE.neighbors(plain)}
    assert plain.native.replace("tanh", "sigm") in near
    more = recipe(
        node_0=("linear", "x", "h_prev_0"),
        node_1=("activation_leaky_relu", "node_0"),
        h_new_0=("activation_tanh", "node_1"),
    )
    assert more in near
    assert recipe(h_new_0=("linear", "x", "h_prev_0")) in near


def test_draws_have_all_sizes_and_ops() -> None:
    rng = np.random.default_rng(2)
    drawn = [draw(rng) for _ in range(300)]
    assert {n_hidden(one) for one in drawn} == {1, 2, 3}
    assert {step.op for one in drawn for step in one} == {
        "linear", "blend", "elementwise_prod", "elementwise_sum",
        "activation_tanh", "activation_sigm", "activation_leaky_relu",
    }  # fmt: skip
    # The generator's rules: a linear node reads activations, x and states; no new state reads an old one.
    for one in drawn:
        ops = {step.name: step.op for step in one}
        for step in one:
            if step.op == "linear":
                assert all(ops.get(s, "activation").startswith("activation") for s in step.inputs)
            if step.name.startswith("h_new"):
                assert not any(s.startswith("h_prev") for s in step.inputs)


def test_a_gru_by_hand() -> None:
    torch.manual_seed(0)
    cell = Cell(SPACE._parse(GRU), 3, 4)
    x, state = torch.randn(2, 3), torch.randn(2, 4)

    def weighted(name: str, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        first, second = cell.linear[name].layers  # type: ignore[misc]
        return linear(a, first.weight, first.bias) + linear(b, second.weight)

    r = torch.sigmoid(weighted("r", x, state))
    z = torch.sigmoid(weighted("z", x, state))
    h = torch.tanh(weighted("h", x, r * state))
    assert torch.allclose(cell(x, (state,))[0], z * state + (1 - z) * h, atol=1e-6)


def test_two_states_by_hand() -> None:
    torch.manual_seed(0)
    native = recipe(
        h_new_1=("elementwise_sum", "h_new_0", "h_prev_1"),
        h_new_0=("activation_leaky_relu", "f"),
        f=("linear", "h_prev_0", "x", "h_prev_1"),
    )
    cell = Cell(SPACE._parse(native), 3, 4)
    x, a, b = torch.randn(2, 3), torch.randn(2, 4), torch.randn(2, 4)
    layers = cell.linear["f"].layers
    f = sum(layer(v) for layer, v in zip(layers, (a, x, b), strict=True))  # type: ignore[arg-type]
    new = cell(x, (a, b))
    assert torch.allclose(new[0], leaky_relu(f), atol=1e-6)  # type: ignore[arg-type]
    assert torch.allclose(new[1], new[0] + b, atol=1e-6)
