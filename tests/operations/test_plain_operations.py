"""Plain op.* and op.execute() under an env.py of safeops wait for a lock no longer than helpers do."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest
import sqlalchemy as sa
from alembic import op
from tests.concurrency.harness import idle_holder
from tests.projects import migrate
from tests.runner.deploys import Deploy, said

from safeops import LockNotAcquired, add_column_if_missing, migration_lock, settings

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


@pytest.mark.only("pg18", "pg14", "mysql", "sqlite")
@pytest.mark.parametrize("change", CHANGES)
def test_they_are_bounded_and_name_who_blocks(users, change):
    mode = "ROW EXCLUSIVE" if users.kind == "sqlite" else "ACCESS SHARE"
    with users.engine().connect() as connection, ExitStack() as held, settings(lock_timeout=0.3):
        before, seen = shown(users, connection), []

        def body():
            seen.append(held.enter_context(idle_holder(users, "users", mode)))
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
    before = "from safeops import configure; configure(lock_timeout=0.2)"
    project = Deploy(tmp_path, users, {"r1": ("op.drop_column('users', 'id')", "pass")}, before=before)
    with idle_holder(users, "users") as holder:
        assert project.main("upgrade") == 3
    message = said(capsys)
    assert f"pid {holder.pid}" in message
    assert "S401" in message
