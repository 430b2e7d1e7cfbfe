"""The merge job: several indexes of one encoder become one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArgumentError, EncoderMismatchError
from archindex.core.metrics import MeasurementSpec, Series
from archindex.core.progress import Progress, silent
from archindex.indexes import make_index
from archindex.store.publishing import create_version
from archindex.store.repair import SIZES
from archindex.store.rows import Rows
from archindex.store.snapshot import Snapshot
from archindex.store.version import VersionInfo
from archindex.store.writer import check_target, writing

Ints = npt.NDArray[np.int64]


def merge_indexes(target: Path, sources: Sequence[Path], *, progress: Progress = silent) -> VersionInfo:
    """Publish a new index of all that several indexes hold now; these stay as they are.

    Rows of the same native string and space become one, with the measurements of all; where two indexes have
    a value of the same full spec, the later index's stands, as with `add`. Rows of the first index keep their
    ids, others get ids after them. Engine and its arguments are those of the largest index.

    Parameters
    ----------
    target : Path
        Folder of the new index; made if it is not there.
    sources : sequence of Path
        Two or more indexes of the same encoder and metric.
    progress : Progress
        Told after each index that was read, and when the engine is built.

    Raises
    ------
    ArgumentError
        If there are fewer than two, one twice, or indexes of different metrics.
    EncoderMismatchError
        If they are of different encoders: vectors of one mean nothing to another.
    IndexExistsError
        If there is something at `target`.
    IndexMissingError, IndexVersionError, CorruptIndexError
        If a source cannot be opened.
    StorageError, IndexLockedError
        If `target` cannot be written to; nothing is published.
    """
    if len({source.resolve() for source in sources}) < max(2, len(sources)):
        raise ArgumentError("expected two or more different indexes", got=[str(s) for s in sources])
    check_target(target, overwrite=False)  # now, before all is read for nothing
    with ExitStack() as stack:
        opened = [stack.enter_context(closing(Snapshot(source))) for source in sources]
        infos = [snapshot.info for snapshot in opened]
        for source, info in zip(sources, infos, strict=True):
            if info.fingerprint != infos[0].fingerprint:
                raise EncoderMismatchError(
                    f"expected indexes of one encoder ({infos[0].encoder} {infos[0].fingerprint[:12]})",
                    got=f"{info.encoder} {info.fingerprint[:12]} in {source}",
                    fix="build one index of all data sets with one encoder",
                )
            if info.metric != infos[0].metric:
                raise ArgumentError(
                    f"expected indexes of one metric ({infos[0].metric})", got=f"{info.metric} in {source}"
                )
        rows, ids = _union(opened, progress)
        largest = max(infos, key=lambda info: info.n_rows)
        stated = dict.fromkeys(
            one
            for info in infos
            for one in zip(info.data, info.data_digests or ("",) * len(info.data), strict=True)
        )
        with writing(target):
            check_target(target, overwrite=False)  # again: another process may have published meanwhile
            progress("build engine", 0, 1)
            made = create_version(
                target,
                rows,
                encoder=opened[0].encoder,
                engine=make_index(
                    largest.engine,
                    largest.dim,
                    largest.metric,
                    infos[0].seed,
                    **largest.engine_arguments,
                ),
                engine_name=largest.engine,
                engine_reason="it is that of the largest of the merged indexes",
                metric=largest.metric,
                data=[name for name, _ in stated],
                seed=infos[0].seed,
                engine_arguments=largest.engine_arguments,
                data_digests=[digest for _, digest in stated],
                ids=ids,
            )
            progress("build engine", 1, 1)
    return made


def _union(opened: Sequence[Snapshot], progress: Progress) -> tuple[Rows, Ints]:
    """Return the rows of all, those of the first in front, and their row ids, rising."""
    known: dict[tuple[str, str], int] = {}
    arch_ids: list[str] = []
    places: list[Ints] = []  # of each index: where its rows lie among all
    fresh: list[npt.NDArray[np.bool_]] = []
    for snapshot in opened:
        described = snapshot.all_rows()
        names = list(zip(described["space"].tolist(), described["native"].tolist(), strict=True))
        place, new = np.empty(len(names), dtype=np.int64), np.zeros(len(names), dtype=bool)
        for i in np.argsort(snapshot.ids):
            new[i] = names[i] not in known
            place[i] = known.setdefault(names[i], len(known))
            if new[i]:
                arch_ids.append(described["arch_id"][i])
        places.append(place)
        fresh.append(new)
    n, first = len(known), opened[0]
    ids = np.concatenate([np.sort(first.ids), first.next_row_id + np.arange(n - len(first), dtype=np.int64)])
    vectors = np.empty((n, first.info.dim), dtype=np.float32)
    sizes = {name: np.empty(n, dtype=np.int64) for name in SIZES}
    series: dict[MeasurementSpec, npt.NDArray[np.float64]] = {}
    for done, (snapshot, place, new) in enumerate(zip(opened, places, fresh, strict=True)):
        progress("merge", done, len(opened))
        vectors[place[new]] = snapshot.vectors[new]
        for name, values in sizes.items():
            values[place[new]] = np.asarray(snapshot.columns[name].values)[new]
        for one in snapshot.series():
            there = ~np.isnan(one.values)
            series.setdefault(one.spec, np.full(n, np.nan))[place[there]] = one.values[there]
    progress("merge", len(opened), len(opened))
    merged = Rows(
        spaces=[space for space, _ in known],
        natives=[native for _, native in known],
        arch_ids=arch_ids,
        vectors=vectors,
        sizes=sizes,
        series=tuple(Series(spec, values) for spec, values in series.items()),
    )
    return merged, ids
