"""A table of attribute columns made from the benchmark tables: real values, sampled, with NULLs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt

from archindex.queries import Column
from archindex.testing.expressions import quote

SEED: Final = 20_261_122
NULLS: Final = 0.1
"""Share of the values of each column that is NULL, beside those that are NULL in the table."""

SOURCES: Final[dict[str, dict[str, str]]] = {
    "nb101": {
        "nb101_ops": "ops",
        "adj_bits": "adj_bits::BIGINT",
        "num_vertices": "num_vertices::BIGINT",
        "num_edges": "num_edges::BIGINT",
        "cifar10_test_acc": "cifar10_test_acc_108ep::DOUBLE",
        "params_m": "params_m",
    },
    "nb201_help_latency": {
        "arch_str": "arch_str",
        "gpu_1080ti_b1_latency_ms": '"1080ti_1_latency_ms"',
        "pixel3_latency_ms": "pixel3_latency_ms",
        "fpga_latency_ms": "fpga_latency_ms",
    },
    "accel_nasbench_mnasnet": {
        "block0_se": "block0_se",
        "block3_se": "block3_se",
        "block6_e": "block6_e",
        "macs_m": "macs_m",
    },
    "timm_infer_benchmark": {
        "hardware": "hardware",
        "precision": "precision",
        "compiled": "compiled",
        "img_size": "img_size",
        "samples_per_s": "samples_per_s",
    },
}
"""Columns by table: name here, and expression there."""


def attributes(data: Path, rows: int) -> dict[str, Column]:
    """Return `rows` rows; those of one source table are sampled together, with replacement.

    nb101's rows come first in their order, each once, and then at random, as far as `rows` reaches.
    """
    draw = np.random.default_rng(SEED)
    columns: dict[str, Column] = {}
    with duckdb.connect() as connection:
        for source, wanted in SOURCES.items():
            listed = ", ".join(f"{expression} AS {name}" for name, expression in wanted.items())
            table = connection.execute(f"SELECT {listed} FROM '{data / source}.parquet'").fetchnumpy()
            size = len(next(iter(table.values())))
            at = draw.integers(0, size, rows)
            if source == "nb101":
                at[:size] = np.arange(min(size, rows))
            for name, values in table.items():
                null = draw.random(rows) < NULLS
                columns[name] = _column(values, at, null)
    return columns


def _column(
    values: npt.NDArray[np.generic], at: npt.NDArray[np.int64], null: npt.NDArray[np.bool_]
) -> Column:
    missing = np.ma.getmaskarray(values)
    plain = np.ma.getdata(values)
    null = null | missing[at]
    if plain.dtype.kind == "f":
        return Column.double(np.where(null, np.nan, plain[at]))
    if plain.dtype.kind == "b":
        return Column.boolean(plain[at], ~null)
    if plain.dtype.kind == "i":
        return Column.bigint(plain[at].astype(np.int64), ~null)
    column = Column.of("VARCHAR", [None if gone else str(x) for x, gone in zip(plain, missing, strict=True)])
    return Column.varchar(np.where(null, -1, column.values[at]).astype(np.int32), column.categories)


def to_duckdb(connection: duckdb.DuckDBPyConnection, name: str, columns: dict[str, Column]) -> None:
    """Write `columns` as a table, in their order, so that a row's rowid is its position."""
    raw: dict[str, npt.NDArray[np.generic]] = {}
    listed = []
    for column, content in columns.items():
        values = np.ascontiguousarray(content.values)
        if content.kind == "VARCHAR":
            raw[column] = np.array([*content.categories, None], dtype=object)[values]
            listed.append(f"{column}::VARCHAR AS {column}")
            continue
        raw[column] = values
        valid = np.ones(values.size, dtype=np.bool_) if content.valid is None else content.valid
        raw[f"{column}_valid"] = ~np.isnan(values) if content.kind == "DOUBLE" else valid
        listed.append(f"CASE WHEN {column}_valid THEN {column} END AS {column}")
    connection.register("raw", raw)
    connection.execute(f"CREATE TABLE {name} AS SELECT {', '.join(listed)} FROM raw")
    connection.unregister("raw")


PATTERNS: Final = (
    "%nor_conv_3x3%",
    "|skip_connect%",
    "%none~2|",
    "%pool%conv%",
    "%a100%",
    "rtx_",
    "%",
    "float__",
    "0%",
    "%1_2",
    "%x_conv%",
    "%norx_convx_3x3~0|%",
)
"""LIKE patterns over these columns; in one with an ``x`` as the escape it stands before the ``_``."""


def literals(columns: dict[str, Column], each: int = 24) -> dict[str, list[str]]:
    """Return literals by kind and by column: quantiles of the column's numbers, and strings of its rows."""
    draw = np.random.default_rng(SEED)
    found: dict[str, list[str]] = {"BOOLEAN": ["TRUE", "FALSE"], "DOUBLE": [], "BIGINT": [], "VARCHAR": []}
    for name, column in columns.items():
        values = np.asarray(column.values)
        present = ~np.isnan(values) if column.kind == "DOUBLE" else values >= 0
        values = values[present if column.valid is None else column.valid]
        if column.kind == "BOOLEAN":
            continue
        if column.kind == "VARCHAR":
            found[name] = [quote(column.categories[code]) for code in draw.choice(values, each)]
        else:
            numbers = np.quantile(values, draw.random(each), method="nearest")
            form = "{:.6e}" if column.kind == "DOUBLE" else "{}"
            found[name] = [form.format(number) for number in numbers.tolist()]
        found[column.kind] += found[name][:4]
    found["DOUBLE"] += ["0e0", "1e0", "-1.5e0", "2.5e-1"]
    found["BIGINT"] += ["0", "1", "2", "-3"]
    return found
