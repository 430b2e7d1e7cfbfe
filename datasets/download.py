"""Official benchmark files: fetched through pooch, checked, kept under ``$ARCHINDEX_HOME/downloads``.

A file whose sha256 its authors publish must have it. Of any other the sha256 of what came first is written
beside it (``FILE.sha256``, as ``sha256sum`` reads it), and what is used later must be the same.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from archindex.core.checks import check_path
from archindex.core.errors import ArgumentError, DataUnavailableError, StorageError
from archindex.core.progress import Progress, silent
from archindex.datasets.folder import user_folder
from archindex.datasets.known import DatasetSpec, OfficialFile
from archindex.datasets.resume import Interrupted, ResumingDownloader

OFFLINE: Final = "ARCHINDEX_OFFLINE"
"""Environment variable that forbids downloads, unless it is empty or 0."""


def downloads_folder() -> Path:
    """Return the folder of fetched files, ``downloads`` beside the folder of tables."""
    return user_folder().parent / "downloads"


def is_offline() -> bool:
    """Return whether the environment forbids downloads."""
    return os.environ.get(OFFLINE, "") not in ("", "0")


def fetch(
    spec: DatasetSpec,
    *,
    from_files: Sequence[str | Path] = (),
    offline: bool = False,
    progress: Progress = silent,
) -> Mapping[str, Path]:
    """Return local copies of a data set's official files, by their names.

    Parameters
    ----------
    spec : DatasetSpec
        The data set.
    from_files : sequence of str or Path
        Copies that the user has, used where they lie: the files, or a folder that holds them. Where the
        official file is an archive, the folder that it was extracted to will do. Nothing is fetched then.
    offline : bool
        Whether nothing may be fetched; the environment variable ``ARCHINDEX_OFFLINE=1`` says the same.
    progress : Progress
        Told about bytes that arrived.

    Raises
    ------
    ArgumentError
        If a given file does not exist or is none of the data set.
    DataUnavailableError
        If a file is not here and cannot be fetched, or is not the one that its authors published.
    StorageError
        If the disk refuses.
    """
    if from_files:
        return _given(spec, [check_path(path) for path in from_files])
    return {file.name: _kept(spec, file, offline or is_offline(), progress) for file in spec.files}


def _given(spec: DatasetSpec, paths: Sequence[Path]) -> dict[str, Path]:
    for path in paths:
        if not path.exists():
            raise ArgumentError("expected a file or folder that exists", got=str(path))
    found: dict[str, Path] = {}
    for file in spec.files:
        by_name = [path / file.name if path.is_dir() else path for path in paths]
        here = [path for path in by_name if path.name == file.name and path.exists()]
        if not here and len(spec.files) == len(paths) == 1:
            # The only file of the data set may have any name, or be extracted already.
            here = list(paths)
        if not here:
            names = ", ".join(file.name for file in spec.files)
            raise ArgumentError(
                f"expected {file.name} of the data set {spec.name}",
                got=[str(path) for path in paths],
                fix=f"give {names}, or a folder that holds them",
            )
        found[file.name] = here[0]
    for file in spec.files:
        if file.sha256 and found[file.name].is_file():
            _compare(file.name, found[file.name], file.sha256, "its authors published another checksum")
    return found


def _kept(spec: DatasetSpec, file: OfficialFile, offline: bool, progress: Progress) -> Path:
    """Return the kept copy of a file; fetch it where there is none, or it is damaged."""
    from filelock import FileLock

    folder = downloads_folder()
    path, record = folder / file.name, folder / f"{file.name}.sha256"
    if not path.exists():
        # Before anything is made on the disk.
        _may_download(spec, file, offline)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{file.name}.lock"):
            expected = file.sha256 or _recorded(record)
            if path.exists() and not expected:
                # Laid there by hand: from now on it has to stay as it is.
                _record(record, path)
                return path
            if path.exists() and _sha256(path) == expected:
                return path
            _may_download(spec, file, offline)
            _download(spec, file, path, expected, progress)
            if not file.sha256:
                _record(record, path)
    except OSError as error:
        raise StorageError(f"expected to write {path}", got=str(error)) from error
    return path


def _may_download(spec: DatasetSpec, file: OfficialFile, offline: bool) -> None:
    """Raise `DataUnavailableError` if a file may not be fetched, or no program can."""
    if offline:
        raise DataUnavailableError(
            f"expected {file.name} of the data set {spec.name} in {downloads_folder()}, as downloads are off",
            fix=_by_hand(spec, f"type archindex data get {spec.name} without --offline and {OFFLINE}"),
        )
    if not file.urls:
        raise DataUnavailableError(
            f"expected {file.name} of the data set {spec.name}: its authors give no address that a program "
            f"can fetch",
            fix=spec.remedy,
        )


def _download(spec: DatasetSpec, file: OfficialFile, path: Path, expected: str, progress: Progress) -> None:
    """Fetch a file from the first address that has it."""
    import pooch

    reasons = []
    downloader = ResumingDownloader(path.with_name(path.name + ".part"), file.name, progress)
    for url in file.urls:
        try:
            with _quiet_pooch():
                pooch.retrieve(
                    url,
                    known_hash=f"sha256:{expected}" if expected else None,
                    fname=path.name,
                    path=path.parent,
                    downloader=downloader,
                )
        except Interrupted as error:
            reasons.append(str(error))
        except ValueError:
            # What pooch raises when the checksum differs; it has deleted the file.
            reason = "not the file that its authors published, by its sha256"
            if not file.sha256:
                reason = f"not the file that came first (delete {path}.sha256 to take it), by its sha256"
            reasons.append(f"{url}: {reason}")
        else:
            if file.bytes is None or path.stat().st_size == file.bytes:
                return
            reasons.append(f"{url}: {path.stat().st_size} bytes and not {file.bytes}")
            path.unlink()
    raise DataUnavailableError(
        f"expected {file.name} of the data set {spec.name}; {'; '.join(reasons)}",
        fix=_by_hand(spec, f"try again: type archindex data get {spec.name}, which goes on where it stopped"),
    )


def _by_hand(spec: DatasetSpec, first: str) -> str:
    """Return what to do first, and what else would do."""
    by_hand = f"archindex data get {spec.name} --from-file FILE"
    return f"{first}; or get it by hand ({spec.homepage}) and type: {by_hand}"


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Keep pooch from writing to the terminal: progress goes another way."""
    import pooch

    logger = pooch.get_logger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _sha256(path: Path) -> str:
    import pooch

    return str(pooch.file_hash(path, alg="sha256"))


def _record(record: Path, path: Path) -> None:
    record.write_text(f"{_sha256(path)}  {path.name}\n", encoding="utf-8")


def _recorded(record: Path) -> str:
    """Return the checksum written beside a file, ``""`` where there is none."""
    return record.read_text(encoding="utf-8").split(" ", 1)[0].strip() if record.exists() else ""


def _compare(name: str, path: Path, expected: str, why: str) -> None:
    got = _sha256(path)
    if got != expected:
        raise DataUnavailableError(
            f"expected {name} with the sha256 {expected}: {why}",
            got=got,
            fix="the copy is damaged or of another release: get it again",
        )
