"""Reaches a project's database by the project's own env.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

from safeops.databases import database_for
from safeops.databases.beside import on_a_connection
from safeops.databases.sessions import Handed
from safeops.errors import UnsupportedOnDatabase
from safeops.locking import without_migration_lock
from safeops.runner.loading import scripts_of

T = TypeVar("T")


@dataclass(frozen=True)
class Reached:
    """A database as env.py has reached it once, to be reached again without env.py.

    Args:
        script: The revisions of the project.
        engine: What env.py connected with.
        options: What env.py gave to ``context.configure()``.
        current: The revisions that the database is at.
        handed: What env.py has set on its session.
        takes_lock: Whether env.py calls ``migration_lock``.
    """

    script: ScriptDirectory
    engine: Engine
    options: dict[str, Any]
    current: tuple[str, ...]
    handed: Handed = ()
    takes_lock: bool = True

    def connected(self, body: Callable[[Connection], T]) -> T:
        """Run ``body`` on a connection of its own, in autocommit; also where the engine is an asynchronous one."""
        return on_a_connection(self.engine, body, handed=self.handed)


def look_on(config: Config, look: Callable[[MigrationContext], T]) -> T:
    """Run env.py, and ``look`` where it would run revisions; nothing is written, and no other runner is waited for.

    Args:
        config: The configuration of the project.
        look: Gets the context that env.py configured, while its connection is open.

    Raises:
        UnsupportedOnDatabase: env.py migrates several databases at once.
    """
    script = scripts_of(config)
    seen: list[T] = []

    def instead(_current: Any, context: MigrationContext) -> list[Any]:
        seen.append(look(context))
        return []

    # As `alembic current` does.
    with without_migration_lock(), EnvironmentContext(config, script, fn=instead, dont_mutate=True):
        script.run_env()
    if len(seen) != 1:
        raise UnsupportedOnDatabase(
            f"env.py ran the revisions {len(seen)} times, and this looks at one database.",
            why="A project of Alembic's template multidb migrates several; or context.run_migrations() is missing.",
            remedy="Have env.py take the one to work on, and say which:",
            code="safeops -x database=engine1 status",
        )
    return seen[0]


def reach(config: Config) -> Reached:
    """Return the database that env.py connects to."""
    script = scripts_of(config)

    def look(context: MigrationContext) -> Reached:
        assert context.connection is not None
        current, connection = context.get_current_heads(), context.connection
        handed = database_for(context.dialect, lambda: connection).handed_over()
        return Reached(script, connection.engine, dict(context.opts), current, handed)

    with without_migration_lock() as asked:
        before = len(asked)
        reached = look_on(config, look)
        return replace(reached, takes_lock=len(asked) > before)


def lacks_of(reached: Reached) -> Iterator[str]:
    """Say what a run by plain ``alembic`` lacks in env.py."""
    if not reached.takes_lock:
        yield (
            "env.py does not call migration_lock(), so that two runs of alembic upgrade can migrate at the same time. Write:"
            " with migration_lock(connection), context.begin_transaction():"
        )
    if not reached.options.get("transaction_per_migration"):
        yield (
            "env.py does not pass transaction_per_migration=True to context.configure(), so that a revision that fails may"
            " take back the version of those that finished before it. Pass it."
        )
