"""Several helpers in one revision, stopped anywhere; env.py files of all sorts; one runner at a time."""

import time

import pytest
import sqlalchemy as sa
from alembic import op
from tests.concurrency.harness import other_process
from tests.lifecycle.harness import crash_everywhere, up_up_down_down_up
from tests.operations.shape import WORLD
from tests.projects import Project, migrate

from safeops import (
    InvalidArgument,
    LockNotAcquired,
    OutsideMigration,
    TransactionNotOurs,
    add_column_if_missing,
    assured,
    create_check_constraint_if_missing,
    create_foreign_key_if_missing,
    create_index_if_missing,
    drop_column_if_exists,
    drop_constraint_if_exists,
    drop_index_if_exists,
    enforce_not_null,
    migration_lock,
    relax_not_null,
    set_server_default,
)


def up():
    add_column_if_missing("users", sa.Column("status", sa.String(20), server_default="new"))
    set_server_default("users", "status", "active")
    op.execute("UPDATE users SET status = 'old' WHERE id = 1")
    enforce_not_null("users", "status")
    create_index_if_missing("ix_users_status", "users", ["status", "team_id"])
    create_index_if_missing("ix_users_team", "users", ["team_id"])
    create_foreign_key_if_missing("fk_users_team", "users", "teams", ["team_id"], ["id"], ondelete="SET NULL")
    with assured("few rows, which MariaDB copies"):
        create_check_constraint_if_missing("ck_users_age", "users", "age >= 0")


def down():
    drop_constraint_if_exists("ck_users_age", "users", type_="check")
    drop_constraint_if_exists("fk_users_team", "users", type_="foreignkey")
    drop_index_if_exists("ix_users_team", "users")
    drop_index_if_exists("ix_users_status", "users")
    relax_not_null("users", "status")
    set_server_default("users", "status", None)
    drop_column_if_exists("users", "status")


def test_up_up_down_down_up(database):
    up_up_down_down_up(database, up, down, WORLD)


@pytest.mark.only("pg18", "mysql", "sqlite")
def test_interrupted_anywhere_it_continues(new_database):
    crash_everywhere(new_database, up, WORLD, kills=2)


@pytest.mark.only("pg18", "mysql", "sqlite")
def test_interrupted_anywhere_the_downgrade_continues(new_database):
    def raised(database):
        database.execute(*WORLD)
        migrate(database, up)

    crash_everywhere(new_database, down, raised, down=True, kills=1)


# --- env.py ----------------------------------------------------------------------------------------------

IMPORTS = "from safeops import add_column_if_missing, drop_column_if_exists"
REVISION = {
    "r1": (
        "assert add_column_if_missing('users', sa.Column('nick', sa.String(20)))",
        "assert drop_column_if_exists('users', 'nick')",
    )
}


@pytest.mark.parametrize("env", ["begin", "execute_before"])
def test_a_transaction_that_is_not_ours(database, tmp_path, env):
    database.execute(*WORLD)
    project = Project(tmp_path, database, REVISION, env=env, imports=IMPORTS)
    with pytest.raises(TransactionNotOurs) as error:
        project.upgrade()
    message = str(error.value)
    for words in (
        "add_column_if_missing()",
        "env.py began the transaction",
        "engine.begin()",
        "with engine.connect() as connection:",
    ):
        assert words in message
    assert project.current() == ()


@pytest.mark.parametrize("env", ["sync", "async", "commit_before", "autocommit", "one_transaction"])
def test_env_files_that_work(database, tmp_path, env):
    database.execute(*WORLD)
    if env == "async":
        if database.kind == "mysql":
            pytest.skip("no asynchronous driver for MariaDB among the test requirements")
        database = database.with_driver("asyncpg" if database.kind == "postgresql" else "aiosqlite")
    project = Project(tmp_path, database, REVISION, env=env, imports=IMPORTS)
    project.upgrade()
    assert project.current() == ("r1",)
    assert any("added column" in line and "nick" in line for line in project.log)
    project.downgrade()
    assert project.current() == ()


def test_after_a_migration_that_failed(database):
    with pytest.raises(ZeroDivisionError):
        migrate(database, lambda: 1 / 0)
    with pytest.raises(OutsideMigration):
        drop_column_if_exists("users", "nick")


def test_settings_of_a_run(database, tmp_path):
    database.execute(*WORLD)
    project = Project(tmp_path, database, REVISION, imports=IMPORTS)
    env = project.folder / "migrations/env.py"
    env.write_text(
        env.read_text().replace(
            "options = dict", "import safeops\nsafeops.configure(lock_timeout=0.125)\noptions = dict"
        )
    )
    project.write(
        "r1",
        "from safeops.execution import migration as m\nassert m.current_settings(op.get_context()).lock_timeout == 0.125",
        down=None,
    )
    project.upgrade()
    env.write_text(env.read_text().replace("lock_timeout=0.125", "lock_timeout=0"))
    with pytest.raises(InvalidArgument, match="lock_timeout is 0"):
        project.downgrade()


# --- one runner at a time --------------------------------------------------------------------------------


def held(database, seconds, then=lambda: None):
    def work():
        with database.engine().connect() as connection, migration_lock(connection):
            then()
            time.sleep(seconds)

    return work


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def table_is_there(database, name="holding"):
    return sa.inspect(database.observer()).has_table(name)


class TestMigrationLock:
    def test_the_second_waits_and_finds_nothing_to_do(self, database):
        def create():
            with database.engine().connect() as connection, migration_lock(connection):
                return add_column_of(database)

        def add_column_of(database):
            time.sleep(0.3)
            return migrate(database, lambda: add_column_if_missing("users", sa.Column("nick", sa.String(20))))

        database.execute(*WORLD)
        with other_process(create) as one, other_process(create) as other:
            assert sorted([one.result(), other.result()]) == [False, True]

    def test_it_gives_up_and_names_the_holder(self, database):
        marks = lambda: database.execute("CREATE TABLE holding (a integer)")  # noqa: E731
        with other_process(held(database, 30, marks)):
            wait_until(lambda: table_is_there(database))
            began = time.monotonic()
            with (
                database.engine().connect() as connection,
                pytest.raises(LockNotAcquired, match=r"(?s)another runner.*0.5 s.*Held by") as error,
                migration_lock(connection, timeout=0.5),
            ):
                pass
            assert 0.4 < time.monotonic() - began < 5
            assert "password" not in str(error.value).replace("user safeops", "")

    def test_it_ends_with_its_holder(self, database):
        marks = lambda: database.execute("CREATE TABLE holding (a integer)")  # noqa: E731
        with other_process(held(database, 30, marks)) as holder:
            wait_until(lambda: table_is_there(database))
            holder.kill9()
            with database.engine().connect() as connection, migration_lock(connection, timeout=8):
                pass

    def test_it_can_be_taken_again(self, database):
        for _ in range(2):
            with database.engine().connect() as connection, migration_lock(connection, timeout=1):
                migrate(database, lambda: None, connection=connection)

    @pytest.mark.parametrize("timeout", ["5", -1, True])
    def test_its_timeout(self, database, timeout):
        with (
            database.engine().connect() as connection,
            pytest.raises(InvalidArgument, match="timeout"),
            migration_lock(connection, timeout=timeout),
        ):
            pass
