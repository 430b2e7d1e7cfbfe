"""Where a build may write: what is not ours stays, and an index is replaced only when it was asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import archindex as ax
from archindex.core.errors import CorruptIndexError, IndexExistsError, IndexMissingError
from archindex.core.progress import silent
from archindex.datasets import Table
from archindex.jobs.build import build_index
from archindex.store import version
from archindex.store.files import read_json, write_json
from archindex.store.verify import verify
from archindex.store.version import parse_version, version_folder
from archindex.store.writer import check_target


def contents(path: Path) -> dict[str, bytes]:
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def precious(file: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        (path / "versions").mkdir(parents=True)
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        (path / file).write_text("precious")

    return make


@pytest.mark.parametrize(
    "file",
    [
        "building/code.py",
        "building/config.json",
        "building/encoder/mine.txt",
        "versions/v1/code.py",
        "versions/notes.txt",
        "log/today.txt",
        "code.py",
        "building",
        "manifest.json",
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_not_ours_stays(tmp_path: Path, small_table: Table, file: str, overwrite: bool) -> None:
    path = tmp_path / "proj"
    precious(file)(path)
    (path / "writer.lock").touch()
    before = contents(path)
    with pytest.raises(IndexExistsError, match="other files"):
        ax.build(path, small_table, overwrite=overwrite)
    assert contents(path) == before
    if file != "manifest.json":
        with pytest.raises(IndexMissingError, match=r"without manifest\.json"):
            ax.open(path)


def test_the_work_folder_in_an_index_may_be_somebody_elses(index_path: Path, small_table: Table) -> None:
    (index_path / "building").mkdir()
    (index_path / "building/code.py").write_text("precious")
    (index_path / "README").write_text("which index this is")
    with pytest.raises(IndexExistsError, match="other files"):
        ax.build(index_path, small_table, overwrite=True)
    (index_path / "building/code.py").unlink()
    ax.build(index_path, small_table.take(range(50)), overwrite=True)
    assert (index_path / "README").read_text() == "which index this is"


@pytest.mark.parametrize("leftover", ["nothing", "empty", "half a note", "another build"])
def test_a_build_stopped_early_is_taken_up(tmp_path: Path, small_table: Table, leftover: str) -> None:
    path = tmp_path / "index"
    path.mkdir()
    (path / "writer.lock").touch()
    if leftover != "nothing":
        (path / "building").mkdir()
    if leftover == "half a note":
        (path / "building/config.json.new").write_text("{")
    if leftover == "another build":
        write_json(path / "building/config.json", {"architectures": "others", "seed": 5})
        (path / "building/encoder").mkdir()
        (path / "building/vectors-0.npy").touch()
    assert len(ax.build(path, small_table.take(range(50)))) == 50
    assert verify(path).ok


def test_a_first_build_stopped_before_the_manifest_is_finished(
    tmp_path: Path, small_table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, number: int) -> None:
        raise KeyboardInterrupt

    path, table = tmp_path / "index", small_table.take(range(50))
    with monkeypatch.context() as patch:
        patch.setattr(version, "write_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            ax.build(path, table)
    assert (path / "versions/000001/version.json").exists()
    with pytest.raises(IndexMissingError, match="unfinished build"):
        ax.open(path)
    built = ax.build(path, table)
    assert built.info.number == 1
    assert built.snapshot.ids.tolist() == list(range(50))


def test_of_two_builds_at_once_the_second_is_refused(
    tmp_path: Path, small_table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "index"
    first, second = small_table.take(range(50)), small_table.take(range(50, 80))
    checked, finished = threading.Event(), threading.Event()

    def slow(target: Path, *, overwrite: bool) -> bool:
        found = check_target(target, overwrite=overwrite)
        if threading.current_thread() is not threading.main_thread() and not checked.is_set():
            checked.set()
            finished.wait(60)
        return found

    raised: list[BaseException] = []

    def build_second() -> None:
        try:
            build_index(path, [second], progress=silent)
        except IndexExistsError as error:
            raised.append(error)

    monkeypatch.setattr("archindex.jobs.build.check_target", slow)
    thread = threading.Thread(target=build_second)
    thread.start()
    assert checked.wait(60)
    ax.build(path, first).close()
    finished.set()
    thread.join(60)
    assert len(raised) == 1
    assert len(ax.open(path)) == 50


@pytest.mark.parametrize("damage", ["manifest.json", "version.json", "ids.npy", "catalog.duckdb", "log"])
def test_row_ids_go_on_after_a_damaged_index(index_path: Path, small_table: Table, damage: str) -> None:
    index = ax.open(index_path)
    index.remove([399])
    index.add([index.get(0).architecture], {"pi5_energy_mj": [1.0]})
    known = small_table.natives[399]
    assert index.add([known]).tolist() == [400]
    index.close()
    folder = index_path / "versions/000001"
    file = {"manifest.json": index_path / damage, "log": index_path / "log/000001.log"}.get(
        damage, folder / damage
    )
    content = bytearray(file.read_bytes())
    content[10] ^= 1
    file.write_bytes(content)
    with pytest.raises(CorruptIndexError):
        ax.open(index_path)
    rebuilt = ax.build(index_path, small_table.take(range(50)), overwrite=True)
    assert rebuilt.snapshot.ids.tolist() == list(range(401, 451))
    assert rebuilt.info.number == 2
    assert verify(index_path).ok


def test_a_version_says_what_made_it(tmp_path: Path, small_table: Table) -> None:
    table = small_table.take(range(60))
    changed = Table(table.name, table.space, table.natives, table.series[1:])
    infos = [
        ax.build(tmp_path / str(i), data, engine=engine).info
        for i, (data, engine) in enumerate([(table, "hnsw"), (table, "exact"), (changed, "ivf")])
    ]
    assert infos[0].engine_arguments == {"links": 16, "ef_construction": 200, "ef_search": 96}
    assert infos[1].engine_arguments == {}
    assert infos[0].data == (table.name,)
    assert len(infos[0].data_digests) == 1
    assert infos[0].data_digests == infos[1].data_digests != infos[2].data_digests
    index = ax.open(tmp_path / "0")
    index.remove([0])
    folded = index.publish()
    assert (folded.engine_arguments, folded.data_digests) == (
        infos[0].engine_arguments,
        infos[0].data_digests,
    )
    # Versions of before these were written are still read.
    content = read_json(tmp_path / "1/versions/000001/version.json")
    for name in ("format_version", "made_by", "engine_arguments", "data_digests"):
        del content[name]
    write_json(tmp_path / "1/versions/000001/version.json", content)
    assert parse_version(version_folder(tmp_path / "1", 1)).data_digests == ()
    assert np.array_equal(ax.open(tmp_path / "1").snapshot.ids, np.arange(60))
