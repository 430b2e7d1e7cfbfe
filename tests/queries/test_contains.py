"""Motifs: how they are read, and which graphs contain them, against networkx on random graphs."""

from __future__ import annotations

import networkx as nx  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networkx.algorithms.isomorphism import DiGraphMatcher  # type: ignore[import-untyped]

from archindex.core.batch import GraphBatch
from archindex.core.errors import FilterError, UnknownNameError
from archindex.core.graph import ArchGraph
from archindex.core.ops import ATTRIBUTES
from archindex.queries import Column, Filters, Schema, compile_where, embedding, table
from archindex.queries import contains as matching
from archindex.queries.contains import contains
from archindex.queries.motif import LIMITS, Label, Motif, motif_of, parse_motif
from archindex.queries.structures import Structures
from archindex.store.motifs import MotifColumns

OPS = ("conv", "skip", "max_pool", "my.op")


def random_graph(rng: np.random.Generator) -> ArchGraph:
    n = int(rng.integers(0, 9))
    ops = tuple(str(rng.choice(OPS, p=[0.6, 0.2, 0.1, 0.1])) for _ in range(n))
    attrs = tuple(
        {"kernel": float(rng.choice([1, 3])), **({"stride": 2.0} if rng.random() < 0.3 else {})}
        if op == "conv"
        else {}
        for op in ops
    )
    order = rng.permutation(n)
    edges = [
        (int(order[i]), int(order[j]), int(rng.integers(2)))
        for i in range(n)
        for j in range(i + 1, n)
        if rng.random() < 0.35
    ]
    return ArchGraph(ops, tuple(edges + edges[:1]), attrs)


def random_motif(rng: np.random.Generator) -> Motif:
    n = int(rng.integers(1, 6))
    labels = [
        Label("*"), Label("conv"), Label("conv3x3"), Label("conv1x1", (("stride", ">=", 2.0),)),
        Label("skip"), Label("my.op"), Label("conv", (("kernel", "<", 3.0),)),
    ]  # fmt: skip
    chosen = tuple(labels[i] for i in rng.choice(len(labels), n, p=[0.3, 0.25, 0.2, 0.05, 0.1, 0.05, 0.05]))
    edges = [
        (i, j, bool(rng.random() < 0.25)) for i in range(n) for j in range(i + 1, n) if rng.random() < 0.45
    ]
    return Motif(chosen, tuple(edges))


def fits(label: Label, op: str, attrs: dict[str, float]) -> bool:
    name, _, kernel = label.op.partition("conv") if label.op.startswith("conv") else (label.op, "", "")
    if label.op.startswith("conv"):
        if op != "conv" or (kernel and attrs.get("kernel") != float(kernel[0])):
            return False
    elif name not in ("*", op):
        return False
    return all(key in attrs and bool(LIMITS[sign](attrs[key], value)) for key, sign, value in label.limits)


