"""Any sequence of writes, publishes, compactions and snapshots against a model that is a dict."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import archindex as ax
from archindex.core.errors import ArgumentError, ReadOnlyError, UnknownNameError
from archindex.core.metrics import MeasurementSpec
from archindex.datasets import Table
from archindex.indexes import DISTANCE_ATOL, DISTANCE_RTOL
from archindex.indexes import lists as lists_module
from archindex.store import arrange
from archindex.store.verify import verify

BUILT = 14
NAMES = 28
SPECS = (
    MeasurementSpec("energy", "pi5", source="mine"),
    MeasurementSpec("acc", "cifar10", "valid", seed=900, source="mine"),
    MeasurementSpec("acc", "cifar10", "valid", seed=901, source="mine"),
)
COLUMNS = ("pi5_energy_mj", "cifar10_valid_acc")
WAYS = (
    ("balanced", "auto"),
    ("exact", "auto"),
    ("exact", "lists"),
    ("balanced", "lists"),
    ("balanced", "ids"),
    ("balanced", "engine"),
)

Model = dict[str, tuple[int, dict[MeasurementSpec, float]]]
"""Row id and measurements by native string."""

names = st.integers(0, NAMES - 1)
some_names = st.lists(names, min_size=1, max_size=6)
values = st.sampled_from([np.nan, 1.0, 40.0, 70.0, 95.5])
measured = st.lists(st.tuples(names, st.tuples(*[values] * len(SPECS))), min_size=1, max_size=6)
snapshot_names = st.sampled_from(["early", "late"])


class IndexMachine(RuleBasedStateMachine):
    """An index folder beside what it should hold."""

    table: Table
    built: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "index"
        shutil.copytree(self.built, self.path)
        self.index = ax.open(self.path)
        self.known: Model = {
            native: (i, {s.spec: float(s.values[i]) for s in self.table.series if not np.isnan(s.values[i])})
            for i, native in enumerate(self.table.natives[:BUILT])
        }
        self.next_row_id = BUILT
        self.snapshots: dict[str, Model] = {}

    def teardown(self) -> None:
        self.index.close()
        assert verify(self.path).problems == ()
        shutil.rmtree(self.folder)

    @initialize()
    def opened(self) -> None:
        self.agrees()

    @rule(rows=measured)
    def add(self, rows: list[tuple[int, tuple[float, ...]]]) -> None:
        natives, series = self.series(rows)
        told = self.index.add(natives, series)
        for native, row_id, (_, given) in zip(natives, told.tolist(), rows, strict=True):
            if native not in self.known:
                self.known[native] = (self.next_row_id, {})
                self.next_row_id += 1
            assert row_id == self.known[native][0]
            self.note(native, given)

    @rule(rows=measured, column=st.sampled_from([None, *COLUMNS]))
    def update(self, rows: list[tuple[int, tuple[float, ...]]], column: str | None) -> None:
        natives, series = self.series(rows)
        if column is not None and column not in self.index.schema:
            column = None
        drop = () if column is None else (column,)
        if not set(natives) <= set(self.known):
            with pytest.raises(UnknownNameError):
                self.index.update(natives, series, drop=drop)
            return
        told = self.index.update(natives, series, drop=drop)
        assert told.tolist() == [self.known[native][0] for native in natives]
        for native in natives:
            by_spec = self.known[native][1]
            for spec in [spec for spec in by_spec if spec.column == column]:
                del by_spec[spec]
        for native, (_, given) in zip(natives, rows, strict=True):
            self.note(native, given)

    @rule(which=some_names)
    def remove(self, which: list[int]) -> None:
        natives = [self.table.natives[i] for i in which]
        there = set(natives) & set(self.known)
        assert self.index.remove(natives) == len(there)
        for native in there:
            del self.known[native]
            with pytest.raises(UnknownNameError):
                self.index.get(native)

    @rule()
    def publish(self) -> None:
        number = self.index.info.number
        assert self.index.publish().number == number + 1

    @rule()
    def compact(self) -> None:
        number = self.index.info.number
        self.index.compact()
        assert self.index.info.number == number + 1
        assert verify(self.path).problems == ()

    @rule()
    def reopen(self) -> None:
        self.index.close()
        self.index = ax.open(self.path)

    @rule(name=snapshot_names)
    def take_snapshot(self, name: str) -> None:
        if name in self.snapshots:
            with pytest.raises(ArgumentError):
                self.index.take_snapshot(name)
            return
        self.index.take_snapshot(name)
        self.snapshots[name] = {native: (i, dict(given)) for native, (i, given) in self.known.items()}

    @precondition(lambda self: self.snapshots)
    @rule(name=snapshot_names)
    def drop_snapshot(self, name: str) -> None:
        if name in self.snapshots:
            self.index.drop_snapshot(name)
            del self.snapshots[name]
        with pytest.raises(UnknownNameError):
            ax.open(self.path, version=name)

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data())
    def look_at_a_snapshot(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.snapshots)))
        with ax.open(self.path, version=name) as view:
            self.holds(view, self.snapshots[name])
            with pytest.raises(ReadOnlyError):
                view.remove([self.table.natives[0]])

    @rule(
        like=names,
        k=st.integers(1, 30),
        column=st.sampled_from(COLUMNS),
        above=st.sampled_from([0, 50, 90]),
        way=st.sampled_from(WAYS),
    )
    def query(self, like: int, k: int, column: str, above: float, way: tuple[str, str]) -> None:
        if column not in self.index.schema:
            assert all(self.mean(self.known, native, column) is None for native in self.known)
            return
        recall, strategy = way
        if strategy == "lists" and self.index.snapshot.lists is None:
            strategy = "auto"
        native, where = self.table.natives[like], f"{column} > {above}"
        hits = self.index.query(native, k, where=where, recall=recall, strategy=strategy)
        means = {n: self.mean(self.known, n, column) for n in self.known}
        allowed = sorted(n for n, mean in means.items() if mean is not None and mean > above)
        assert {a.native for a in hits.architectures} <= set(allowed)
        assert len(hits) == len(set(hits.ids.tolist())) == min(k, len(allowed))
        assert hits.ids.tolist() == [self.known[a.native][0] for a in hits.architectures]
        point = self.index.get(native).vector if native in self.known else self.index.encode([native])[0]
        vectors = [self.index.get(n).vector for n in allowed] or np.empty((0, self.index.info.dim))
        distances = np.linalg.norm(np.asarray(vectors, dtype=np.float64) - point, axis=1)
        own = [distances[allowed.index(a.native)] for a in hits.architectures]
        np.testing.assert_allclose(hits.distances, own, rtol=DISTANCE_RTOL, atol=DISTANCE_ATOL)
        if hits.plan.proved:
            nearest = np.sort(distances)[:k]
            np.testing.assert_allclose(hits.distances, nearest, rtol=DISTANCE_RTOL, atol=DISTANCE_ATOL)

    @invariant()
    def agrees(self) -> None:
        self.holds(self.index, self.known)

    @invariant()
    def measurements_agree(self) -> None:
        for native, (row_id, expected) in list(self.known.items())[-2:]:
            assert {m.spec: m.value for m in self.index.get(native).measurements} == expected
            assert self.index.get(row_id).architecture.native == native

    def series(
        self, rows: list[tuple[int, tuple[float, ...]]]
    ) -> tuple[list[str], dict[str | MeasurementSpec, npt.ArrayLike]]:
        natives = [self.table.natives[i] for i, _ in rows]
        return natives, {spec: np.array([given[s] for _, given in rows]) for s, spec in enumerate(SPECS)}

    def note(self, native: str, given: tuple[float, ...]) -> None:
        new = {spec: v for spec, v in zip(SPECS, given, strict=True) if not np.isnan(v)}
        self.known[native][1].update(new)

    def holds(self, index: ax.Index, model: Model) -> None:
        rows = index.snapshot.all_rows()
        assert dict(zip(rows["native"].tolist(), rows["row_id"].tolist(), strict=True)) == {
            native: row_id for native, (row_id, _) in model.items()
        }
        assert rows["row_id"].tolist() == index.snapshot.ids.tolist()
        assert len(index) == len(model)
        for column in set(COLUMNS) & set(index.schema):
            shown = index.snapshot.columns[column].to_list()
            expected = [self.mean(model, native, column) for native in rows["native"].tolist()]
            assert shown == [pytest.approx(v) if v is not None else None for v in expected]

    def mean(self, model: Model, native: str, column: str) -> float | None:
        found = [(spec.source, v) for spec, v in model[native][1].items() if spec.column == column]
        mine = [v for source, v in found if source == "mine"]  # came in after the table, so it stands
        return float(np.mean(mine or [v for _, v in found])) if found else None


@pytest.mark.parametrize(("engine", "listed"), [("exact", False), ("hnsw", True)])
def test_any_sequence_of_writes(
    tmp_path: Path, small_table: Table, engine: str, listed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if listed:  # lists come and go as rows do
        monkeypatch.setattr(arrange, "LISTED_ROWS", 12)
        monkeypatch.setattr(lists_module, "LIST_ROWS", 4)
    ax.build(tmp_path / "built", small_table.take(range(BUILT)), engine=engine).close()
    monkeypatch.setattr(IndexMachine, "table", small_table, raising=False)
    monkeypatch.setattr(IndexMachine, "built", tmp_path / "built", raising=False)
    IndexMachine.TestCase.settings = settings(
        max_examples=10, stateful_step_count=14, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    IndexMachine.TestCase("runTest").runTest()
