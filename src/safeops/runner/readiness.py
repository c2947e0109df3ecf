"""Checks before an upgrade, and before a service starts: what certainly fails raises, other findings are warnings."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from safeops.backfilling.port import ServerLoad
from safeops.databases import database_on
from safeops.databases.base import Database
from safeops.databases.connections import run_on_connection
from safeops.errors import InvalidArgument, NotCurrent, NotReady, SafeOpsError
from safeops.execution.heads import several_heads
from safeops.planned import size_text, summary
from safeops.runner.environment import (
    VERSION_OPTIONS,
    Inspection,
    ReachedDatabase,
    current_on,
    explaining_errors,
    refuse_missing,
)
from safeops.runner.revisions import (
    GET_FILE_BACK,
    STAMP,
    listed,
    no_such_revision,
    pending_revisions,
    scripts_of,
    steps_between,
    unknown_revisions,
    unmerged_heads,
)

VERSION_TABLE = "alembic_version"
T = TypeVar("T")
OLD = 30.0
"""Seconds after which an open transaction is a warning."""
LAG = 10.0
"""Seconds of replication lag after which a replica is a warning."""
SPARE, PART = 256 * 2**20, 5
"""Less free disk space than so many bytes, or than the database's size divided by this number, is a warning."""


def steps_to(script: ScriptDirectory, revision: str, current: tuple[str, ...], *, down: bool = False) -> list[Any]:
    """Return the steps of an upgrade, or with ``down`` of a downgrade, or raise an error with the reason why not."""
    if revision == "head" and not down:
        _check_heads(script)
        revision = "heads"
    check_known(script, current)
    try:
        return steps_between(script, revision, current, down=down)
    except CommandError as error:
        raise no_such_revision(f"There is no {'downgrade' if down else 'upgrade'} to {revision}", error) from error


def _check_heads(script: ScriptDirectory) -> None:
    if heads := unmerged_heads(script):
        raise several_heads(heads)


def check_known(script: ScriptDirectory, current: tuple[str, ...]) -> None:
    if unknown := unknown_revisions(script, current):
        raise NotReady(
            f"The database is at {', '.join(unknown)}, but no file has that revision.",
            why="It was migrated by other code, most likely a newer version, or the file was renamed or deleted.",
            remedy=GET_FILE_BACK,
            code=STAMP,
        )


def warnings_for(reached: ReachedDatabase) -> list[str]:
    """Return what may block an upgrade, or raise NotReady for what certainly does."""
    return reached.connected(_warnings)


def _warnings(connection: Connection) -> list[str]:
    database = database_on(connection)
    if refusal := Inspection.of(database).write_refusal():
        raise NotReady(
            f"Cannot write to {Inspection.of(database).database_name()}: {refusal}.",
            remedy="Connect to the primary, as a user that can change tables.",
        )
    return [warning for check in (_transactions, _replicas, _room) for warning in _if_allowed(check, database)]


def _if_allowed(check: Callable[[Database], Iterator[str]], database: Database) -> list[str]:
    """Run a check that some servers and users do not allow: an upgrade continues without it."""
    try:
        return list(check(database))
    except SafeOpsError:
        return []
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return [f"This user cannot run a pre-flight check: {summary(error)}"]


def _transactions(database: Database) -> Iterator[str]:
    # Only a warning: it may end soon, and a helper that gives up names who blocked it.
    for transaction in Inspection.of(database).long_transactions(OLD):
        yield f"An open transaction may block a step: {transaction}"


def _replicas(database: Database) -> Iterator[str]:
    for replica in ServerLoad.of(database).replicas():
        if replica.lag is not None and replica.lag > LAG:
            yield f"The replica {replica.name} is {replica.lag:.0f} s behind; a migration can increase that."


def _room(database: Database) -> Iterator[str]:
    folder = Inspection.of(database).data_folder()
    if folder is None:
        return
    free, size = shutil.disk_usage(folder).free, database.sizes.bytes_of_database() or 0
    if free < max(SPARE, size // PART):
        yield f"Only {size_text(free)} are free in {folder}, for a database of {size_text(size)}."


# At the start of a service --------------------------------------------------------------------------------------


def require_current(
    engine: Any, config: Config | str, *, version_table: str | None = None, version_table_schema: str | None = None
) -> None:
    """Raise NotCurrent unless the database is at the newest revisions that there are files for.

    It reads the version table on a connection of the engine, and writes nothing. It does not run env.py.

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
        InvalidArgument: ``engine`` is not an engine.
        SafeOpsError: The database cannot be reached.

    Example:
        require_current(engine, Config("alembic.ini"))
    """
    config = Config(config) if isinstance(config, str) else config
    script = scripts_of(config)
    # get_main_option() raises if pyproject.toml alone has the configuration.
    section = config.config_ini_section
    table, schema = (config.file_config.get(section, name, fallback=None) for name in VERSION_OPTIONS)
    options = {
        "version_table": version_table or table or VERSION_TABLE,
        "version_table_schema": version_table_schema or schema,
    }

    current = _read(_sync(engine), lambda connection: current_on(connection, options))
    unknown, pending = unknown_revisions(script, current), pending_revisions(script, current)
    if unknown or pending:
        raise _not_current(script, current, unknown, len(pending))


def _sync(engine: Any) -> Engine:
    sync_engine = getattr(engine, "sync_engine", engine)
    if not isinstance(sync_engine, Engine):
        raise InvalidArgument(
            f"require_current() got {type(engine).__name__}, not an engine.",
            remedy="Write:",
            code='require_current(engine, Config("alembic.ini"))',
        )
    return sync_engine


def _read(engine: Engine, read: Callable[[Connection], T]) -> T:
    refuse_missing(engine.dialect, *engine.dialect.create_connect_args(engine.url))
    with explaining_errors():
        if engine.dialect.is_async:
            # In a thread, as this one may run an event loop.
            with ThreadPoolExecutor(1) as executor:
                return executor.submit(run_on_connection, engine, read).result()
        with engine.connect() as connection:
            return read(connection)


def _not_current(script: ScriptDirectory, current: tuple[str, ...], unknown: list[str], pending: int) -> NotCurrent:
    heads = listed(script.get_heads())
    if unknown:
        return NotCurrent(
            f"The database is at {listed(current)}, but this code has no revision {', '.join(unknown)}: it needs {heads}.",
            why="The database was migrated by other code, most likely a newer version.",
            remedy="Deploy the code that has that revision. To see the current state:",
            code="safeops status",
        )
    count = f"{pending} revision{'s are' if pending > 1 else ' is'} pending"
    return NotCurrent(
        f"The database is at {listed(current)}, but this code needs {heads}: {count}.",
        why="The code may use what those revisions create.",
        remedy="Run them before the service starts:",
        code="safeops upgrade",
    )
