"""Filtered search: predicates and the search under them, peers beside them; one section for each claim.

Run with ``ARCHINDEX_DATA=... python -m benchmarks.filtered_search SECTION ...`` (no section: all of them).
``--quick`` takes little of everything, to see that it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from benchmarks.encoders import table

SECTIONS: Final[dict[str, str]] = {
    "grid": "recall and time under filters near and far, the planner beside single ways and peers",
    "predicates": "what expressions select, and how long it takes, against DuckDB",
}
"""Module of `benchmarks.filtered` for each claim."""


def run(section: str, data: Path, *, quick: bool) -> dict[str, Any]:
    """Measure one section; the content of its JSON file."""
    module = import_module(f"benchmarks.filtered.{section}")
    start, cpu = time.perf_counter(), time.process_time()
    rows: list[dict[str, Any]] = module.measure(data, quick)
    return {
        "section": section,
        "protocol": module.PROTOCOL,
        "quick": quick,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "wall_seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "rows": rows,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print a table, write the JSON."""
    listed = "\n".join(f"  {name:12} {text}" for name, text in SECTIONS.items())
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        epilog=f"sections:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], metavar="SECTION")
    parser.add_argument("--quick", action="store_true", help="little of everything")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/filtered_search")
    given = parser.parse_args(arguments)
    if "ARCHINDEX_DATA" not in os.environ:
        parser.error("expected the benchmark tables: set ARCHINDEX_DATA to their folder")
    given.out.mkdir(parents=True, exist_ok=True)
    for section in given.sections or SECTIONS:
        content = run(section, Path(os.environ["ARCHINDEX_DATA"]), quick=given.quick)
        print(f"{section}: {SECTIONS[section]}\n{table(content['rows'])}", flush=True)
        (given.out / f"{section}.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
