"""alter_column_type"""

import pytest
import sqlalchemy as sa
from tests.operations.shape import WORLD, Expect, Named, OnTable, assert_refused
from tests.projects import migrate

from safeops import InvalidArgument, UnknownColumn, UnknownTable, UnsafeOperation, alter_column_type, assured


class TestAlterColumnType(Named, OnTable):
    offline_needs = ("never",)
    # A client with a prepared query gets this error once; its driver prepares the query again.
    tolerated = "cached plan must not change result type"
    unknown = (
        Expect(lambda: alter_column_type("userz", "name", sa.Text), ["no table userz", "users"], UnknownTable),
        Expect(lambda: alter_column_type("users", "nam", sa.Text), ["no column nam", "name"], UnknownColumn),
    )
    bad = (
        Expect(lambda: alter_column_type("users", "name", "text"), ["'text'", "sa.String(200)"]),
        Expect(lambda: alter_column_type("users", "name", str), ["type", "SQLAlchemy"]),
        Expect(lambda: alter_column_type("users", "", sa.Text), ["column name"]),
    )

    @staticmethod
    def up(**kw):
        return alter_column_type("users", "name", sa.String(60), **kw)

    @staticmethod
    def down(**kw):
        with assured("nothing longer than 50 was written"):
            return alter_column_type("users", "name", sa.String(50), **kw)


@pytest.mark.parametrize("type_", [sa.VARCHAR(50), sa.String(50)])
def test_the_same_type(database, type_):
    database.execute(*WORLD)
    assert migrate(database, lambda: alter_column_type("users", "name", type_)) is False


@pytest.mark.only("sqlite", "mysql")
def test_a_view_is_not_blamed_for_a_type_that_does_not_exist(database):
    strict = " STRICT" if database.kind == "sqlite" else ""
    database.execute(
        f"CREATE TABLE t (id integer PRIMARY KEY, a {'text' if strict else 'varchar(9)'}){strict}",
        "CREATE VIEW seen AS SELECT a FROM t",
    )
    with pytest.raises(InvalidArgument, match="unknown datatype" if strict else "too big|too long"):
        migrate(database, lambda: alter_column_type("t", "a", sa.String(70_000)))


@pytest.mark.only("postgresql")
@pytest.mark.parametrize(
    ("column", "type_", "words"),
    [
        (
            "age",
            sa.BigInteger,
            ["users.age from integer to BIGINT", "rewrites", 'TypeChange("users", "age", sa.BigInteger()).expand()'],
        ),
        ("name", sa.String(10), ["users.name", "rewrites"]),
        ("age", sa.Text, ["rewrites"]),
        ("name", sa.Integer, ["PostgreSQL refuses it"]),
    ],
)
def test_a_rewrite_is_refused(database, column, type_, words):
    database.execute(*WORLD)
    assert_refused(database, [Expect(lambda: alter_column_type("users", column, type_), words, UnsafeOperation)])


@pytest.mark.only("postgresql")
def test_a_checked_column_is_scanned(database):
    database.execute(*WORLD, "ALTER TABLE users ADD CONSTRAINT ck_name CHECK (name <> '')")
    assert_refused(
        database, [Expect(lambda: alter_column_type("users", "name", sa.Text), ["ck_name"], UnsafeOperation)]
    )


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("type_", [sa.Text, sa.String, sa.String(100)])
def test_what_needs_no_rewrite_is_done(database, type_):
    database.execute(*WORLD, "CREATE INDEX ix_name ON users (name)")
    node = database.query("SELECT relfilenode FROM pg_class WHERE relname = 'users'")
    change = lambda: alter_column_type("users", "name", type_)  # noqa: E731
    assert [migrate(database, change), migrate(database, change)] == [True, False]
    assert database.query("SELECT relfilenode FROM pg_class WHERE relname = 'users'") == node
