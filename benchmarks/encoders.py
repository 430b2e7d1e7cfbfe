"""What the encoders, decoders and predictors are worth: one section for each claim, peers beside them.

Run with ``ARCHINDEX_DATA=... python -m benchmarks.encoders SECTION ...`` (no section: all of them, hours).
``--quick`` takes a few architectures of everything, to see that it runs.
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

SECTIONS: Final[dict[str, str]] = {
    "speed": "architectures encoded a second, against a plain torch-geometric loop",
    "autoencoder": "reconstruction, validity, uniqueness and novelty of decoders",
    "generator": "candidates of generative models, against the decoder of the autoencoder",
    "ranking": "Kendall's tau with few labels, by predictor",
    "locality": "does near mean alike, for every encoder",
    "transfer": "labels of NAS-Bench-101 alone, ranking NAS-Bench-201",
    "round_trip": "networks found again through ONNX, also after harmless rewrites",
    "families": "retrieval of networks of the same family",
    "matryoshka": "what prefixes of the vectors are worth",
    "devices": "latency of a new device from ten measurements",
}
"""Module of `benchmarks.encoding` for each claim."""

Rows = list[dict[str, Any]]


def run(section: str, data: Path, *, quick: bool) -> dict[str, Any]:
    """Measure one section; the content of its JSON file."""
    module = import_module(f"benchmarks.encoding.{section}")
    start, cpu = time.perf_counter(), time.process_time()
    rows: Rows = module.measure(data, quick)
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print a table, write the JSON."""
    listed = "\n".join(f"  {name:12} {text}" for name, text in SECTIONS.items())
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        epilog=f"sections:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], metavar="SECTION")
    parser.add_argument("--quick", action="store_true", help="a few architectures of everything")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/encoders")
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
