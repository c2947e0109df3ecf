"""The ways to fill a column that are compared: safeops', and what teams write by hand."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import psycopg
import sqlalchemy as sa

import safeops
from tests.benchmarks.server import connected
from tests.projects import migrate
from tests.servers import Database

BATCH = 10_000
_SET = "UPDATE users SET email_lower = lower(email)"


@dataclasses.dataclass(frozen=True)
class Variant:
    title: str
    run: Callable[[Database], float]
    """Fills the column and returns the seconds that it took, without those of connecting and of Alembic's own."""


def _timed(fill: Callable[[], object]) -> float:
    began = time.perf_counter()
    fill()
    return time.perf_counter() - began


def _by_hand(fill: Callable[[psycopg.Connection[Any]], object]) -> Callable[[Database], float]:
    def run(database: Database) -> float:
        with connected(database) as connection:
            return _timed(lambda: fill(connection))

    return run


def _single(connection: psycopg.Connection[Any]) -> None:
    connection.execute(_SET)


def _limit_loop(connection: psycopg.Connection[Any]) -> None:
    batch = f"{_SET} WHERE id IN (SELECT id FROM users WHERE email_lower IS NULL LIMIT {BATCH})"
    while connection.execute(batch.encode()).rowcount:
        pass


def _id_lists(connection: psycopg.Connection[Any]) -> None:
    last = 0
    while ids := _ids_after(connection, last):
        connection.execute(f"{_SET} WHERE id = ANY(%s)".encode(), [ids])
        last = ids[-1]


def _ids_after(connection: psycopg.Connection[Any], last: int) -> list[int]:
    rows = connection.execute("SELECT id FROM users WHERE id > %s ORDER BY id LIMIT %s", [last, BATCH])
    return [id_ for (id_,) in rows]


def _ranges(connection: psycopg.Connection[Any]) -> None:
    """The best that is commonly written by hand: the server finds the end of each batch by the key."""
    upto = "SELECT max(id) FROM (SELECT id FROM users WHERE id > %s ORDER BY id LIMIT %s) AS batch"
    last = 0
    while (end := connection.execute(upto.encode(), [last, BATCH]).fetchall()[0][0]) is not None:
        connection.execute(f"{_SET} WHERE id > %s AND id <= %s".encode(), [last, end])
        last = end


def _safeops(database: Database, executor: Executor | None = None) -> float:
    values = {"email_lower": sa.func.lower(sa.column("email"))}
    return migrate(database, lambda: _timed(lambda: safeops.backfill("users", values, executor=executor)))


def _threads(database: Database) -> float:
    with ThreadPoolExecutor(2) as executor:
        return _safeops(database, executor)


def _processes(database: Database) -> float:
    with ProcessPoolExecutor(2) as executor:
        return _safeops(database, executor)


SINGLE = "single"
VARIANTS: Mapping[str, Variant] = {
    SINGLE: Variant("one UPDATE", _by_hand(_single)),
    "limit": Variant("loop with IS NULL LIMIT 10000", _by_hand(_limit_loop)),
    "ids": Variant("lists of 10000 ids", _by_hand(_id_lists)),
    "ranges": Variant("ranges of 10000 keys, by hand", _by_hand(_ranges)),
    "serial": Variant("safeops", _safeops),
    "threads": Variant("safeops, two threads", _threads),
    "processes": Variant("safeops, two processes", _processes),
}


def check_filled(database: Database) -> None:
    """A variant that leaves rows behind must not win."""
    [(wrong,)] = database.query("SELECT count(*) FROM users WHERE email_lower IS DISTINCT FROM lower(email)")
    if wrong:
        raise AssertionError(f"{wrong} rows were not filled")
