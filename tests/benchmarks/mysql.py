"""A column filled by SQL on MariaDB and MySQL: the same as on PostgreSQL."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from tests.benchmarks import backfill, functions
from tests.benchmarks.backfill import BATCH, SET
from tests.benchmarks.backfill import VARIANTS as POSTGRESQL
from tests.benchmarks.shape import Variant, timed
from tests.benchmarks.writer import mysql_connection
from tests.servers import Database, numbers

_CREATE = """CREATE TABLE users (
    id bigint NOT NULL PRIMARY KEY,
    email varchar(200) NOT NULL,
    name varchar(100) NOT NULL,
    logins int NOT NULL,
    email_lower varchar(200)
)"""
_FILL = """INSERT INTO users (id, email, name, logins)
SELECT seq, CONCAT('Person.', seq, '@Mail.Example.ORG'), LEFT(SHA2(seq, 256), 32), 0 FROM """
AT_ONCE = 100_000


def fill(database: Database, rows: int) -> None:
    database.execute(_CREATE)
    for first in range(1, rows + 1, AT_ONCE):
        database.execute(_FILL + numbers(first, min(rows, first + AT_ONCE - 1)))


def check(database: Database) -> None:
    [(wrong,)] = database.query("SELECT COUNT(*) FROM users WHERE NOT email_lower <=> LOWER(email)")
    if wrong:
        raise AssertionError(f"{wrong} rows were not filled")


def _by_hand(work: Callable[[Any], object]) -> Callable[[Database], float]:
    def run(database: Database) -> float:
        with mysql_connection(database.url) as connection, connection.cursor() as cursor:
            return timed(lambda: work(cursor))

    return run


def _single(cursor: Any) -> None:
    cursor.execute(SET)


def _limit_loop(cursor: Any) -> None:
    while cursor.execute(f"{SET} WHERE email_lower IS NULL LIMIT {BATCH}"):
        pass


def _ranges(cursor: Any) -> None:
    """The server finds the end of each batch by the key."""
    last = 0
    while (end := _end(cursor, last)) is not None:
        cursor.execute(f"{SET} WHERE id > %s AND id <= %s", [last, end])
        last = end


def _end(cursor: Any, last: int) -> int | None:
    cursor.execute("SELECT MAX(id) FROM (SELECT id FROM users WHERE id > %s ORDER BY id LIMIT %s) batch", [last, BATCH])
    return cursor.fetchone()[0]


VARIANTS: Mapping[str, Variant] = {
    "single": dataclasses.replace(POSTGRESQL["single"], run=_by_hand(_single)),
    "limit": dataclasses.replace(POSTGRESQL["limit"], run=_by_hand(_limit_loop)),
    "ranges": dataclasses.replace(POSTGRESQL["ranges"], run=_by_hand(_ranges)),
    "serial": POSTGRESQL["serial"],
}
_TABLE: dict[str, Any] = {"fill": fill, "check": check, "rows": 300_000}
_SQL: dict[str, Any] = {**_TABLE, "servers": ("mariadb", "mysql97"), "variants": VARIANTS}
PARTS = (
    dataclasses.replace(backfill.BACKFILL, **_SQL),
    dataclasses.replace(backfill.BESIDE, **_SQL),
    dataclasses.replace(
        functions.FUNCTIONS,
        **_TABLE,
        servers=("mariadb",),
        variants={"single": VARIANTS["single"], "function": functions.OURS},
    ),
)
