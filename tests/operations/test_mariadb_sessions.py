"""What is MariaDB's own about sessions: whole seconds, session variables, who holds a metadata lock, the runner lock."""

import time
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace

import pytest
import sqlalchemy as sa
from tests.catalogue import snapshot
from tests.concurrency.harness import idle_holder
from tests.projects import migrate
from tests.whole import one_in

from safeops import (
    ColumnRename,
    LockNotAcquired,
    add_column_if_missing,
    backfill,
    create_index_if_missing,
    drop_column_if_exists,
    drop_index_if_exists,
    enforce_not_null,
    migration_lock,
    relax_not_null,
    restore_column,
    settings,
)
from safeops.databases import database_for
from safeops.databases.steps import Step

pytestmark = pytest.mark.only("mysql")

BOUND = {"mariadb": "max_statement_time", "mysql": "max_execution_time"}
"""What bounds a statement: on MySQL a SELECT alone, which is why it stays as it is."""


def variables(database):
    bound = BOUND[database.server.product]
    return f"SELECT @@lock_wait_timeout, @@innodb_lock_wait_timeout, @@{bound}, @@sql_mode, @@foreign_key_checks"


USERS = ("CREATE TABLE users (id int PRIMARY KEY, name varchar(20))", "INSERT INTO users VALUES (1, 'Ann')")


def add():
    with settings(lock_timeout=0.1, retry_budget=0.1):
        return add_column_if_missing("users", sa.Column("a", sa.Integer))


def drop():
    with settings(lock_timeout=0.1, retry_budget=0.1):
        return drop_column_if_exists("users", "a")


@contextmanager
def without(database, plugin):
    database.execute(f"UNINSTALL SONAME '{plugin}'")
    try:
        yield
    finally:
        database.execute(f"INSTALL SONAME '{plugin}'")


@pytest.mark.parametrize("mode", one_in(2, ["ACCESS SHARE", "ROW EXCLUSIVE", "ACCESS EXCLUSIVE"]))
@pytest.mark.parametrize("knows", [True, False], ids=["known", "no plugin"])
def test_who_holds_the_table(database, mode, knows):
    if not knows and database.server.product == "mysql":
        pytest.skip("MySQL always knows who holds a table")
    database.execute(*USERS)
    before = snapshot(database)
    with idle_holder(database, "users", mode) as holder:
        began = time.monotonic()
        with (
            without(database, "metadata_lock_info") if not knows else nullcontext(),
            pytest.raises(LockNotAcquired) as error,
        ):
            migrate(database, add)
        assert time.monotonic() - began < 4
    words = [f"session {holder.pid}", "user safeops", "host 127.0.0.1", "Sleep", "query:", "Nothing was changed"]
    assert [word for word in words if word not in str(error.value)] == [], str(error.value)
    assert ("perhaps" in str(error.value)) is not knows
    assert snapshot(database) == before
    assert migrate(database, add) is True


def test_the_session_is_always_as_before(database):
    database.execute(*USERS)
    with database.engine().connect() as connection:
        bound = BOUND[database.server.product]
        connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = 33, {bound} = 44000, sql_mode = 'ANSI_QUOTES'")
        connection.commit()
        before = connection.exec_driver_sql(variables(database)).one()
        connection.commit()
        migrate(database, add, connection=connection)
        migrate(database, lambda: create_index_if_missing("ix", "users", ["a"], unique=True), connection=connection)
        assert connection.exec_driver_sql(variables(database)).one() == before
        connection.commit()
        with idle_holder(database, "users"), pytest.raises(LockNotAcquired):
            migrate(database, drop, connection=connection)
        assert connection.exec_driver_sql(variables(database)).one() == before


