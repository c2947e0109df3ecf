"""The application during a backfill: a process that updates random rows, and how long each update waits.

A separate process waits for the database alone and never for this interpreter's lock:

    with writing(database, rows) as waits:
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
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.benchmarks.server import conninfo
from tests.servers import Database

PAUSE = 0.002
UPDATE = "UPDATE users SET logins = logins + 1 WHERE id = %s"


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
def writing(database: Database, rows: int, statement: str = UPDATE) -> Iterator[Waits]:
    """Updates random rows during the block; the waits are there after it."""
    waits = Waits()
    command = [sys.executable, "-m", __name__, conninfo(database.url), str(rows), statement]
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


def main(address: str, rows: int, statement: str) -> None:
    chance = random.Random()
    updates: list[tuple[float, float]] = []
    gc.disable()
    with psycopg.connect(address, autocommit=True) as connection:
        for _ in range(100):
            connection.execute(statement, [chance.randint(1, rows)], prepare=True)
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], PAUSE)[0]:
            began = time.monotonic()
            connection.execute(statement, [chance.randint(1, rows)], prepare=True)
            updates.append((began, time.monotonic() - began))
    json.dump(updates, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
