"""Snapshots see what matters, and nothing else."""

import pytest
from tests.catalogue import all_rows, difference, rows, snapshot

TABLE = "CREATE TABLE t (id integer PRIMARY KEY, name varchar(20) NOT NULL DEFAULT 'x')"


def test_a_snapshot_is_stable_and_sees_changes(database):
    database.execute(TABLE)
    before = snapshot(database)
    assert snapshot(database) == before
    database.execute("CREATE INDEX ix ON t (name)")
    assert "ix" in difference(before, snapshot(database))
    database.execute("DROP INDEX ix" + (" ON t" if database.kind == "mysql" else ""))
    assert snapshot(database) == before


def test_rows(database):
    database.execute(TABLE, "INSERT INTO t VALUES (2, 'b'), (1, '100 %:x')")
    assert rows(database, "t") == [(1, "100 %:x"), (2, "b")]
    assert all_rows(database) == {"t": [(1, "100 %:x"), (2, "b")]}


@pytest.mark.only("postgresql")
def test_invalid_indexes_are_seen(database):
    database.execute(TABLE, "CREATE INDEX ix ON t (name)")
    before = snapshot(database)
    database.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix'::regclass")
    assert "ix on t INVALID" in difference(before, snapshot(database))


@pytest.mark.only("sqlite")
def test_a_table_rebuilt_is_the_same_if_it_means_the_same(new_database):
    first, second, third = new_database(), new_database(), new_database()
    first.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, b text collate nocase, CHECK (b <> ''))")
    second.execute(
        'CREATE TABLE "t" (id INTEGER NOT NULL, "b" TEXT COLLATE "NOCASE", PRIMARY KEY (id), CHECK(b <> \'\'))'
    )
    third.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, b text, CHECK (b <> ''))")
    assert snapshot(first) == snapshot(second) != snapshot(third)
    assert snapshot(first, exact=True) != snapshot(second, exact=True)
