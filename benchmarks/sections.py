"""Benchmarks in sections, one for each claim: run them, print tables, write the JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]


def run(module_name: str, data: Path, *, quick: bool, parts: Sequence[str] = ()) -> dict[str, Any]:
    """Measure one section, whose module has ``PROTOCOL`` and ``measure``; the content of its JSON file.

    A section whose module has ``PARTS`` can measure some of them: ``measure`` takes their names, and
    ``part_of`` tells of a row to which it belongs.
    """
    module = import_module(module_name)
    start, cpu = time.perf_counter(), time.process_time()
    rows: Rows = module.measure(data, quick, parts) if parts else module.measure(data, quick)
    return {
        "section": module_name.rpartition(".")[2],
        "protocol": module.PROTOCOL,
        "quick": quick,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "wall_seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "rows": rows,
    }


def table(rows: Rows) -> str:
    """Lay out rows of like keys as text; a change of keys starts a new heading."""
    lines: list[str] = []
    start = 0
    while start < len(rows):
        keys = list(rows[start])
        stop = start
        while stop < len(rows) and list(rows[stop]) == keys:
            stop += 1
        cells = [keys, *([_text(row[key]) for key in keys] for row in rows[start:stop])]
        widths = [max(len(line[i]) for line in cells) for i in range(len(keys))]
        lines += [
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in cells
        ]
        lines.append("")
        start = stop
    return "\n".join(line.rstrip() for line in lines)


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main(
    description: str,
    package: str,
    sections: Mapping[str, str],
    out: str,
    arguments: Sequence[str] | None = None,
) -> None:
    """Run the command line of a benchmark in sections.

    Parameters
    ----------
    description : str
        What it is, the first line counts.
    package : str
        Where the modules of the sections are.
    sections : mapping of str to str
        Name of each module, and the claim that it measures.
    out : str
        Folder under ``benchmarks/results``.
    arguments : sequence of str, optional
        The command line; None: that of the process.
    """
    listed = "\n".join(f"  {name:12} {text}" for name, text in sections.items())
    parser = argparse.ArgumentParser(
        description=description.splitlines()[0],
        epilog=f"sections:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sections", nargs="*", choices=[*sections, []], metavar="SECTION")
    parser.add_argument("--quick", action="store_true", help="little of everything")
    parser.add_argument(
        "--part", action="append", default=[], help="of one section that has parts; the others' rows are kept"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / out)
    given = parser.parse_args(arguments)
    if "ARCHINDEX_DATA" not in os.environ:
        parser.error("expected the benchmark tables: set ARCHINDEX_DATA to their folder")
    chosen = given.sections or list(sections)
    known = getattr(import_module(f"{package}.{chosen[0]}"), "PARTS", ()) if len(chosen) == 1 else ()
    if not set(given.part) <= set(known):
        parser.error(f"expected one section, and parts of it among {', '.join(known) or 'none'}")
    given.out.mkdir(parents=True, exist_ok=True)
    for section in chosen:
        module_name, place = f"{package}.{section}", given.out / f"{section}.json"
        content = run(module_name, Path(os.environ["ARCHINDEX_DATA"]), quick=given.quick, parts=given.part)
        print(f"{section}: {sections[section]}\n{table(content['rows'])}", flush=True)
        if given.part and place.exists():
            _keep(content, json.loads(place.read_text()), module_name, given.part)
        place.write_text(json.dumps(content, indent=1) + "\n")


def _keep(content: dict[str, Any], before: dict[str, Any], module_name: str, parts: Sequence[str]) -> None:
    """Take over the rows of the parts that were not measured now."""
    part_of = import_module(module_name).part_of
    rows = [row for row in before["rows"] if part_of(row) not in parts] + content["rows"]
    # Rows of one kind stand together: that is how tables are laid out.
    kinds = list(dict.fromkeys(tuple(row) for row in rows))
    content["rows"] = sorted(rows, key=lambda row: kinds.index(tuple(row)))
    for what in ("wall_seconds", "cpu_seconds"):
        content[what] = round(content[what] + before[what], 1)
