"""Defects that were found by attacking the helpers; each test fails without its fix."""

import re
import textwrap
from contextlib import suppress

import pytest
import sqlalchemy as sa
from alembic import op
from tests.operations.shape import WORLD, Expect, assert_refused
from tests.projects import is_watched, listening, migrate

from safeops import (
    DefinitionMismatch,
    DependentObjects,
    InvalidArgument,
    UnknownColumn,
    UnknownTable,
    UnsafeOperation,
    add_column_if_missing,
    add_enum_value_if_missing,
    alter_column_type,
    assured,
    create_check_constraint_if_missing,
    create_enum_if_missing,
    create_index_if_missing,
    create_primary_key_if_missing,
    create_table_if_missing,
    create_unique_constraint_if_missing,
    drop_column_if_exists,
    drop_constraint_if_exists,
    drop_index_if_exists,
    drop_table_if_exists,
    enforce_not_null,
    set_server_default,
    validate_constraint,
)
from safeops import enforce_not_null as enn
from safeops.naming import type_code

LONG = "customer_subscription_invoices_history"
WIDE = "é" * 28
CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_name)s_by_the_rules_of_the_house_of_names_which_are_long",
    "uq": "uq_%(table_name)s_%(column_0_name)s_by_the_rules_of_the_house_of_names_which_are_long",
    "ck": "ck_%(table_name)s_%(constraint_name)s_by_the_rules_of_the_house_of_names_which_are_long",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s_by_the_rules_of_the_house_of_names_which_are_long",
}


class TestNamesLongerThanTheServerKeeps:
    @pytest.mark.parametrize(("table", "column"), [(LONG, "external_payment_provider_reference"), (WIDE, WIDE[:20])])
    def test_of_an_index_of_a_column(self, database, table, column):
        def up():
            made = create_table_if_missing(table, sa.Column("id", sa.Integer, primary_key=True))
            made |= add_column_if_missing(table, sa.Column(column, sa.String(9), index=True))
            return made | create_table_if_missing(
                f"{table}2"[-31:] + "2", sa.Column("id", sa.Integer), sa.Column(column, sa.String(9), index=True)
            )

        assert [migrate(database, up), migrate(database, up)] == [True, False]

    @pytest.mark.only("pg18", "mysql")
    def test_by_a_naming_convention(self, database):
        database.execute(*WORLD)
        metadata = sa.MetaData(naming_convention=CONVENTION)

        def up():
            kept = sa.Column("team_no", sa.Integer, sa.ForeignKey("teams.id"), index=True, unique=True)
            return add_column_if_missing("users", kept)

        def checked():
            return create_check_constraint_if_missing("adult", "users", "age > 0", validate=False)

        calls = [up, up] + [checked, checked, lambda: _validated(database)] * (database.kind == "postgresql")
        results = [migrate(database, call, target_metadata=metadata) for call in calls]
        assert results == [True, False, True, False, True][: len(calls)]

    def test_of_the_author_are_refused(self, database):
        if database.kind == "sqlite":
            pytest.skip("no name is too long")
        up = lambda: create_table_if_missing("t", sa.Column("a", sa.Integer), sa.UniqueConstraint("a", name="u" * 65))  # noqa: E731
        assert_refused(database, [Expect(up, ["constraint name", "65"], InvalidArgument)])


def _validated(database):
    name = database.query("SELECT conname FROM pg_constraint WHERE conname LIKE 'ck_users%'")[0][0]
    return validate_constraint(name, "users")


class TestACompanionThatCannotBe:
    def test_is_found_before_the_column_is_added(self, database):
        database.execute(*WORLD, "CREATE INDEX ix_users_c ON users (age)")
        add = lambda *args, **kw: add_column_if_missing("users", sa.Column("c", sa.Integer, *args, **kw))  # noqa: E731
        refusals = [
            Expect(lambda: add(sa.ForeignKey("gone.id")), ["no table gone"], UnknownTable),
            Expect(lambda: add(sa.ForeignKey("teams.nope")), ["no column nope"], UnknownColumn),
            Expect(lambda: add(sa.ForeignKey("teams.title")), ["not unique"], InvalidArgument),
            Expect(lambda: add(index=True), ["ix_users_c", "(age)"]),
        ]
        assert_refused(database, refusals)

    @pytest.mark.only("pg18")
    def test_else_the_message_reports_that_the_column_is_kept(self, database):
        database.execute(*WORLD)

        def column(*args):
            return sa.Column("c", sa.Integer, *args, server_default="1")

        call = lambda: add_column_if_missing("users", column(sa.CheckConstraint("c > 1")))  # noqa: E731
        with pytest.raises(Exception, match=r"Completed and kept: added column users\.c"):
            migrate(database, call)
        database.execute("UPDATE users SET c = 2")
        assert [migrate(database, call), migrate(database, call)] == [True, False]
        assert database.query("SELECT conname, convalidated FROM pg_constraint WHERE conname = 'users_c_check'") == [
            ("users_c_check", True)
        ]