@pytest.mark.parametrize("mode", ["ANSI_QUOTES", "ANSI,NO_BACKSLASH_ESCAPES"])
def test_names_in_double_quotes(database, mode):
    name = 'na"m`e'
    database.execute(
        'CREATE TABLE users (id int PRIMARY KEY, `na"m``e` varchar(20) DEFAULT \'a "b" `c`\' COMMENT \'"d"\')',
        "INSERT INTO users (id) VALUES (1)",
    )
    engine = sa.create_engine(database.url, connect_args={"sql_mode": mode})
    with engine.connect() as connection:

        def run(body):
            return migrate(database, body, connection=connection)

        before = snapshot(database)
        for expected in (True, False):
            assert run(lambda: create_index_if_missing("ix", "users", [name])) is expected
            assert run(lambda: enforce_not_null("users", name)) is expected
        assert run(lambda: backfill("users", {name: sa.func.upper(sa.column(name))}, where=True)).rows == 1
        rename = ColumnRename("users", name, "full_name")
        assert run(lambda: (rename.expand(), rename.contract(), rename.undo_contract(), rename.undo_expand()))
        assert run(lambda: drop_column_if_exists("users", name, archive=True)) is True
        assert run(lambda: restore_column("users", sa.Column(name, sa.String(20)))) is True
        run(lambda: relax_not_null("users", name))
        run(lambda: drop_index_if_exists("ix", "users"))
        assert snapshot(database) == before
    assert database.query("SELECT * FROM users") == [(1, 'A "B" `C`')]
    engine.dispose()


def test_the_bounds_of_a_statement(database):
    with database.engine().connect() as connection:
        own = connection.execution_options(isolation_level="AUTOCOMMIT")
        mine = database_for(own.dialect, lambda: own)
        before = own.exec_driver_sql(variables(database)).one()
        bounded = 3 if database.server.product == "mariadb" else 0
        for lock, statement, step, expected in (
            (0.2, None, Step("x"), (1, 1, 0)),
            (1.2, 3, Step("x"), (2, 2, bounded)),
            (3, 3, Step("x", scans=True), (3, 3, 0)),
        ):
            with mine.timeouts(lock, statement, step):
                assert tuple(own.exec_driver_sql(variables(database)).one())[:3] == expected
        assert own.exec_driver_sql(variables(database)).one() == before


@pytest.fixture
def app(database):
    """The database, seen by an account that has rights on it alone."""
    account = f"'app {database.name}'@'%'"
    database.execute(f"CREATE USER {account} IDENTIFIED BY 'pw'", f"GRANT ALL ON `{database.name}`.* TO {account}")
    yield replace(database, url=database.url.set(username=f"app {database.name}", password="pw"))
    database.execute(f"DROP USER {account}")


def test_an_account_without_process_gets_the_missing_privilege_named(database, app):
    database.execute(*USERS)
    grant = f"GRANT PROCESS ON *.* TO 'app {database.name}'@'%'"
    with idle_holder(database, "users"), pytest.raises(LockNotAcquired) as error:
        migrate(app, add)
    assert grant in str(error.value)
    assert "have ended since" not in str(error.value)
    with idle_holder(app, "users") as own, pytest.raises(LockNotAcquired, match=f"session {own.pid}, user app"):
        migrate(app, add)
    if database.server.product == "mysql":
        database.execute(f"GRANT SELECT ON performance_schema.* TO 'app {database.name}'@'%'")
    else:
        database.execute(grant)
    with idle_holder(database, "users") as other, pytest.raises(LockNotAcquired) as error:
        migrate(app, add)
    assert f"session {other.pid}, user safeops" in str(error.value)
    assert "cannot see" not in str(error.value)


def test_an_account_without_process_waits_for_another_runner(database, app):
    with database.engine().connect() as one, app.engine().connect() as two, migration_lock(one):
        waiting = pytest.raises(LockNotAcquired)
        with waiting, migration_lock(two, timeout=0.3):
            pass


def test_a_mysql_url_is_mariadb_all_the_same(database):
    database.execute(*USERS)
    other = database.with_driver("mysql+pymysql")
    assert [migrate(other, add) for _ in range(2)] == [True, False]


def test_one_runner_at_a_time_and_each_database_has_its_own(database, new_database):
    engine, other = database.engine(), new_database().engine()
    with engine.connect() as one, engine.connect() as two, other.connect() as three, migration_lock(three):
        waiting = pytest.raises(LockNotAcquired, match=r"session .*user safeops")
        with migration_lock(one), waiting, migration_lock(two, timeout=0.3):
            pass
        with migration_lock(two, timeout=0.3):
            pass


def test_a_lock_ends_with_its_session(database):
    engine = database.engine()
    with engine.connect() as one, engine.connect() as two, suppress(sa.exc.DBAPIError), migration_lock(one):
        database.end_sessions()
        with migration_lock(two, timeout=3):
            pass
