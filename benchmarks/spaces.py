"""Do the search spaces hold what they promise, on samples and on every published row?

Three tables. *Spaces*: the size, and how many architectures were drawn and parsed back, read back from their
shuffled graph, had their neighbours tried, and had their network built, counted and run. *Tables*: every
architecture of every data set that is here, parsed and formatted. *Costs*: params and FLOPs computed by the
space against those that a table publishes.

Run with ``ARCHINDEX_DATA=... python -m benchmarks.spaces``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np

from archindex.core.canonical import arch_id
from archindex.core.errors import ArchindexError
from archindex.datasets import dataset_names, info, load
from archindex.spaces.base import Buildable, Costed, SearchSpace
from archindex.spaces.counting import module_costs
from archindex.spaces.registry import SPACES, space

SEED: Final = 0

PUBLISHED: Final[dict[str, str]] = {
    "nasbench101": "423,624 by arch_id",
    "nasbench201": "15,625",
    "nats_sss": "32,768",
    "darts": "about 10^18",
    "transnas101_micro": "4,096",
    "transnas101_macro": "3,256",
    "nasbench_macro": "6,561",
    "nasbench_graph": "26,206",
    "fbnet": "9^22 = 9.8e20",
}
"""Sizes that the papers state."""


class Published(NamedTuple):
    """Columns of a table that publish costs, in millions, and the data set that they are for."""

    table: str
    native: str
    dataset: str
    params: str
    flops: str = ""


COSTS: Final[dict[str, tuple[Published, ...]]] = {
    "nasbench201": tuple(
        Published("nb201", "arch_str", d, f"{d}_params_m", f"{d}_flops_m")
        for d in ("cifar10", "cifar100", "in16_120")
    ),
    "darts": (Published("darts_oncenas545", "genotype", "cifar10", "params_m", "flops_m"),),
    "fbnet": (Published("fbnet5000_help_latency", "arch", "cifar100", "params_m", "flops_m"),),
    "mnasnet": (
        Published(
            "accel_nasbench_mnasnet",
            "concat_ws('|', "
            + ", ".join(
                f"format('e{{}}k{{}}l{{}}se{{}}', block{b}_e, block{b}_k, block{b}_l, block{b}_se::INT)"
                for b in range(7)
            )
            + ")",
            "imagenet",
            "params_m",
            "macs_m",
        ),
    ),
}
"""Where costs are published by native string; NAS-Bench-101's table needs its own reader."""


def conformance(name: str, drawn: int, read_back: int, built: int) -> dict[str, Any]:
    """Draw architectures of a space and try what every space must hold; see `SpaceCase` for the tests."""
    tried = space(name)
    start = time.perf_counter()
    row: dict[str, Any] = {"space": name, "size": tried.size, "published": PUBLISHED.get(name, "")}
    archs = tried.sample(drawn, seed=SEED)
    row["parsed"] = sum(tried.parse(arch.native) == arch for arch in archs)
    rng = np.random.default_rng(SEED)
    some = archs[:read_back]
    back = [
        tried.from_graph(arch.graph.relabelled([int(v) for v in rng.permutation(arch.graph.n_nodes)]))
        for arch in some
    ]
    row["read_back"] = sum(a.arch_id == b.arch_id for a, b in zip(some, back, strict=True))
    row["relabelled"] = sum(
        arch_id(b.graph, scope=name) == a.arch_id for a, b in zip(some, back, strict=True)
    )
    around = [(arch, tried.mutate(arch, rng)) for arch in archs[:built]]
    row["mutated"] = sum(a in tried.neighbors(b) and a != b for a, b in around)
    row.update(_networks(tried, archs[:built]) if isinstance(tried, Buildable) else {"built": 0, "run": 0})
    row["asked"] = {"parsed": drawn, "read_back": read_back, "mutated": built, "built": built}
    row["seconds"] = round(time.perf_counter() - start, 1)
    return row


def _networks(tried: Any, archs: list[Any]) -> dict[str, Any]:
    import torch

    dataset = tried.datasets[0]
    counted = equal = 0
    for arch in archs:
        with torch.device("meta"):
            params, _ = module_costs(tried.build_module(arch, dataset), tried.example_inputs(dataset))
        counted += 1
        if isinstance(tried, Costed):
            equal += int(tried.costs([arch.native], dataset).params[0]) == params
    torch.manual_seed(SEED)
    module = tried.build_module(archs[0], dataset)
    module(*tried.example_inputs(dataset, batch=2)).square().mean().backward()
    finite = all(bool(torch.isfinite(p.grad).all()) for p in module.parameters() if p.grad is not None)
    return {"built": counted, "costs_equal": equal, "run": int(finite)}


def table_rows(name: str) -> dict[str, Any]:
    """Load a data set and parse and format every architecture of it."""
    about = info(name)
    row: dict[str, Any] = {"table": name, "space": about.space, "here": about.available}
    if not about.available:
        return row
    start = time.perf_counter()
    try:
        table = load(name)
    except ArchindexError as error:
        return {**row, "note": str(error)}
    tried: SearchSpace[Any] = space(table.space)
    failures = [native for native in table.natives if not _same(tried, native)]
    return {
        **row,
        "architectures": len(table),
        "columns": len(table.columns()),
        "failures": failures[:20],
        "failed": len(failures),
        "seconds": round(time.perf_counter() - start, 1),
    }


