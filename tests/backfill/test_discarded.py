"""Dropping a table or column discards the progress of its backfills: a new one of that name is filled again."""

import pytest
import sqlalchemy as sa
from tests.projects import log_lines, migrate

from safeops import add_column_if_missing, backfill, backfill_status, drop_column_if_exists, drop_table_if_exists

pytestmark = pytest.mark.only("pg18", "mysql", "sqlite")

ROWS = (
    "CREATE TABLE t (id integer PRIMARY KEY, n integer)",
    "INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)",
)


def up():
    add_column_if_missing("t", sa.Column("twice", sa.Integer))
    return backfill("t", {"twice": sa.column("n") * 2}, where=True)


def names(database):
    return [one.name for one in migrate(database, backfill_status)]


def test_up_down_up_fills_the_column_again(database):
    database.execute(*ROWS)
    assert migrate(database, up).rows == 3
    assert migrate(database, up).rows == 0
    with log_lines() as said:
        assert migrate(database, lambda: drop_column_if_exists("t", "twice"), down=True)
    assert "discarded the progress of backfill r1/t/twice: its column or table is dropped" in said
    assert names(database) == []
    assert migrate(database, up).rows == 3
    assert database.query("SELECT id, twice FROM t ORDER BY id") == [(1, 20), (2, 40), (3, 60)]


def test_another_column_keeps_its_own(database):
    database.execute(
        *ROWS, "CREATE TABLE other (id integer PRIMARY KEY, twice integer)", "INSERT INTO other VALUES (1, 1)"
    )
    migrate(database, up)
    migrate(database, lambda: backfill("other", {"twice": 5}, where=True))
    migrate(database, lambda: backfill("t", {"n": 5}, where=True))
    migrate(database, lambda: drop_column_if_exists("t", "twice"))
    assert names(database) == ["r1/other/twice", "r1/t/n"]


def test_a_table_discards_all_its_backfills(database):
    database.execute(*ROWS)
    migrate(database, up)
    migrate(database, lambda: backfill("t", {"n": 5}, where=True))
    migrate(database, lambda: drop_table_if_exists("t"))
    assert names(database) == []
