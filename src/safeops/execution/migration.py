"""The running migration: the only module that knows ``alembic.op`` and ``alembic.context``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

import alembic.context
import alembic.op
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from safeops import _alembic, _sqlalchemy
from safeops.autogenerate_filter import hide_from_autogenerate
from safeops.databases import database_for
from safeops.databases.base import Database
from safeops.databases.connections import explain_connecting
from safeops.databases.server import HelperSession
from safeops.databases.server_errors import explained
from safeops.errors import OnlineOnly, OutsideMigration, SafeOpsError, TransactionNotOurs, UnsafeOperation, online_only
from safeops.plan_mode import current_dry_run, planned_as
from safeops.policy import Settings, in_force

log = logging.getLogger("safeops")

SETTINGS = "safeops.settings"
"""The key of a run's settings in its configuration."""
_telling_already: ContextVar[bool] = ContextVar("safeops_telling", default=False)
ENV_CHECKED = "safeops.env_checked"
"""The attribute of a run's configuration that is set if its env.py has been checked."""
ONE_TRANSACTION = (
    "env.py does not pass transaction_per_migration=True to context.configure(): a revision that fails could also roll back"
    " the version of revisions that were completed before it. Pass it."
)
_done: WeakKeyDictionary[MigrationContext, tuple[str, list[str]]] = WeakKeyDictionary()

hide_from_autogenerate()


def _is_connecting() -> bool:
    """Return whether env.py runs and has not handed a connection to Alembic yet."""
    if not isinstance(_alembic.proxied(alembic.context), EnvironmentContext):
        return False
    try:
        alembic.context.get_context()
    except Exception:
        return True
    return False


explain_connecting(_is_connecting)


@dataclass(frozen=True)
class Terms:
    """A database, and what is allowed on it."""

    database: Database
    settings: Settings


@dataclass(frozen=True)
class Migration(Terms):
    """The migration that runs now: its database, and what it is allowed to do."""

    context: MigrationContext

    @property
    def offline(self) -> bool:
        return bool(self.context.as_sql)

    @property
    def naming_convention(self) -> Mapping[str, Any]:
        """The naming convention of the target metadata, as ``alembic.op`` uses it."""
        metadata = self.context.opts.get("target_metadata")
        return getattr(metadata, "naming_convention", None) or {}

    @property
    def revision(self) -> str:
        """The running revision; empty if a script runs helpers in its own context."""
        if (dry_run := current_dry_run()) is not None:
            return dry_run.revision
        frame: FrameType | None = sys._getframe()
        while frame is not None and frame.f_code is not MigrationContext.run_migrations.__code__:
            frame = frame.f_back
        step = frame.f_locals.get("step") if frame is not None else None
        return str(getattr(getattr(step, "revision", None), "revision", ""))

    @property
    def done(self) -> list[str]:
        """What helpers have changed so far in the revision that runs."""
        now = self.revision
        revision, found = _done.get(self.context, (now, []))
        if revision != now:
            found = []
        _done[self.context] = now, found
        return found

    def render(self, sql: str) -> None:
        """Write a statement, or a comment, to the output of ``--sql``."""
        self.context.impl.static_output(sql if sql.startswith("--") else f"{sql};")

    def online_only(self, deed: str, why: str) -> OnlineOnly:
        return online_only(deed, why)


@contextmanager
def running(helper: str, given: Mapping[str, Any] | None = None, *, loses: bool = False) -> Iterator[Migration]:
    """Give the running migration to a helper, outside its transaction, or raise what is wrong with it.

    Each statement of a helper is its own transaction: a lock is held only during its statement, a retry starts afresh, and
    a stop at any point keeps the finished work. What came before in Alembic's transaction is committed.

    Args:
        helper: How the helper is called.
        given: Its arguments.
        loses: It drops what cannot be restored.
    """
    context = _context(helper)
    _check_env(context)
    database = database_for(context.dialect, None if context.as_sql else lambda: _bind(context))
    migration = Migration(database, current_settings(context), context)
    database.lock_wait = migration.settings.lock_timeout
    outside = (
        _between_transactions(context)
        if context.as_sql
        else outside_transaction(context, helper, lambda: _autocommit(context, database))
    )
    with planned_as(helper, given or {}, loses=loses), outside:
        if context.as_sql:
            with _telling(migration, helper):
                yield migration
            return
        database.enter_autocommit()
        try:
            with _telling(migration, helper), HelperSession.of(database).sharing_bounds():
                yield migration
        finally:
            database.leave_autocommit()


def _check_env(context: MigrationContext) -> None:
    """Warn once in a run of Alembic if its revisions share one transaction."""
    config = config_of_command()
    if config is None or context.as_sql or current_dry_run() or config.attributes.get(ENV_CHECKED):
        return
    config.attributes[ENV_CHECKED] = True
    if context.impl.transactional_ddl and not context.opts.get("transaction_per_migration"):
        log.warning(ONE_TRANSACTION)


@contextmanager
def _telling(migration: Migration, helper: str) -> Iterator[None]:
    """Report in an error of the outermost helper what it changed, and what helpers before it changed.

    What the server or its driver refuse becomes an error of safeops here.
    """
    if _telling_already.get():
        yield
        return
    before, token = len(migration.done), _telling_already.set(True)
    try:
        yield
    except SafeOpsError as error:
        error.after(migration.done[before:], migration.done[:before])
        raise
    except SQLAlchemyError as error:
        told = explained(migration.database, error, helper)
        if told is None:
            raise
        told.after(migration.done[before:], migration.done[:before])
        raise told from error
    finally:
        _telling_already.reset(token)