# --- what the revision changes later ------------------------------------------------------------------


def add_nick():
    return add_column_if_missing("users", sa.Column("nick", sa.String(9)))


def require(table, column):
    op.execute(f"UPDATE {table} SET {column} = 'x'")
    enn(table, column)


def in_functions():
    add_nick()
    require("users", column="nick")


def by_another_name():
    add_nick()
    op.execute("UPDATE users SET nick = 'x'")
    enn("users", "nick")


def by_alembic():
    add_nick()
    op.execute("UPDATE users SET nick = 'x'")
    with op.batch_alter_table("users") as batch:
        batch.alter_column("nick", nullable=False, existing_type=sa.String(9))


def by_sql():
    add_nick()
    op.execute("UPDATE users SET nick = 'x'")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE users ALTER nick SET NOT NULL")
    else:
        op.execute(sa.text("ALTER TABLE users MODIFY nick varchar(9) NOT NULL"))


def in_a_loop():
    for column in ("nick", "nack"):
        add_column_if_missing("users", sa.Column(column, sa.String(9)))
        require("users", column)


@pytest.mark.only("pg18", "mysql", "sqlite")
@pytest.mark.parametrize("up", [in_functions, by_another_name, by_alembic, by_sql, in_a_loop])
def test_a_later_change_does_not_count_as_a_difference(database, up):
    if database.kind == "sqlite" and up is by_sql:
        pytest.skip("SQLite has no such statement")
    database.execute(*WORLD)
    migrate(database, up)
    migrate(database, up)


ELSEWHERE = [("zzz", "q")]
CREATE = (sa.Column("id", sa.Integer, primary_key=True), sa.Column("nick", sa.String(9)))


def create_users():
    return create_table_if_missing("kept", *(one._copy() for one in CREATE))


def another_keyword():
    create_users()
    op.alter_column("kept", "nick", comment="hello", existing_type=sa.String(9))


def of_an_unknown_table():
    create_users()
    for table, column in ELSEWHERE:
        enforce_not_null(table, column)


def before():
    enforce_not_null("kept", "nick") if ELSEWHERE == [] else None
    create_users()


def of_another_schema():
    create_users()
    enforce_not_null("kept", "nick", schema="other")


@pytest.mark.only("pg18")
@pytest.mark.parametrize("up", [another_keyword, of_an_unknown_table, before, of_another_schema])
def test_any_other_call_explains_nothing(database, up):
    database.execute("CREATE TABLE kept (id integer PRIMARY KEY, nick varchar(9) NOT NULL)")
    assert_refused(database, [Expect(up, ["nullable of column nick"])])


def misspelt():
    set_server_default("users", "typo", "x")
    for table, column in ELSEWHERE:
        drop_column_if_exists(table, column)


def too_late():
    drop_column_if_exists("users", "typo")
    set_server_default("users", "typo", "x")


@pytest.mark.only("pg18")
@pytest.mark.parametrize("up", [misspelt, too_late])
def test_a_misspelt_column_does_not_count_as_dropped(database, up):
    database.execute(*WORLD)
    assert_refused(database, [Expect(up, ["no column typo"], UnknownColumn)])


def down():
    alter_column_type("users", "name", sa.String(60))
    create_index_if_missing("ix_users_name", "users", ["name"])
    create_unique_constraint_if_missing("uq_users_name", "users", ["name"])
    validate_constraint("ck_age", "users")
    drop_constraint_if_exists("ck_age", "users")
    drop_column_if_exists("users", "name")


@pytest.mark.only("pg18", "sqlite")
def test_what_a_later_step_of_the_downgrade_dropped_is_skipped(database):
    database.execute(*(one.replace("age integer", "age integer CONSTRAINT ck_age CHECK (age > 0)") for one in WORLD))
    migrate(database, down, down=True)
    migrate(database, down, down=True)


