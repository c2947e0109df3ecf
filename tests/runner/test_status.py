"""``safeops status``: the current state, what is pending, and what needs attention."""

from __future__ import annotations

import dataclasses
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.catalogue import assert_same, snapshot
from tests.projects import Project
from tests.runner.hoard import EACH, with_user
from tests.servers import Database, Server

from safeops import migration_lock
from safeops.cli import main
from safeops.cli.project import status_lines
from safeops.errors import SafeOpsError
from safeops.runner import Status, require_current, status

pytestmark = EACH

IMPORTS = "from safeops import *\nimport sqlalchemy as sa"
USERS = "CREATE TABLE users (id integer PRIMARY KEY, name varchar(50), age integer)"
SECRET = "s3cret/@:%"

ENV = """
from alembic import context
from sqlalchemy import create_engine

print("env.py says something")
with create_engine(context.get_x_argument(as_dictionary=True)["url"]).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""


def made(folder: Path, database: Database, *bodies: str, **options: Any) -> Project:
    revisions = {f"r{number}": (body, "pass") for number, body in enumerate(bodies, 1)}
    return Project(folder, database, revisions, imports=IMPORTS, **options)


def seen(project: Project) -> Status:
    """The status, after it was shown that looking changed nothing."""
    before = snapshot(project.database, exact=True)
    found = status(project.config)
    assert_same(before, snapshot(project.database, exact=True), "a status")
    return found


def kinds(found: Status) -> list[tuple[str, str]]:
    return [(one.kind, one.name.removeprefix("public.").replace(" on public.", " on ")) for one in found.attention]


# Current state --------------------------------------------------------------------------------------------------


def test_an_empty_database_has_all_before_it(database: Database, tmp_path: Path) -> None:
    project = made(tmp_path, database, "pass", "pass")
    project.write("r1", "pass", down=None).write_text(
        '"""Add users."""\n' + (tmp_path / "migrations/versions/r1.py").read_text()
    )
    found = seen(project)
    assert (found.current, found.heads, found.exit_status) == ((), ("r2",), 1)
    assert [one.revision for one in found.pending] == ["r1", "r2"]
    assert found.pending[0].message == "Add users."
    assert found.attention == ()
    assert found.lock_holder is None
    assert "alembic_version" not in snapshot(database)


def test_up_to_date(database: Database, tmp_path: Path) -> None:
    project = made(tmp_path, database, "pass")
    project.upgrade()
    found = seen(project)
    assert (found.current, found.pending, found.exit_status) == (("r1",), (), 0)
    said = json.loads(json.dumps(found.as_json()))
    assert set(said) >= {"database", "server", "current", "heads", "pending", "attention", "lock_holder"}
    assert said["current"] == said["heads"] == ["r1"]
    assert said["database"] == database.name
    assert said["server"].startswith(
        {"postgresql": "PostgreSQL 1", "mariadb": "MariaDB 1", "mysql": "MySQL 9.7", "sqlite": "SQLite 3"}[
            database.server.product
        ]
    )
    assert said["size_bytes"] > 0 or database.kind == "mysql"
    assert status(made(tmp_path, database, "pass", "pass").config).as_json()["pending"] == [
        {"revision": "r2", "message": ""}
    ]


def test_several_heads(database: Database, tmp_path: Path) -> None:
    project = made(tmp_path, database, "pass")
    project.write("other", "pass", down=None)
    found = seen(project)
    assert found.exit_status == 2
    assert kinds(found) == [("several heads", "other, r1")] or kinds(found) == [("several heads", "r1, other")]
    assert "safeops heads --merge" in found.attention[0].advice
    assert {one.revision for one in found.pending} == {"r1", "other"}


def test_a_revision_that_no_file_has(database: Database, tmp_path: Path) -> None:
    project = made(tmp_path, database, "pass")
    project.upgrade()
    database.execute("UPDATE alembic_version SET version_num = 'gone'")
    found = seen(project)
    assert (found.exit_status, kinds(found), found.pending) == (2, [("unknown revision", "gone")], ())
    assert "Pending         unknown" in list(status_lines(found))


# What was left --------------------------------------------------------------------------------------------------


def test_a_backfill_that_was_stopped(database: Database, tmp_path: Path) -> None:
    database.execute(USERS, *[f"INSERT INTO users (id) VALUES ({one})" for one in range(30)])
    body = """
    def stop(progress):
        raise RuntimeError("stopped")
    backfill("users", {"name": "x"}, name="names", batch_size=10, progress=stop)
    """
    project = made(tmp_path, database, body)
    with pytest.raises(RuntimeError):
        project.upgrade()
    found = seen(project)
    assert (found.exit_status, kinds(found)) == (2, [("unfinished backfill", "names")])
    assert 'forget_backfill("names")' in found.attention[0].advice
    project.write("r1", 'backfill("users", {"name": "x"}, name="names")', down=None)
    project.upgrade()
    assert seen(project).exit_status == 0


@pytest.mark.only("pg15", "pg18")
def test_an_invalid_index_and_an_unvalidated_constraint(database: Database, tmp_path: Path) -> None:
    database.execute(
        USERS,
        "CREATE INDEX ix_users_name ON users (name)",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_users_name'::regclass",
        "ALTER TABLE users ADD CONSTRAINT ck_age CHECK (age > 0) NOT VALID",
        "ALTER TABLE users ADD CONSTRAINT fk_age FOREIGN KEY (age) REFERENCES users NOT VALID",
    )
    project = made(tmp_path, database, "pass")
    project.upgrade()
    found = seen(project)
    assert found.exit_status == 2
    assert kinds(found) == [
        ("invalid index", "ix_users_name on users"),
        ("unvalidated constraint", "ck_age on users"),
        ("unvalidated constraint", "fk_age on users"),
    ]
    assert 'drop_index_if_exists("ix_users_name", "users")' in found.attention[0].advice
    assert 'validate_constraint("ck_age", "users")' in found.attention[1].advice


@pytest.mark.only("sqlite")
def test_what_a_batch_has_left(database: Database, tmp_path: Path) -> None:
    database.execute(USERS, "CREATE TABLE _alembic_tmp_users (id int)", "CREATE TABLE xalembicxtmp (id int)")
    project = made(tmp_path, database, "pass")
    project.upgrade()
    found = seen(project)
    assert (found.exit_status, kinds(found)) == (2, [("leftover table", "_alembic_tmp_users")])


def test_open_phases_and_archives_are_shown_and_are_normal(database: Database, tmp_path: Path) -> None:
    database.execute(
        USERS, "CREATE TABLE teams (id integer PRIMARY KEY, name varchar(50))", "INSERT INTO teams VALUES (1, 'a')"
    )
    phases = ['ColumnRename("users", "name", "full_name")', 'TypeChange("users", "age", sa.BigInteger())']
    phases += ['TableRename("teams", "groups")'] if database.kind != "sqlite" else []
    up = "\n".join(f"{phase}.expand()" for phase in phases)
    contract = "\n".join(
        [f"{phases[1]}.switch()", *(f"{phase}.contract()" for phase in phases), "drop_archives(older_than=0)"]
    )
    dropped = 'drop_column_if_exists("teams", "name", archive=True)'
    project = made(tmp_path, database, dropped + "\n" + up)
    project.upgrade()
    found = seen(project)
    expected = [("open phase", "users.age gets another type"), ("open phase", "users.name and full_name")]
    expected += [("open phase", "teams is groups now, under both names")] if database.kind != "sqlite" else []
    told = [(kind, name.removeprefix(f"{database.name}.")) for kind, name in kinds(found)]
    assert sorted(told) == sorted([*expected, ("archive", "teams.name")])
    advice = " ".join(one.advice for one in found.attention)
    assert 'ColumnRename("users", "name", "full_name").contract()' in advice
    assert found.exit_status == 0
    project.write("r2", contract, down="r1")
    project.upgrade()
    assert seen(project).attention == ()


@pytest.mark.only("pg15", "pg18")
def test_a_user_who_cannot_read_everything(database: Database, tmp_path: Path) -> None:
    database.execute(USERS, "CREATE ROLE looking LOGIN")
    made(tmp_path, database, 'backfill("users", {"name": "x"})').upgrade()
    reader = dataclasses.replace(database, url=database.url.set(username="looking"))
    project = made(tmp_path, reader, 'backfill("users", {"name": "x"})')
    try:
        with pytest.raises(SafeOpsError, match="permission denied for table alembic_version") as caught:
            status(project.config)
        assert len(str(caught.value)) < 500
        database.execute("GRANT SELECT ON alembic_version TO looking")
        found = status(project.config)
        assert (found.exit_status, kinds(found)) == (0, [("not seen", "backfills")])
        assert "permission denied for table safeops_backfill" in found.attention[0].advice
    finally:
        database.execute("DROP OWNED BY looking", "DROP ROLE looking")


# Who migrates ---------------------------------------------------------------------------------------------------


def test_who_holds_the_migration_lock(database: Database, tmp_path: Path) -> None:
    project = made(tmp_path, database, "pass")
    with database.engine().connect() as other, migration_lock(other):
        held = seen(project).lock_holder
        assert held is not None
        assert {"postgresql": "pid ", "mysql": "session ", "sqlite": "pid "}[database.kind] in held
        assert seen(project).lock_holder is not None
    assert seen(project).lock_holder is None
    # It was not taken by looking.
    with database.engine().connect() as other, migration_lock(other, timeout=0):
        pass


# The command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def command(database: Database, tmp_path: Path, capsys: Any) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Runs a command on a small project by the URL of a database, and returns its exit status and what it printed."""
    database.execute(USERS)
    made(tmp_path, database, "pass", CHANGES)
    (tmp_path / "migrations/env.py").write_text(textwrap.dedent(ENV))

    def run(verb: str, *options: str, url: sa.URL = database.url) -> tuple[int, str, str]:
        given = ["-c", str(tmp_path / "alembic.ini"), "-x", f"url={url.render_as_string(hide_password=False)}"]
        done = main([*given, verb, *options])
        shown = capsys.readouterr()
        return done, shown.out, shown.err

    yield run


