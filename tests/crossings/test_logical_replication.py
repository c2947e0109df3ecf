"""Logical replication: a subscriber stops over a column or a table that it lacks, so a change that needs one is refused."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from safeops import (
    ColumnRename,
    TableRename,
    TypeChange,
    UnsafeOperation,
    add_column_if_missing,
    add_required_column,
    alter_column_type,
    assured,
    backfill,
    create_table_if_missing,
    drop_column_if_exists,
    drop_table_if_exists,
)
from safeops.plan_mode import recorded_dry_run
from tests.crossings.logical import logical_server, subscribed
from tests.lifecycle.harness import state
from tests.projects import migrate
from tests.servers import Database

pytestmark = pytest.mark.only("pg18")

TABLE = 'CREATE TABLE "T t" (id integer PRIMARY KEY, a varchar(5))'
ROW = "INSERT INTO \"T t\" VALUES (1, 'x')"


@pytest.fixture(scope="module")
def logical(servers):
    with logical_server("pg18") as server:
        yield server


def new_column():
    return sa.Column("b", sa.Integer)


CALLS = {
    "add_column": lambda: add_column_if_missing("T t", new_column()),
    "required": lambda: add_required_column("T t", new_column(), populate=1),
    "rename": lambda: ColumnRename("T t", "a", "b").expand(),
    "type": lambda: TypeChange("T t", "a", sa.Integer, using="length(a)", reverse_using="a::text").expand(),
    "table": lambda: TableRename("T t", "u").expand(),
}
NEW_TABLES = {
    "table": lambda: create_table_if_missing("n", sa.Column("id", sa.Integer, primary_key=True)),
    "backfill": lambda: backfill("T t", {"a": "y"}),
    "archive": lambda: drop_column_if_exists("T t", "a", archive=True),
    "table archive": lambda: drop_table_if_exists("T t", archive=True),
}


def refused(database, call):
    before = state(database)
    with pytest.raises(UnsafeOperation, match="its subscribers stop unless they have") as raised:
        migrate(database, call)
    assert state(database) == before
    return str(raised.value)


def plan_of(database, call):
    with recorded_dry_run() as dry_run:
        migrate(database, call)
    return [told.detail for _, told in dry_run.calls]


def assuredly(call):
    with assured("each subscriber has it"):
        return call()


def test_a_column_that_subscribers_lack_stops_them_and_is_refused(logical):
    with subscribed(logical, 'FOR TABLE "T t"', TABLE) as pair:
        pair.publisher.execute(ROW)
        assert pair.in_sync()
        for call in CALLS.values():
            said = refused(pair.publisher, call)
            assert "news" in said and pair.subscriber.name in said and "assured(" in said
        defaulted = sa.Column("b", sa.Integer, nullable=False, server_default=sa.text("1 + 1"))
        said = refused(pair.publisher, lambda: add_column_if_missing("T t", defaulted))
        assert (
            """add_column_if_missing("T t", sa.Column("b", sa.Integer(), nullable=False, server_default=sa.text("1 + 1")))"""
            in said
        )
        assert "would be refused" in plan_of(pair.publisher, CALLS["add_column"])[0]
        said = plan_of(pair.publisher, lambda: assuredly(CALLS["add_column"]))[0]
        assert "would add column" in said and "stop unless they have column" in said
        # That it is true: the subscriber stops at the next write, of any column, and continues once it has the column.
        migrate(pair.publisher, lambda: assuredly(CALLS["add_column"]))
        pair.publisher.execute("INSERT INTO \"T t\" (id, a) VALUES (2, 'y')")
        assert not pair.in_sync()
        pair.subscriber.execute('ALTER TABLE "T t" ADD COLUMN b integer')
        assert pair.in_sync()
        assert pair.subscriber.query('SELECT * FROM "T t" ORDER BY id') == [(1, "x", None), (2, "y", None)]


def test_a_table_that_is_published_on_its_own_is_refused(logical):
    with subscribed(logical, "FOR TABLES IN SCHEMA public", TABLE) as pair:
        pair.publisher.execute(ROW)
        for call in NEW_TABLES.values():
            refused(pair.publisher, call)
        assert pair.in_sync()


def test_a_rename_that_begins_on_the_subscriber_keeps_both_in_sync(logical):
    rename = ColumnRename("T t", "a", "b")
    with subscribed(logical, 'FOR TABLE "T t"', TABLE) as pair:
        pair.publisher.execute(ROW)
        assert pair.in_sync()
        migrate(pair.subscriber, rename.expand)
        migrate(pair.publisher, lambda: assuredly(rename.expand))
        pair.publisher.execute(
            "INSERT INTO \"T t\" (id, a) VALUES (2, 'old')",
            "INSERT INTO \"T t\" (id, b) VALUES (3, 'new')",
            "UPDATE \"T t\" SET b = 'z' WHERE id = 1",
        )
        assert pair.in_sync()
        rows = 'SELECT id, a, b FROM "T t" ORDER BY id'
        assert (
            pair.subscriber.query(rows)
            == pair.publisher.query(rows)
            == [(1, "z", "z"), (2, "old", "old"), (3, "new", "new")]
        )
        migrate(pair.publisher, rename.contract)
        pair.publisher.execute("INSERT INTO \"T t\" VALUES (4, 'last')")
        assert pair.in_sync()
        assert pair.subscriber.query('SELECT b FROM "T t" WHERE id = 4') == [("last",)]


def test_without_a_subscriber_it_is_logged_and_done(logical, caplog):
    database = Database(logical.new_database(), logical)
    database.execute(TABLE, ROW, "CREATE PUBLICATION news FOR ALL TABLES")
    assert "stop unless they have column" in plan_of(database, CALLS["add_column"])[0]
    assert migrate(database, CALLS["add_column"]) is True
    assert "its subscribers stop unless they have column" in caplog.text
    said = plan_of(database, lambda: alter_column_type("T t", "a", sa.String(9)))[0]
    assert "a subscriber stops at a value that its a rejects" in said
    database.execute("DROP PUBLICATION news", 'CREATE PUBLICATION lists FOR TABLE "T t" (id, a)')
    caplog.clear()
    assert migrate(database, lambda: add_column_if_missing("T t", sa.Column("c", sa.Integer))) is True
    assert "lists: subscribers do not get public.T t.c" in caplog.text
