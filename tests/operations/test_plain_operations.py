"""Plain op.*, and what else a revision sends itself, wait for a lock no longer than helpers do, and are tried again."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest
import sqlalchemy as sa
from alembic import op
from tests.concurrency.harness import held_until_logged, idle_holder, once_logged
from tests.configured import Configured
from tests.projects import log_lines, migrate
from tests.runner.deploys import Deploy, said

from safeops import LockNotAcquired, add_column_if_missing, migration_lock, settings
from safeops.execution import plain_statement

SHOWN = {
    "postgresql": "SHOW lock_timeout",
    "mysql": "SELECT @@SESSION.lock_wait_timeout",
    "sqlite": "PRAGMA busy_timeout",
}
CHANGES = {
    "op": lambda: op.add_column("users", sa.Column("nick", sa.String(20))),
    "execute": lambda: op.execute("ALTER TABLE users ADD COLUMN nick varchar(20)"),
}


@pytest.fixture
def users(database):
    database.execute("CREATE TABLE users (id int PRIMARY KEY)")
    return database


def shown(users, connection):
    value = connection.exec_driver_sql(SHOWN[users.kind]).scalar()
    connection.rollback()
    return value


def mode(users):
    return "ROW EXCLUSIVE" if users.kind == "sqlite" else "ACCESS SHARE"


def columns(users):
    return [column["name"] for column in sa.inspect(users.observer()).get_columns("users")]


ADD = "op.add_column('users', sa.Column('nick', sa.String(20)))"
WAYS = {
    "op": ADD,
    "execute": "op.execute('ALTER TABLE users ADD COLUMN nick varchar(20)')",
    "connection": "op.get_bind().exec_driver_sql('ALTER TABLE users ADD COLUMN nick varchar(20)')",
    "session": "from sqlalchemy.orm import Session\nwith Session(op.get_bind()) as session:\n"
    "    session.execute(sa.text('ALTER TABLE users ADD COLUMN nick varchar(20)'))",
    "autocommit": f"with op.get_context().autocommit_block():\n    {ADD}",
    "set before": f"op.get_bind().exec_driver_sql('SELECT 1')\n{ADD}",
}
ENVS = ("sync", "async", "begin", "no_begin", "autocommit", "one_transaction")


def let_go_later(users):
    """A holder of the table that ends while the block waits."""
    return held_until_logged(users, "users", mode(users))


@pytest.mark.only("pg18", "mysql", "sqlite")
@pytest.mark.parametrize("way", WAYS)
def test_by_configure_alone_each_way_is_bounded_and_names_who_blocks(users, tmp_path, way):
    bound = "lock_timeout=1, retry_budget=1.2" if users.kind == "mysql" else "lock_timeout=0.3, retry_budget=1"
    project = Configured(tmp_path, users, {"r1": (WAYS[way], "pass")}, settings=bound)
    with idle_holder(users, "users", mode(users)) as holder:
        began = time.monotonic()
        with pytest.raises(LockNotAcquired) as caught:
            project.upgrade()
        assert time.monotonic() - began < 6.0
    message = str(caught.value)
    assert "ALTER TABLE users ADD COLUMN nick" in message
    assert str(holder.pid or "pid") in message
    assert "attempts" in message
    assert columns(users) == ["id"]
    project.upgrade()
    assert columns(users) == ["id", "nick"]


@pytest.mark.only("pg18", "mysql", "sqlite")
@pytest.mark.parametrize("way", WAYS)
def test_they_are_retried_until_the_lock_is_released(users, tmp_path, way):
    project = Configured(tmp_path, users, {"r1": (WAYS[way], "pass")}, settings="lock_timeout=0.2, retry_budget=20")
    with let_go_later(users):
        project.upgrade()
    assert columns(users) == ["id", "nick"]
    assert any("waiting for lock to run ALTER TABLE users ADD COLUMN nick" in line for line in project.log)


@pytest.mark.only("pg18")
@pytest.mark.parametrize("env", ENVS)
def test_with_every_kind_of_env_py(users, tmp_path, env):
    project = Configured(tmp_path, users, {"r1": (ADD, "pass")}, settings="lock_timeout=0.2, retry_budget=20", env=env)
    with let_go_later(users):
        project.upgrade()
    assert columns(users) == ["id", "nick"]


@pytest.mark.only("pg18")
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_with_each_driver(users, tmp_path, driver):
    env = "async" if driver == "asyncpg" else "sync"
    project = Configured(
        tmp_path,
        users.with_driver(driver),
        {"r1": (ADD, "pass")},
        settings="lock_timeout=0.2, retry_budget=20",
        env=env,
    )
    with let_go_later(users):
        project.upgrade()
    assert columns(users) == ["id", "nick"]
    assert any("waiting for lock" in line for line in project.log)


@pytest.mark.only("pg18")
def test_what_its_transaction_has_done_before_is_rolled_back_and_reported(users, tmp_path):
    users.execute("CREATE TABLE other (id int)")
    project = Configured(
        tmp_path,
        users,
        {"r1": (f"op.execute('INSERT INTO other VALUES (1)')\n{ADD}", "pass")},
        settings="lock_timeout=0.2, retry_budget=20",
    )
    with idle_holder(users, "users") as holder, pytest.raises(LockNotAcquired) as caught:
        project.upgrade()
    assert f"pid {holder.pid}," in str(caught.value)
    assert "rolled back completely" in str(caught.value)
    # Its own session holds the table too, by the INSERT before: it is not the one in the way.
    assert str(caught.value).count("- pid") == 1
    assert users.query("SELECT * FROM other") == []


@pytest.mark.only("mysql")
def test_a_change_of_a_table_has_committed_what_came_before(users, tmp_path):
    users.execute("CREATE TABLE other (id int)")
    project = Configured(
        tmp_path,
        users,
        {"r1": (f"op.execute('INSERT INTO other VALUES (1)')\n{ADD}", "pass")},
        settings="lock_timeout=1, retry_budget=20",
    )
    with let_go_later(users):
        project.upgrade()
    assert users.query("SELECT * FROM other") == [(1,)]


@pytest.mark.only("pg18")
@pytest.mark.parametrize(
    "before, expected",
    [
        ("", "300ms"),
        ("op.execute(\"SET LOCAL lock_timeout = '7s'\")", "7s"),
        ("op.execute(\"SET lock_timeout = '7s'\")", "7s"),
        ("op.execute(\"SELECT set_config('lock_timeout', '7s', true)\")", "7s"),
        ("op.execute('SET LOCAL lock_timeout = 0')", "300ms"),
        ("op.execute('COMMIT')", "300ms"),
        ("with op.get_bind().begin_nested() as inner:\n    op.execute('SELECT 1')\n    inner.rollback()", "300ms"),
        ("op.execute('SAVEPOINT a')\nop.execute('SELECT 1')\nop.execute('ROLLBACK TO a')", "300ms"),
    ],
)
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_the_bound_outlives_a_commit_and_a_rollback_and_gives_way_to_one_of_the_revision(
    users, tmp_path, before, expected, driver
):
    body = f"{before}\nop.execute('CREATE TABLE seen AS SELECT current_setting(''lock_timeout'') AS value')".replace(
        "''lock_timeout''", "\\'lock_timeout\\'"
    )
    Configured(
        tmp_path, users.with_driver(driver), {"r1": (body, "pass")}, settings="lock_timeout=0.3", configure={}
    ).upgrade()
    assert users.query("SELECT value FROM seen") == [(expected,)]


@pytest.mark.only("pg18")
@pytest.mark.parametrize("env", ["sync", "one_transaction"])
@pytest.mark.parametrize("revision", ["r1", "r2"])
def test_a_cursor_of_the_driver_is_bounded(users, tmp_path, env, revision):
    body = "op.get_bind().connection.cursor().execute("
    body += "\"CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS value\")"
    revisions = {one: (body if one == revision else "pass", "pass") for one in ("r1", "r2")}
    Configured(tmp_path, users, revisions, env=env).upgrade()
    assert users.query("SELECT value FROM seen") == [("300ms",)]


@pytest.mark.only("pg18")
def test_a_revision_may_choose_its_isolation_level(users, tmp_path):
    body = "op.execute('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE')\nop.execute('SELECT 1')"
    Configured(tmp_path, users, {"r1": ("pass", "pass"), "r2": (body, "pass")}).upgrade()


@pytest.mark.only("pg18")
def test_a_connection_of_the_revisions_own_is_bounded_too(users, tmp_path):
    body = """
        with op.get_bind().engine.begin() as own:
            own.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
            own.exec_driver_sql("CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS value")
        """
    Configured(tmp_path, users, {"r1": (body, "pass")}).upgrade()
    assert users.query("SELECT value FROM seen") == [("300ms",)]


@pytest.mark.only("pg18")
@pytest.mark.parametrize("inside", ["pass", "op.execute('SELECT 1')"])
def test_what_a_session_was_given_before_is_kept(users, tmp_path, inside):
    users.execute(f"ALTER DATABASE {users.name} SET lock_timeout = '8s'")
    body = f"{inside}\nop.execute('CREATE TABLE seen AS SELECT current_setting(\\'lock_timeout\\') AS value')"
    Configured(tmp_path, users, {"r1": (body, "pass")}, settings="lock_timeout=0.3").upgrade()
    assert users.query("SELECT value FROM seen") == [("8s",)]


@pytest.mark.only("pg18", "mysql", "sqlite")
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("block", [False, True])
def test_the_session_is_as_before_on_every_path_out(users, fails, block):
    from safeops.execution.plain_operations import install

    install()

    def body():
        context = op.get_context()
        context.config.attributes["safeops.settings"] = safeops_settings
        with context.autocommit_block() if block else ExitStack():
            op.execute("SELECT 1")
            seen.append(op.get_bind().exec_driver_sql(SHOWN[users.kind]).scalar())
            if fails:
                op.execute("SELECT nothing")

    from safeops import Settings

    safeops_settings, seen = Settings(lock_timeout=3.0), []
    with users.engine().connect() as connection:
        before = shown(users, connection)
        if fails:
            with pytest.raises(sa.exc.DBAPIError):
                migrate(users, body, connection=connection)
            connection.rollback()
        else:
            migrate(users, body, connection=connection)
        assert seen == [{"postgresql": "3s", "mysql": 3, "sqlite": 3000}[users.kind]]
        assert shown(users, connection) == before


@pytest.mark.only("pg18")
def test_a_pooled_connection_is_returned_without_the_bound(users):
    from safeops import Settings
    from safeops.execution.plain_operations import install

    install()
    engine = sa.create_engine(users.url, pool_size=1, max_overflow=0)

    def body():
        op.get_context().config.attributes["safeops.settings"] = Settings(lock_timeout=3.0)
        with op.get_context().autocommit_block():
            op.execute("SELECT 1")
            raise ZeroDivisionError

    with engine.connect() as connection, pytest.raises(ZeroDivisionError):
        migrate(users, body, connection=connection)
    with engine.connect() as connection:
        assert shown(users, connection) == "0"
    engine.dispose()


@pytest.mark.only("pg18")
def test_a_concurrent_build_is_not_cut_short_by_an_old_snapshot(users, tmp_path):
    body = "with op.get_context().autocommit_block():\n    op.execute('CREATE INDEX CONCURRENTLY ix ON users (id)')"
    project = Configured(tmp_path, users, {"r1": (body, "pass")}, settings="lock_timeout=0.2, retry_budget=20")
    with users.observer().connect() as old, once_logged("waiting for older transactions", old.rollback, seconds=0.5):
        old.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.exec_driver_sql("SELECT 1 FROM pg_class")
        project.upgrade()
    assert users.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix'::regclass") == [(True,)]


@pytest.mark.only("pg18")
def test_a_concurrent_build_that_waits_for_the_whole_budget_names_whom(users, tmp_path):
    body = "with op.get_context().autocommit_block():\n    op.execute('CREATE INDEX CONCURRENTLY ix ON users (id)')"
    project = Configured(tmp_path, users, {"r1": (body, "pass")}, settings="lock_timeout=0.2, retry_budget=1")
    with users.observer().connect() as old:
        old.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        pid = old.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with pytest.raises(LockNotAcquired) as caught:
            project.upgrade()
    assert f"pid {pid}," in str(caught.value)
    assert "INVALID" in str(caught.value)


@pytest.mark.only("pg18", "sqlite")
def test_statements_cost_no_round_trip_each(users, tmp_path):
    """Bound and savepoint come once for a transaction: what SQLAlchemy itself sends is as without safeops."""
    body = "for number in range(50):\n    op.execute(f'INSERT INTO users VALUES ({number})')"
    sent = []
    from safeops.databases import waiting

    original = waiting.send
    waiting.send = lambda connection, sql: (sent.append(sql), original(connection, sql))[1]
    try:
        Configured(tmp_path, users, {"r1": (body, "pass")}, settings="lock_timeout=2").upgrade()
    finally:
        waiting.send = original
    # On SQLite, for which these are calls of a function, each of Alembic's first reads is bounded too.
    assert len(sent) <= (18 if users.kind == "sqlite" else 6), sent


@pytest.mark.only("pg18", "mysql")
def test_what_may_have_come_half_the_way_is_not_tried_again(users, tmp_path):
    users.execute("INSERT INTO users VALUES (1)", "CREATE TABLE log (n int)")
    many = "op.get_bind().execute(sa.text('INSERT INTO log SELECT :n FROM users WHERE id = :n FOR UPDATE'), VALUES)"
    body = f"VALUES = [{{'n': 0}}, {{'n': 1}}]\nwith op.get_context().autocommit_block():\n    {many}"
    bound = "lock_timeout=1, retry_budget=20"
    project = Configured(tmp_path, users, {"r1": (body, "pass")}, settings=bound)
    with users.observer().connect() as other:
        other.exec_driver_sql("UPDATE users SET id = 1")
        with pytest.raises(LockNotAcquired, match="INSERT INTO log"):
            project.upgrade()
    assert not any("waiting for lock" in line for line in project.log)


@pytest.mark.only("sqlite")
def test_a_long_script_is_read_by_its_head(users, tmp_path):
    body = "rows = ', '.join(f'({n})' for n in range(40_000))\nop.execute(f'INSERT INTO users VALUES {rows}')"
    Configured(tmp_path, users, {"r1": (body, "pass")}).upgrade()
    assert users.query("SELECT count(*) FROM users") == [(40_000,)]


# Under migration_lock -------------------------------------------------------------------------------------------


@pytest.mark.only("pg18", "pg14", "mysql", "sqlite")
@pytest.mark.parametrize("change", CHANGES)
def test_they_are_bounded_and_name_who_blocks(users, change):
    with (
        users.engine().connect() as connection,
        ExitStack() as held,
        settings(lock_timeout=0.3, retry_budget=0.5),
    ):
        before, seen = shown(users, connection), []

        def body():
            seen.append(held.enter_context(idle_holder(users, "users", mode(users))))
            seen.append(time.monotonic())
            CHANGES[change]()

        with pytest.raises(LockNotAcquired) as caught, migration_lock(connection):
            migrate(users, body, connection=connection)
        holder, began = seen
        assert time.monotonic() - began < 4.0
        assert shown(users, connection) == before
    message = str(caught.value)
    assert "ALTER TABLE users ADD COLUMN nick" in message
    assert str(holder.pid or "pid") in message


@pytest.mark.only("pg18", "mysql", "sqlite")
def test_the_session_is_as_before_after_a_run_that_succeeds(users):
    with users.engine().connect() as connection:
        before, seen = shown(users, connection), []

        def body():
            add_column_if_missing("users", sa.Column("a", sa.Integer))
            seen.append(op.get_bind().exec_driver_sql(SHOWN[users.kind]).scalar())

        with settings(lock_timeout=3.0), migration_lock(connection):
            assert not connection.in_transaction()
            migrate(users, body, connection=connection)
        assert seen == [{"postgresql": "3s", "mysql": 3, "sqlite": 3000}[users.kind]]
        assert shown(users, connection) == before


@pytest.mark.only("pg18", "mysql")
def test_a_bound_of_env_py_is_kept(users):
    with users.engine().connect() as connection:
        sets = {"postgresql": "SET lock_timeout = '70s'", "mysql": "SET SESSION lock_wait_timeout = 70"}
        connection.exec_driver_sql(sets[users.kind])
        connection.commit()
        with migration_lock(connection):
            assert str(shown(users, connection)).startswith(("70", "1min"))


@pytest.mark.only("pg18")
def test_under_the_runner_too(users, tmp_path, capsys):
    before = "from safeops import configure; configure(lock_timeout=0.2, retry_budget=0.6)"
    project = Deploy(tmp_path, users, {"r1": ("op.drop_column('users', 'id')", "pass")}, before=before)
    with idle_holder(users, "users") as holder:
        assert project.main("upgrade") == 3
    message = said(capsys)
    assert f"pid {holder.pid}" in message
    assert "S401" in message


@pytest.mark.only("pg18")
def test_the_runner_tries_them_again(users, tmp_path):
    before = "from safeops import configure; configure(lock_timeout=0.2, retry_budget=20)"
    project = Deploy(tmp_path, users, {"r1": (ADD, "pass")}, before=before)
    with let_go_later(users), log_lines() as lines:
        assert project.main("upgrade") == 0
    assert columns(users) == ["id", "nick"]
    assert any("waiting for lock to run ALTER TABLE" in line for line in lines)


@pytest.mark.only("pg18", "sqlite")
def test_the_names_in_a_statement_are_read_only_once_it_is_blocked(users, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(plain_statement, "names_in", lambda sql: asked.append(sql) or [])
    Configured(tmp_path, users, {"r1": (ADD, "pass")}, settings="lock_timeout=1").upgrade()
    assert asked == []
    assert columns(users) == ["id", "nick"]