def _context(helper: str) -> MigrationContext:
    try:
        context = alembic.op.get_context()
    except (NameError, AttributeError):
        # The second if a migration has run before in this process: Alembic's proxy is then None.
        context = None
    # A migration that failed leaves Alembic's proxy behind, over a connection that is closed.
    if context is None or (getattr(context.connection, "closed", False)):
        raise OutsideMigration(
            f"{helper}() was called, but no Alembic migration is running.",
            why="It works on the connection that Alembic gives to a revision.",
            remedy="Call it inside upgrade() or downgrade() of a revision, and run:",
            code="alembic upgrade head",
        )
    refuse_translated(context)
    return context


def refuse_translated(context: MigrationContext) -> None:
    """Raise UnsafeOperation if the connection gives tables other schemas than the revision names.

    SQLAlchemy translates some statements of Alembic and not others: a helper would change the tables of one schema and keep
    its notes in another.
    """
    connection = None if context.as_sql else context.connection
    options = connection.get_execution_options() if connection is not None else {}
    mapping = options.get("schema_translate_map") or {}
    # SQLAlchemy itself adds one for None.
    translated = {old: new for old, new in mapping.items() if old not in (new, "_none")}
    if not translated:
        return
    database = database_for(context.dialect, None)
    raise UnsafeOperation(
        f"The connection of this migration has schema_translate_map={translated!r}.",
        why="It changes the schema in some statements only: Alembic creates an index in the translated schema, and adds a"
        " column in the other one.",
        remedy="Take it off the connection. In env.py, choose the schema before context.configure():",
        code=database.choosing_schema(str(next(iter(translated.values())))),
    )


def _bind(context: MigrationContext) -> Connection:
    # Read each time: inside an autocommit block it is another object.
    if context.connection is None:
        raise RuntimeError("an online migration without a connection")
    return context.connection


def current_connection() -> Connection:
    """Return the connection that Alembic gives to the revision that runs now."""
    return _bind(alembic.op.get_context())


_rendering: ContextVar[bool] = ContextVar("safeops_rendering", default=False)


@contextmanager
def _between_transactions(context: MigrationContext) -> Iterator[None]:
    """End the transaction of the rendered script, and begin another after the outermost helper."""
    if _rendering.get():
        yield
        return
    token = _rendering.set(True)
    try:
        with context.autocommit_block():
            yield
    finally:
        _rendering.reset(token)


@contextmanager
def outside_transaction(
    context: MigrationContext, helper: str, stepping_out: Callable[[], AbstractContextManager[None]]
) -> Iterator[None]:
    """Run the block with each statement in its own transaction, or raise what env.py must change for that.

    Args:
        context: The context of the migration.
        helper: The helper that needs it.
        stepping_out: Leaves the transaction that Alembic began.
    """
    connection = _bind(context)
    if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        yield
        return
    if connection.in_transaction() and _alembic.own_transaction(context) is None:
        if connection.get_isolation_level() != "AUTOCOMMIT":
            raise _not_ours(helper)
        yield
        return
    if context.impl.transactional_ddl:
        log.debug("%s: stepping out of the transaction, which commits what came before", helper)
    failure: BaseException | None = None
    try:
        with stepping_out():
            try:
                yield
            except BaseException as error:
                failure = error
                raise
    except BaseException:
        if failure is None:
            raise
    # On a lost connection leaving the block fails as well, and the first error is the one to see.
    if failure is not None:
        raise failure


@contextmanager
def _autocommit(context: MigrationContext, database: Database) -> Iterator[None]:
    """Leave the transaction that Alembic began by its ``autocommit_block``, without a query for the isolation level."""
    with ExitStack() as stack:
        with _sqlalchemy.isolation_level_known(_bind(context), HelperSession.of(database).isolation_level()):
            stack.enter_context(context.autocommit_block())
        yield


def _not_ours(helper: str) -> TransactionNotOurs:
    return TransactionNotOurs(
        f"{helper}() must commit its steps, but env.py began the transaction, and Alembic never commits that.",
        why="env.py calls engine.begin(), runs SQL before context.configure(), or lacks context.begin_transaction().",
        remedy="Write in env.py, and commit any other SQL before context.configure():",
        code="with engine.connect() as connection:  # not engine.begin()\n"
        "    context.configure(connection=connection)  # and its other arguments\n"
        "    with context.begin_transaction():\n"
        "        context.run_migrations()",
    )


def current_settings(context: MigrationContext) -> Settings:
    """Return the settings of the run, as the blocks around the caller change them."""
    attributes = context.config.attributes if context.config else {}
    return in_force(attributes.get(SETTINGS))


def is_configured(context: MigrationContext) -> bool:
    """Return whether env.py has called ``configure()`` in this run."""
    return context.config is not None and SETTINGS in context.config.attributes


def settings_of_command() -> Settings:
    """Return the settings of the Alembic command that runs env.py, or the default ones if none does."""
    config = config_of_command()
    attributes = config.attributes if config is not None else {}
    return in_force(attributes.get(SETTINGS))


def config_of_command() -> Config | None:
    """Return the configuration of the Alembic command that runs env.py; None if none does."""
    try:
        found: Config = alembic.context.config
    except (NameError, AttributeError):
        return None
    return found


def script_of_command() -> ScriptDirectory | None:
    """Return the revisions of the Alembic command that runs env.py; None if none does."""
    return getattr(_alembic.proxied(alembic.context), "script", None)


def is_migrating() -> bool:
    """Return, at once, whether a command of Alembic runs in this process."""
    return _alembic.proxied(alembic.context) is not None
