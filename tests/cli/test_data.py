"""`archindex data ls` and `show`; the other data commands are tried in test_commands.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archindex as ax
from archindex.cli.data import readable
from archindex.core.metrics import MeasurementSpec, Series
from archindex.datasets import DATASETS, Table, save_table
from archindex.datasets.parquet import write_parquet
from archindex.spaces.registry import SPACES


def test_ls_shows_every_data_set_and_every_space(cli: Any, check_json: Any) -> None:
    listed = cli("data", "ls", "--format", "json")
    check_json(listed.json, "data-list")
    assert [one["name"] for one in listed.json["datasets"]] == list(DATASETS)
    assert [one["name"] for one in listed.json["spaces"]] == list(SPACES)
    cells = next(one for one in listed.json["spaces"] if one["name"] == "nasbench201")
    assert cells["size"] == 15_625
    assert {"nasbench201", "nb201", "nb201_help_latency", "nb201_analog"} <= set(cells["datasets"])
    assert cli("data", "ls", "--format", "quiet").lines == list(DATASETS)


def test_ls_has_a_line_for_each_in_a_table(cli: Any) -> None:
    header, *lines = cli("data", "ls", "--format", "tsv").lines
    assert header.split("\t") == ["kind", "name", "space", "size", "here", "measures", "licence"]
    rows = [line.split("\t") for line in lines]
    assert [row[1] for row in rows] == [*DATASETS, *SPACES]
    for kind, _, _, size, here, measures, licence in rows:
        assert here in ("true", "false")
        assert measures
        assert (licence == "definition only") == (kind == "space")
        if kind == "data":
            assert int(size) > 0
            assert licence
    whats = {one["name"]: one["what"] for one in cli("space", "ls", "--format", "json").json["spaces"]}
    assert {row[1]: row[5] for row in rows if row[0] == "space"} == whats
    shown = cli("data", "ls")
    assert "archindex data show NAME" in shown.out
    # The lines of the table are cut to the screen's width; what to type is not.
    assert "set the environment variable ARCHINDEX_DATA" in cli("data", "show", "nb201").out


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, ""),
        (15_625, "15625"),
        (999_999_999, "999999999"),
        (10**9, "1.0e9"),
        (9**22, "9.8e20"),
        (1_096_999_999_999_999_999, "1.1e18"),
        (9_960 * 10**14, "1.0e18"),
        (10**400, "1.0e400"),
    ],
)
def test_sizes_are_readable(size: int | None, text: str) -> None:
    assert readable(size) == text


@pytest.fixture
def mine() -> Table:
    natives = tuple(dict.fromkeys(a.native for a in ax.space("nasbench201").sample(4, seed=0)))
    assert len(natives) == 4
    gap = np.array([1.0, 2.0, 4.0, np.nan])
    series = (
        Series(MeasurementSpec("acc", "cifar10", "valid", seed=0, epochs=9, source="s"), gap),
        Series(MeasurementSpec("acc", "cifar10", "valid", seed=1, epochs=9, source="s"), gap + 2),
        Series(MeasurementSpec("latency", "pi5", device="Pi 5", provenance="predicted"), gap * 1000),
        Series(MeasurementSpec("energy", "pi5"), np.full(4, np.nan)),
    )
    table = Table("mine", "nasbench201", natives, series, licence="CC0")
    save_table(table)
    return table


def test_show_describes_columns(cli: Any, check_json: Any, mine: Table) -> None:
    shown = cli("data", "show", "mine", "--format", "json")
    check_json(shown.json, "data")
    assert shown.json["measures"] == "acc, latency, energy"
    accuracy, latency, energy = shown.json["columns"]
    assert accuracy == {
        "name": "cifar10_valid_acc",
        "unit": "%",
        "better": "higher",
        "provenance": "measured",
        "split": "valid",
        "seeds": 2,
        "values": 3,
        "coverage": "3/4",
        "min": 2.0,
        "median": 3.0,
        "max": 5.0,
        "epochs": 9,
        "aggregate": "mean",
        "device": "",
        "source": "s",
    }
    assert (latency["name"], latency["unit"], latency["better"], latency["seeds"]) == (
        "pi5_latency_ms_predicted",
        "ms",
        "lower",
        None,
    )
    assert (latency["provenance"], latency["device"], latency["median"]) == ("predicted", "Pi 5", 2000.0)
    assert (energy["coverage"], energy["min"], energy["median"], energy["max"]) == ("0/4", None, None, None)
    assert cli("data", "show", "mine", "--format", "quiet").lines == [
        "cifar10_valid_acc",
        "pi5_latency_ms_predicted",
        "pi5_energy_mj",
    ]
    assert "licence      CC0" in cli("data", "show", "mine").lines


def test_seeds_that_are_not_told_apart_are_no_number(cli: Any, mine: Table) -> None:
    header, *lines = (line.split("\t") for line in cli("data", "show", "mine", "--format", "tsv").lines)
    assert [dict(zip(header, line, strict=True))["seeds"] for line in lines] == ["2", "", ""]


def test_show_of_a_search_space_points_to_its_own_command(cli: Any) -> None:
    refused = cli("data", "show", "einspace")
    assert refused.code == 2
    assert "archindex space show einspace" in refused.err
    # A data set may have the name of a space.
    assert cli("data", "show", "nasbench_nlp").code == 0


def test_show_of_what_is_not_here_has_the_columns_that_are_certain(cli: Any, check_json: Any) -> None:
    shown = cli("data", "show", "darts_oncenas545", "--format", "json")
    check_json(shown.json, "data")
    assert shown.json["available"] is False
    columns = {one["name"]: one for one in shown.json["columns"]}
    assert len(columns) == 9
    assert columns["cifar10_50ep_valid_acc"] == {
        "name": "cifar10_50ep_valid_acc",
        "unit": "%",
        "better": "higher",
        "provenance": "measured",
        "split": "valid",
        "seeds": None,
        "values": None,
        "coverage": "",
        "min": None,
        "median": None,
        "max": None,
        "epochs": 50,
        "aggregate": "",
        "device": "",
        "source": "OnceNAS-Bench, data-545.csv",
    }
    assert cli("data", "show", "darts_oncenas545", "--format", "quiet").lines == list(columns)
    assert "gpu_latency_ms" in cli("data", "show", "darts_oncenas545").out
    assert "darts_oncenas545.parquet" in shown.json["remedy"]


def test_show_lists_columns_of_rows_that_name_no_architecture(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHINDEX_DATA", str(tmp_path))
    rows = {
        "task": np.array(["wmt14ende", "wmt14ende"], dtype=object),
        "device": np.array(["gpu_titanxp", "cpu_xeon"], dtype=object),
        "encoder_latency_ms": np.array([1.5, 2.5]),
        "decoder_latency_ms": np.array([10.0, 20.0]),
    }
    write_parquet(tmp_path / "hat_transformer_latency.parquet", rows)
    columns = cli("data", "show", "hat_transformer_latency", "--format", "json").json["columns"]
    assert {one["name"]: (one["coverage"], one["max"]) for one in columns} == {
        "xeon_e5_2640_wmt14ende_encoder_latency_ms": ("1/2", 2.5),
        "xeon_e5_2640_wmt14ende_decoder_latency_ms": ("1/2", 20.0),
        "titanxp_wmt14ende_encoder_latency_ms": ("1/2", 1.5),
        "titanxp_wmt14ende_decoder_latency_ms": ("1/2", 10.0),
    }
    refused = cli("build", tmp_path / "index", "--data", "hat_transformer_latency")
    assert refused.code == 2
    assert "raw_columns" in refused.err


def test_get_refuses_files_for_what_is_not_made_of_them(cli: Any, tmp_path: Path) -> None:
    refused = cli("data", "get", "nasbench201", "--from-file", tmp_path / "a.pkl")
    assert refused.code == 2
    assert "expected no files for nasbench201" in refused.err


def test_listing_loads_no_table_and_nothing_heavy() -> None:
    code = (
        "import sys; from archindex.cli.main import main; main(['data', 'ls', '--format', 'quiet']); "
        "print(sorted({'duckdb', 'torch', 'scipy', 'faiss', 'pooch', 'onnx', 'networkx'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
