"""Measures what it costs to observe an upgrade: ``python -m tests.rehearse.measure_observer [ROWS] [TURNS] [SERVER]``.

A column, an index and a backfill, on a table with rows and without traffic: runs in turn without an observer, with each of
its two parts, and with both. If others use the machine, trust the CPU time of client and server, not the seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.benchmarks.server import Benched, started
from tests.runner.deploys import Deploy
from tests.servers import Database

from safeops.databases import database_on
from safeops.rehearse.following import OBSERVER, Followed, Observer, following
from safeops.rehearse.running import run_up
from safeops.rehearse.waits import watching_waits

TABLE = "CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL, age int NOT NULL)"
ROWS_OF = "INSERT INTO users (name, age) SELECT 'name ' || i, i % 90 FROM generate_series(1, {rows}) i"
REVISION = """add_column_if_missing("users", sa.Column("shown", sa.Text))
create_index_if_missing("ix_age", "users", ["age"])
backfill("users", {"shown": sa.text("upper(name)")})"""
WAYS = {"alone": (), "followed": ("followed",), "sampled": ("sampled",), "both": ("followed", "sampled")}


@contextmanager
def observing(database: Database, parts: tuple[str, ...]) -> Iterator[Followed | None]:
    """Observe what runs in the block, as a rehearsal does."""
    engine = database.engine()
    with ExitStack() as stack:
        if "sampled" in parts:
            stack.enter_context(watching_waits(engine))
        followed = None
        if "followed" in parts:
            connection = stack.enter_context(engine.connect())
            connection.execution_options(isolation_level="AUTOCOMMIT", **OBSERVER)
            followed = stack.enter_context(following(Observer.of(database_on(connection))))
        yield followed


def measured(server: Benched, rows: int, parts: tuple[str, ...]) -> tuple[float, float, float]:
    """Return how long an upgrade took, and the CPU time of client and server."""
    database = Database(server.new_database(), server)
    database.execute(TABLE, ROWS_OF.format(rows=rows), "ANALYZE")
    database.execute("CHECKPOINT")
    with TemporaryDirectory() as folder:
        project = Deploy(Path(folder), database, {"r1": (REVISION, "pass")})
        at_server, client = server.cpu_seconds(), time.process_time()
        with observing(database, parts) as followed:
            began = time.monotonic()
            run_up(project.config, "r1", followed)
            took = time.monotonic() - began
        found = took, time.process_time() - client, server.cpu_seconds() - at_server
    database.drop()
    return found


def main() -> int:
    """Print the medians."""
    rows, turns = (int(one) for one in (*sys.argv[1:3], "600000", "5")[:2])
    found: dict[str, list[tuple[float, float, float]]] = {way: [] for way in WAYS}
    with started(sys.argv[3] if len(sys.argv) > 3 else "pg18", in_memory=True) as server:
        for _ in range(turns):
            for way, parts in WAYS.items():
                found[way].append(measured(server, rows, parts))
    alone = [median(column) for column in zip(*found["alone"], strict=True)]
    for way, runs in found.items():
        middle = [median(column) for column in zip(*runs, strict=True)]
        shares = [100 * (one / other - 1) for one, other in zip(middle, alone, strict=True)]
        parts = [f"{one:.2f} s ({share:+.0f} %)" for one, share in zip(middle, shares, strict=True)]
        cpu = 100 * ((middle[1] + middle[2]) / (alone[1] + alone[2]) - 1)
        spread = f"{min(one[0] for one in runs):.2f} to {max(one[0] for one in runs):.2f} s"
        print(
            f"{way:10} {parts[0]}, {spread}; CPU of the client {parts[1]}, of the server {parts[2]}, of both {cpu:+.0f} %"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
