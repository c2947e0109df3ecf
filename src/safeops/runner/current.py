"""The check of a service at its start: is the database what this code was written for?"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from safeops.databases.beside import on_a_connection
from safeops.errors import InvalidArgument, NotCurrent
from safeops.runner.loading import scripts_of
from safeops.runner.pending import pending_revisions, unknown_revisions
from safeops.runner.reading import explained, refuse_missing

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

    It looks at the version table by a connection of the engine, and writes nothing. env.py is not run.

    A plain call, for asynchronous engines too, also inside a running event loop, which waits for it meanwhile: it looks from
    a thread, by a connection of its own.

    Args:
        engine: An ``Engine`` or an ``AsyncEngine``.
        config: The configuration of the project, or the path of its alembic.ini.
        version_table: As env.py gives it to ``context.configure()``; None is the option ``version_table`` of the
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

    def look(connection: Connection) -> tuple[str, ...]:
        return MigrationContext.configure(connection, opts=options).get_current_heads()

    current = _asked(_sync(engine), look)
    unknown, pending = unknown_revisions(script, current), pending_revisions(script, current)
    if unknown or pending:
        raise _not_current(script, current, unknown, [one.revision for one in pending])


def _sync(engine: Any) -> Engine:
    found = getattr(engine, "sync_engine", engine)
    if not isinstance(found, Engine):
        raise InvalidArgument(
            f"require_current() got {type(engine).__name__}, not an engine.",
            remedy="Write:",
            code='require_current(engine, Config("alembic.ini"))',
        )
    return found


def _asked(engine: Engine, look: Callable[[Connection], T]) -> T:
    refuse_missing(engine.dialect, *engine.dialect.create_connect_args(engine.url))
    try:
        if engine.dialect.is_async:
            return _in_thread(lambda: on_a_connection(engine, look))
        with engine.connect() as connection:
            return look(connection)
    except DBAPIError as error:
        raise explained(error) from error


def _in_thread(body: Callable[[], T]) -> T:
    """Run what needs an event loop of its own, whether one runs here or not."""
    came: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            came.append(body())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="safeops-require-current")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return came[0]


def _not_current(
    script: ScriptDirectory, current: tuple[str, ...], unknown: list[str], pending: list[str]
) -> NotCurrent:
    stands = ", ".join(current) or "no revision"
    heads = ", ".join(script.get_heads()) or "no revision"
    if unknown:
        return NotCurrent(
            f"The database is at {stands}, and this code knows no revision {', '.join(unknown)}: it needs {heads}.",
            why="The database was migrated by other code, most likely by newer one.",
            remedy="Deploy the code that has that revision; this shows what stands:",
            code="safeops status",
        )
    count = f"{len(pending)} revision{'s are' if len(pending) > 1 else ' is'} pending"
    return NotCurrent(
        f"The database is at {stands}, and this code needs {heads}: {count}.",
        why="The code may use what those revisions make.",
        remedy="Run them before the service starts:",
        code="safeops upgrade",
    )
