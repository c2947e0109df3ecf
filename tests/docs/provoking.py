"""Makes each error happen for real, as its page tells it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from safeops import SafeOpsError, settings
from tests.docs.pages import Block
from tests.docs.running import execute, run_as_env, up_twice_and_down
from tests.projects import Project, listening, migrate, render
from tests.servers import Database

WITHOUT_A_MESSAGE = "S000"
ON_SQLITE = "S005"


def provoke(database: Database, number: str, code: str, folder: Path) -> SafeOpsError:
    """Runs the code of a page where it fails, and gives the error."""
    run = _ELSEWHERE.get(number, _in_a_migration)
    with _DISTURBED.get(number, _undisturbed)(database):
        try:
            run(database, code, folder)
        except SafeOpsError as error:
            return error
    raise AssertionError(f"{number}: nothing was raised by\n{code}")


def mend(database: Database, number: str, remedy: Block, code: Block, folder: Path) -> None:
    """Runs what the page says to do, beside what the failing code left."""
    if remedy.is_env:
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


_ELSEWHERE: dict[str, Callable[[Database, str, Path], None]] = {
    "S002": _outside,
    "S003": _with_a_transaction_of_env_py,
    "S004": _offline,
}


def _undisturbed(_: Database) -> AbstractContextManager[None]:
    return nullcontext()


@contextmanager
def _beside_a_report(database: Database) -> Iterator[None]:
    """Another session has read the table and forgotten to end its transaction."""
    engine = database.engine(connect_args={"application_name": "reports"})
    with settings(lock_timeout=0.05, retry_budget=0.2), engine.connect() as other:
        other.exec_driver_sql("SELECT name FROM users LIMIT 1").all()
        yield


@contextmanager
def _by_a_signal(_: Database) -> Iterator[None]:
    """A deploy that takes too long is told to end while a batch is written."""

    def listener(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE users"):
            signal.raise_signal(signal.SIGTERM)

    with listening({"before_cursor_execute": listener}):
        yield


_DISTURBED: dict[str, Callable[[Database], AbstractContextManager[None]]] = {
    "S401": _beside_a_report,
    "S603": _by_a_signal,
}
