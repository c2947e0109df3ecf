"""What depends on a column is named before anything is touched, also before its values are copied into an archive."""

import pytest
import sqlalchemy as sa
from tests.lifecycle.harness import state
from tests.operations.shape import Expect, assert_refused
from tests.projects import migrate

from safeops import (
    DependentObjects,
    UnsafeOperation,
    alter_column_type,
    assured,
    drop_column_if_exists,
    restore_column,
)
from safeops.databases.postgresql.safety import Dependents

COLUMNS = ("Rule x", "also", "list", "filter", "own", "kid", "self", "plain")
USED = (
    "CREATE TABLE parent (own varchar(5))",
    "CREATE TABLE t (id integer PRIMARY KEY, {}, CONSTRAINT k UNIQUE (self), CONSTRAINT f FOREIGN KEY (plain)"
    " REFERENCES t (self)) INHERITS (parent)".format(
        ", ".join(f'"{one}" varchar(5)' for one in COLUMNS if one != "own")
    ),
    "CREATE TABLE log (x text)",
    "CREATE RULE r_own AS ON DELETE TO t WHERE old.\"Rule x\" = 'k' DO INSTEAD NOTHING",
    "CREATE RULE r_also AS ON INSERT TO t DO ALSO INSERT INTO log VALUES (new.also)",
)
PUBLISHED = (
    "CREATE PUBLICATION p_list FOR TABLE t (id, list)",
    "CREATE PUBLICATION p_where FOR TABLE t WHERE (id <> 9)",
)
NAMED = {"Rule x": "rule r_own", "also": "rule r_also", "own": "table parent", "self": "constraint f"}


def calls(column):
    return [
        lambda: drop_column_if_exists("t", column),
        lambda: drop_column_if_exists("t", column, archive=True),
        *([] if column == "self" else [lambda: alter_column_type("t", column, sa.String(9))]),
    ]


@pytest.mark.only("pg18", "pg14")
@pytest.mark.every_postgresql
def test_what_the_server_refuses_for_is_named_first(database):
    database.execute(*USED)
    found = [Expect(call, [NAMED[column]], DependentObjects) for column in NAMED for call in calls(column)]
    assert_refused(database, found)
    assert migrate(database, lambda: drop_column_if_exists("t", "plain", archive=False)) is True


@pytest.mark.only("pg18", "pg15")
def test_publications_of_a_column(database):
    database.execute(
        "CREATE TABLE t (id integer PRIMARY KEY, list varchar(5), filter varchar(5))",
        "INSERT INTO t VALUES (1)",
        "CREATE PUBLICATION p_list FOR TABLE t (id, list)",
        "CREATE PUBLICATION p_where FOR TABLE t WHERE (filter <> 'z') WITH (publish = 'insert')",
    )
    named = {"list": "p_list", "filter": "p_where"}
    assert_refused(
        database, [Expect(call, [named[column]], DependentObjects) for column in named for call in calls(column)]
    )


@pytest.mark.only("pg18", "pg14")
def test_a_view_on_a_partition_counts(database):
    database.execute(
        "CREATE TABLE t (id integer PRIMARY KEY, a varchar(5)) PARTITION BY RANGE (id)",
        "CREATE TABLE t_1 PARTITION OF t DEFAULT",
        "CREATE VIEW v AS SELECT a FROM t_1",
    )
    words = ["view v"]
    assert_refused(
        database,
        [
            Expect(lambda: drop_column_if_exists("t", "a"), words, DependentObjects),
            Expect(lambda: alter_column_type("t", "a", sa.String(9)), words, DependentObjects),
            Expect(lambda: alter_column_type("t", "id", sa.BigInteger), ["partition key"], DependentObjects),
        ],
    )


@pytest.mark.only("pg18", "pg14")
@pytest.mark.parametrize("holds", ["t", "t[]", "nested", "wrapped"])
def test_rows_of_the_table_kept_elsewhere_keep_its_types(database, holds):
    database.execute(
        "CREATE TABLE t (id integer PRIMARY KEY, a varchar(5))",
        "CREATE TYPE nested AS (one integer, two t[])",
        "CREATE DOMAIN wrapped AS nested",
        f'CREATE TABLE "O x" (x {holds})',
    )
    change = lambda: alter_column_type("t", "a", sa.String(9))  # noqa: E731
    assert_refused(database, [Expect(change, ['"O x".x'], DependentObjects)])
    assert migrate(database, lambda: drop_column_if_exists("t", "a", archive=True)) is True


@pytest.mark.only("pg18")
def test_a_kept_copy_is_reported_if_the_drop_fails(database, monkeypatch):
    """A view that another session makes between the last look and the drop."""
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, a integer)", "INSERT INTO t VALUES (1, 1)")
    view = lambda *given: database.execute("CREATE VIEW v AS SELECT a FROM t")  # noqa: E731
    monkeypatch.setattr(Dependents, "check_droppable", view)
    drop = lambda: drop_column_if_exists("t", "a", archive=True)  # noqa: E731
    with pytest.raises(DependentObjects) as raised:
        migrate(database, drop)
    assert "safeops_archive_1 and the triggers" in str(raised.value)
    assert "copied all its values" in str(raised.value)
    assert "Nothing was changed" not in str(raised.value)
    monkeypatch.undo()
    database.execute("DROP VIEW v")
    assert migrate(database, drop) is True


# MariaDB and MySQL ----------------------------------------------------------------------------------------------


@pytest.mark.only("mysql")
@pytest.mark.parametrize("option", [", FULLTEXT KEY ft (s))", ") ROW_FORMAT=COMPRESSED"])
def test_a_table_whose_columns_cannot_be_dropped_briefly_is_not_copied(database, option):
    database.execute(
        f"CREATE TABLE k (id integer PRIMARY KEY, a integer, s text{option}", "INSERT INTO k VALUES (1, 2, 'x')"
    )
    words = ["archive=True", "does not drop a column"]
    assert_refused(database, [Expect(lambda: drop_column_if_exists("k", "a", archive=True), words, UnsafeOperation)])


@pytest.mark.only("mysql97")
def test_a_table_with_as_many_versions_as_the_server_takes(database):
    changes = ["ALTER TABLE k ADD z int, ALGORITHM=INSTANT", "ALTER TABLE k DROP z, ALGORITHM=INSTANT"] * 128
    database.execute(
        "CREATE TABLE k (id integer PRIMARY KEY, a integer)", "INSERT INTO k VALUES (1, 2)", *changes[:255]
    )
    drop = lambda: drop_column_if_exists("k", "a", archive=True)  # noqa: E731
    assert_refused(database, [Expect(drop, ["255 instant changes", "FORCE"], UnsafeOperation)])
    database.execute("ALTER TABLE k FORCE, ALGORITHM=INPLACE, LOCK=NONE")
    assert migrate(database, drop) is True


@pytest.mark.only("mysql")
def test_a_check_that_cannot_be_restored_online_is_reported_before_anything_is_restored(database):
    database.execute(
        "CREATE TABLE k (id integer PRIMARY KEY, a integer, CONSTRAINT `C k` CHECK (a > 0))",
        "INSERT INTO k VALUES (1, 2)",
    )
    before = state(database)
    restore = lambda: restore_column("k", sa.Column("a", sa.Integer))  # noqa: E731
    migrate(database, lambda: drop_column_if_exists("k", "a", archive=True))
    assert_refused(database, [Expect(restore, ["C k", "assured("], UnsafeOperation)])

    def assuredly():
        with assured("two rows"):
            restore()

    migrate(database, assuredly)
    assert state(database) == before
