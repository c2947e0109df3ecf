"""PgBouncer: in transaction mode a run is refused and leaves nothing on sessions of the application; others serve."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

import safeops
from safeops.databases import database_for
from safeops.databases.server import RunnerLock
from safeops.errors import Unreachable, UnsupportedOnDatabase
from tests.crossings.pgbouncer import UNTOUCHED, Application, pooled
from tests.projects import listening, migrate

pytestmark = pytest.mark.only("pg18")


def add_column() -> bool:
    return safeops.add_column_if_missing("t", sa.Column("b", sa.Integer()))


def work_through(database, how):
    """Run a helper: below the runner lock, alone, or in a backfill."""
    with database.engine().connect() as connection:
        if how == "migration_lock":
            with safeops.migration_lock(connection, timeout=5):
                return migrate(database, add_column, connection=connection)
        body = add_column if how == "helper" else lambda: safeops.backfill("t", {"a": sa.text("1")}).rows
        return migrate(database, body, connection=connection)


@pytest.fixture
def filled(database):
    database.execute("CREATE TABLE t (id int PRIMARY KEY, a int)", "INSERT INTO t VALUES (1), (2)")
    return database


@pytest.mark.parametrize("how", ["migration_lock", "helper", "backfill"])
def test_transaction_mode_is_refused_and_nothing_is_left(filled, how):
    with pooled(filled, "transaction") as pool:
        application = Application(pool)
        with application.running(), pytest.raises(UnsupportedOnDatabase, match="transaction mode") as error:
            work_through(pool, how)
    assert ":5432/" in error.value.code
    assert application.seen == {UNTOUCHED}
    assert filled.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]
    assert filled.query("SELECT * FROM t ORDER BY id") == [(1, None), (2, None)]


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("takes_turns", [False, True])
def test_transaction_mode_is_noticed_without_other_clients(filled, size, takes_turns):
    with (
        pooled(filled, "transaction", size=size, takes_turns=takes_turns) as pool,
        pytest.raises(UnsupportedOnDatabase, match="transaction mode"),
    ):
        work_through(pool, "helper")


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_session_mode_serves(filled, driver):
    with pooled(filled, "session") as pool:
        application, own = Application(pool), pool.with_driver(driver)
        with application.running():
            if own.is_async:
                assert migrate(own, add_column) is True
            else:
                assert work_through(own, "migration_lock") is True
    assert {row[:-1] for row in application.seen} == {UNTOUCHED[:-1]}
    assert filled.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]


def test_a_pool_of_one_connection_has_none_for_the_lock(filled):
    with (
        pooled(filled, "session", size=1, query_wait_timeout=1) as pool,
        pytest.raises(Unreachable, match=r"second connection for the migration lock: .*query_wait_timeout") as error,
    ):
        work_through(pool, "migration_lock")
    assert "Allow two connections" in str(error.value)
    assert "Nothing was changed" in str(error.value)
    assert filled.query("SELECT * FROM t ORDER BY id") == [(1, None), (2, None)]


def test_a_direct_connection_needs_no_second_one(filled):
    made = []
    with (
        filled.engine().connect() as connection,
        listening({"connect": lambda *_: made.append(1)}, sa.pool.Pool),
    ):
        assert migrate(filled, add_column, connection=connection) is True
    # The harness stamps by a separate connection.
    assert len(made) <= 1


def test_the_runner_lock_leaves_its_session_as_it_was(filled):
    """An engine may hand out a session that also serves others."""
    with filled.engine().connect() as own:
        lock = RunnerLock.of(database_for(own.dialect, lambda: own))
        before = own.execute(sa.text("SHOW application_name")).scalar()
        assert lock.try_runner_lock(own, "key")
        assert own.execute(sa.text("SHOW application_name")).scalar().startswith("safeops")
        assert lock.release_runner_lock(own, "key")
        assert own.execute(sa.text("SHOW application_name")).scalar() == before
        assert own.execute(sa.text("SHOW idle_session_timeout")).scalar() == "0"
