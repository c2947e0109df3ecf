"""What a command writes to the log: each thing once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.concurrency.harness import idle_holder
from tests.projects import log_lines, migrate
from tests.runner.deploys import Deploy, said
from tests.servers import Database

from safeops import add_column_if_missing, backfill, create_index_if_missing, drop_column_if_exists

ADD = "add_column_if_missing('users', sa.Column('nick', sa.String(20)))"
SECONDS = r"\(\d+\.\d\d s\)"


@pytest.fixture
def users(database: Database) -> Database:
    database.execute("CREATE TABLE users (id int PRIMARY KEY, name varchar(20))", "INSERT INTO users VALUES (1, 'a')")
    return database


@pytest.mark.only("pg18", "mysql", "sqlite")
def test_an_upgrade_logs_one_line_a_step_and_the_context_once(users: Database, tmp_path: Path) -> None:
    project = Deploy(tmp_path, users, {"r1": (ADD, "pass"), "r2": (f"{ADD}\n{ADD.replace('nick', 'nock')}", "pass")})
    with log_lines() as lines, log_lines("alembic.runtime.migration") as of_alembic:
        assert project.main("upgrade") == 0
    assert len([line for line in of_alembic if line.startswith("Context impl")]) == 1
    assert len([line for line in of_alembic if line.startswith("Will assume")]) == 1
    assert len([line for line in of_alembic if line.startswith("Running upgrade")]) == 2
    added, skipped, other = lines
    assert re.fullmatch(rf"added column users\.nick {SECONDS}", added)
    assert skipped.startswith("skipped column users.nick: ")
    assert re.fullmatch(rf"added column users\.nock {SECONDS}", other)


@pytest.mark.only("pg18", "mysql", "sqlite")
def test_commands_that_only_inspect_log_no_context(users: Database, tmp_path: Path) -> None:
    project = Deploy(tmp_path, users, {"r1": (ADD, "pass")})
    with log_lines("alembic.runtime.migration") as of_alembic:
        assert project.main("status") == 1
        assert project.main("plan") == 1
    assert of_alembic == []


@pytest.mark.only("pg18", "mysql", "sqlite")
def test_a_first_archive_removes_no_leftovers(users: Database) -> None:
    with log_lines() as lines:
        migrate(users, lambda: drop_column_if_exists("users", "name", archive=True))
    assert not [
        line for line in lines if line.startswith(("dropped archive", "dropped the trigger", "dropped trigger"))
    ]
    assert [line for line in lines if line.startswith("dropped column")]


@pytest.mark.only("pg18")
def test_a_build_logs_the_drop_of_an_invalid_index_only_if_there_is_one(users: Database) -> None:
    # An index that another build left invalid, as two rows had one key.
    users.execute("INSERT INTO users VALUES (2, 'a')")
    build = "CREATE UNIQUE INDEX CONCURRENTLY ix ON users (name)"
    autocommit = users.observer().execution_options(isolation_level="AUTOCOMMIT")
    with autocommit.connect() as other, pytest.raises(sa.exc.IntegrityError):
        other.exec_driver_sql(build)
    with log_lines() as lines:
        migrate(users, lambda: create_index_if_missing("ix", "users", ["name"]))
        migrate(users, lambda: create_index_if_missing("other", "users", ["name"]))
    dropped, built, other_built = lines
    assert dropped.startswith("dropped index ix, which an interrupted build left invalid (")
    assert built.startswith("built index ix on users (")
    assert other_built.startswith("built index other on users (")


@pytest.mark.only("pg18")
def test_a_backfill_that_was_finished_logs_one_line(users: Database) -> None:
    migrate(users, lambda: add_column_if_missing("users", sa.Column("nick", sa.String(20))))
    migrate(users, lambda: backfill("users", {"nick": "name"}, name="fill"))
    with log_lines() as lines:
        migrate(users, lambda: backfill("users", {"nick": "name"}, name="fill"))
    assert len(lines) == 1 and lines[0].startswith("skipped backfill fill: ")


@pytest.mark.only("pg18", "mysql", "sqlite")
def test_a_failure_shows_one_code_and_one_command(
    users: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = "create_index_if_missing('ix', 'users', ['nome'])\n"
    project = Deploy(tmp_path, users, {"r1": ("op.execute('SELECT 1')\n" + ADD + "\n" + bad, "pass")})
    assert project.main("upgrade") in (3, 4)
    text = said(capsys)
    assert len(re.findall(r"\[S\d{3}\]", text)) == 1
    assert text.rstrip().endswith("[S102]")
    assert text.count("again") <= 1
    assert "Completed and kept" not in text or text.count("added column users.nick") == 1


@pytest.mark.only("pg18")
def test_a_lock_that_is_held_keeps_its_code_under_the_runner(
    users: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = "from safeops import configure; configure(lock_timeout=0.2, retry_budget=0.4)"
    project = Deploy(tmp_path, users, {"r1": (ADD, "pass")}, before=before)
    with idle_holder(users, "users") as holder:
        assert project.main("upgrade") == 3
    text = " ".join(said(capsys).split())
    assert "Could not add column users.nick: the lock was not granted within" in text
    assert f"pid {holder.pid}" in text
    assert re.findall(r"\[S\d{3}\]", text) == ["[S401]"]
