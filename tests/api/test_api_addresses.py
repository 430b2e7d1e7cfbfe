"""What the facade takes as an address, a batch, or a list to write, and what it refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archindex as ax
from archindex.core.errors import ArgumentError, InputError, UnknownNameError
from archindex.core.metrics import MeasurementSpec
from archindex.datasets import Table
from archindex.hits import Hits

COLUMN = "cifar10_valid_acc"


@pytest.fixture
def index(index_path: Path) -> Iterator[ax.Index]:
    with ax.open(index_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def aliases(small_table: Table) -> tuple[str, list[str]]:
    """The arch_id that most rows have, and their native strings in order of row id."""
    ids = ax.space("nasbench201").arch_ids(small_table.natives).tolist()
    (most, count), *_ = Counter(ids).most_common(1)
    assert count > 2
    return most, [n for n, i in zip(small_table.natives, ids, strict=True) if i == most]


def test_writes_refuse_an_arch_id_of_several_rows(index: ax.Index, aliases: tuple[str, list[str]]) -> None:
    """Measurements belong to the string: which of the aliases is meant is not for the index to guess."""
    arch_id, natives = aliases
    for write in (
        lambda: index.remove([arch_id]),
        lambda: index.remove([natives[0], arch_id[:10]]),
        lambda: index.add([arch_id], {"pi5_latency_ms": [1.0]}),
    ):
        with pytest.raises(UnknownNameError, match=f"which fits {len(natives)}'; give the native string"):
            write()
    assert len(index) == 400
    assert "pi5_latency_ms" not in index.schema
    assert index.get(arch_id).architecture.native == natives[0]
    assert index.query(arch_id, k=1).architectures[0].native in natives
    assert index.remove(natives) == len(natives)


def test_writes_take_an_arch_id_of_one_row(index: ax.Index, small_table: Table) -> None:
    ids = ax.space("nasbench201").arch_ids(small_table.natives).tolist()
    (row,) = [i for i, one in enumerate(ids) if ids.count(one) == 1][:1]
    assert index.add([ids[row]], {"pi5_latency_ms": [1.5]}).tolist() == [row]
    assert index.get(row).attributes["pi5_latency_ms"] == 1.5
    assert index.remove([ids[row]]) == 1


@pytest.mark.parametrize(
    ("column", "value"),
    [("pi5_latency_ms", -5), (COLUMN, 500), (COLUMN, -0.1), ("x_top5_acc", 101), ("x_acc_predicted", 101)],
)
def test_values_that_cannot_be_are_refused(index: ax.Index, column: str, value: float) -> None:
    with pytest.raises(ArgumentError, match=f"{column} from 0 to .*got {float(value)}"):
        index.add([index.architecture(0), index.architecture(1)], {column: [1.0, value]})
    index.refresh()
    assert index.get(0).attributes.get(column) != 1.0


def test_values_at_the_ends_are_taken(index: ax.Index) -> None:
    two = [index.architecture(0), index.architecture(1)]
    index.add(two, {COLUMN: [0.0, 100.0], "my_score": [-1e9, 1e9], "x_loss": [-1.0, np.nan]})
    assert index.get(1).attributes[COLUMN] == 100.0
    assert index.get(0).attributes["my_score"] == -1e9


def test_predicted_columns_can_be_added_and_walked_in(index: ax.Index) -> None:
    index.add([index.architecture(0)], {"x_acc_predicted": [50.0]})
    (measurement,) = [m for m in index.get(0).measurements if m.spec.context == "x"]
    assert (measurement.spec.provenance, measurement.spec.metric) == ("predicted", "acc")
    assert index.walk("x_acc_predicted").objective.maximize
    assert not index.walk("x_latency_ms_predicted").objective.maximize


def vector(index: ax.Index, row: int) -> Any:
    return index.snapshot.vectors[row]


def test_batches_of_every_form(index: ax.Index) -> None:
    native = index.architecture(3).native
    first, second = vector(index, 1), vector(index, 2)

    def nearest(like: Any) -> list[float]:
        return [hits.distances[0] for hits in index.query(like, k=1)]

    for batch in (
        [first, second],
        [first.tolist(), second.tolist()],
        (tuple(first.tolist()), second),
        np.stack([first, second]),
        [1, 2],
        [np.int64(1), index.architecture(2)],
        [first, 2],
        [1, second.tolist()],
    ):
        assert nearest(batch) == pytest.approx([0, 0], abs=1e-4)
    found = index.query([native, first.tolist(), 2, vector(index, 5)], k=400)
    for hits, row in zip(found, (3, 1, 2, 5), strict=True):
        expected = index.query(row, k=400)
        assert hits.distances == pytest.approx(expected.distances, abs=1e-4)
    assert index.query([], k=1) == []


def test_a_flat_list_of_numbers_is_a_vector_unless_all_are_whole(index: ax.Index) -> None:
    dim = index.info.dim
    mixed: list[float] = [0, *[0.5] * (dim - 1)]
    hits = index.query(np.array(mixed), k=3)
    assert isinstance(hits, Hits)
    assert index.query(mixed, k=3).ids.tolist() == hits.ids.tolist()
    assert len(index.query([0] * dim, k=1)) == dim
    whole_vector: list[float] = [0] * dim
    (whole,) = index.query([whole_vector], k=3)
    assert whole.ids.tolist() == index.query([0.0] * dim, k=3).ids.tolist()


@pytest.mark.parametrize(
    "like",
    [None, np.bool_(True), True, 10**25, -1, 0.5, {}, {"a": 1}, [None], [[0.5]], [[0.5], [0.5, 0.5]],
     [0.5, "a"], [np.zeros((2, 128))], [["a"] * 128], [[10**400] * 128], [10**25], np.array(["?"]), object()],
)  # fmt: skip
def test_what_is_no_query(index: ax.Index, like: Any) -> None:
    with pytest.raises(InputError):
        index.query(like)


@pytest.mark.parametrize("address", [None, 10**25, -(10**25), np.bool_(True), 1.5, [0], b"x"])
def test_what_is_no_address(index: ax.Index, address: Any) -> None:
    calls: list[Callable[[Any], Any]] = [index.get, index.architecture, lambda a: index.remove([a])]
    for call in calls:
        with pytest.raises(InputError):
            call(address)


def test_a_list_is_asked_for_where_one_is_needed(index: ax.Index) -> None:
    one = index.architecture(0)
    for given in (one, one.native, 5, None):
        for call in (index.add, index.encode, index.remove):
            with pytest.raises(ArgumentError, match="put it into a list"):
                call(given)  # type: ignore[arg-type]
    for wrong in ([5], [None], [one, 5]):
        for refuse in (index.add, index.encode):
            with pytest.raises(ArgumentError, match="architectures or native strings"):
                refuse(wrong)  # type: ignore[arg-type]
    for measurements in ({5: [1.0]}, {"pi5_latency_ms": ["a"]}, {"pi5_latency_ms": [10**400]}):
        with pytest.raises(InputError):
            index.add([one], measurements)  # type: ignore[arg-type]
    assert (index.encode([one.native]) == index.encode([one])).all()


def test_selected_columns(index: ax.Index) -> None:
    assert list(index.query(0, select=COLUMN).attributes) == [COLUMN]
    assert list(index.query(0, select=["N_ops", "CIFAR10_valid_acc", "n_ops"]).attributes) == [
        "n_ops",
        COLUMN,
    ]
    with pytest.raises(UnknownNameError, match=COLUMN):
        index.query(0, select=["cifar10_valid_ac"])
    no_columns: tuple[Any, ...] = (5, [5], [None])
    for wrong in no_columns:
        with pytest.raises(ArgumentError, match="names of columns"):
            index.query(0, select=wrong)


def test_hits_can_be_sliced(index: ax.Index) -> None:
    hits = index.query(0, k=5)
    some = hits[1:3]
    assert isinstance(some, type(hits))
    assert [h.row_id for h in some] == [h.row_id for h in hits][1:3]
    assert [h.attributes for h in some] == [h.attributes for h in hits][1:3]
    assert hits[-1].row_id == hits.ids[4]
    assert len(hits[5:]) == 0


def test_what_is_written_to_disk_can_be_read_back(index: ax.Index) -> None:
    """A source that is no text would be refused by whoever reads the index next."""
    one = [index.architecture(0)]
    no_texts: tuple[Any, ...] = ([], {}, b"x", 5, None, np.nan)
    for source in no_texts:
        with pytest.raises(ArgumentError, match="expected text"):
            index.add(one, {"pi5_latency_ms": [1.0]}, source=source)
    no_numbers: tuple[Any, ...] = (1.5, True, "1", np.int64(1))
    for number in no_numbers:
        with pytest.raises(ArgumentError, match="whole numbers"):
            MeasurementSpec("acc", "x", seed=number)
    no_mappings: tuple[Any, ...] = (5, ["pi5_latency_ms"], "pi5_latency_ms", np.zeros(3))
    for measurements in no_mappings:
        with pytest.raises(ArgumentError, match="mapping"):
            index.add(one, measurements)
    index.refresh()
    assert "pi5_latency_ms" not in index.schema


@pytest.mark.parametrize("path", ["", None, 5, b"x", [], np.zeros(2)])
def test_what_is_no_path(path: Any, small_table: Table) -> None:
    for call in (ax.open, ax.Index, lambda p: ax.build(p, small_table)):
        with pytest.raises(ArgumentError, match="expected a path"):
            call(path)


@pytest.mark.parametrize("objective", [None, 5, b"x", [], np.zeros(2)])
def test_what_is_no_objective(index: ax.Index, objective: Any) -> None:
    with pytest.raises(ArgumentError, match="expected a direction"):
        index.walk(objective)
    with pytest.raises(UnknownNameError, match="strategy"):
        index.query(0, strategy=objective)


def test_a_batch_finds_what_its_items_find_alone(index_path: Path) -> None:
    index = ax.open(index_path)
    fresh = ax.space("nasbench201").sample(1, seed=12345)[0]
    index.add([fresh])
    gone = index.get(7).architecture
    index.remove([7])
    known = index.get(3).architecture
    items: list[Any] = [
        known,
        known.native,
        str(known),
        f"  {known.native} ",
        3,
        fresh,
        fresh.native,
        gone,
        gone.native,
    ]
    together = index.query(items, k=4)
    for item, hits in zip(items, together, strict=True):
        alone = index.query(item, k=4)
        assert hits.ids.tolist() == alone.ids.tolist()
        assert hits.architectures == alone.architectures
        assert hits.attributes == alone.attributes
