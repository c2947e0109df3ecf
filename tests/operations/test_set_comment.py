"""set_comment"""

import pytest
import sqlalchemy as sa
from alembic import op
from tests.catalogue import snapshot
from tests.operations.shape import WORLD, Expect, Named, OnTable
from tests.projects import listening, migrate, render, run_sql
from tests.servers import numbers

from safeops import (
    OnlineOnly,
    ServerRefused,
    UnknownColumn,
    UnknownTable,
    UnsafeOperation,
    UnsupportedOnDatabase,
    add_column_if_missing,
    assured,
    set_comment,
)

DEFAULT = """SELECT CONCAT('(', COLUMN_DEFAULT, ')') FROM information_schema.COLUMNS
  WHERE TABLE_SCHEMA = DATABASE() AND COLUMN_NAME = 'token'"""
TEXT = 'it\'s "100 %" :x %s \\ ünï\nnext'


class TestSetCommentOfTable(Named, OnTable):
    needs = ("has_comments",)
    blocked_by = "SHARE UPDATE EXCLUSIVE"
    unknown = (
        Expect(lambda: set_comment("userz", None, "x"), ["no table userz", "users"], UnknownTable),
        Expect(lambda: set_comment("users", "nam", "x"), ["no column nam", "name"], UnknownColumn),
    )
    bad = (
        Expect(lambda: set_comment("", None, "x"), ["table name"]),
        Expect(lambda: set_comment("users", "", "x"), ["column name"]),
        Expect(lambda: set_comment("users", None, 7), ["comment is 7", 'set_comment("users", None, "7")']),
        Expect(lambda: set_comment("users", "name", "a\x00"), ["comment is"]),
    )

    @staticmethod
    def up(**kw):
        return set_comment("users", None, TEXT, **kw)

    @staticmethod
    def down(**kw):
        return set_comment("users", None, None, **kw)


class TestSetCommentOfColumn(Named, OnTable):
    needs = ("has_comments",)
    blocked_by = "SHARE UPDATE EXCLUSIVE"
    offline_needs = ("renders_column_changes_offline",)

    @staticmethod
    def up(**kw):
        return set_comment("users", "name", TEXT, **kw)

    @staticmethod
    def down(**kw):
        return set_comment("users", "name", None, **kw)


@pytest.mark.needs("has_comments")
@pytest.mark.parametrize("column", [None, "name"])
def test_its_inverse_is_itself_with_the_comment_before(database, column):
    database.execute(*WORLD)
    texts = ["a", "b", "", "a", None, None]
    changed = [migrate(database, lambda text=text: set_comment("users", column, text)) for text in texts]
    assert changed == [True, True, True, True, True, False]


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("column", [None, "name"])
def test_sqlite_keeps_none(database, column):
    database.execute(*WORLD)
    for run in (lambda body: migrate(database, body), lambda body: render(database, body)):
        with pytest.raises(UnsupportedOnDatabase) as error:
            run(lambda: set_comment("users", column, "x"))
        for fact in ("The comment of users", "SQLite", "a server that keeps comments", "supports_comments"):
            assert fact in str(error.value)


@pytest.mark.only("postgresql")
def test_a_partitioned_table_and_its_parts(database):
    database.execute(
        "CREATE TABLE t (id integer) PARTITION BY RANGE (id)",
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (9)",
    )
    assert migrate(database, lambda: (set_comment("t", None, "x"), set_comment("t1", "id", "y"))) == (True, True)
    with pytest.raises(UnknownTable, match="is a view"):
        database.execute("CREATE VIEW v AS SELECT * FROM t")
        migrate(database, lambda: set_comment("v", None, "x"))


# --- MariaDB and MySQL repeat the whole definition ------------------------------------------------------------------

RICH = {
    "n": "int(10) unsigned zerofill NOT NULL DEFAULT 7",
    "big": "bigint unsigned NOT NULL AUTO_INCREMENT UNIQUE",
    "name": "varchar(20) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL DEFAULT 'it''s \\\\ 100 %'",
    "at": "timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)",
    "other": "datetime NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP",
    "kind": "enum('a','it''s') NOT NULL DEFAULT 'a'",
    "flags": "set('x','y') DEFAULT 'x,y'",
    "data": "json",
    "text": "text CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "hidden": "int DEFAULT 3 INVISIBLE",
    "twice": "int AS (n * 2) VIRTUAL",
    "bits": "bit(3) NOT NULL DEFAULT b'101'",
    "amount": "decimal(9,2) NOT NULL DEFAULT 1.50",
    "place": "point",
}
MORE = {
    "mariadb": {"id": "uuid DEFAULT uuid()", "zipped": "blob COMPRESSED", "checked": "int CHECK (checked > 0)"},
    "mysql97": {"doc": "json DEFAULT (json_array())", "spot": "point NOT NULL SRID 4326", "far": "int NOT SECONDARY"},
}


