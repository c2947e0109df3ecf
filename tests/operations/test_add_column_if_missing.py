"""add_column_if_missing"""

import pytest
import sqlalchemy as sa
from tests.catalogue import snapshot
from tests.lifecycle.harness import crash_everywhere
from tests.operations.shape import WORLD, Defines, Expect, Named, OnTable, assert_refused
from tests.projects import migrate

import safeops
from safeops import (
    UnknownTable,
    UnknownType,
    UnsafeOperation,
    add_column_if_missing,
    assured,
    drop_column_if_exists,
    enforce_not_null,
    set_server_default,
)


def add(type_=None, table="users", schema=None, if_different="raise", **kw):
    column = sa.Column("nick", type_ or sa.String(40), **{"server_default": "none", "nullable": False, **kw})
    return add_column_if_missing(table, column, schema=schema, if_different=if_different)


class TestAddColumn(Defines, Named, OnTable):
    up = staticmethod(add)
    offline_needs = ("renders_constraints_offline",)

    @staticmethod
    def down(**kw):
        return drop_column_if_exists("users", "nick", **kw)

    different = (
        Expect(lambda **kw: add(sa.String(41), **kw), ["column users.nick", "type", "(40)", "(41)"]),
        Expect(lambda **kw: add(sa.Integer, server_default="1", **kw), ["type", "default"]),
        Expect(lambda **kw: add(nullable=True, **kw), ["nullable is False, not True"]),
        Expect(lambda **kw: add(server_default="one", **kw), ["default"]),
        Expect(lambda **kw: add(server_default=None, nullable=True, **kw), ["default", "not none", "nullable"]),
    )
    same = (
        lambda: add(sa.VARCHAR(40)),
        lambda: add(server_default=sa.text("'none'")),
        lambda: add(sa.Unicode(40)),
    )
    unknown = (
        Expect(lambda: add(table="user"), ["no table user", "users"], UnknownTable),
        Expect(lambda: add(table="user's"), ["no table user's"], UnknownTable),
    )
    bad = (
        Expect(lambda: add_column_if_missing("users", "nick"), ["sa.Column", "'nick'"]),
        Expect(
            lambda: add_column_if_missing("users", sa.Column("id", sa.Integer, primary_key=True)),
            ["create_primary_key_if_missing"],
        ),
        Expect(lambda: add_column_if_missing("", sa.Column("nick", sa.Text)), ["table name"]),
        Expect(lambda: add(if_different="skip"), ["if_different"]),
    )


class TestWhatItRefuses:
    REQUIRED = Expect(
        lambda: add_column_if_missing("users", sa.Column("nick", sa.Text, nullable=False)),
        ["users.nick is NOT NULL", "no server default", "add_required_column(", '"users"', "sa.Text(), nullable=False"],
        UnsafeOperation,
    )

    def test_required_without_a_default(self, database):
        database.execute(*WORLD)
        assert_refused(database, [self.REQUIRED])
        database.execute("DELETE FROM users")
        assert migrate(database, self.REQUIRED.call) is True

    @pytest.mark.only("postgresql")
    def test_a_default_that_rewrites_the_table(self, database):
        database.execute(*WORLD)
        random = lambda: add_column_if_missing("users", sa.Column("r", sa.Float, server_default=sa.text("random()")))  # noqa: E731

        def stored():
            return add_column_if_missing("users", sa.Column("r", sa.Integer, sa.Computed("id * 2", persisted=True)))

        words = ["users.r", "rewrites the whole table", "add_required_column("]
        assert_refused(database, [Expect(random, words, UnsafeOperation)])
        assert_refused(database, [Expect(stored, [*words, "with assured(", "use a plain column"], UnsafeOperation)])

        def anyway():
            with assured("three rows"):
                return random()

        assert migrate(database, anyway) is True

    @pytest.mark.only("postgresql")
    @pytest.mark.parametrize("default", ["now()", "'[]'", "42", "1 + 1"])
    def test_a_default_that_does_not(self, database, default):
        database.execute(*WORLD)
        column = lambda: sa.Column("c", sa.Text, server_default=sa.text(default), nullable=False)  # noqa: E731
        if default == "42":
            column = lambda: sa.Column("c", sa.Integer, server_default=sa.text(default), nullable=False)  # noqa: E731
        if default == "1 + 1":
            column = lambda: sa.Column("c", sa.BigInteger, server_default=sa.text(default), nullable=False)  # noqa: E731
        add_it = lambda: add_column_if_missing("users", column())  # noqa: E731
        assert [migrate(database, add_it), migrate(database, add_it)] == [True, False]

    @pytest.mark.only("postgresql")
    def test_a_type_that_does_not_exist(self, database):
        from sqlalchemy.dialects.postgresql import ENUM

        database.execute(*WORLD, "CREATE TYPE moods AS ENUM ('sad')")
        column = sa.Column("mood", ENUM("sad", name="mood", create_type=False))
        call = lambda: add_column_if_missing("users", column.copy() if hasattr(column, "copy") else column._copy())  # noqa: E731
        assert_refused(database, [Expect(call, ["no type mood", "moods"], UnknownType)])


