"""Members of archives and folders."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from archindex.core.errors import DataUnavailableError
from archindex.datasets.official.reading import members, number, read_json


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_no_cut_of_a_tar_archive_goes_unseen(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "some.tar"
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for i in range(4):
            info = tarfile.TarInfo(f"{i}.json")
            info.size = 700
            archive.addfile(info, io.BytesIO(np.random.default_rng(i).bytes(700)))
    whole = path.read_bytes()
    assert len(list(members(path, "*.json"))) == 4
    # An archive that is not compressed ends in many blocks of zeros, of which the first is enough.
    last = len(whole) if mode != "w" else 4 * 3 * 512 + 511
    for cut in [*range(0, last, 97), last - 1]:
        path.write_bytes(whole[:cut])
        with pytest.raises(DataUnavailableError, match=r"some\.tar"):
            list(members(path, "*.json"))
    if mode == "w":
        # A header in the middle that is damaged is no end.
        at = 3 * 512 + 40
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(DataUnavailableError, match=r"some\.tar"):
            list(members(path, "*.json"))


def test_members_of_folders_and_archives_are_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    for name in ("b.json", "deep/a.json", "deep/c.txt"):
        (folder / name).write_text(name)
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        for path in folder.rglob("*.*"):
            archive.write(path, path.relative_to(tmp_path))
    with tarfile.open(tmp_path / "some.tar.gz", "w:gz") as packed:
        packed.add(folder, "folder")
    expected = {"a.json": b"deep/a.json", "b.json": b"b.json"}
    for name in ("folder", "some.zip", "some.tar.gz"):
        assert dict(members(tmp_path / name, "*.json")) == expected


def test_names_and_links_of_an_archive_lead_nowhere(tmp_path: Path) -> None:
    path, secret = tmp_path / "evil.tar", tmp_path / "secret.json"
    secret.write_text("secret")
    with tarfile.open(path, "w") as archive:
        for name, kind in (("/../../up.json", tarfile.REGTYPE), ("link.json", tarfile.SYMTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, str(secret), 4 if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(b"data"))
    before = sorted(tmp_path.iterdir())
    assert list(members(path, "*.json")) == [("up.json", b"data")]
    assert sorted(tmp_path.iterdir()) == before


def test_no_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no archive")
    for path in (tmp_path / "none", tmp_path / "text.zip"):
        with pytest.raises(DataUnavailableError, match=path.name):
            list(members(path, "*"))


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 1}', '[{"b": {"a": 1, "a": 2}}]', "Infinity", '{"a": [-Infinity]}']
)
def test_json_with_infinities_or_a_key_twice_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"every key once|finite"):
        read_json(text.encode())


@pytest.mark.parametrize("text", ["1", "true", '"1"', "[1]", "null", "NaN"])
def test_numbers_are_numbers(text: str) -> None:
    value = read_json(text.encode())
    if text in ("1", "null", "NaN"):
        assert number(value) == 1 if text == "1" else np.isnan(number(value))
    else:
        with pytest.raises(TypeError, match="expected a number"):
            number(value)
