"""SpaceCase: what every search space must hold, as tests to inherit.

::

    from archindex.testing.space_case import SpaceCase

    class TestMySpace(SpaceCase):
        space = MySpace()

Needs pytest and hypothesis; torch only where the space is `Buildable`. What a space does not offer
(enumeration, costs, modules) is skipped and says so.
"""

# ruff: noqa: D102 (the names of the tests are the sentences)

from __future__ import annotations

import copy
import math
from collections import Counter
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archindex.core.batch import GraphBatch
from archindex.core.canonical import arch_id, canonical_form, wl_colours
from archindex.core.errors import ArchindexError, ArchitectureError, ArgumentError, UnknownNameError
from archindex.core.graph import ArchGraph
from archindex.spaces.base import Architecture, Buildable, Costed, Enumerable, SearchSpace
from archindex.spaces.counting import module_costs
from archindex.spaces.grammar import GrammarSpace
from archindex.testing.strategies import unhurried


class SpaceCase:
    """Conformance suite of a search space.

    Attributes
    ----------
    space : SearchSpace
        The space under test; to be set.
    n_samples : int
        Architectures drawn for each test.
    n_built : int
        Architectures whose network is built and counted, the data sets taking turns.
    n_trained : int
        Architectures whose network is run forward and backward.
    biases_count : bool
        Whether the costs count one multiply-add for each bias of a convolution or linear layer.
    listing_cap : int
        Spaces up to this size are listed whole, and their sampling is tested for uniformity.
    """

    space: ClassVar[SearchSpace[Any]]
    n_samples: ClassVar[int] = 25
    n_built: ClassVar[int] = 9
    n_trained: ClassVar[int] = 2
    biases_count: ClassVar[bool] = False
    listing_cap: ClassVar[int] = 20_000

    @pytest.fixture
    def archs(self) -> list[Architecture]:
        """Architectures to test with."""
        return self.space.sample(self.n_samples, seed=1)

    # Native strings

    def test_parse_and_format_are_inverse(self, archs: list[Architecture]) -> None:
        for arch in archs:
            assert self.space.parse(arch.native) == arch
            assert self.space.parse(f" {arch.native}\n") == arch
            assert self.space.format(arch) == arch.native
            assert self.space.validate(arch.native)
            assert str(arch) == f"{self.space.name}:{arch.native}"

    @pytest.mark.parametrize("value", [None, 3, b"bytes", ["a"]])
    def test_what_is_no_string_is_refused(self, value: Any) -> None:
        with pytest.raises(ArchitectureError):
            self.space.parse(value)

    def test_any_text_is_parsed_or_refused(self) -> None:
        @unhurried
        @given(st.text(max_size=200))
        def check(text: str) -> None:
            self._parses_or_refuses(text)

        check()

    def test_edited_strings_are_parsed_or_refused(self, archs: list[Architecture]) -> None:
        natives = [arch.native for arch in archs]
        alphabet = "".join(sorted(set("".join(natives)))) + " \0x9²"

        @unhurried
        @given(st.sampled_from(natives), st.data())
        def check(native: str, data: st.DataObject) -> None:
            start = data.draw(st.integers(0, len(native)))
            stop = data.draw(st.integers(start, min(len(native), start + 12)))
            edited = native[:start] + data.draw(st.text(alphabet, max_size=6)) + native[stop:]
            self._parses_or_refuses(edited)

        check()

    def test_half_a_string_is_refused(self, archs: list[Architecture]) -> None:
        for arch in archs:
            with pytest.raises(ArchitectureError) as caught:
                self.space.parse(arch.native[: len(arch.native) // 2] + "\0")
            assert "expected" in str(caught.value)

    def test_architectures_of_other_spaces_are_refused(self, archs: list[Architecture]) -> None:
        other = copy.copy(self.space)
        other.__class__ = type("Other", (type(other),), {"name": "other"})
        stranger = Architecture(other, archs[0].native)
        for use in (self.space.format, self.space.to_graph, self.space.neighbors):
            with pytest.raises(ArchitectureError):
                use(stranger)

    # Graphs and ids

    def test_graphs_round_trip(self, archs: list[Architecture]) -> None:
        for arch in archs:
            back = self.space.from_graph(arch.graph)
            assert _as_written(back.graph) == _as_written(arch.graph)
            assert back.arch_id == arch.arch_id

    def test_packed_graphs_are_the_single_ones(self, archs: list[Architecture]) -> None:
        natives = [arch.native for arch in archs]
        assert list(self.space.graphs(natives)) == [arch.graph for arch in archs]
        assert self.space.arch_ids(natives).tolist() == [arch.arch_id for arch in archs]
        assert len(self.space.graphs([])) == 0
        with pytest.raises(ArchitectureError):
            self.space.graphs([natives[0], "\0"])

    def test_numbering_does_not_matter(self, archs: list[Architecture]) -> None:
        rng = np.random.default_rng(2)
        for arch in archs:
            shuffled = arch.graph.relabelled([int(v) for v in rng.permutation(arch.graph.n_nodes)])
            assert arch_id(shuffled, scope=self.space.name) == arch.arch_id
            assert self.space.from_graph(shuffled).arch_id == arch.arch_id
            assert canonical_form(shuffled) == canonical_form(arch.graph)

    def test_canonical_form_is_the_same_architecture(self, archs: list[Architecture]) -> None:
        for arch in archs:
            form = canonical_form(arch.graph)
            assert arch_id(form, scope=self.space.name) == arch.arch_id
            assert self.space.from_graph(form).arch_id == arch.arch_id

    @pytest.mark.parametrize(
        "graph",
        [
            ArchGraph((), ()),
            ArchGraph(("input",), ()),
            ArchGraph(("input", "no such op", "output"), ((0, 1, 0), (1, 2, 0))),
        ],
        ids=["empty", "input alone", "unknown op"],
    )
    def test_graphs_outside_the_space_are_refused(self, graph: ArchGraph) -> None:
        with pytest.raises(ArchitectureError):
            self.space.from_graph(graph)

    # Neighbours and sampling

    def test_neighbours_are_valid_distinct_and_mutual(self, archs: list[Architecture]) -> None:
        rng = np.random.default_rng(3)
        for arch in archs:
            around = self.space.neighbors(arch)
            assert len(set(around)) == len(around)
            assert arch not in around
            assert all(self.space.parse(near.native) == near for near in around)
            for i in rng.permutation(len(around))[:5]:
                assert arch in self.space.neighbors(around[i])

    def test_mutation_draws_among_the_neighbours(self, archs: list[Architecture]) -> None:
        drawn = [self.space.mutate(arch, np.random.default_rng(4)) for arch in archs]
        assert drawn == [self.space.mutate(arch, np.random.default_rng(4)) for arch in archs]
        assert all(new in self.space.neighbors(arch) for arch, new in zip(archs, drawn, strict=True))
        rng = np.random.default_rng(5)
        around = len(self.space.neighbors(archs[0]))
        assert around == 1 or len({self.space.mutate(archs[0], rng) for _ in range(20)}) > 1

    def test_sampling_follows_its_seed(self) -> None:
        first = self.space.sample(self.n_samples, seed=6)
        assert len(first) == self.n_samples
        assert first == self.space.sample(self.n_samples, seed=6)
        assert first != self.space.sample(self.n_samples, seed=7)
        assert self.space.sample(0) == []
        with pytest.raises(ArgumentError):
            self.space.sample(-1)

    def test_sampling_is_uniform(self) -> None:
        if isinstance(self.space, GrammarSpace):
            pytest.skip("draws of a grammar follow its probabilities")
        size = self._size_if_small()
        counts = Counter(arch.native for arch in self.space.sample(5 * size, seed=8))
        seen = sum((count - 5) ** 2 / 5 for count in counts.values())
        chi_square = seen + 5 * (size - len(counts))
        # Five standard deviations of a chi-square with size - 1 degrees of freedom.
        assert abs(chi_square - (size - 1)) <= 5 * math.sqrt(2 * size)

    def test_size_is_what_enumeration_yields(self) -> None:
        if not isinstance(self.space, Enumerable):
            pytest.skip(f"{self.space.name} cannot be enumerated")
        size = self._size_if_small()
        listed = [arch.native for arch in self.space.enumerate()]
        assert len(listed) == len(set(listed)) == size
        assert all(self.space.parse(native).native == native for native in listed)

    # Costs and modules

    def test_costs_are_counts_that_no_batch_changes(self, archs: list[Architecture]) -> None:
        space = self._costed()
        natives = [arch.native for arch in archs]
        for dataset in space.datasets:
            costs = space.costs(natives, dataset)
            for values in (costs.params, costs.flops):
                assert values.dtype == np.int64
                assert values.shape == (len(natives),)
                assert (values >= 0).all()
            alone = space.costs(natives[-1:], dataset)
            assert (alone.params[0], alone.flops[0]) == (costs.params[-1], costs.flops[-1])
        with pytest.raises(UnknownNameError):
            space.costs(natives, "no such data set")

    def test_costs_are_those_of_the_module(self, archs: list[Architecture]) -> None:
        import torch

        costed, buildable = self._costed(), self._buildable()
        for i, arch in enumerate(archs[: self.n_built]):
            dataset = costed.datasets[i % len(costed.datasets)]
            costs = costed.costs([arch.native], dataset)
            with torch.device("meta"):  # shapes without numbers
                module = buildable.build_module(arch, dataset)
                inputs = buildable.example_inputs(dataset)
            params, flops = module_costs(module, inputs)
            assert params == costs.params[0]
            assert flops + (biases(module, inputs) if self.biases_count else 0) == costs.flops[0]

    def test_modules_run_forward_and_backward(self, archs: list[Architecture]) -> None:
        import torch

        space = self._buildable()
        for arch in archs[: self.n_trained]:
            torch.manual_seed(9)
            module = space.build_module(arch, space.datasets[0])
            scores = module(*space.example_inputs(space.datasets[0], batch=2))
            assert scores.numel() > 0
            assert torch.isfinite(scores).all()
            scores.square().sum().backward()
            gradients = [p.grad for p in module.parameters() if p.grad is not None]
            assert all(torch.isfinite(g).all() for g in gradients)
            assert any(g.abs().sum() > 0 for g in gradients)

    def test_modules_refuse_unknown_data_sets(self, archs: list[Architecture]) -> None:
        space = self._buildable()
        with pytest.raises(UnknownNameError):
            space.build_module(archs[0], "no such data set")
        with pytest.raises(UnknownNameError):
            space.example_inputs("no such data set")

    def _parses_or_refuses(self, text: str) -> None:
        try:
            arch = self.space.parse(text)
        except ArchindexError as error:
            assert isinstance(error, ArchitectureError)
            assert not self.space.validate(text)
        else:
            assert self.space.validate(text)
            assert self.space.parse(arch.native) == arch
            assert arch.graph.n_nodes > 0

    def _size_if_small(self) -> int:
        size = self.space.size
        if size is None or size > self.listing_cap:
            pytest.skip(f"{self.space.name} has more than {self.listing_cap} native strings")
        return size

    def _costed(self) -> Costed:
        if not isinstance(self.space, Costed):
            pytest.skip(f"{self.space.name} computes no costs")
        return self.space

    def _buildable(self) -> Buildable:
        if not isinstance(self.space, Buildable):
            pytest.skip(f"{self.space.name} builds no modules")
        return self.space


def biases(module: Any, inputs: tuple[Any, ...]) -> int:
    """Return how often a bias of a convolution or linear layer is added in one inference of `module`."""
    import torch

    total = 0

    def count(layer: Any, _: Any, output: Any) -> None:
        nonlocal total
        total += 0 if layer.bias is None else output.numel()

    layers = [m for m in module.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        module.eval()(*inputs)
    for hook in hooks:
        hook.remove()
    return total


def _as_written(graph: ArchGraph) -> list[list[int]]:
    """Return what a graph is but for the numbers of its nodes, ops that do nothing included."""
    colours = wl_colours(GraphBatch.from_graphs([graph]), rounds=None)
    return [sorted(lane.tolist()) for lane in colours]