def has(graph: ArchGraph, motif: Motif) -> bool:
    """Say whether a graph has a motif, by all monomorphisms of the near edges."""
    host, pattern = nx.DiGraph(), nx.DiGraph()
    host.add_nodes_from(
        (i, {"op": op, "attrs": dict(a)})
        for i, (op, a) in enumerate(zip(graph.ops, graph.attrs, strict=True))
    )
    host.add_edges_from((s, t) for s, t, _ in graph.edges)
    pattern.add_nodes_from((i, {"label": label}) for i, label in enumerate(motif.labels))
    pattern.add_edges_from((a, b) for a, b, far in motif.edges if not far)
    found = DiGraphMatcher(
        host, pattern, node_match=lambda mine, theirs: fits(theirs["label"], mine["op"], mine["attrs"])
    )
    below = {node: nx.descendants(host, node) for node in host}
    for mapping in found.subgraph_monomorphisms_iter():
        at = {b: a for a, b in mapping.items()}
        if all(at[b] in below[at[a]] for a, b, far in motif.edges if far):
            return True
    return False


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), tight=st.booleans())
def test_it_is_what_networkx_finds(seed: int, tight: bool) -> None:
    rng = np.random.default_rng(seed)
    graphs = [random_graph(rng) for _ in range(25)]
    structures = Structures.of(GraphBatch.from_graphs(graphs))
    with pytest.MonkeyPatch.context() as patch:
        if tight:  # so that embeddings are left aside, blocks end, and graphs are searched by themselves
            patch.setattr(matching, "EMBEDDINGS", (1, 2))
            patch.setattr(matching, "GRAPHS", 7)
        for _ in range(6):
            motif = random_motif(rng)
            expected = [has(graph, motif) for graph in graphs]
            assert contains(structures, motif, OPS).tolist() == expected, motif.name


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_packs_are_cut_and_joined(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graphs = [random_graph(rng) for _ in range(12)]
    whole = Structures.of(GraphBatch.from_graphs(graphs))
    chosen = rng.permutation(12)[: rng.integers(13)]
    part = whole.pick(chosen)
    again = Structures.of(GraphBatch.from_graphs(graphs[i] for i in chosen))
    assert part.equals(again)
    assert Structures.concat([again, whole]).equals(
        Structures.of(GraphBatch.from_graphs([*(graphs[i] for i in chosen), *graphs]))
    )
    assert Structures.of_arrays(part.ops, part.arrays()).equals(again)
    for _ in range(3):
        motif = random_motif(rng)
        mask = contains(whole, motif, OPS)
        assert contains(part, motif, OPS).tolist() == mask[chosen].tolist()
    if len(chosen) and len(graphs[chosen[-1]].ops):
        other = [graphs[i] for i in chosen]
        last = other[-1]
        other[-1] = ArchGraph((*last.ops[:-1], "tanh"), last.edges, last.attrs)
        assert not part.equals(Structures.of(GraphBatch.from_graphs(other)))


@pytest.mark.parametrize(
    ("text", "labels", "edges"),
    [
        ("skip", ["skip"], []),
        ("conv3x3 -> skip->conv1x1", ["conv3x3", "skip", "conv1x1"], [(0, 1, False), (1, 2, False)]),
        (
            "a:conv ->> b:*, a -> c:skip -> b",
            ["conv", "*", "skip"],
            [(0, 1, True), (0, 2, False), (2, 1, False)],
        ),
        ("b, b:conv -> a:skip", ["conv", "skip"], [(0, 1, False)]),
        ("a:* ->> b:*, a -> b", ["*", "*"], [(0, 1, False)]),
        ('"my op" -> *', ['"my op"', "*"], [(0, 1, False)]),
        ("conv[kernel>=5, stride=2] -> *", ["conv[kernel>=5,stride=2]", "*"], [(0, 1, False)]),
    ],
)
def test_how_a_motif_is_read(text: str, labels: list[str], edges: list[tuple[int, int, bool]]) -> None:
    motif = parse_motif(text)
    assert [str(label) for label in motif.labels] == labels
    assert list(motif.edges) == edges


def test_a_name_is_read_as_the_motif_it_came_from() -> None:
    rng = np.random.default_rng(0)
    for motif in [random_motif(rng) for _ in range(300)] + [parse_motif('"my op" -> conv[stride>=2]')]:
        graphs = Structures.of(GraphBatch.from_graphs(random_graph(rng) for _ in range(20)))
        ops = (*OPS, "my op")
        assert contains(graphs, motif_of(motif.name), ops).tolist() == contains(graphs, motif, ops).tolist()


def test_equal_motifs_share_a_name() -> None:
    assert parse_motif("x:conv->y:skip").name == parse_motif(" conv  -> skip").name
    assert parse_motif("conv -> skip").name != parse_motif("conv ->> skip").name
    assert parse_motif("conv, skip").name != parse_motif("conv -> skip").name


NO_MOTIFS = (
    *(
        "",
        " ",
        "->",
        "a ->",
        "a b",
        "a,,b",
        "a[",
        "a[kernel]",
        "a[kernel=x]",
        "a:b:c",
        "a:",
        "conv(3)",
        "a;b",
    ),
    *("a:conv, a:conv", "a:b -> a", "x:* -> y:* -> x", ", ".join("*" * 13)),
)


@pytest.mark.parametrize("text", NO_MOTIFS)
def test_what_is_no_motif_is_refused(text: str) -> None:
    with pytest.raises(FilterError):
        parse_motif(text)


def test_unknown_names_are_told_the_nearest() -> None:
    structures = Structures.of(GraphBatch.from_graphs([ArchGraph(("my.op",), ())]))
    for text, near in (("convv3x3", "conv"), ("avgpool3x3 -> skip", "avg_pool"), ("my.opp", "my.op")):
        with pytest.raises(UnknownNameError, match=f"did you mean '{near}'"):
            contains(structures, parse_motif(text))
    with pytest.raises(UnknownNameError, match="did you mean 'kernel'"):
        parse_motif("conv[kernal=3]")
    assert contains(structures, parse_motif("my.op")).tolist() == [True]


def test_kernels_in_names() -> None:
    kernels: list[dict[str, float]] = [
        {"kernel": 3},
        {"kernel": 3, "kernel_w": 1},
        {"kernel": 1, "kernel_w": 7},
        {},
    ]
    structures = Structures.of(GraphBatch.from_graphs(ArchGraph(("conv",), (), (k,)) for k in kernels))

    def found(text: str) -> list[bool]:
        return [bool(x) for x in contains(structures, parse_motif(text))]

    assert found("conv3x3") == found("conv_3x3") == [True, False, False, False]
    assert found("conv3x1") == [False, True, False, False]
    assert found("conv1x7") == [False, False, True, False]
    assert found("conv") == [True] * 4
    assert found("conv[kernel_w=3]") == [True, False, False, False]


def test_packs_written_before_an_attribute_came_are_read() -> None:
    graph = ArchGraph(("conv",), (), ({"kernel": 3.0},))
    old = Structures.of(GraphBatch.from_graphs([graph]))
    arrays = {**old.arrays(), "label_attrs": old.label_attrs[:, : len(ATTRIBUTES) - 1]}
    read = Structures.of_arrays(old.ops, arrays)
    assert contains(read, parse_motif(f"conv[{ATTRIBUTES[-1]}>0]")).tolist() == [False]
    assert contains(read, parse_motif("conv3x3")).tolist() == [True]
    assert read.equals(old)


def test_a_search_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "EMBEDDINGS", (1,))
    monkeypatch.setattr(embedding, "STEPS", 5)
    n = 8
    wide = ArchGraph(("add",) * (2 * n), tuple((i, n + i, 0) for i in range(n)))
    structures = Structures.of(GraphBatch.from_graphs([wide]))
    with pytest.raises(FilterError, match="tells ops apart"):
        contains(structures, parse_motif("a:* -> b:*, c:* -> d:*, a -> e:*"))