@pytest.mark.only("mysql")
def test_nothing_of_the_definition_is_lost(database, server_name):
    columns = {**RICH, **MORE.get(server_name, {})}
    database.execute(f"CREATE TABLE t ({', '.join(f'`{name}` {rest}' for name, rest in columns.items())})")
    before = snapshot(database)
    for text in ("it's 100 %", None):
        for column in columns:
            assert migrate(database, lambda column=column, text=text: set_comment("t", column, text)) is True, column
        assert (snapshot(database).count("COMMENT 'it''s 100 %'"), text is None) in ((len(columns), False), (0, True))
    assert snapshot(database) == before


@pytest.mark.only("mariadb")
def test_a_stored_column_is_not_copied_for_it(database):
    database.execute("CREATE TABLE t (id int PRIMARY KEY, s int AS (id * 2) STORED)", "INSERT INTO t (id) VALUES (1)")
    with pytest.raises(UnsafeOperation, match="cannot do this online"):
        migrate(database, lambda: set_comment("t", "s", "x"))

    def surely():
        with assured("the table is small"):
            return set_comment("t", "s", "x")

    assert [migrate(database, surely) for _ in range(2)] == [True, False]


@pytest.mark.only("mysql")
@pytest.mark.parametrize("column", [None, "id"])
def test_a_comment_that_is_too_long_is_not_cut(database, column):
    database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    before = snapshot(database)

    def leniently():
        op.execute("SET SESSION sql_mode = ''")
        return set_comment("t", column, "x" * 3000)

    with pytest.raises(ServerRefused, match=r"too long|maximum supported character limit"):
        migrate(database, leniently)
    assert snapshot(database) == before


@pytest.mark.needs("has_comments")
@pytest.mark.parametrize("column", [None, "name"])
def test_characters_of_four_bytes(database, column):
    """MariaDB and MySQL would write down a question mark."""
    database.execute(*WORLD)
    before = snapshot(database)

    def comment():
        return set_comment("users", column, "a \U0001f642")

    if database.kind == "postgresql":
        assert [migrate(database, comment) for _ in range(2)] == [True, False]
        return
    with pytest.raises(
        UnsupportedOnDatabase, match="would need a server that stores characters of four bytes in comments"
    ):
        migrate(database, comment)
    assert snapshot(database) == before


@pytest.mark.only("mysql")
def test_offline_a_column_needs_the_live_table(database):
    database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    with pytest.raises(OnlineOnly, match="whole definition"):
        render(database, lambda: set_comment("t", "id", "x"))


# --- Next to the marks of safeops in comments ----------------------------------------------------------------------

MARKED = "people [safeops: rows unchecked: fk]"


@pytest.mark.only("mysql")
def test_the_mark_of_an_earlier_release_stays(database):
    database.execute("CREATE TABLE t (id int PRIMARY KEY)", f"ALTER TABLE t COMMENT '{MARKED}'")
    assert migrate(database, lambda: set_comment("t", None, "people")) is False
    assert migrate(database, lambda: set_comment("t", None, "folk")) is True
    assert "COMMENT='folk [safeops: rows unchecked: fk]'" in snapshot(database)
    assert migrate(database, lambda: set_comment("t", None, None)) is True
    assert "COMMENT=' [safeops: rows unchecked: fk]'" in snapshot(database)
    script = render(database, lambda: set_comment("t", None, "x"))
    with pytest.raises(AssertionError, match="set its comment online"):
        run_sql(database, script)


@pytest.mark.only("mysql")
def test_the_state_of_a_stopped_change_is_not_overwritten(database):
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, a text COMMENT 'safeops: its default is still to be set')",
        "CREATE TABLE u (id int PRIMARY KEY) COMMENT 'safeops: stands for a table that has been renamed: empty'",
    )
    for table, column in (("t", "a"), ("u", None)):
        with pytest.raises(UnsafeOperation, match=r"(?s)state of a change that was stopped.*Finish the change first"):
            migrate(database, lambda table=table, column=column: set_comment(table, column, "x"))


@pytest.mark.only("mysql97")
@pytest.mark.parametrize("text", [None, "said"])
def test_a_comment_past_the_helper_does_not_end_a_column_that_is_half_added(database, text):
    """Its default is set, its rows are not filled yet: without that they would stay without a value."""
    database.execute("CREATE TABLE t (id int PRIMARY KEY)", f"INSERT INTO t SELECT seq FROM {numbers(1, 3)}")
    column = sa.Column("token", sa.String(36), server_default=sa.text("(uuid())"))

    def add():
        with assured("the table is small"):
            return add_column_if_missing("t", column._copy())

    def stop(_connection, _cursor, statement, *_):
        if "SET DEFAULT" in statement:
            raise RuntimeError("stopped")

    with listening({"after_cursor_execute": stop}), pytest.raises(RuntimeError, match="stopped"):
        migrate(database, add)
    if text is not None:
        migrate(
            database,
            lambda: op.alter_column(
                "t",
                "token",
                comment=text,
                existing_type=sa.String(36),
                existing_server_default=sa.text(database.query(DEFAULT)[0][0]),
            ),
        )
    assert [migrate(database, add) for _ in range(2)] == [True, False]
    assert database.query("SELECT count(DISTINCT token) FROM t") == [(3,)]
    assert "DEFAULT (uuid())" in snapshot(database) and "coalesce" not in snapshot(database)
