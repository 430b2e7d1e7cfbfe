"""Attribute columns of a version with its log applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from archindex.core.metrics import Series, wide_columns
from archindex.queries.columns import Column, Schema

if TYPE_CHECKING:
    from archindex.store.snapshot import Snapshot


class DeltaColumns(Mapping[str, Column]):
    """The columns of a version with its log applied, each worked out when it is first asked for."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._base = snapshot._columns
        self._delta = snapshot._delta
        fresh = {spec.column for by_spec in self._delta.values.values() for spec in by_spec}
        self.schema: Schema = {
            **self._base.schema,
            **dict.fromkeys(sorted(fresh - set(self._base)), "DOUBLE"),
        }
        self._made: dict[str, Column] = {}

    def __getitem__(self, name: str) -> Column:
        if name not in self._made:
            if name not in self.schema:
                raise KeyError(name)
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.schema)

    def __len__(self) -> int:
        return len(self.schema)

    def _make(self, name: str) -> Column:
        snapshot, added = self._snapshot, self._delta.added
        base = self._base.get(name, Column.double(np.full(snapshot.info.n_rows, np.nan)))
        if snapshot._kept is not None:
            base = base.take(np.flatnonzero(snapshot._kept))
        if name == "space":
            return _with_tail(base, [r.info.space for r in added.values()])
        if base.kind == "BIGINT":
            return Column.bigint(
                np.concatenate([base.values, [r.sizes[name] for r in added.values()]]).astype(np.int64)
            )
        values = np.concatenate([np.asarray(base.values, dtype=np.float64), np.full(len(added), np.nan)])
        touched = np.array(
            [i for i, by_spec in self._delta.values.items() if any(s.column == name for s in by_spec)],
            dtype=np.int64,
        )
        if len(touched):
            values[snapshot.positions(touched)] = self._wide(name, touched)
        return Column.double(values)

    def _wide(self, name: str, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Work out what catalogue and log together say of one column for some rows."""
        known = self._snapshot.catalog.values(ids)
        merged = [{**known[int(i)], **self._delta.values[int(i)]} for i in ids]
        specs = [spec for spec in self._snapshot.specs() if spec.column == name]
        series = [Series(spec, np.array([by_spec.get(spec, np.nan) for by_spec in merged])) for spec in specs]
        return wide_columns(series)[name].values


def _with_tail(base: Column, more: list[str]) -> Column:
    """Return a column of names without NULLs, with more behind it, and only the categories that occur."""
    codes = np.asarray(base.values, dtype=np.int32)
    used = np.flatnonzero(np.bincount(codes, minlength=len(base.categories)))
    names = sorted({base.categories[i] for i in used}.union(more))
    place = {name: i for i, name in enumerate(names)}
    moved = np.array([place.get(name, -1) for name in base.categories], dtype=np.int32)
    tail = np.array([place[name] for name in more], dtype=np.int32)
    return Column.varchar(np.concatenate([moved[codes] if len(codes) else codes, tail]), names)
