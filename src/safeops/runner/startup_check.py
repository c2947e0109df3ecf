"""Checks at the start of a service that the database is at the revisions of its code."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

from safeops.databases.beside import on_a_connection
from safeops.errors import InvalidArgument, NotCurrent
from safeops.runner.environment import current_on, explaining_errors, refuse_missing
from safeops.runner.revisions import listed, pending_revisions, scripts_of, unknown_revisions

T = TypeVar("T")

VERSION_TABLE = "alembic_version"


def require_current(
    engine: Any,
    config: Config | str,
    *,
    version_table: str | None = None,
    version_table_schema: str | None = None,
) -> None:
    """Raise NotCurrent unless the database is at the newest revisions that there are files for.

    It reads the version table on a connection of the engine, and writes nothing. env.py is not run.

    A plain call, also for asynchronous engines and inside a running event loop, which it blocks: it reads in a thread, on a
    separate connection.

    Args:
        engine: An ``Engine`` or an ``AsyncEngine``.
        config: The configuration of the project, or the path of its alembic.ini.
        version_table: As env.py passes it to ``context.configure()``; None is the option ``version_table`` of the
            configuration, else ``alembic_version``.
        version_table_schema: Likewise.

    Raises:
        NotCurrent: Revisions are pending, or the database is at one that no file has.
        InvalidArgument: ``engine`` is no engine.
        SafeOpsError: The database cannot be reached.

    Example:
        require_current(engine, Config("alembic.ini"))
    """
    config = Config(config) if isinstance(config, str) else config
    script = scripts_of(config)
    options = {
        "version_table": version_table or config.get_main_option("version_table") or VERSION_TABLE,
        "version_table_schema": version_table_schema or config.get_main_option("version_table_schema"),
    }

    current = _read(_sync(engine), lambda connection: current_on(connection, options))
    unknown, pending = unknown_revisions(script, current), pending_revisions(script, current)
    if unknown or pending:
        raise _not_current(script, current, unknown, len(pending))


def _sync(engine: Any) -> Engine:
    found = getattr(engine, "sync_engine", engine)
    if not isinstance(found, Engine):
        raise InvalidArgument(
            f"require_current() got {type(engine).__name__}, not an engine.",
            remedy="Write:",
            code='require_current(engine, Config("alembic.ini"))',
        )
    return found


def _read(engine: Engine, read: Callable[[Connection], T]) -> T:
    refuse_missing(engine.dialect, *engine.dialect.create_connect_args(engine.url))
    with explaining_errors():
        if engine.dialect.is_async:
            return _in_thread(lambda: on_a_connection(engine, read))
        with engine.connect() as connection:
            return read(connection)


def _in_thread(body: Callable[[], T]) -> T:
    """Run what needs its own event loop, even if one runs in this thread."""
    results: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            results.append(body())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="safeops-require-current")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return results[0]


def _not_current(script: ScriptDirectory, current: tuple[str, ...], unknown: list[str], pending: int) -> NotCurrent:
    heads = listed(script.get_heads())
    if unknown:
        return NotCurrent(
            f"The database is at {listed(current)}, and this code knows no revision {', '.join(unknown)}: it needs {heads}.",
            why="The database was migrated by other code, most likely by newer one.",
            remedy="Deploy the code that has that revision; this shows what stands:",
            code="safeops status",
        )
    count = f"{pending} revision{'s are' if pending > 1 else ' is'} pending"
    return NotCurrent(
        f"The database is at {listed(current)}, and this code needs {heads}: {count}.",
        why="The code may use what those revisions make.",
        remedy="Run them before the service starts:",
        code="safeops upgrade",
    )