@settings(max_examples=300, deadline=None)
@given(text=st.text("ab:>-,*[]= \"'13x.<conv", max_size=24) | st.text(max_size=12))
def test_any_text_is_a_motif_or_an_error_of_ours(text: str) -> None:
    where = "contains('" + text.replace("'", "''") + "') OR x > 1"
    schema: Schema = {"x": "DOUBLE"}
    try:
        motif = parse_motif(text)
    except (FilterError, UnknownNameError):
        with pytest.raises((FilterError, UnknownNameError)):
            compile_where(where, schema)
        return
    assert compile_where(where, schema).columns == ("x",)
    assert motif_of(motif.name).labels


@pytest.mark.parametrize(
    "where",
    ["contains(x)", "contains()", "contains('conv', 'skip')", "contains(1)", "contains('conv') > 1",
     "contains", "contains('conv') + 1 > 0", "contains(NULL)", "motif('conv')"],
)  # fmt: skip
def test_what_contains_does_not_take(where: str) -> None:
    with pytest.raises((FilterError, UnknownNameError)):
        compile_where(where, {"x": "DOUBLE"})


def numbers(n: int) -> list[float | None]:
    return [None if i % 5 == 0 else float(i) for i in range(n)]


def test_in_a_filter_it_is_a_column_that_is_never_null() -> None:
    rng = np.random.default_rng(0)
    structures = Structures.of(GraphBatch.from_graphs(random_graph(rng) for _ in range(200)))
    asked: list[str] = []

    def found(motif: Motif) -> npt.NDArray[np.bool_]:
        asked.append(motif.name)
        return contains(structures, motif, OPS)

    columns = MotifColumns({"x": Column.of("DOUBLE", numbers(200))}, found)
    filters = Filters(columns, np.arange(0, 201, 20), {"x": "DOUBLE"})
    has = contains(structures, parse_motif("conv3x3 -> conv"))
    one = filters.filter("contains('conv3x3 -> conv')")
    assert one.expected.tolist() == pytest.approx(has.reshape(-1, 20).sum(axis=1))
    assert one.possible.tolist() == has.reshape(-1, 20).any(axis=1).tolist()
    assert one.mask().tolist() == has.tolist()
    x = np.array([np.nan if i % 5 == 0 else i for i in range(200)])
    for where, expected in (
        ("NOT contains('conv3x3->conv')", ~has),
        ("contains('conv3x3 -> conv') IS NULL", np.zeros(200, dtype=bool)),
        ("contains('conv3x3 -> conv') AND x < 100", has & (x < 100)),
        ("contains('conv3x3 -> conv') OR x < 100", has | (x < 100)),
        ("contains('conv3x3 -> conv') = FALSE AND NOT x < 100", ~has & (x >= 100)),
    ):
        assert filters.filter(where).mask().tolist() == expected.tolist()
    # Asked for once, however it is written.
    assert asked == [parse_motif("conv3x3 -> conv").name]


def test_columns_of_many_motifs_make_room_for_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_MOTIFS", 3)
    rng = np.random.default_rng(0)
    structures = Structures.of(GraphBatch.from_graphs(random_graph(rng) for _ in range(10)))
    columns = {"x": Column.of("DOUBLE", numbers(10))}
    kept = table.Table(MotifColumns(columns, lambda motif: contains(structures, motif, OPS)))
    names = [parse_motif(f"conv[stride<={i}]").name for i in range(8)]
    for name in ["x", *names]:
        assert len(kept[name].values) == 10
    assert sorted(kept._opened) == sorted(["x", *names[-3:]])