class TestWithAllThatIsItsOwn:
    """Index, unique, check and foreign key of the column come along, each by its online helper."""

    @staticmethod
    def up():
        first = add_column_if_missing(
            "users", sa.Column("boss_id", sa.Integer, sa.ForeignKey("users.id", ondelete="SET NULL"), index=True)
        )
        second = add_column_if_missing("users", sa.Column("code", sa.String(9), unique=True))
        return first | second

    @staticmethod
    def down():
        return drop_column_if_exists("users", "code") | drop_column_if_exists("users", "boss_id")

    @pytest.mark.only("pg18", "mysql", "sqlite")
    def test_interrupted_anywhere_it_continues(self, new_database):
        crash_everywhere(new_database, self.up, WORLD, kills=1)

    def test_all_is_there_once(self, database):
        database.execute(*WORLD)
        before = snapshot(database)
        assert [migrate(database, self.up), migrate(database, self.up)] == [True, False]
        after = snapshot(database)
        assert "ix_users_boss_id" in after
        assert "SET NULL" in after
        assert [migrate(database, self.down, down=True), migrate(database, self.down, down=True)] == [True, False]
        assert snapshot(database) == before

    @pytest.mark.only("pg18", "mysql", "sqlite")
    def test_later_changes_of_the_same_revision_do_not_count_as_differences(self, new_database):
        def up():
            add_column_if_missing("users", sa.Column("nick", sa.String(20)))
            set_server_default("users", "nick", "x")
            from alembic import op

            op.execute("UPDATE users SET nick = 'y' WHERE nick IS NULL")
            enforce_not_null("users", "nick")

        crash_everywhere(new_database, up, WORLD, kills=1)


def test_quoted_types_are_compared(database):
    database.execute(*WORLD)
    for number, type_ in enumerate(
        [
            sa.Boolean(),
            sa.DateTime(),
            sa.Date(),
            sa.Float(),
            sa.LargeBinary(),
            sa.BigInteger(),
            sa.Numeric(8, 3),
            sa.SmallInteger(),
            sa.Time(),
            sa.JSON(),
            sa.Uuid(),
            sa.Double(),
        ]
    ):
        add_it = lambda type_=type_, number=number: add_column_if_missing("users", sa.Column(f"c{number}", type_))  # noqa: E731
        assert [migrate(database, add_it), migrate(database, add_it)] == [True, False], repr(type_)


@pytest.mark.only("mysql97", "postgresql")
@pytest.mark.parametrize("nullable", [True, False])
def test_the_code_for_a_default_that_blocks_keeps_the_default(database, nullable):
    database.execute("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)")
    random = "gen_random_uuid()" if database.kind == "postgresql" else "(concat(uuid(), 'it''s \\\\ :x'))"
    random = sa.text(random.replace(":", "\\:"))

    def added():
        column = sa.Column("it's", sa.String(90), nullable=nullable, server_default=random)
        return add_column_if_missing("t", column)

    with pytest.raises(UnsafeOperation) as raised:
        migrate(database, added)
    migrate(
        database, lambda: exec(raised.value.code, {"sa": sa, **{one: getattr(safeops, one) for one in safeops.__all__}})
    )
    assert migrate(database, added) is False
    database.execute("INSERT INTO t (id) VALUES (3)")
    own = database.quoted("it's")
    assert database.query(f"SELECT count(DISTINCT {own}) FROM t") == [(3,)]
