"""The application during a run: a process that updates random rows, and how long each update waits.

A separate process waits for the database alone and never for this interpreter's lock:

    with writing(database, rows, statement) as waits:
        backfill()
    waits.between(began, ended)
"""

from __future__ import annotations

import dataclasses
import gc
import json
import random
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pymysql
import sqlalchemy as sa

from tests.benchmarks.server import conninfo
from tests.servers import Database

PAUSE = 0.002
NO_SUCH_COLUMN = 1054
"""Of MySQL and MariaDB."""


@dataclasses.dataclass(frozen=True)
class Waited:
    """What the updates of a time waited, in milliseconds."""

    count: int
    longest: float
    median: float
    p99: float


class Waits:
    """When each update began, by a clock that all processes share, and how long it took, in seconds."""

    def __init__(self) -> None:
        self.updates: list[tuple[float, float]] = []

    def between(self, began: float, ended: float) -> Waited:
        waits = [wait * 1000 for start, wait in self.updates if start < ended and start + wait > began]
        # One UPDATE of a small table may hold up a single one; quantiles are of two and more.
        percent = statistics.quantiles([*waits, waits[-1]], n=100, method="inclusive")
        return Waited(len(waits), max(waits), percent[49], percent[98])


@contextmanager
def writing(database: Database, rows: int, statements: str) -> Iterator[Waits]:
    """Updates random rows during the block; the waits are there after it."""
    waits = Waits()
    url = database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", __name__, url, str(rows), statements]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the writer did not start")
        try:
            yield waits
        finally:
            # The end of its input stops it.
            output, _ = process.communicate()
        waits.updates = [(start, wait) for start, wait in json.loads(output)]


def main(address: str, rows: int, statements: str) -> None:
    chance = random.Random()
    updates: list[tuple[float, float]] = []
    update, *others = map(_sender(sa.make_url(address)), statements.splitlines())
    for _ in range(100):
        update(chance.randint(1, rows))
    print("ready", flush=True)
    gc.disable()
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        began = time.monotonic()
        # From the release that knows the new name only.
        if not update(chance.randint(1, rows)) and others:
            update = others.pop()
        updates.append((began, time.monotonic() - began))
    json.dump(updates, sys.stdout)


def _sender(url: sa.URL) -> Callable[[str], Callable[[int], bool]]:
    """What makes a function of an UPDATE of one row; it returns False if the column was renamed."""
    return _postgresql(url) if url.get_backend_name() == "postgresql" else _mysql(url)


def _postgresql(url: sa.URL) -> Callable[[str], Callable[[int], bool]]:
    connection = psycopg.connect(conninfo(url), autocommit=True)

    def sender(statement: str) -> Callable[[int], bool]:
        def send(row: int) -> bool:
            try:
                connection.execute(statement.encode(), [row], prepare=True)
            except psycopg.errors.UndefinedColumn:
                return False
            return True

        return send

    return sender


def mysql_connection(url: sa.URL) -> Any:
    """A plain connection in autocommit."""
    return pymysql.connect(
        host=url.host, port=url.port or 0, user=url.username, password=url.password or "", database=url.database,
        autocommit=True, ssl_disabled=True,
    )  # fmt: skip


def _mysql(url: sa.URL) -> Callable[[str], Callable[[int], bool]]:
    cursor = mysql_connection(url).cursor()

    def sender(statement: str) -> Callable[[int], bool]:
        def send(row: int) -> bool:
            try:
                cursor.execute(statement, [row])
            except pymysql.err.OperationalError as error:
                if error.args[0] != NO_SUCH_COLUMN:
                    raise
                return False
            return True

        return send

    return sender


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
