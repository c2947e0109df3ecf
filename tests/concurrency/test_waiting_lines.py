"""The log during a wait: who holds the lock, and what is left of the budget."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.concurrency.harness import Holder, held_until_logged, idle_holder, once_logged
from tests.configured import Configured
from tests.projects import log_lines, migrate
from tests.servers import Database

from safeops import LockNotAcquired, add_column_if_missing, create_index_if_missing, migration_lock, settings
from safeops.databases.postgresql.session import Session
from safeops.naming import Name

HOLDERS = {
    "postgresql": r"pid {pid}, idle-holder, idle in transaction for \d+ s",
    "mysql": r"(perhaps )?session {pid}, .*, Sleep.* for \d+ s",
    "sqlite": r"pid \d+, (this process itself, by another connection|program \S+)",
}
ROW = "INSERT INTO users VALUES (1, 'a')"
ADD = "op.add_column('users', sa.Column('nick', sa.String(20)))"


@pytest.fixture
def users(database: Database) -> Database:
    database.execute("CREATE TABLE users (id int PRIMARY KEY, name varchar(20))")
    return database


def held(users: Database, seconds: float = 0.0) -> AbstractContextManager[Holder]:
    """Another session holds the table, and ends so many seconds after the block began to wait."""
    return held_until_logged(users, "users", mode(users), seconds=seconds)


def mode(users: Database) -> str:
    return "ROW EXCLUSIVE" if users.kind == "sqlite" else "ACCESS SHARE"


def add() -> bool:
    return add_column_if_missing("users", sa.Column("nick", sa.String(20)))


def waiting(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if line.startswith("waiting for")]


@pytest.mark.only("pg18", "mysql", "sqlite")
def test_attempts_name_the_holder_and_what_is_left(users: Database) -> None:
    pids = []

    def body() -> bool:
        # On SQLite the holder would keep Alembic itself waiting.
        with (
            held(users, seconds=2.0) as holder,
            settings(lock_timeout=1 if users.kind == "mysql" else 0.2, retry_budget=20),
        ):
            pids.append(holder.pid)
            return add()

    with log_lines() as lines:
        assert migrate(users, body)
    found = waiting(lines)
    held_by = HOLDERS[users.kind].format(pid=pids[0])
    rest = r": attempt \d+, retrying in \d+\.\d\d s, (19|18|17|16) s of 20 s left"
    assert [
        line for line in found if re.fullmatch(rf"waiting for lock to .*users.* \(held by {held_by}.*\){rest}", line)
    ]
    assert all("held by" in line for line in found)
    # At most one a second, however many attempts there are.
    assert 2 <= len(found) <= 5
    assert [line for line in lines if line.startswith("added column users.nick (")]


@pytest.mark.only("pg18", "mysql", "sqlite")
def test_a_plain_operation_names_the_holder(users: Database, tmp_path: Path) -> None:
    seconds = 1 if users.kind == "mysql" else 0.2
    bound = f"lock_timeout={seconds}, retry_budget=20"
    project = Configured(tmp_path, users, {"r1": (ADD, "pass")}, settings=bound)
    with held(users) as holder:
        project.upgrade()
    held_by = HOLDERS[users.kind].format(pid=holder.pid)
    shown = rf"waiting for lock to run ALTER TABLE users ADD COLUMN nick .*\(held by {held_by}.*\): attempt 1, "
    assert [line for line in project.log if re.search(shown, line)]


@pytest.mark.only("pg18")
@pytest.mark.parametrize("look", ["SELECT 1 / 0", "SELECT pg_sleep(60)"])
@pytest.mark.parametrize("plain", [False, True], ids=["helper", "plain"])
def test_a_look_that_fails_or_hangs_fails_no_migration(
    users: Database, tmp_path: Path, look: str, plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blockers(session: Any, _tables: Sequence[Name]) -> list[Any]:
        session.read(look)
        return []

    monkeypatch.setattr(Session, "blockers", blockers)
    began = time.monotonic()
    with held(users), log_lines() as lines:
        if plain:
            Configured(tmp_path, users, {"r1": (ADD, "pass")}, settings="lock_timeout=0.2, retry_budget=30").upgrade()
        else:
            with settings(lock_timeout=0.2, retry_budget=30):
                assert migrate(users, add)
    assert time.monotonic() - began < 25
    assert "held by sessions that cannot be listed" in waiting(lines)[0]
    assert "nick" in [one["name"] for one in sa.inspect(users.observer()).get_columns("users")]


@pytest.mark.only("pg18")
def test_an_error_reports_that_the_holders_cannot_be_listed(users: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "blockers", lambda session, _tables: session.read("SELECT 1 / 0"))
    bounds = settings(lock_timeout=0.1, retry_budget=0.05)
    unlisted = pytest.raises(LockNotAcquired, match="sessions that cannot be listed: division by zero")
    with idle_holder(users, "users"), bounds, unlisted:
        migrate(users, add)


@pytest.mark.only("pg18")
def test_older_transactions_are_named_before_an_online_build(users: Database) -> None:
    users.execute(ROW)

    def body() -> bool:
        with settings(retry_budget=30):
            return create_index_if_missing("ix", "users", ["name"])

    with held_until_logged(users, "users", "ROW EXCLUSIVE") as writer, log_lines() as lines:
        assert migrate(users, body)
    shown = rf"waiting for older transactions to build index ix on users \(pid {writer.pid}, .*\): 30 s of 30 s left"
    assert len([line for line in lines if re.fullmatch(shown, line)]) == 1


@pytest.mark.only("pg18")
def test_older_transactions_are_named_during_an_online_build(users: Database) -> None:
    users.execute(ROW)

    def body() -> bool:
        with settings(retry_budget=30):
            return create_index_if_missing("ix", "users", ["name"])

    with users.observer().connect() as old, log_lines() as lines:
        old.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        pid = old.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with once_logged("waiting for older transactions", old.rollback):
            assert migrate(users, body)
    shown = rf"waiting for older transactions to build index ix on users \(pid {pid}, .*\): \d+ s left"
    assert len([line for line in lines if re.fullmatch(shown, line)]) == 1


@pytest.mark.only("pg18", "mysql", "sqlite")
def test_another_runner_is_named(users: Database) -> None:
    refused = pytest.raises(LockNotAcquired, match="Held by:\n  - ")
    with users.engine().connect() as first, users.engine().connect() as second, log_lines() as lines:  # noqa: SIM117
        with migration_lock(first), refused, migration_lock(second, timeout=0.4):
            pass
    shown = r"waiting for another runner \(held by (pid|session) \d+.*\): 0 s of 0\.4 s left"
    assert len([line for line in waiting(lines) if re.fullmatch(shown, line)]) == 1
