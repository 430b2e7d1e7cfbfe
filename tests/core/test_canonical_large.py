"""Identity of large graphs: refinement stops when it has settled, and nothing is quadratic."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archindex.core import canonical
from archindex.core.batch import GraphBatch
from archindex.core.canonical import arch_id, arch_ids, canonical_form, graph_sizes, reduce_batch, wl_colours
from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.testing.strategies import graphs, unhurried


def chain(n: int, op: str = "conv") -> ArchGraph:
    return ArchGraph(("input", *[op] * n, "output"), tuple((v, v + 1, 0) for v in range(n + 1)))


def shuffled(graph: ArchGraph, seed: int) -> ArchGraph:
    return graph.relabelled([int(v) for v in np.random.default_rng(seed).permutation(graph.n_nodes)])


def partition(colours: npt.NDArray[np.uint64]) -> list[int]:
    """Number the classes of equal colours by their first member."""
    first: dict[tuple[int, int], int] = {}
    return [first.setdefault((int(a), int(b)), len(first)) for a, b in colours.T]


def reduced(graph: ArchGraph) -> GraphBatch:
    return reduce_batch(GraphBatch.from_graphs([graph]))


def wide(seed: int, width: int = 6, depth: int = 8) -> ArchGraph:
    """A random layered graph of a few ops, so that many nodes look alike at first."""
    rng = np.random.default_rng(seed)
    ops = ["input", *(str(op) for op in rng.choice(["conv", "max_pool"], width * depth)), "output"]
    layer = [list(range(1 + width * d, 1 + width * (d + 1))) for d in range(depth)]
    edges = [(0, v, 0) for v in layer[0]] + [(v, len(ops) - 1, 0) for v in layer[-1]]
    for before, after in itertools.pairwise(layer):
        edges += [(int(u), v, 0) for v in after for u in rng.choice(before, 2, replace=False)]
    return ArchGraph(tuple(ops), tuple(edges))


@pytest.mark.parametrize("seed", range(20))
def test_stopping_early_finds_the_classes_of_as_many_rounds_as_there_are_nodes(seed: int) -> None:
    batch = reduced(wide(seed))
    assert batch.n_nodes > canonical._SMALL
    settled = partition(wl_colours(batch, rounds=None))
    long = partition(wl_colours(batch, rounds=batch.n_nodes))
    assert settled == long


@pytest.mark.parametrize("seed", range(10))
def test_numbering_does_not_matter_in_large_graphs(seed: int) -> None:
    original = wide(seed)
    assert arch_id(shuffled(original, seed + 1)) == arch_id(original)
    assert canonical_form(shuffled(original, seed + 1)) == canonical_form(original)


def test_large_graphs_are_told_apart() -> None:
    ids = arch_ids(GraphBatch.from_graphs(wide(seed) for seed in range(200)))
    assert len(set(ids)) == 200


@unhurried
@given(st.lists(st.one_of(graphs(), st.integers(0, 50).map(wide), st.integers(0, 60).map(chain)), max_size=5))
def test_the_rest_of_the_batch_does_not_matter(several: list[ArchGraph]) -> None:
    assert arch_ids(GraphBatch.from_graphs(several)).tolist() == [arch_id(one) for one in several]


def test_one_op_at_the_far_end_of_a_chain_counts() -> None:
    ops = ["input", *["conv"] * 10_000, "output"]
    edges = tuple((v, v + 1, 0) for v in range(10_001))
    ids = {arch_id(chain(10_000)), arch_id(chain(9_999))}
    for place in (1, 5_000, 10_000):
        changed = list(ops)
        changed[place] = "linear"
        ids.add(arch_id(ArchGraph(tuple(changed), edges)))
    assert len(ids) == 5
    assert arch_id(shuffled(chain(10_000), 0)) == arch_id(chain(10_000))


def test_long_rows_of_skips_are_contracted() -> None:
    assert arch_id(chain(10_000, "skip")) == arch_id(chain(0))
    mixed = ArchGraph(
        ("input", *["skip", "conv"] * 2_000, "output"), tuple((v, v + 1, 0) for v in range(4_001))
    )
    assert arch_id(mixed) == arch_id(chain(2_000))


def test_long_chains_have_their_depth() -> None:
    sizes = graph_sizes(GraphBatch.from_graphs([chain(10_000), chain(3)]))
    assert sizes["depth"].tolist() == [10_000, 3] == sizes["n_ops"].tolist()


def test_dead_ends_of_long_chains_go() -> None:
    """A second chain that no input feeds, and a third that leads nowhere."""
    n = 5_000
    ops = ("input", *["conv"] * n, "output", *["linear"] * n, *["max_pool"] * n)
    edges = [(v, v + 1, 0) for v in range(n + 1)]
    edges += [(v, v + 1, 0) for v in range(n + 2, 2 * n + 1)] + [(2 * n + 1, n + 1, 0)]
    edges += [(0, 2 * n + 2, 0)] + [(v, v + 1, 0) for v in range(2 * n + 2, 3 * n + 1)]
    assert arch_id(ArchGraph(ops, tuple(edges))) == arch_id(chain(n))


def test_skips_that_double_without_end_are_refused() -> None:
    doubled = tuple((v, v + 1, 0) for v in range(61) for _ in range(2))
    with pytest.raises(ArchitectureError, match="skips that join"):
        arch_id(ArchGraph(("input", *["skip"] * 60, "output"), doubled))


def test_a_product_with_zero_is_zero() -> None:
    edges = ((0, 1, 0), (0, 2, 0), (1, 3, 0), (2, 3, 0), (3, 4, 0), (0, 4, 0))
    zeroed = ArchGraph(("input", "conv", "none", "mul", "output"), edges)
    assert arch_id(zeroed) == arch_id(ArchGraph(("input", "output"), ((0, 1, 0),)))
    chained = ArchGraph(
        ("input", "none", "mul", "mul", "output"),
        ((0, 1, 0), (0, 2, 0), (1, 2, 0), (2, 3, 0), (0, 3, 0), (3, 4, 0)),
    )
    assert arch_id(chained) == arch_id(ArchGraph(("input", "output"), ()))
    live = ArchGraph(("input", "conv", "linear", "mul", "output"), edges)
    assert arch_id(live) != arch_id(zeroed)


def test_a_zero_part_of_a_concatenation_takes_channels() -> None:
    def joined(*parts: str) -> str:
        ops = ("input", *parts, "concat", "output")
        n = len(parts)
        edges = [(0, v, 0) for v in range(1, n + 1)] + [(v, n + 1, v - 1) for v in range(1, n + 1)]
        return arch_id(ArchGraph(ops, (*edges, (n + 1, n + 2, 0))))

    ids = [joined("conv"), joined("conv", "none"), joined("conv", "none", "none"), joined("none", "conv")]
    assert len(set(ids)) == 4
    both = ArchGraph(
        ("input", "conv", "none", "concat", "output"),
        ((0, 1, 0), (0, 2, 0), (1, 3, 0), (2, 3, 1), (3, 4, 0)),
    )
    form = canonical_form(both)
    assert "none" not in form.ops
    assert form.attrs[form.ops.index("concat")] == {"zero_parts": 1.0}
    assert canonical_form(form) == form
    assert joined("none", "none") == arch_id(ArchGraph(("input", "output"), ()))


def test_a_zero_term_of_a_part_is_no_zero_part() -> None:
    """The part of a concatenation is the sum at its port: a zero term adds nothing to it."""
    ops = ("input", "conv", "none", "concat", "output")
    edges = ((0, 1, 0), (0, 2, 0), (1, 3, 0), (0, 3, 1), (3, 4, 0))
    assert arch_id(ArchGraph(ops, edges)) == arch_id(ArchGraph(ops, (*edges, (2, 3, 0))))
