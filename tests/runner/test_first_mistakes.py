"""Ten mistakes of a first day, under `safeops` and under `alembic`: each is answered in twelve lines, with what to do."""

from __future__ import annotations

import contextlib
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.authoring.commands import alembic, substitute
from tests.concurrency.harness import idle_holder
from tests.servers import Database, _free_port

from safeops.cli import main

pytestmark = pytest.mark.only("pg18")

MOST_LINES = 12
WIDTH = 80
REVISION = '''"""add phone"""
import sqlalchemy as sa
from safeops import add_column_if_missing, backfill
revision, down_revision = "{revision}", {parent!r}
def upgrade():
    {call}
def downgrade():
    pass
'''
ADDS = 'add_column_if_missing("users", sa.Column("phone", sa.Text))'


@dataclass
class Team:
    """A project on its first day."""

    folder: Path
    database: Database
    monkeypatch: pytest.MonkeyPatch

    def revision(self, call: str = ADDS, revision: str = "0001", parent: str | None = None) -> None:
        text = REVISION.format(revision=revision, parent=parent, call=call)
        (self.folder / "migrations" / "versions" / f"{revision}_phone.py").write_text(text)

    def env(self, before: str, after: str) -> None:
        substitute(self.folder / "migrations" / "env.py", re.escape(before), after)

    def url(self, url: str) -> None:
        self.monkeypatch.setenv("DATABASE_URL", url)

    def answers(self, capsys: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
        """What the upgrade answers by each of the two commands, in lines of a terminal."""
        url = os.environ.get("DATABASE_URL")
        yield _answer(alembic(self.folder, "upgrade head", fails=True, **({"DATABASE_URL": url} if url else {})))
        capsys.readouterr()
        assert main(["upgrade"]) in (3, 4)
        yield _answer("".join(capsys.readouterr()))


def _answer(printed: str) -> list[str]:
    lines = [line.removeprefix("ERROR [alembic.util.messaging] ") for line in printed.splitlines()]
    return [line for line in lines if not line.startswith("INFO") and not line.startswith("waiting for lock")]


def shown(lines: list[str]) -> int:
    return sum(max(1, math.ceil(len(line) / WIDTH)) for line in lines)


@pytest.fixture
def team(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("safeops.authoring.init.try_env", lambda *_: None)
    assert main(["init"]) == 0
    database.execute("CREATE TABLE users (id int PRIMARY KEY, email text)")
    one = Team(tmp_path, database, monkeypatch)
    one.url(database.url.render_as_string(hide_password=False))
    return one


def wrong_table(team: Team) -> list[str]:
    team.revision(ADDS.replace("users", "user"))
    return ["There is no table user.", "Did you mean users?"]


def bad_argument(team: Team) -> list[str]:
    team.revision('backfill("users", values={"email": "lower(email)"}, target_second=1)')
    return ["no argument target_second", "target_seconds=1"]


def no_url(team: Team) -> list[str]:
    team.revision()
    team.monkeypatch.delenv("DATABASE_URL")
    return ["No database URL is set", "sqlalchemy.url"]


def two_heads(team: Team) -> list[str]:
    team.revision("pass")
    team.revision("pass", "0002", "0001")
    team.revision("pass", "0003", "0001")
    return ["0002", "0003", "safeops heads --merge"]


def engine_begin(team: Team) -> list[str]:
    team.revision()
    team.env("\n    with engine.connect() as connection:", "\n    with engine.begin() as connection:")
    return ["engine.begin()", "with engine.connect() as connection:"]


def a_password_with_special_characters(team: Team) -> list[str]:
    team.revision()
    team.url(f"postgresql+psycopg://app:p@ss/w%rd@127.0.0.1:{team.database.url.port}/shop")
    return ["percent-encoded", "%40", "urllib.parse.quote"]


def the_server_is_down(team: Team) -> list[str]:
    team.revision()
    team.url(f"postgresql+psycopg://app:secret@127.0.0.1:{_free_port()}/shop")
    return ["Connection refused", "Check that the server is running", "127.0.0.1"]


def the_lock_is_held(team: Team) -> list[str]:
    team.revision()
    team.env("configure(lock_timeout=2.0", "configure(retry_budget=0.3, lock_timeout=0.1")
    return ["Could not add column users.phone", "application 'idle-holder'", "retry_budget"]


MISTAKES = (
    wrong_table,
    bad_argument,
    no_url,
    two_heads,
    engine_begin,
    a_password_with_special_characters,
    the_server_is_down,
    the_lock_is_held,
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.__name__)
def test_a_mistake_is_answered_with_what_to_do(mistake, team, capsys):
    facts = mistake(team)
    held: AbstractContextManager[object] = contextlib.nullcontext()
    if mistake is the_lock_is_held:
        held = idle_holder(team.database, "users", "ROW EXCLUSIVE")
    with held:
        for answer in team.answers(capsys):
            text = "\n".join(answer)
            assert not [fact for fact in facts if fact not in " ".join(text.split())], text
            assert shown(answer) <= MOST_LINES, text
            assert len(re.findall(r"\[S\d{3}\]", text)) <= 1, text
            assert not any(secret in text for secret in ("Traceback", "secret", "ss/w", "w%rd"))


def test_a_line_that_is_missing_in_env_is_named(team, capsys):
    team.revision()
    team.env("        transaction_per_migration=True,\n        compare_type", "        compare_type")
    printed = [alembic(team.folder, "upgrade head", DATABASE_URL=os.environ["DATABASE_URL"])]
    team.revision("pass", "0002", "0001")
    capsys.readouterr()
    assert main(["upgrade"]) == 0
    printed.append("".join(capsys.readouterr()))
    for text in printed:
        assert "transaction_per_migration=True to context.configure()" in " ".join(text.split())


def test_a_helper_outside_a_migration_is_answered_with_what_to_do(tmp_path):
    call = f"import sqlalchemy as sa; from safeops import add_column_if_missing; {ADDS}"
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, cwd=tmp_path)
    answer = done.stderr[done.stderr.index("OutsideMigration:") :].splitlines()
    assert "alembic upgrade head" in "\n".join(answer)
    assert shown(answer) <= MOST_LINES