# --- names that are taken, and what depends ---------------------------------------------------------------


@pytest.mark.only("postgresql")
class TestOtherObjects:
    def test_a_name_of_another_object(self, database):
        database.execute(*WORLD, "CREATE SEQUENCE sq", "CREATE VIEW looking AS SELECT name FROM users")
        a = sa.Column("a", sa.Integer)
        refusals = [
            Expect(lambda: create_table_if_missing("sq", a._copy()), ["Could not create table sq", "sequence"]),
            Expect(lambda: create_unique_constraint_if_missing("sq", "users", ["email"]), ["name sq is taken"]),
            Expect(lambda: create_unique_constraint_if_missing("teams_pkey", "users", ["email"]), ["public.teams"]),
            Expect(
                lambda: drop_table_if_exists("looking"), ["is a view, not a table", "OR REPLACE VIEW"], UnknownTable
            ),
            Expect(lambda: create_table_if_missing("t", a._copy(), schema="no"), ["no schema no"], InvalidArgument),
            Expect(lambda: create_enum_if_missing("t", ["a"], schema="no"), ["no schema no"], InvalidArgument),
        ]
        assert_refused(database, refusals)
        database.execute("CREATE TABLE keyless (id integer NOT NULL)")
        with pytest.raises(DefinitionMismatch, match="teams_pkey exists"):
            migrate(database, lambda: create_primary_key_if_missing("teams_pkey", "keyless", ["id"]))

    def test_dependents_are_listed(self, database):
        database.execute(
            *WORLD,
            "CREATE VIEW looking AS SELECT name FROM users",
            "CREATE UNIQUE INDEX ux ON users (age)",
            "CREATE TABLE old (age integer REFERENCES users (age))",
            "ALTER TABLE users ADD g text GENERATED ALWAYS AS (email || 'x') STORED",
        )
        longer = sa.String(200)
        refusals = [
            Expect(
                lambda: alter_column_type("users", "name", longer), ["type of users.name", "looking"], DependentObjects
            ),
            Expect(lambda: alter_column_type("users", "email", longer), ["users.email", "generated"], DependentObjects),
            Expect(lambda: drop_index_if_exists("ux", "users"), ["ux", "constraint"], DependentObjects),
        ]
        assert_refused(database, refusals)

    def test_an_included_column_that_is_not_there(self, database):
        database.execute(*WORLD)
        helpers = [create_index_if_missing]
        # Older SQLAlchemy has no such argument for a unique constraint.
        if "include" in _arguments_of(sa.UniqueConstraint):
            helpers.append(create_unique_constraint_if_missing)
        calls = [lambda up=up: up("i", "users", ["age"], postgresql_include=["nope"]) for up in helpers]
        assert_refused(database, [Expect(call, ["no column nope"], UnknownColumn) for call in calls])

    def test_an_unnamed_check_that_is_missing(self, database):
        database.execute(*WORLD)
        column = lambda: sa.Column("id", sa.Integer, primary_key=True)  # noqa: E731
        up = lambda text: create_table_if_missing("c", column(), sa.CheckConstraint(text))  # noqa: E731
        assert [migrate(database, lambda: up("id > 0 OR id IN (-1, -2)")) for _ in range(2)] == [True, False]
        assert_refused(database, [Expect(lambda: up("id > 5"), ["check", "missing", "id > 5"])])

    def test_an_enum_value_at_another_place(self, database, caplog):
        database.execute("CREATE TYPE mood AS ENUM ('a', 'b', 'c')")
        caplog.set_level("INFO", "safeops")
        for kw in ({"after": "a"}, {"before": "c"}, {}):
            assert migrate(database, lambda kw=kw: add_enum_value_if_missing("mood", "b", **kw)) is False
        assert "but not" not in caplog.text
        assert migrate(database, lambda: add_enum_value_if_missing("mood", "b", after="c")) is False
        assert "it already exists, but not after 'c': the values are a, b, c" in caplog.text


# --- remedies ---------------------------------------------------------------------------------------------


def _arguments_of(kind):
    from sqlalchemy.dialects import postgresql

    return dict(postgresql.dialect.construct_arguments).get(kind) or {}


def code_of(error):
    return textwrap.dedent(error.value.code)


