"""The catalogue query is prepared once a session, and works all the same if the session has lost it."""

from __future__ import annotations

import alembic.op
import pytest
import sqlalchemy as sa
from tests.projects import migrate, statements_of

from safeops import add_column_if_missing, create_index_if_missing, set_comment
from safeops.databases.postgresql import prepared

pytestmark = pytest.mark.only("postgresql")

WORLD = ("CREATE TABLE users (id int PRIMARY KEY, name text)", 'CREATE TABLE "it\'s" (id int)')


def many(count=8):
    for number in range(count):
        assert add_column_if_missing("users", sa.Column(f"c{number}", sa.Integer))


def looks(sent):
    return [statement.split()[0] for statement in sent.sql if "pg_attrdef" in statement or "safeops_1" in statement]


def plans():
    """How often the session planned the query for one run alone, and how often it used the plan for all."""
    sql = "SELECT custom_plans, generic_plans FROM pg_prepared_statements WHERE name = 'safeops_1'"
    return tuple(alembic.op.get_bind().exec_driver_sql(sql).one())


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_the_query_is_prepared_once(database, driver):
    database.execute(*WORLD)

    def body():
        with statements_of(database) as sent:
            many()
            assert set_comment("it's", None, "x")
        # The first one shows that there is no pooler. Most drivers send PREPARE along with the first EXECUTE.
        assert looks(sent) == ["SELECT"] + ["PREPARE"] * (driver == "asyncpg") + ["EXECUTE"] * 8
        assert driver == "asyncpg" or plans() == (0, 8)
        assert not set_comment("it's", None, "x")

    migrate(database.with_driver(driver), body)


@pytest.mark.parametrize("forgets", ["DISCARD ALL", "DEALLOCATE ALL", "DEALLOCATE safeops_1"])
def test_a_session_that_has_lost_it_gets_it_again(database, forgets):
    database.execute(*WORLD)

    def body():
        many()
        with alembic.op.get_context().autocommit_block():
            alembic.op.execute(forgets)
        assert create_index_if_missing("ix", "users", ["name"])
        with statements_of(database) as sent:
            assert not create_index_if_missing("ix", "users", ["name"])
            assert not add_column_if_missing("users", sa.Column("c0", sa.Integer))
        assert [statement.split()[0] for statement in sent.sql if "DEALLOCATE" not in statement][-1] == "EXECUTE"

    migrate(database, body)


def test_behind_a_pooler_nothing_is_prepared(database, monkeypatch):
    # A pooler announces a made-up session.
    monkeypatch.setattr(prepared, "announced_session", lambda _driver: 1)
    database.execute(*WORLD)

    def body():
        with statements_of(database) as sent:
            many()
        assert not [statement for statement in sent.sql if statement.startswith(("PREPARE", "EXECUTE"))]

    migrate(database, body)


def test_the_driver_prepares_as_before_after_a_helper(database):
    database.execute(*WORLD)

    def body():
        driver = alembic.op.get_bind().connection.driver_connection
        before = driver.prepare_threshold
        assert before
        many()
        assert driver.prepare_threshold == before

    migrate(database, body)
