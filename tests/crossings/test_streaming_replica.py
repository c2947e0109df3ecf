"""A streaming replica: who reads from it during a change finds each row with its value, at each point of the replay."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from safeops import ColumnRename, TypeChange, replica_lag
from tests.backfill.replication import autocommit, standby, until
from tests.projects import migrate
from tests.servers import Database

pytestmark = pytest.mark.only("pg18")

VALUES = {number: str(number) for number in range(1, 201)}
# Each row as it is at that moment, with the columns that there are.
ROWS = "SELECT to_jsonb(t) FROM t"


@contextmanager
def reading(url: sa.URL, seen: list[dict[int, str]]) -> Iterator[None]:
    """A session that reads all rows again and again until the block ends."""
    stop = threading.Event()

    def read() -> None:
        with autocommit(url) as connection:
            while not stop.is_set():
                rows = connection.exec_driver_sql(ROWS).scalars().all()
                seen.append(
                    {row["id"]: next(str(row[one]) for one in ("a", "b") if row.get(one) is not None) for row in rows}
                )

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()


def test_a_replica_has_every_value_at_every_moment():
    rename, change = ColumnRename("t", "a", "b"), TypeChange("t", "b", sa.Integer)
    with standby("pg18") as pair:
        database = Database(pair.url, pair.primary)
        database.execute(
            "CREATE TABLE t (id integer PRIMARY KEY, a text)",
            "INSERT INTO t SELECT g, g::text FROM generate_series(1, 200) g",
        )
        with autocommit(pair.replica_url()) as replica:
            until(lambda: replica.exec_driver_sql("SELECT to_regclass('t')").scalar(), bool, "the table")
            until(lambda: replica.exec_driver_sql("SELECT count(*) FROM t").scalar(), lambda n: n == 200, "the rows")
            seen: list[dict[int, str]] = []
            with reading(pair.replica_url(), seen):
                throttles = [replica_lag(5.0, urls=[pair.replica_url()])]
                migrate(database, lambda: rename.expand(batch_size=50, throttles=throttles))
                migrate(database, rename.contract)
                for phase in ("expand", "switch", "contract"):
                    migrate(database, getattr(change, phase))
                columns = """SELECT array_agg(column_name || ' ' || data_type ORDER BY column_name)
                    FROM information_schema.columns WHERE table_name = 't'"""
                shown = lambda: replica.exec_driver_sql(columns).scalar()  # noqa: E731
                until(shown, lambda found: found == ["b integer", "id integer"], "the changed table")
                before = len(seen)
                until(lambda: len(seen), lambda now: now > before + 1, "another read")
    assert all(rows == VALUES for rows in seen)
