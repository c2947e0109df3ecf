"""What subscribers find a row by (PostgreSQL): dropped from a published table, every UPDATE and DELETE would fail."""

import pytest
import sqlalchemy as sa
from alembic import op
from tests.operations.shape import Expect, assert_refused
from tests.projects import migrate

from safeops import (
    ColumnRename,
    DependentObjects,
    create_primary_key_if_missing,
    drop_column_if_exists,
    drop_constraint_if_exists,
    drop_index_if_exists,
    relax_not_null,
)

pytestmark = [pytest.mark.only("pg18", "pg14"), pytest.mark.every_postgresql]

TABLE = (
    'CREATE TABLE "A b" (id integer CONSTRAINT pk PRIMARY KEY, c integer NOT NULL CONSTRAINT uq UNIQUE, d integer)',
    'INSERT INTO "A b" VALUES (1, 1, 1)',
)
PARTITIONED = (
    "CREATE TABLE ev (id integer, day date, CONSTRAINT pk PRIMARY KEY (id, day)) PARTITION BY RANGE (day)",
    "CREATE TABLE ev_1 PARTITION OF ev DEFAULT PARTITION BY LIST (id)",
    "CREATE TABLE ev_1_1 PARTITION OF ev_1 DEFAULT",
)


def by_index(index="uq"):
    return f'ALTER TABLE "A b" REPLICA IDENTITY USING INDEX {index}'


@pytest.mark.parametrize(
    ("before", "drop", "words"),
    [
        ([by_index()], lambda: drop_constraint_if_exists("uq", "A b"), ["index uq", "REPLICA IDENTITY USING INDEX pk"]),
        ([by_index()], lambda: drop_column_if_exists("A b", "c"), ["index uq"]),
        ([by_index()], lambda: drop_column_if_exists("A b", "c", archive=True), ["index uq"]),
        (
            ['CREATE UNIQUE INDEX "I x" ON "A b" (c)', by_index('"I x"')],
            lambda: drop_index_if_exists("I x", "A b"),
            ["index I x"],
        ),
        (
            ['ALTER TABLE "A b" DROP CONSTRAINT uq'],
            lambda: drop_constraint_if_exists("pk", "A b"),
            ["index pk", "published by: news", "REPLICA IDENTITY FULL"],
        ),
    ],
    ids=["constraint", "column", "archive", "index", "primary key"],
)
def test_the_identity_of_a_published_table_is_not_dropped(database, before, drop, words):
    database.execute(*TABLE, *before, 'CREATE PUBLICATION news FOR TABLE "A b"')
    assert_refused(database, [Expect(drop, ["Logical replication depends", "news", *words], DependentObjects)])


@pytest.mark.parametrize(
    ("publication", "tables", "table"),
    [("FOR ALL TABLES", TABLE, "A b"), ("FOR TABLE ev WITH (publish_via_partition_root)", PARTITIONED, "ev")],
)
def test_each_way_to_publish_counts(database, publication, tables, table):
    database.execute(*tables, f'CREATE PUBLICATION "My news" {publication}')
    words = ["My news", "ev_1_1" if table == "ev" else "A b"]
    assert_refused(database, [Expect(lambda: drop_constraint_if_exists("pk", table), words, DependentObjects)])


@pytest.mark.only("pg18", "pg15")
def test_a_published_schema_counts(database):
    database.execute(*TABLE, "CREATE PUBLICATION news FOR TABLES IN SCHEMA public")
    assert_refused(database, [Expect(lambda: drop_constraint_if_exists("pk", "A b"), ["news"], DependentObjects)])


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE PUBLICATION news FOR TABLE \"A b\" WITH (publish = 'insert, truncate')"],
        ['CREATE PUBLICATION news FOR TABLE "A b"', 'ALTER TABLE "A b" REPLICA IDENTITY FULL'],
        ['CREATE PUBLICATION news FOR TABLE "A b"', by_index()],
        ["CREATE TABLE other (id integer PRIMARY KEY)", "CREATE PUBLICATION news FOR TABLE other"],
    ],
    ids=["inserts alone", "full", "by another index", "another table"],
)
def test_what_no_subscriber_needs_is_dropped(database, statements):
    database.execute(*TABLE, *statements)
    assert migrate(database, lambda: drop_constraint_if_exists("pk", "A b")) is True
    database.execute('UPDATE "A b" SET d = 2')


def test_what_the_refusal_writes_lets_the_key_be_exchanged(database):
    database.execute(*TABLE, 'CREATE PUBLICATION news FOR TABLE "A b"')

    def exchange():
        op.execute(sa.text('ALTER TABLE public."A b" REPLICA IDENTITY USING INDEX uq'))
        drop_constraint_if_exists("pk", "A b")
        create_primary_key_if_missing("pk", "A b", ["id", "c"])
        op.execute(sa.text('ALTER TABLE public."A b" REPLICA IDENTITY DEFAULT'))

    migrate(database, exchange)
    database.execute('UPDATE "A b" SET d = 2')


def test_a_column_of_the_identity_takes_no_null(database):
    database.execute(*TABLE, by_index())
    words = ["replica identity", "REPLICA IDENTITY FULL"]
    assert_refused(database, [Expect(lambda: relax_not_null("A b", "c"), words, DependentObjects)])


@pytest.mark.only("pg18")
def test_a_publication_that_lists_columns_keeps_its_other_tables_and_its_condition(database):
    database.execute(
        *TABLE, "CREATE TABLE other ()", 'CREATE PUBLICATION "o\'p" FOR TABLE "A b" (id, c) WHERE (id > 0), other'
    )
    expand = ColumnRename("A b", "c", "e").expand
    with pytest.raises(DependentObjects, match="in a list of columns") as caught:
        migrate(database, expand)

    migrate(database, lambda: exec(caught.value.code, {"op": op}))

    assert migrate(database, expand) is True
    tables = "SELECT tablename, rowfilter FROM pg_publication_tables ORDER BY 1"
    assert database.query(tables) == [("A b", "(id > 0)"), ("other", None)]
