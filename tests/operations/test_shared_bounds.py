"""The steps of a helper share what bounds their waiting, and a plain statement finds what the revision itself has set."""

from __future__ import annotations

from itertools import groupby

import alembic.op
import pytest
import sqlalchemy as sa
from tests.projects import migrate, statements_of

from safeops import (
    add_column_if_missing,
    alter_column_type,
    create_check_constraint_if_missing,
    create_enum_if_missing,
    create_foreign_key_if_missing,
    create_index_if_missing,
    create_table_if_missing,
    create_unique_constraint_if_missing,
    drop_column_if_exists,
    drop_constraint_if_exists,
    drop_index_if_exists,
    drop_table_if_exists,
    enforce_not_null,
    relax_not_null,
    set_comment,
    set_server_default,
    settings,
)
from safeops.databases.postgresql import session
from safeops.errors import SafeOpsError
from safeops.execution import plain_operations

pytestmark = pytest.mark.only("postgresql")

NAMES = ("lock_timeout", "statement_timeout", "row_security")
WORLD = (
    "CREATE TABLE teams (id int PRIMARY KEY)",
    "CREATE TABLE users (id int PRIMARY KEY, name varchar(50), team int, age int NOT NULL, old text)",
    "INSERT INTO users VALUES (1, 'a', NULL, 1)",
)
CHANGES = {
    "create_table": (lambda: create_table_if_missing("new", sa.Column("id", sa.Integer, primary_key=True)), 2),
    "add_column": (lambda: add_column_if_missing("users", sa.Column("email", sa.Text)), 2),
    "create_index": (lambda: create_index_if_missing("ix", "users", ["name"]), 6),
    "create_foreign_key": (
        lambda: create_foreign_key_if_missing("fk", "users", "teams", ["team"], ["id"]),
        4,
    ),
    "create_check": (lambda: create_check_constraint_if_missing("ck", "users", "age > 0"), 4),
    "create_unique": (lambda: create_unique_constraint_if_missing("uq", "users", ["name"]), 8),
    "set_server_default": (lambda: set_server_default("users", "name", "x"), 2),
    "alter_type": (lambda: alter_column_type("users", "name", sa.String(60)), 9),
    "enforce_not_null": (lambda: enforce_not_null("users", "name"), 4),
    "relax_not_null": (lambda: relax_not_null("users", "age"), 3),
    "set_comment": (lambda: set_comment("users", None, "x"), 2),
    "create_enum": (lambda: create_enum_if_missing("mood", ["a"]), 3),
    "drop_index": (lambda: drop_index_if_exists("ix", "users"), 5),
    "drop_constraint": (lambda: drop_constraint_if_exists("ck", "users"), 2),
    "drop_column": (lambda: drop_column_if_exists("users", "old"), 6),
    "drop_table": (lambda: drop_table_if_exists("new"), 5),
}


def shown():
    return [alembic.op.get_bind().exec_driver_sql(f"SHOW {name}").scalar_one() for name in NAMES]


@pytest.mark.only("pg18")
def test_how_many_statements_a_change_and_a_skip_take(database, monkeypatch):
    # As in a project with configure() or migration_lock(): what looks after plain statements must change none of this.
    plain_operations.install()
    # A build that takes longer is watched over another connection.
    monkeypatch.setattr(session, "WATCH_EVERY", 60.0)
    database.execute(*WORLD)

    def body():
        # The session reads its settings once, and prepares the catalogue query.
        set_comment("teams", None, "first")
        for name, (change, most) in CHANGES.items():
            with statements_of(database) as sent:
                assert change(), name
            # The query for obstacles is repeated as long as there is one, as a session that is about to end.
            different = [text for text, _ in groupby(sent.sql)]
            assert len(different) <= most, "\n".join([name, *sent.sql])
            with statements_of(database) as sent:
                assert not change(), name
            # A revision that runs again looks at what is there, and sends nothing else.
            assert len(sent.sql) == 1, "\n".join([name, *sent.sql])

    migrate(database, body)


def test_each_plain_statement_finds_what_the_revision_has_set(database):
    database.execute(*WORLD)

    def body():
        before = shown()
        for number, value in enumerate((None, "7s", "1500ms", "0")):
            if value is not None:
                alembic.op.execute(f"SET lock_timeout = '{value}'")
            before = shown()
            add_column_if_missing("users", sa.Column(f"c{number}", sa.Integer))
            create_index_if_missing(f"ix{number}", "users", [f"c{number}"])
            assert shown() == before
            assert not add_column_if_missing("users", sa.Column(f"c{number}", sa.Integer))
            assert shown() == before

    migrate(database, body)


def test_a_statement_timeout_of_the_revision_is_raised_for_a_step_and_restored(database):
    database.execute(*WORLD)

    def body():
        alembic.op.execute("SET statement_timeout = '1s'")
        enforce_not_null("users", "name")
        create_index_if_missing("ix", "users", ["name"])
        assert shown()[1] == "1s"

    migrate(database, body)


@pytest.mark.parametrize(
    "fails",
    [
        pytest.param(lambda: enforce_not_null("users", "team"), id="rows"),
        pytest.param(lambda: create_index_if_missing("users_pkey", "users", ["name"]), id="definition"),
        pytest.param(lambda: create_check_constraint_if_missing("ck", "users", "nothing > 0"), id="statement"),
        pytest.param(lambda: create_check_constraint_if_missing("ck", "users", "1 / (age - 1) > 0"), id="division"),
    ],
)
def test_the_settings_are_restored_if_a_helper_fails(database, fails):
    database.execute(*WORLD)

    def body():
        alembic.op.execute("SET lock_timeout = '7s'")
        before = shown()
        with pytest.raises((SafeOpsError, sa.exc.DBAPIError)):
            fails()
        assert shown() == before
        assert add_column_if_missing("users", sa.Column("c", sa.Integer))
        assert shown() == before

    migrate(database, body)


def test_the_first_step_of_each_helper_checks_the_session(database):
    """What another library sets in between is taken for the revision's own."""
    database.execute(*WORLD)

    def body():
        add_column_if_missing("users", sa.Column("a", sa.Integer))
        alembic.op.execute("SELECT set_config('row_security', 'off', false), set_config('lock_timeout', '3s', false)")
        add_column_if_missing("users", sa.Column("b", sa.Integer))
        assert shown() == ["3s", "0", "off"]
        alembic.op.execute("RESET ALL")
        add_column_if_missing("users", sa.Column("c", sa.Integer))
        assert shown() == ["0", "0", "on"]

    migrate(database, body)


def test_a_step_waits_no_longer_than_its_bound_in_the_second_helper_too(database):
    database.execute(*WORLD)

    def body():
        add_column_if_missing("users", sa.Column("a", sa.Integer))
        with database.engine().begin() as other, settings(lock_timeout=0.2, retry_budget=0.5):
            other.exec_driver_sql("SELECT * FROM users")
            add_column_if_missing("users", sa.Column("b", sa.Integer))

    with pytest.raises(SafeOpsError, match="Held by"):
        migrate(database, body)