@pytest.mark.only("postgresql")
def test_remedies_are_code_that_runs(database):
    from sqlalchemy.dialects import postgresql

    database.execute(*WORLD, "ALTER TABLE users ADD CONSTRAINT ck CHECK (age > 0)")
    with pytest.raises(UnsafeOperation) as error:
        migrate(database, lambda: alter_column_type("users", "name", postgresql.JSONB()))
    assert code_of(error) == 'TypeChange("users", "name", postgresql.JSONB(astext_type=sa.Text())).expand()'
    with pytest.raises(InvalidArgument) as error:
        migrate(database, lambda: alter_column_type("users", "name", "text"))
    assert code_of(error) == 'alter_column_type("users", "name", sa.String(200))'
    with pytest.raises(DefinitionMismatch) as error:
        migrate(database, lambda: create_check_constraint_if_missing("ck", "users", "age > 1"))
    assert code_of(error) == 'drop_constraint_if_exists("ck", "users")'


def test_types_are_written_with_their_modules():
    from sqlalchemy.dialects import mysql, postgresql

    types = [
        sa.String(9),
        sa.ARRAY(sa.String(9)),
        postgresql.ARRAY(sa.Integer),
        postgresql.ENUM("Text(", "b", name="mood"),
        mysql.INTEGER(unsigned=True),
    ]
    modules = {"sa": sa, "postgresql": postgresql, "mysql": mysql}
    for one in types:
        assert repr(eval(type_code(one), modules)) == repr(one)


class TestAnotherRunnerIsFaster:
    """An object that was created or dropped between inspection and statement is reported, not only the server's message."""

    ADD = "ALTER TABLE t ADD COLUMN b INTEGER"
    DROP = "ALTER TABLE t DROP COLUMN a"

    @pytest.mark.parametrize(
        ("other", "mine"),
        [
            (ADD, lambda: add_column_if_missing("t", sa.Column("b", sa.Integer))),
            (DROP, lambda: drop_column_if_exists("t", "a")),
            ("CREATE TABLE u (id INTEGER)", lambda: create_table_if_missing("u", sa.Column("id", sa.Integer))),
            ("CREATE INDEX ix ON t (a)", lambda: create_index_if_missing("ix", "t", ["a"])),
        ],
        ids=["column came", "column went", "table came", "index came"],
    )
    def test_it_reports_it_and_continues(self, database, other, mine):
        database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER)")
        word = other.split("(")[0].split(" ON ")[0].removeprefix("ALTER TABLE t ")

        def faster(connection, _cursor, statement, *_):
            meant = re.search(word.replace(" ", ".*"), statement.replace('"', ""))
            if meant and not done and is_watched(connection, database):
                done.append(statement)
                database.execute(other)

        done = []
        with listening({"before_cursor_execute": faster}), suppress(DefinitionMismatch):
            migrate(database, mine)
        assert done
        assert migrate(database, mine) is False


def test_the_check_of_a_type_is_made_if_the_database_has_no_such_type(database):
    """SQLAlchemy makes CHECK (b IN (0, 1)) of Boolean(create_constraint=True), but not on databases with booleans."""
    database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")

    def up():
        made = create_table_if_missing("u", sa.Column("b", sa.Boolean(create_constraint=True, name="ck_u_b")))
        return made | add_column_if_missing("t", sa.Column("b", sa.Boolean(create_constraint=True, name="ck_t_b")))

    with assured("the table is empty"):
        assert [migrate(database, up), migrate(database, up)] == [True, False]
    with database.observer().connect() as connection:
        made = [one["name"] for table in "tu" for one in sa.inspect(connection).get_check_constraints(table)]
    assert made == ([] if database.kind == "postgresql" else ["ck_t_b", "ck_u_b"])


@pytest.mark.only("sqlite")
def test_a_table_that_is_replaced_while_it_is_inspected(database):
    """Its definition and its columns are those of one moment."""
    database.execute("CREATE TABLE t (a INTEGER)")
    replace = [("DROP TABLE t", "CREATE TABLE t (b INTEGER)")]

    def replaced(connection, _cursor, statement, *_rest):
        if replace and "pragma_table_xinfo" in statement and is_watched(connection, database):
            database.execute(*replace.pop())

    with listening({"before_cursor_execute": replaced}):
        assert migrate(database, lambda: add_column_if_missing("t", sa.Column("b", sa.Integer))) is False
    assert not replace
