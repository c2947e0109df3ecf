"""A column filled by SQL on PostgreSQL: by safeops, and as teams write it by hand.

The job is `email_lower = lower(email)` in a table of about 110 bytes a row.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import psycopg
import sqlalchemy as sa

import safeops
from tests.benchmarks.server import connected
from tests.benchmarks.shape import Part, Variant, timed
from tests.projects import migrate
from tests.servers import Database

BATCH = 10_000
SET = "UPDATE users SET email_lower = lower(email)"
WRITER = "UPDATE users SET logins = logins + 1 WHERE id = %s"

_CREATE = """CREATE TABLE users (
    id {type} NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    logins integer NOT NULL,
    email_lower text
)"""

# A header of 24 bytes, and values of about 86.
_FILL = """INSERT INTO users (id, email, name, logins)
SELECT {key}, 'Person.' || n || '@Mail.Example.ORG', initcap(md5(n::text)), 0
FROM generate_series(1, {rows}) AS n"""


def fill(database: Database, rows: int) -> None:
    database.execute(_CREATE.format(type="bigint"), _FILL.format(key="n", rows=rows))
    database.execute("ALTER TABLE users ADD PRIMARY KEY (id)")


def fill_random(database: Database, rows: int) -> None:
    """The order of the keys has nothing to do with that of the rows."""
    database.execute(_CREATE.format(type="uuid"), _FILL.format(key="gen_random_uuid()", rows=rows))
    database.execute("ALTER TABLE users ADD PRIMARY KEY (id)")


def check(database: Database) -> None:
    """A variant that leaves rows behind must not win."""
    [(wrong,)] = database.query("SELECT count(*) FROM users WHERE email_lower IS DISTINCT FROM lower(email)")
    if wrong:
        raise AssertionError(f"{wrong} rows were not filled")


def by_hand(work: Callable[[psycopg.Connection[Any]], object]) -> Callable[[Database], float]:
    def run(database: Database) -> float:
        with connected(database) as connection:
            return timed(lambda: work(connection))

    return run


def _single(connection: psycopg.Connection[Any]) -> None:
    connection.execute(SET)


def _limit_loop(connection: psycopg.Connection[Any]) -> None:
    batch = f"{SET} WHERE id IN (SELECT id FROM users WHERE email_lower IS NULL LIMIT {BATCH})"
    while connection.execute(batch.encode()).rowcount:
        pass


def _id_lists(connection: psycopg.Connection[Any]) -> None:
    last = 0
    while ids := _ids_after(connection, last):
        connection.execute(f"{SET} WHERE id = ANY(%s)".encode(), [ids])
        last = ids[-1]


def _ids_after(connection: psycopg.Connection[Any], last: int) -> list[int]:
    rows = connection.execute("SELECT id FROM users WHERE id > %s ORDER BY id LIMIT %s", [last, BATCH])
    return [id_ for (id_,) in rows]


def _ranges(connection: psycopg.Connection[Any]) -> None:
    """The best that is commonly written by hand: the server finds the end of each batch by the key."""
    upto = "SELECT max(id) FROM (SELECT id FROM users WHERE id > %s ORDER BY id LIMIT %s) AS batch"
    last = 0
    while (end := connection.execute(upto.encode(), [last, BATCH]).fetchall()[0][0]) is not None:
        connection.execute(f"{SET} WHERE id > %s AND id <= %s".encode(), [last, end])
        last = end


def _safeops(database: Database, executor: Executor | None = None) -> float:
    values = {"email_lower": sa.func.lower(sa.column("email"))}
    # Loaded when first used: not within the measurement.
    backfill = safeops.backfill
    return migrate(database, lambda: timed(lambda: backfill("users", values, executor=executor)))


def _threads(database: Database) -> float:
    with ThreadPoolExecutor(2) as executor:
        return _safeops(database, executor)


def _processes(database: Database) -> float:
    with ProcessPoolExecutor(2) as executor:
        return _safeops(database, executor)


VARIANTS: Mapping[str, Variant] = {
    "single": Variant("one `UPDATE`", by_hand(_single)),
    "limit": Variant("loop with `IS NULL LIMIT 10000`", by_hand(_limit_loop), rounds=1),
    "ids": Variant("lists of 10,000 ids", by_hand(_id_lists), rounds=2),
    "ranges": Variant("ranges of 10,000 keys", by_hand(_ranges), rounds=3),
    "serial": Variant("`backfill`", _safeops, ours=True),
    "threads": Variant("`backfill`, two threads", _threads, ours=True),
    "processes": Variant("`backfill`, two processes", _processes, ours=True, rounds=2),
}
_SERIAL = {name: VARIANTS[name] for name in ("single", "serial")}
BACKFILL = Part(
    "backfill",
    "Filling a column by SQL",
    ("pg15", "pg18"),
    VARIANTS,
    fill,
    check,
    rows=1_000_000,
    quick=100_000,
)
BESIDE = dataclasses.replace(
    BACKFILL, name="writer", title="The same next to an application that writes", rounds=3, writer=WRITER
)
PARTS = (
    BACKFILL,
    BESIDE,
    dataclasses.replace(
        BACKFILL,
        name="uuid",
        title="The same with random UUID keys",
        servers=("pg18",),
        variants=_SERIAL,
        fill=fill_random,
        rounds=3,
    ),
    dataclasses.replace(
        BACKFILL,
        name="large",
        title="The same in a large table",
        servers=("pg18",),
        # One run takes a minute or more.
        variants={name: dataclasses.replace(variant, ours=False) for name, variant in _SERIAL.items()},
        rows=10_000_000,
        quick=300_000,
        rounds=1,
    ),
)
