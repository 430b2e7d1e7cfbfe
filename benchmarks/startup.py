"""How long `archindex query` takes from process start to the printed table, against a bare import.

Each round runs, one after the other, ``python -c "import numpy, duckdb"``, the query, and the query with a
filter, on a NAS-Bench-201 index; medians over the rounds, and the ratio to the bare import.

::

    python -m benchmarks.startup
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import archindex as ax

LIKE = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
WHERE = "cifar10_latency_ms < 14"


def main() -> None:
    """Time the commands in turn, print the table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/startup.json")
    args = parser.parse_args()
    program = shutil.which("archindex", path=str(Path(sys.executable).parent)) or "archindex"
    with tempfile.TemporaryDirectory() as scratch:
        path = str(Path(scratch) / "index")
        ax.build(path, "nasbench201").close()
        commands = {
            "import numpy, duckdb": [sys.executable, "-c", "import numpy, duckdb"],
            "query": [program, "query", path, "--like", LIKE],
            "query --where": [program, "query", path, "--like", LIKE, "--where", WHERE],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(args.rounds):
            for name, command in commands.items():
                started = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                seconds[name].append(time.perf_counter() - started)
    bare = median(seconds["import numpy, duckdb"])
    rows = {name: {"median_s": median(all_), "ratio": median(all_) / bare} for name, all_ in seconds.items()}
    for name, row in rows.items():
        print(f"{name:22} {row['median_s']:.3f} s   {row['ratio']:.2f} x")
    args.out.write_text(json.dumps({"rounds": args.rounds, "commands": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
