"""A table that is filled along its pages, of which some are exchanged during the backfill or have many more rows."""

import threading
import time
from itertools import pairwise

import pytest
import sqlalchemy as sa
from tests.projects import migrate, statements_of

from safeops import BackfillIncomplete, backfill, reads
from safeops.backfilling import batch, pages
from safeops.databases import database_on
from safeops.naming import Name

pytestmark = pytest.mark.only("pg14", "pg18")

IN_SQL = {"v": sa.func.upper(sa.column("a"))}


@reads("a", writes=("v",))
def in_python(rows):
    return [{"v": row["a"].upper()} for row in rows]


by_each = pytest.mark.parametrize("values", [IN_SQL, in_python], ids=["in the database", "in Python"])


@pytest.fixture(autouse=True)
def small_tables(monkeypatch):
    monkeypatch.setattr(pages, "SMALLEST_TABLE", 0)


def made(database, rows):
    database.execute(
        "CREATE TABLE t (id bigint PRIMARY KEY, a text NOT NULL, v text)",
        f"INSERT INTO t (id, a) SELECT i, 'a' || i FROM generate_series(1, {rows}) i",
    )


def delete(database, condition):
    """Deletes rows; other rows can take their places."""
    database.execute(f"DELETE FROM t WHERE {condition}")
    with database.observer(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("VACUUM ANALYZE t")


# Rows at the same place of two tables, inserted by one transaction.
GETS = {
    "partitions": (
        "ALTER TABLE t RENAME TO old",
        "CREATE TABLE t (LIKE old INCLUDING ALL) PARTITION BY RANGE (id)",
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (3001)",
        "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (3001) TO (100000)",
        "INSERT INTO t SELECT * FROM old",
    ),
    "a child": (
        "CREATE TABLE half (LIKE t INCLUDING ALL)",
        "CREATE TABLE child (LIKE t INCLUDING ALL)",
        "INSERT INTO half SELECT * FROM t WHERE id <= 3000",
        "INSERT INTO child SELECT * FROM t WHERE id > 3000",
        "DROP TABLE t",
        "ALTER TABLE half RENAME TO t",
        "ALTER TABLE child INHERIT t",
    ),
}


def test_a_function_reads_and_writes_the_table_itself_alone(database):
    """A child can have a row at the same place, inserted by the same transaction."""
    made(database, 6000)

    def body():
        with statements_of(database) as sent:
            backfill("t", in_python)
        return [*sent]

    sent = migrate(database, body)
    reads, writes = ([one for one in sent if "ctid" in one and word in one] for word in ("read_0", "UPDATE"))
    assert reads and all("FROM ONLY " in one for one in reads)
    assert writes and all("UPDATE ONLY " in one for one in writes)


@by_each
@pytest.mark.parametrize("what", GETS)
def test_a_table_that_gets_partitions_or_a_child_during_the_backfill(database, what, values):
    made(database, 6000)
    left = [GETS[what]]

    def exchange_once(progress):
        if left:
            database.execute(*left.pop())

    migrate(database, lambda: backfill("t", values, progress=exchange_once))
    assert not left
    assert database.query("SELECT count(*), count(CASE WHEN v = upper(a) THEN 1 END) FROM t") == [(6000, 6000)]


def test_a_table_that_is_exchanged_while_its_size_is_read(database):
    made(database, 10)
    blocked = (
        "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE NOT granted AND datname = "
    )

    def commit_when_blocked(other):
        deadline = time.monotonic() + 60
        while database.query(f"{blocked}current_database()") == [(0,)] and time.monotonic() < deadline:
            time.sleep(0.01)
        other.commit()

    with database.observer().connect() as other, database.observer().connect() as connection:
        for statement in ("DROP TABLE t", "CREATE TABLE t (id bigint PRIMARY KEY)"):
            other.exec_driver_sql(statement)
        committing = threading.Thread(target=commit_when_blocked, args=[other])
        committing.start()
        try:
            assert pages.Heap.of(database_on(connection)).size(Name("t", "public")) is None
        finally:
            committing.join()


@by_each
def test_a_batch_of_full_pages_after_pages_with_few_rows(database, values, monkeypatch):
    """As in a table whose old rows are deleted: the last pages have more rows than most."""
    monkeypatch.setattr(batch, "LARGEST", 1000)
    monkeypatch.setattr(batch, "LARGEST_IN_PYTHON", 1000)
    made(database, 60_000)
    delete(database, "id < 50000 AND mod(id, 100) <> 0")
    done = [0]
    migrate(database, lambda: backfill("t", values, progress=lambda progress: done.append(progress.rows)))
    ((rows, filled),) = database.query("SELECT count(*), count(CASE WHEN v = upper(a) THEN 1 END) FROM t")
    assert rows == filled
    # The rows of several passes are only about equally many.
    assert max(after - before for before, after in pairwise(done)) <= 1200


@pytest.mark.parametrize("are_even", [True, False])
def test_only_uneven_pages_are_counted(database, are_even):
    """Counting costs a twentieth of the time."""
    made(database, 60_000)
    if not are_even:
        delete(database, "id < 50000 AND mod(id, 100) <> 0")

    def body():
        with statements_of(database) as sent:
            backfill("t", IN_SQL)
        return [*sent]

    assert any("OFFSET" in text for text in migrate(database, body)) is not are_even


def test_full_pages_that_the_sample_misses(database, monkeypatch):
    """A table of almost empty pages: a few at its end have many times as many rows."""
    monkeypatch.setattr(batch, "LARGEST", 1000)
    made(database, 60_000)
    delete(database, "id < 50000 AND mod(id, 100) <> 0")
    monkeypatch.setattr("safeops.backfilling.postgresql.Heap.sample", lambda heap, table, share: (300, 2))
    done = [0]
    migrate(database, lambda: backfill("t", IN_SQL, progress=lambda progress: done.append(progress.rows)))
    assert max(after - before for before, after in pairwise(done)) <= 1200


def test_rows_without_a_value_that_come_again_on_a_later_page_hide_no_others(database):
    """They count once for each time: more often than rows remain."""
    made(database, 20_000)
    delete(database, "id BETWEEN 21 AND 60 OR id > 8000 AND mod(id, 2) = 0")
    calls, left = [], [1]

    @reads("id", "a", writes=("v",))
    def but_some(rows):
        calls.extend(row["id"] for row in rows)
        return [{"v": None if 500 <= row["id"] < 1000 else row["a"].upper()} for row in rows]

    def lose_some(progress):
        if max(calls) > 5000 and left:
            left.pop()
            database.execute("UPDATE t SET v = NULL WHERE id <= 20")

    with pytest.raises(BackfillIncomplete, match=r"left 500 rows .* For 500 of them the new value is NULL"):
        migrate(database, lambda: backfill("t", but_some, progress=lose_some))
    assert calls.count(600) > 2
    assert database.query("SELECT count(*) FROM t WHERE v IS NULL AND id <= 20") == [(0,)]
