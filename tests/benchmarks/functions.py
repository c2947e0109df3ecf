"""A column filled by a Python function, and the memory that rows of several widths take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg

import safeops
from tests.benchmarks import backfill
from tests.benchmarks.shape import Part, Variant, timed
from tests.projects import migrate
from tests.servers import Database

BYTES, MOST = 100_000_000, 100_000
"""Of the tables with rows of a width: their size, and their most rows."""


@safeops.reads("email", writes=("email_lower",))
def lowered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"email_lower": row["email"].lower()} for row in rows]


@safeops.reads("body", writes=("body_lower",))
def body_lowered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"body_lower": row["body"].lower()} for row in rows]


def _safeops(table: str, function: Any) -> Callable[[Database], float]:
    def run(database: Database) -> float:
        fill = safeops.backfill
        return migrate(database, lambda: timed(lambda: fill(table, function)))

    return run


def _by_copy(connection: psycopg.Connection[Any]) -> None:
    """The best that is commonly written by hand: new values travel by COPY into a temporary table."""
    with connection.transaction(), connection.cursor() as cursor:
        rows = cursor.execute("SELECT id, email FROM users").fetchall()
        cursor.execute("CREATE TEMPORARY TABLE filled (id bigint, value text) ON COMMIT DROP")
        with cursor.copy("COPY filled FROM STDIN") as copy:
            for id_, email in rows:
                copy.write_row((id_, email.lower()))
        cursor.execute("UPDATE users SET email_lower = filled.value FROM filled WHERE filled.id = users.id")


OURS = Variant("`backfill` by a function", _safeops("users", lowered), ours=True)
FUNCTIONS = Part(
    "functions",
    "Filling a column by a Python function",
    ("pg18",),
    {
        "single": backfill.VARIANTS["single"],
        "copy": Variant("COPY into a temporary table, and a join", backfill.by_hand(_by_copy)),
        "function": OURS,
    },
    backfill.fill,
    backfill.check,
    rows=300_000,
    quick=30_000,
    rounds=3,
)


def _filling(width: int) -> Callable[[Database, int], None]:
    return lambda database, rows: _fill_wide(database, rows, width)


def _fill_wide(database: Database, rows: int, width: int) -> None:
    database.execute("CREATE TABLE docs (id bigint PRIMARY KEY, body text, body_lower text)")
    # Stored as they are: compressed, rows of one text would take no room.
    database.execute("ALTER TABLE docs ALTER body SET STORAGE EXTERNAL, ALTER body_lower SET STORAGE EXTERNAL")
    body = f"repeat('Ab', {width // 2})"
    database.execute(f"INSERT INTO docs SELECT n, {body} FROM generate_series(1, {rows}) AS n")


def _check_wide(database: Database) -> None:
    [(wrong,)] = database.query("SELECT count(*) FROM docs WHERE body_lower IS DISTINCT FROM lower(body)")
    if wrong:
        raise AssertionError(f"{wrong} rows were not filled")


def _wide(width: int) -> Part:
    rows = min(BYTES // width, MOST)
    update = backfill.by_hand(lambda connection: connection.execute("UPDATE docs SET body_lower = lower(body)"))
    return Part(
        f"width{width}",
        f"Filling a column by a Python function in rows of {width:,} bytes",
        ("pg18",),
        {
            "single": Variant("one `UPDATE`", update),
            "function": Variant("`backfill` by a function", _safeops("docs", body_lowered), ours=True),
        },
        _filling(width),
        _check_wide,
        rows=rows,
        quick=rows,
        rounds=1,
    )


PARTS = (FUNCTIONS, *map(_wide, (100, 1_000, 100_000)))
