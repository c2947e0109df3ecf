"""Cause each error in the situation that its page describes."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import alembic
from alembic.config import Config

from safeops import SafeOpsError, runner, settings
from tests.docs.console import Console
from tests.docs.pages import Block
from tests.docs.running import execute, run_as_env, up_twice_and_down
from tests.projects import Project, listening, migrate, render
from tests.servers import Database

WITHOUT_A_MESSAGE = "S000"
OF_A_RUNNER = ("S702", "S703", "S704", "S705", "S706", "S707")
ON_SQLITE = ("S005", *OF_A_RUNNER)


def provoke(database: Database, number: str, code: str, folder: Path) -> SafeOpsError:
    """Run the code of a page in a situation in which it fails, and return the error."""
    run = _ELSEWHERE.get(number, _in_a_migration)
    with _DISTURBED.get(number, _undisturbed)(database):
        try:
            run(database, code, folder)
        except SafeOpsError as error:
            return error
    raise AssertionError(f"{number}: nothing was raised by\n{code}")


def mend(database: Database, number: str, remedy: Block, code: Block, folder: Path) -> None:
    """Run the remedy of the page, in the state that the failing code left."""
    if number in OF_A_RUNNER:
        _mend_project(database, remedy, folder)
    elif remedy.is_env:
        run_as_env(database, remedy, folder)
    elif remedy.is_revision:
        up_twice_and_down(database, [remedy], folder)
    elif remedy.language == "python":
        (_offline if number == "S004" else _in_a_migration)(database, remedy.code, folder)
    elif remedy.code == "alembic upgrade head\n":
        _in_a_migration(database, code.code, folder)


def _in_a_migration(database: Database, code: str, _: Path) -> None:
    migrate(database, lambda: execute(code))


def _outside(_: Database, code: str, __: Path) -> None:
    execute(code)


def _offline(database: Database, code: str, _: Path) -> None:
    render(database, lambda: execute(code))


def _with_a_transaction_of_env_py(database: Database, code: str, folder: Path) -> None:
    Project(folder, database, {"r1": (code, "pass")}, env="begin", imports="from safeops import *").upgrade()


def _beside_a_project(database: Database, code: str, folder: Path) -> None:
    """The code of a program next to a project that has pending revisions."""
    _in_the_project(database, code, folder, {"r1": (ADD, "drop_column_if_exists('users', 'nickname')")})


def _with_two_heads(database: Database, code: str, folder: Path) -> None:
    project = Project(folder, database, {"r1": ("pass", "pass"), "r2": ("pass", "pass")})
    project.write("r3", "pass", down="r1")
    _run_in(project, code)


def _with_a_mistake(database: Database, code: str, folder: Path) -> None:
    wrong = ("op.execute('UPDATE users SET nickname = upper(nick)')", "pass")
    _in_the_project(database, code, folder, {"r1": (ADD, "pass"), "r2": wrong})


def _in_the_project(database: Database, code: str, folder: Path, revisions: dict[str, tuple[str, str]]) -> None:
    _run_in(Project(folder, database, revisions, imports="from safeops import *"), code)


def _run_in(project: Project, code: str) -> None:
    """Run the code in the folder of a project whose env.py contains the URL, as commands need it."""
    env, templates = project.folder / "migrations/env.py", Path(alembic.__file__).parent / "templates"
    url = project.database.url.render_as_string(hide_password=False)
    known = f"dict(url={url!r}, foreign_keys=False, configure=dict(transaction_per_migration=True))"
    env.write_text(f"from alembic import context\ncontext.config.attributes.update({known})\n{env.read_text()}")
    shutil.copy(templates / "generic/script.py.mako", project.folder / "migrations")
    with _inside(project.folder):
        _execute_beside(project.database, code)


def _execute_beside(database: Database, code: str) -> None:
    names = {name: getattr(runner, name) for name in runner.__all__}
    exec(compile(code, "a page", "exec"), {**names, "Config": Config, "engine": database.engine()})


def _mend_project(database: Database, remedy: Block, folder: Path) -> None:
    with _inside(folder):
        if remedy.language == "sh":
            Console().run(remedy.code)
        elif remedy.code.startswith("op."):
            _correct(Path("migrations/versions/r2.py"), remedy.code.strip())
        else:
            _execute_beside(database, remedy.code)


def _correct(revision: Path, line: str) -> None:
    lines = revision.read_text().splitlines(keepends=True)
    revision.write_text("".join(f"    {line}\n" if "    op." in one else one for one in lines))
    # A revision of the same length, saved in the same second, would be run from what was compiled of it before.
    shutil.rmtree(revision.parent / "__pycache__", ignore_errors=True)


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


ADD = "add_column_if_missing('users', sa.Column('nickname', sa.String(50)))"

_ELSEWHERE: dict[str, Callable[[Database, str, Path], None]] = {
    "S002": _outside,
    "S003": _with_a_transaction_of_env_py,
    "S004": _offline,
    "S702": _beside_a_project,
    "S703": _beside_a_project,
    "S704": _with_two_heads,
    "S705": _with_a_mistake,
    "S706": _beside_a_project,
    "S707": _beside_a_project,
}


def _undisturbed(_: Database) -> AbstractContextManager[None]:
    return nullcontext()


@contextmanager
def _beside_a_report(database: Database) -> Iterator[None]:
    """Another session has read the table and keeps its transaction open."""
    engine = database.engine(connect_args={"application_name": "reports"})
    with settings(lock_timeout=0.05, retry_budget=0.2), engine.connect() as other:
        other.exec_driver_sql("SELECT name FROM users LIMIT 1").all()
        yield


@contextmanager
def _by_a_signal(_: Database) -> Iterator[None]:
    """A deploy that takes too long is interrupted while a batch is written."""

    def listener(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE users"):
            signal.raise_signal(signal.SIGTERM)

    with listening({"before_cursor_execute": listener}):
        yield


@contextmanager
def _with_a_role(database: Database) -> Iterator[None]:
    """There is a role that may read, and owns nothing."""
    database.execute("CREATE ROLE safeops_docs_app", "GRANT SELECT ON users TO safeops_docs_app")
    try:
        yield
    finally:
        database.execute("DROP OWNED BY safeops_docs_app", "DROP ROLE safeops_docs_app")


@contextmanager
def _with_an_administrator(database: Database) -> Iterator[None]:
    """All sessions are ended while the column is added."""

    def listener(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("ALTER TABLE"):
            database.end_sessions()

    with listening({"before_cursor_execute": listener}):
        yield


_DISTURBED: dict[str, Callable[[Database], AbstractContextManager[None]]] = {
    "S401": _beside_a_report,
    "S402": _with_a_role,
    "S403": _with_an_administrator,
    "S603": _by_a_signal,
}