def _same(tried: SearchSpace[Any], native: str) -> bool:
    try:
        return tried.format(tried.parse(native)) == native
    except ArchindexError:
        return False


def costs(folder: Path, name: str, where: Published) -> dict[str, Any]:
    """Compare computed with published costs, on every row of a table."""
    flops = where.flops or "NULL"
    rows = duckdb.execute(
        f"SELECT {where.native} AS native, {where.params}::DOUBLE AS params, {flops}::DOUBLE AS flops "
        f"FROM '{folder / where.table}.parquet'"
    ).fetchnumpy()
    tried: Any = space(name)
    start = time.perf_counter()
    computed = tried.costs([str(native) for native in rows["native"]], where.dataset)
    return _difference(name, where, rows["params"], rows["flops"], computed, time.perf_counter() - start)


def costs_nb101(folder: Path) -> dict[str, Any]:
    """The same for NAS-Bench-101, whose table holds adjacency bits."""
    from archindex.spaces.nasbench101_cells import PackedCells

    rows = duckdb.execute(f"SELECT adj_bits, ops, params_m FROM '{folder / 'nb101.parquet'}'").fetchnumpy()
    start = time.perf_counter()
    computed = PackedCells.from_table(rows["adj_bits"], rows["ops"].astype(str)).costs()
    where = Published("nb101", "", "cifar10", "params_m")
    missing = np.full(len(rows["params_m"]), np.nan)
    return _difference("nasbench101", where, rows["params_m"], missing, computed, time.perf_counter() - start)


def _difference(
    name: str, where: Published, params: Any, flops: Any, computed: Any, seconds: float
) -> dict[str, Any]:
    counts = np.rint(np.asarray(params, dtype=np.float64) * 1e6).astype(np.int64)
    published = np.ma.filled(np.ma.asarray(flops, dtype=np.float64), np.nan) * 1e6
    relative = np.abs(computed.flops - published) / published
    return {
        "space": name,
        "table": where.table,
        "dataset": where.dataset,
        "rows": len(counts),
        "params_differ": int((computed.params != counts).sum()),
        "largest_params_difference": int(np.abs(computed.params - counts).max()),
        "largest_relative_flops_difference": (
            None if np.isnan(relative).all() else float(f"{np.nanmax(relative):.3g}")
        ),
        "seconds": round(seconds, 1),
    }


def main() -> None:
    """Measure, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--drawn", type=int, default=2000, help="architectures parsed, each space")
    parser.add_argument("--read-back", type=int, default=100, help="graphs shuffled and read back")
    parser.add_argument("--built", type=int, default=10, help="networks built and counted")
    parser.add_argument("--spaces", nargs="*", default=None, help="only these spaces, and no tables")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/spaces.json")
    arguments = parser.parse_args()
    content: dict[str, Any] = {"seed": SEED, "spaces": [], "tables": [], "costs": []}

    print(f"{'space':18} {'size':>10} {'published':20} parsed read back mutated built run  seconds")
    for name in arguments.spaces or SPACES:
        if space(name).size is None and name in ("timm", "torchvision", "pytorchcv"):
            continue  # lists of named models: nothing to draw from
        row = conformance(name, arguments.drawn, arguments.read_back, arguments.built)
        content["spaces"].append(row)
        size = (
            "" if row["size"] is None else f"{row['size']:,}" if row["size"] < 1e9 else f"{row['size']:.2e}"
        )
        print(
            f"{name:18} {size:>10} {row['published']:20} {row['parsed']:6} {row['read_back']:9} "
            f"{row['mutated']:7} {row['built']:5} {row['run']:3} {row['seconds']:8}",
            flush=True,
        )
    if arguments.spaces is None:
        print(f"\n{'table':28} {'space':18} {'architectures':>13} columns failed")
        for name in dataset_names():
            row = table_rows(name)
            content["tables"].append(row)
            said = (
                f"{row['architectures']:13,} {row['columns']:7} {row['failed']:6}"
                if "failed" in row
                else row.get("note", "not here")
            )
            print(f"{name:28} {row['space']:18} {said}", flush=True)
        folder = Path(os.environ["ARCHINDEX_DATA"])
        print(
            f"\n{'space':12} {'table':24} {'data set':9} {'rows':>8} params differ  largest FLOPs difference"
        )
        rows = [costs_nb101(folder)]
        rows += [costs(folder, name, where) for name, listed in COSTS.items() for where in listed]
        for row in rows:
            content["costs"].append(row)
            print(
                f"{row['space']:12} {row['table']:24} {row['dataset']:9} {row['rows']:8,} "
                f"{row['params_differ']:13} {row['largest_relative_flops_difference']!s:>24}",
                flush=True,
            )
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
