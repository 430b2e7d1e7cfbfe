"""Any sequence of adds, removals and publishes against a model that is a dict."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import archindex as ax
from archindex.core.errors import UnknownNameError
from archindex.core.metrics import MeasurementSpec
from archindex.datasets import Table
from archindex.indexes import DISTANCE_ATOL, DISTANCE_RTOL
from archindex.store.verify import verify

BUILT = 4
SPECS = (
    MeasurementSpec("energy", "pi5", source="mine"),
    MeasurementSpec("acc", "cifar10", "valid", seed=900, source="mine"),
    MeasurementSpec("acc", "cifar10", "valid", seed=901, source="mine"),
)
COLUMNS = ("pi5_energy_mj", "cifar10_valid_acc")

names = st.integers(0, 9)
values = st.sampled_from([np.nan, 1.0, 40.0, 70.0, 95.5])
adds = st.lists(st.tuples(names, st.tuples(*[values] * len(SPECS))), min_size=1, max_size=4)


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
        self.known: dict[str, tuple[int, dict[MeasurementSpec, float]]] = {
            native: (i, {s.spec: float(s.values[i]) for s in self.table.series if not np.isnan(s.values[i])})
            for i, native in enumerate(self.table.natives[:BUILT])
        }
        self.next_row_id = BUILT

    def teardown(self) -> None:
        self.index.close()
        shutil.rmtree(self.folder)

    @initialize()
    def opened(self) -> None:
        self.agrees()

    @rule(rows=adds)
    def add(self, rows: list[tuple[int, tuple[float, ...]]]) -> None:
        natives = [self.table.natives[i] for i, _ in rows]
        series: dict[str | MeasurementSpec, npt.ArrayLike] = {
            spec: np.array([given[s] for _, given in rows]) for s, spec in enumerate(SPECS)
        }
        told = self.index.add(natives, series)
        for native, row_id, (_, given) in zip(natives, told.tolist(), rows, strict=True):
            if native not in self.known:
                self.known[native] = (self.next_row_id, {})
                self.next_row_id += 1
            assert row_id == self.known[native][0]
            new = {spec: v for spec, v in zip(SPECS, given, strict=True) if not np.isnan(v)}
            self.known[native][1].update(new)

    @rule(which=st.lists(names, min_size=1, max_size=6))
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
        assert verify(self.path).problems == ()

    @rule()
    def reopen(self) -> None:
        self.index.close()
        self.index = ax.open(self.path)

    @rule(
        like=names, k=st.integers(1, 30), column=st.sampled_from(COLUMNS), above=st.sampled_from([0, 50, 90])
    )
    def query(self, like: int, k: int, column: str, above: float) -> None:
        if column not in self.index.schema:
            assert all(self.mean(native, column) is None for native in self.known)
            return
        native = self.table.natives[like]
        hits = self.index.query(native, k, where=f"{column} > {above}")
        allowed = {n for n in self.known if (v := self.mean(n, column)) is not None and v > above}
        assert {a.native for a in hits.architectures} <= allowed
        assert len(hits) == len(set(hits.ids.tolist())) == min(k, len(allowed))
        vectors = self.index.encode([self.index.architecture(n) for n in [native, *sorted(allowed)]])
        nearest = np.sort(np.linalg.norm((vectors[1:] - vectors[0]).astype(np.float64), axis=1))[:k]
        np.testing.assert_allclose(hits.distances, nearest, rtol=DISTANCE_RTOL, atol=DISTANCE_ATOL)

    @invariant()
    def agrees(self) -> None:
        rows = self.index.snapshot.all_rows()
        assert dict(zip(rows["native"].tolist(), rows["row_id"].tolist(), strict=True)) == {
            native: row_id for native, (row_id, _) in self.known.items()
        }
        assert rows["row_id"].tolist() == self.index.snapshot.ids.tolist()
        assert len(self.index) == len(self.known)
        for column in set(COLUMNS) & set(self.index.schema):
            shown = self.index.snapshot.columns[column].to_list()
            expected = [self.mean(native, column) for native in rows["native"].tolist()]
            assert shown == [pytest.approx(v) if v is not None else None for v in expected]

    @invariant()
    def measurements_agree(self) -> None:
        for native, (row_id, expected) in list(self.known.items())[-2:]:
            assert {m.spec: m.value for m in self.index.get(native).measurements} == expected
            assert self.index.get(row_id).architecture.native == native

    def mean(self, native: str, column: str) -> float | None:
        found = [(spec.source, v) for spec, v in self.known[native][1].items() if spec.column == column]
        mine = [v for source, v in found if source == "mine"]  # came in after the table, so it stands
        return float(np.mean(mine or [v for _, v in found])) if found else None


@pytest.mark.parametrize("engine", ["exact", "hnsw"])
def test_any_sequence_of_writes(
    tmp_path: Path, small_table: Table, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ax.build(tmp_path / "built", small_table.take(range(BUILT)), engine=engine).close()
    monkeypatch.setattr(IndexMachine, "table", small_table, raising=False)
    monkeypatch.setattr(IndexMachine, "built", tmp_path / "built", raising=False)
    IndexMachine.TestCase.settings = settings(
        max_examples=12, stateful_step_count=12, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    IndexMachine.TestCase("runTest").runTest()
