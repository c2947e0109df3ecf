"""Waiting that is hard to observe: no second connection, prepared transactions, short timeouts, dying sessions."""

import asyncio
import logging
import threading
import time
from contextlib import contextmanager

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import QueuePool
from tests.concurrency.harness import idle_holder
from tests.operations.shape import WORLD
from tests.projects import migrate, statements_of
from tests.servers import Database, PostgreSQL

from safeops import (
    DefinitionMismatch,
    LockNotAcquired,
    TransactionNotOurs,
    Unreachable,
    UnsafeOperation,
    add_column_if_missing,
    alter_column_type,
    create_check_constraint_if_missing,
    create_index_if_missing,
    migration_lock,
    settings,
)
from safeops.databases.connections import side_connection
from safeops.databases.postgresql.session import Session
from safeops.errors import ServerRefused

pytestmark = pytest.mark.only("pg18")


@contextmanager
def role(database, *settings_of_it, limit=-1):
    """A superuser with separate settings, and the database as it sees it."""
    name = f"r_{database.name}"
    database.execute(
        f"CREATE ROLE {name} LOGIN {'NOSUPERUSER' if limit > 0 else 'SUPERUSER'} CONNECTION LIMIT {limit}",
        *(f"ALTER ROLE {name} SET {one}" for one in settings_of_it),
    )
    try:
        yield Database(database.url.set(username=name), database.server)
    finally:
        database.end_sessions()
        database.execute(f"REASSIGN OWNED BY {name} TO postgres", f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@contextmanager
def old_snapshot(database):
    """A transaction that an online build waits for at its end, though it holds no lock on the table."""
    with database.observer().connect() as connection:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.exec_driver_sql("SELECT 1 FROM teams")
        yield


def build():
    with settings(lock_timeout=0.3, retry_budget=0.8):
        return create_index_if_missing("ix_users_name", "users", ["name"])


def add():
    with settings(lock_timeout=0.5, retry_budget=1.2):
        return add_column_if_missing("users", sa.Column("nick", sa.String(20)))


def indexes(database):
    return database.query("SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'users'::regclass")


def in_time(function, seconds=15.0):
    """Call a function that may hang, and fail then."""
    came = []

    def work():
        try:
            came.append((function(), None))
        except Exception as error:
            came.append((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    assert came, "it hangs"
    if came[0][1] is not None:
        raise came[0][1]
    return came[0][0]


# --- no second connection --------------------------------------------------------------------------------


def test_a_build_is_watched_from_outside_a_pool_of_one(database):
    database.execute(*WORLD)
    engine = sa.create_engine(database.url, poolclass=QueuePool, pool_size=1, max_overflow=0)

    def run():
        with engine.connect() as connection:
            migrate(database, build, connection=connection)

    with (
        old_snapshot(database),
        pytest.raises(LockNotAcquired, match=r"(?s)older transactions did not end.*SELECT 1 FROM teams"),
    ):
        in_time(run)
    assert indexes(database) == [("users_pkey",)]
    engine.dispose()


def test_a_build_that_cannot_be_watched_is_bounded_too(database):
    database.execute(*WORLD)
    with role(database, limit=1) as limited, old_snapshot(database):
        name = limited.url.username
        database.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {name}", f"ALTER TABLE users OWNER TO {name}")
        engine = limited.engine()

        def run():
            with engine.connect() as connection:
                migrate(database, build, connection=connection)

        database.execute("CREATE TABLE IF NOT EXISTS alembic_version (version_num varchar(32) PRIMARY KEY)")
        database.execute(f"ALTER TABLE alembic_version OWNER TO {name}")
        with pytest.raises(LockNotAcquired, match=r"older transactions did not end within"):
            in_time(run)


def test_the_second_connection_has_the_arguments_of_an_async_engine(database):
    database.execute(*WORLD)
    engine = create_async_engine(
        database.with_driver("asyncpg").url.set(username="nobody_at_all"), connect_args={"user": "postgres"}
    )

    async def run():
        async with engine.connect() as connection:
            await connection.run_sync(lambda own: migrate(database, build, connection=own))
        await engine.dispose()

    # Only the watcher reports its query: without a lock on the table it is otherwise only listed as "perhaps".
    with old_snapshot(database), pytest.raises(LockNotAcquired, match=r"Still open:\n  - pid"):
        in_time(lambda: asyncio.run(run()))


def test_the_runner_lock_needs_no_second_place_in_the_pool(database):
    engine = sa.create_engine(database.url, poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.2)
    with engine.connect() as connection, migration_lock(connection, timeout=1):
        pass
    engine.dispose()


def test_a_creator_of_one_connection_is_reported(database):
    real = psycopg.connect(host="127.0.0.1", port=database.url.port, user="postgres", dbname=database.name)
    engine = sa.create_engine("postgresql+psycopg://", creator=lambda: real, poolclass=sa.pool.StaticPool)
    with engine.connect() as connection:
        with pytest.raises(ValueError, match="only one connection"), side_connection(connection):
            pass
        assert connection.scalar(sa.text("SELECT 1")) == 1
    real.close()


# --- the runner lock's session ---------------------------------------------------------------------------


def test_the_runner_lock_outlives_an_idle_timeout(database):
    with (
        role(database, "idle_session_timeout = '300ms'") as idle,
        idle.engine().connect() as connection,
        migration_lock(connection),
    ):
        connection.exec_driver_sql("SELECT pg_sleep(0.8)")
        with database.engine().connect() as other, pytest.raises(LockNotAcquired), migration_lock(other, timeout=0.1):
            pass


@pytest.mark.parametrize("fails", [False, True])
def test_a_lost_runner_lock_is_reported_and_hides_nothing(database, caplog, fails):
    def body():
        with database.engine().connect() as connection, migration_lock(connection):
            database.end_sessions()
            if fails:
                raise ZeroDivisionError

    with caplog.at_level(logging.ERROR, "safeops"):
        if fails:
            with pytest.raises(ZeroDivisionError):
                body()
        else:
            body()
    assert "migration lock was lost" in caplog.text


# --- prepared transactions -------------------------------------------------------------------------------


class Preparing(PostgreSQL):
    """A server that takes prepared transactions."""

    def _command(self):
        return [*super()._command(), "-cmax_prepared_transactions=4"]


@pytest.fixture(scope="module")
def preparing(servers):
    server = Preparing(servers("pg18").home)
    yield server
    server.stop()


@pytest.mark.parametrize("body", [add, build], ids=["brief", "online"])
def test_prepared_transactions_are_named(preparing, body):
    database = Database(preparing.new_database(), preparing)
    database.execute(*WORLD)
    database.execute("INSERT INTO users (id) VALUES (9)", "PREPARE TRANSACTION 'pay''1'")
    words = r"prepared transaction \"pay'1\", owner postgres, .* s old: ROLLBACK PREPARED 'pay''1'"
    with pytest.raises(LockNotAcquired, match=words):
        in_time(lambda: migrate(database, body))
    assert indexes(database) == [("users_pkey",)]
    database.observer(isolation_level="AUTOCOMMIT").connect().exec_driver_sql("ROLLBACK PREPARED 'pay''1'")


def test_a_build_that_a_prepared_transaction_stops_midway_names_it(preparing):
    database = Database(preparing.new_database(), preparing)
    database.execute(*WORLD)

    def prepare():
        # Not there yet when the build looks for obstacles: it meets this one in the middle of its work.
        while not database.query("SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('ix_users_name')"):
            time.sleep(0.01)
        database.execute("INSERT INTO users (id) VALUES (9)", "PREPARE TRANSACTION 'late'")

    thread = threading.Thread(target=prepare)
    with database.observer().connect() as holder:
        holder.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holder.exec_driver_sql("SELECT 1 FROM teams")
        thread.start()
        with pytest.raises(LockNotAcquired, match="older transactions"):
            in_time(lambda: migrate(database, build))
    thread.join(10)
    database.observer(isolation_level="AUTOCOMMIT").connect().exec_driver_sql("ROLLBACK PREPARED 'late'")


# --- short timeouts of the session -----------------------------------------------------------------------


def test_a_statement_timeout_shorter_than_the_lock_timeout(database):
    database.execute(*WORLD)
    with role(database, "statement_timeout = '500ms'", "transaction_timeout = '490ms'") as hasty:
        with idle_holder(database, "users", "ROW EXCLUSIVE"), pytest.raises(LockNotAcquired, match="idle-holder"):
            migrate(hasty, add)
        assert migrate(hasty, add) is True


def test_a_look_that_a_statement_timeout_ends_is_tried_again(database):
    database.execute(*WORLD, "ALTER TABLE users ADD CHECK (age > 0)")
    # Longer than the look itself takes on a busy machine.
    with role(database, "statement_timeout = '400ms'") as hasty:
        with (
            idle_holder(database, "users", "ACCESS EXCLUSIVE"),
            pytest.raises(LockNotAcquired, match="idle-holder"),
        ):
            migrate(hasty, add)
        with idle_holder(database, "users", "ACCESS EXCLUSIVE") as holder:
            holder.release_after(0.9)
            assert migrate(hasty, add) is True


def test_a_query_is_retried_although_no_blocker_is_found_once(database, monkeypatch):
    """The lock holder can end before its name is queried."""
    asked, blockers = [], Session.blockers

    def unseen_at_first(session, tables):
        asked.append(tables)
        if len(asked) == 1:
            return []
        found = blockers(session, tables)
        holder.release()
        return found

    def patient():
        with settings(lock_timeout=0.5, retry_budget=30):
            return add_column_if_missing("users", sa.Column("later", sa.Integer))

    database.execute(*WORLD)
    monkeypatch.setattr(Session, "blockers", unseen_at_first)
    with (
        role(database, "statement_timeout = '400ms'") as hasty,
        idle_holder(database, "users", "ACCESS EXCLUSIVE") as holder,
    ):
        assert migrate(hasty, patient) is True
    assert len(asked) > 1


def test_a_query_without_blockers_is_not_retried_indefinitely(database, monkeypatch):
    """Twice too slow without a blocker: the statement timeout is too short, and more attempts do not help."""
    database.execute(*WORLD)
    monkeypatch.setattr(Session, "blockers", lambda session, tables: [])
    with (
        role(database, "statement_timeout = '400ms'") as hasty,
        idle_holder(database, "users", "ACCESS EXCLUSIVE"),
        pytest.raises(ServerRefused, match="statement timeout"),
    ):
        migrate(hasty, add)


# --- querying the server -----------------------------------------------------------------------------------


@contextmanager
def locked_when_asked(database):
    """Locks the table just before a spelling is tried, for longer than one attempt waits."""
    holders = []

    def before(connection, cursor, statement, *_):
        if "CREATE TEMPORARY TABLE" in statement and not holders:
            holder = idle_holder(database, "users", "ACCESS EXCLUSIVE")
            holders.append(holder)
            holder.__enter__().release_after(0.4)

    sa.event.listen(sa.Engine, "before_cursor_execute", before)
    try:
        yield holders
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", before)
        for holder in holders:
            holder.__exit__(None, None, None)


def test_a_lock_timeout_of_a_query_is_not_an_answer(database):
    database.execute(*WORLD, "ALTER TABLE users ADD CONSTRAINT ck CHECK (extract(year from now()) > age)")

    def same():
        with settings(lock_timeout=0.15, retry_budget=10):
            return create_check_constraint_if_missing("ck", "users", "extract(year from now()) > age")

    with locked_when_asked(database) as holders:
        assert migrate(database, same) is False
    assert holders


def test_without_the_right_to_temporary_tables_it_reports_what_to_grant(database):
    database.execute(*WORLD, "ALTER TABLE users ADD CONSTRAINT ck CHECK (extract(year from now()) > age)")
    database.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    with role(database, limit=9) as lowly:
        name = lowly.url.username
        database.execute(f"REVOKE TEMPORARY ON DATABASE {database.name} FROM PUBLIC")
        database.execute(*(f"ALTER TABLE {table} OWNER TO {name}" for table in ("users", "alembic_version")))
        grant = f"GRANT TEMPORARY ON DATABASE {database.name} TO {name}"

        def run(body):
            with lowly.engine().connect() as connection:
                return migrate(database, body, connection=connection)

        for body in (
            lambda: alter_column_type("users", "name", sa.Text()),
            lambda: add_column_if_missing("users", sa.Column("n", sa.Integer, server_default=sa.text("length('x')"))),
            lambda: create_check_constraint_if_missing("ck", "users", "extract(year from now()) > age"),
        ):
            with pytest.raises(UnsafeOperation, match=grant):
                run(body)
        assert run(add) is True


# --- what the author sees --------------------------------------------------------------------------------


def test_a_session_that_is_ended_shows_its_own_error(database):
    database.execute(*WORLD)

    def body():
        return add_column_if_missing("users", sa.Column("nick", sa.String(20)))

    def end():
        sql = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE query LIKE '%ALTER TABLE%' AND state = 'active' AND datname = current_database()
                AND pid <> pg_backend_pid()"""
        while not database.query(sql):
            time.sleep(0.01)

    # The table is held to the end: on a busy machine the session may be found late.
    with idle_holder(database, "users"):
        thread = threading.Thread(target=end, daemon=True)
        thread.start()
        with pytest.raises(Unreachable, match="terminating connection due to administrator command"):
            migrate(database, body)
        thread.join()


def test_env_without_begin_transaction_is_named(database):
    database.execute(*WORLD)
    with database.engine().connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        with pytest.raises(TransactionNotOurs, match=r"lacks context\.begin_transaction\(\)"):
            migrate(database, add, connection=connection)


def test_overtaken_by_another_runner(database):
    database.execute(*WORLD)
    done = []

    def body():
        return create_check_constraint_if_missing("ck", "users", "age > 0")

    def before(connection, cursor, statement, *_):
        if statement.startswith("ALTER TABLE users") and not done:
            done.append(statement)
            database.execute("ALTER TABLE users ADD CONSTRAINT ck CHECK (age > 0)")

    sa.event.listen(sa.Engine, "before_cursor_execute", before)
    try:
        with pytest.raises(
            DefinitionMismatch, match=r"(?s)or dropped after the inspection.*migration_lock\(connection\)"
        ):
            migrate(database, body)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", before)
    assert migrate(database, body) is False


def test_between_attempts_writers_get_a_share_of_the_time(database, monkeypatch):
    database.execute(*WORLD)
    pauses = []
    sleep = time.sleep
    monkeypatch.setattr("safeops.execution.lock_retry.time.sleep", lambda given: (pauses.append(given), sleep(given)))
    with idle_holder(database, "users", "ROW EXCLUSIVE"), pytest.raises(LockNotAcquired), statements_of(database):
        migrate(database, add)
    assert pauses[0] >= 0.5 * 0.25 * 0.75


# --- a clone in the same cluster -------------------------------------------------------------------------


def test_a_lock_in_a_clone_of_the_database_is_not_an_obstacle(database):
    """Its tables have the same OIDs."""
    database.execute(*WORLD)
    database.end_sessions()
    clone = Database(database.server.copy(database.name), database.server)
    try:
        assert clone.query("SELECT 'users'::regclass::oid") == database.query("SELECT 'users'::regclass::oid")
        with idle_holder(clone, "users", "ROW EXCLUSIVE", application_name="in-the-clone"):
            assert migrate(database, build) is True
            with idle_holder(database, "users"), pytest.raises(LockNotAcquired) as error:
                migrate(database, add)
        assert "idle-holder" in str(error.value) and "in-the-clone" not in str(error.value)
    finally:
        clone.drop()