CHANGES = 'create_table_if_missing("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.Text))'


def test_the_command(database: Database, tmp_path: Path, command: Callable[..., tuple[int, str, str]]) -> None:
    exit_status, shown, _ = command("status")
    assert exit_status == 1
    assert max(map(len, shown.splitlines())) <= 80
    assert re.search("^Pending +2$", shown, re.MULTILINE)
    exit_status, shown, _ = command("status", "--json")
    assert (exit_status, json.loads(shown)["current"]) == (1, [])
    exit_status, shown, _ = command("plan", "--json")
    assert (exit_status, len(json.loads(shown)["revisions"])) == (1, 2)
    exit_status, shown, _ = command("plan")
    assert "would create table t" in shown
    made(tmp_path, database, "pass", CHANGES).upgrade()
    (tmp_path / "migrations/env.py").write_text(textwrap.dedent(ENV))
    assert command("status")[0] == command("plan")[0] == 0
    assert command("plan")[1] == "Nothing is pending.\n"


@pytest.mark.only("pg15", "pg18", "mysql")
def test_what_keeps_it_from_the_database(
    database: Database, tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    right = with_user(database, "with_password", SECRET).url
    assert command("status", url=right)[0] == 1
    wrong = right.set(password="other" + SECRET)
    for url in (wrong, right.set(database="nowhere"), right.set(port=1)):
        for verb in ("status", "plan"):
            exit_status, shown, said = command(verb, url=url)
            assert (exit_status, shown) == (4, "")
            assert "The database cannot be reached: " in said
            assert SECRET not in said and str(wrong.render_as_string(hide_password=False)) not in said
            assert "Traceback" not in said and "sqlalche.me" not in said
            assert len(said) < 600 and all(len(line) <= 80 for line in said.splitlines())
    shown = "".join(command(verb, url=right)[1] for verb in ("status", "plan"))
    assert SECRET not in shown and right.render_as_string(hide_password=False) not in shown


@pytest.mark.only("sqlite")
def test_looking_creates_no_file(
    database: Database, tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    nowhere = tmp_path / "nowhere.sqlite"
    url = sa.make_url(f"sqlite:///{nowhere}")
    for verb in ("status", "plan"):
        exit_status, shown, said = command(verb, url=url)
        assert (exit_status, shown) == (4, "")
        assert f"There is no database: the file {nowhere} does not exist." in " ".join(said.split())
    with pytest.raises(SafeOpsError, match="There is no database"):
        require_current(sa.create_engine(url), str(tmp_path / "alembic.ini"))
    assert not nowhere.exists()
    named = sa.make_url(f"sqlite:///file:{nowhere}?uri=true")
    assert command("status", url=named)[0] == 4
    assert not nowhere.exists()
    assert command("status", url=sa.make_url("sqlite://"))[0] == 1
    # A migration still creates it.
    assert command("status", url=database.url)[0] == 1
    made(tmp_path, dataclasses.replace(database, url=url), "pass").upgrade()
    assert nowhere.exists()


@pytest.mark.only("sqlite")
def test_a_missing_project_is_reported(tmp_path: Path, capsys: Any, server: Server) -> None:
    for verb in ("status", "plan"):
        assert main(["-c", str(tmp_path / "alembic.ini"), verb]) == 4
        shown = capsys.readouterr()
        assert (shown.out, "There is no file" in shown.err) == ("", True)
        assert main([verb, "--nonsense"]) == 2
        assert "--nonsense" in capsys.readouterr().err
        assert main([verb, "--help"]) == 0
        assert f"Example:\n  safeops {verb}" in capsys.readouterr().out
