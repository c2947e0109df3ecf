"""Plans what revisions would do to a project's database, without doing it."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import Pool

from safeops import _alembic, _sqlalchemy, arguments
from safeops.databases import database_class
from safeops.databases.connections import listening
from safeops.databases.driver_text import server_text
from safeops.databases.server import Abilities
from safeops.databases.statements import Kind, allows_writes, kind_of, names_in, raw_statement, sets_more_than_session
from safeops.errors import NotReady, SafeOpsError, TransactionNotOurs, Unreachable, UnsupportedOnDatabase
from safeops.execution.migration import Migration
from safeops.plan_mode import DryRun, WouldWrite, current_dry_run, recorded_dry_run
from safeops.planned import PlannedCall, summary
from safeops.policy import settings
from safeops.runner.environment import inspect, shorten
from safeops.runner.readiness import steps_to
from safeops.runner.revision_run import DONE, PENDING, Result
from safeops.runner.revisions import Pending, pending_of, scripts_of

log = logging.getLogger("safeops")

RETRY_BUDGET = 5.0
"""Seconds of lock retries to inspect a table that another session has locked."""


@dataclass(frozen=True)
class PlannedRevision:
    """What each call of a revision would do."""

    revision: str
    message: str
    steps: tuple[PlannedCall, ...]


@dataclass(frozen=True)
class Plan(Result):
    """What an upgrade, or with ``down`` a downgrade, would do.

    Args:
        revisions: The revisions, in the order in which they would run.
        down: Whether it runs their ``downgrade()``.
    """

    revisions: tuple[PlannedRevision, ...]
    down: bool = False

    @property
    def losses(self) -> tuple[PlannedCall, ...]:
        """The steps that drop or overwrite data permanently; of raw SQL, those that look like it."""
        return tuple(step for revision in self.revisions for step in revision.steps if step.loses)

    @property
    def exit_status(self) -> int:
        return PENDING if self.revisions else DONE

    def as_json(self) -> dict[str, Any]:
        return {
            "revisions": [
                {"revision": planned.revision, "steps": [step.as_json() for step in planned.steps]}
                for planned in self.revisions
            ]
        }


def plan(config: Config, revision: str = "heads", *, down: bool = False) -> Plan:
    """Return what the revisions up to one would do to the database in its current state.

    Their code runs. Helpers inspect the database and report what they would do; other writes are reported and not sent, and
    the server is set to refuse them. A step that depends on an earlier one is reported as far as it can be predicted. A
    definition may be tried on an empty temporary copy of a table, which is dropped at once.

    Args:
        config: The configuration of the project.
        revision: The target, as for ``alembic upgrade``, or with ``down`` as for ``alembic downgrade``.
        down: Plan the downgrades.

    Raises:
        NotReady: There are several heads, and the revision is ``head``; or no file has the database's revision.
        InvalidArgument: There is no such revision, or no path to it.
        SafeOpsError: The database cannot be reached.
        TransactionNotOurs: env.py holds the transaction, and the server cannot be set to refuse writes.
    """
    script = scripts_of(config)

    def body(migration: Migration) -> Plan:
        return _plan(migration, steps_to(script, revision, migration.context.get_current_heads(), down=down), down)

    return inspect(config, script, body, refusing_writes=True)


def refuse_what_would_fail(config: Config, revision: str) -> list[str]:
    """Raise NotReady for what helpers are certain to refuse; return why that is unknown.

    Args:
        config: The configuration of the project.
        revision: The target of the upgrade.
    """
    try:
        planned = plan(config, revision)
    except TransactionNotOurs:
        # The first helper raises it again.
        return []
    except Exception as error:
        log.debug("the upgrade could not be planned", exc_info=True)
        return [f"Could not plan the upgrade before it began: {summary(error)}"]
    refusals = [
        (f"{revision.revision}: {step.helper} {step.target or ''} would be refused: ", step.refusal)
        for revision in planned.revisions
        for step in revision.steps
        if step.refusal
    ]
    if refusals:
        raise _not_ready(refusals)
    return []


def _not_ready(refusals: list[tuple[str, SafeOpsError]]) -> NotReady:
    """Return the error of an upgrade that is certain to fail, with the remedy and the number of its first cause."""
    (step, first), *others = refusals
    more = "".join(f"\n{other}{' '.join(error.problem.split())}" for other, error in others)
    error = NotReady(f"{step}{first.problem}{more}", why=first.why, remedy=first.remedy, code=first.code)
    error.number = first.number
    return error


def _plan(migration: Migration, steps: list[Any], down: bool) -> Plan:
    budget = min(RETRY_BUDGET, migration.settings.retry_budget)
    with recorded_dry_run() as dry_run, settings(retry_budget=budget), recording(migration.context, dry_run):
        for step in steps:
            run_revision(dry_run, step.revision.revision, step.migration_fn, migration.database.connection)
    return Plan(tuple(_planned(pending_of(step), dry_run) for step in steps), down)


def _planned(pending: Pending, dry_run: DryRun) -> PlannedRevision:
    steps = tuple(step for revision, step in dry_run.calls if revision == pending.revision)
    return PlannedRevision(pending.revision, pending.message, steps)


TRIAL = "safeops_probe"
"""The beginning of the name of every empty copy on which a definition is tried."""
SECRETS = (
    re.compile(
        r"(\b(?:PASSWORD|IDENTIFIED)\b(?:\s+(?:BY|AS|USING|WITH\s+\S+))*\s*[=(]?\s*E?')(?:[^']|'')*(?=')", re.IGNORECASE
    ),
    re.compile(r"(\bpassword\s*=\s*)[^\s'\"&;)]+", re.IGNORECASE),
    re.compile(r"(://[^\s:/@']*:)[^\s@']+(?=@)"),
)
LONGEST = 200
SENDING = ("do_execute", "do_executemany", "do_execute_no_params")


def run_revision(dry_run: DryRun, revision: str, body: Callable[[], object], connection: Connection) -> None:
    """Run the body of a revision; if it raises, the plan of this revision ends there."""
    dry_run.revision = revision
    try:
        body()
    except Exception as error:
        if isinstance(error, Unreachable) or getattr(error, "connection_invalidated", False):
            raise
        result = "would be refused" if isinstance(error, SafeOpsError) else "ends the plan of this revision"
        dry_run.unknown(_raiser(error), f"{result}: {summary(error)}", ends_revision=True)
    finally:
        _close_open_transactions(connection)


def _close_open_transactions(connection: Connection) -> None:
    """Give the next revision a working connection, even if this one left a savepoint or a failed transaction open."""
    savepoint, transaction = connection.get_nested_transaction(), connection.get_transaction()
    if savepoint is not None:
        savepoint.rollback()
    if transaction is not None and not transaction.is_active:
        connection.rollback()


def _raiser(error: Exception) -> str:
    """Return the function that a revision called and that raised; its own function if it raised itself."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
        module = str(place.tb_frame.f_globals.get("__name__", ""))
        # Arguments are checked around the function.
        if module.startswith(("safeops.", "sqlalchemy.", "alembic.")) and module != arguments.__name__:
            break
    return "raise" if place is None else place.tb_frame.f_code.co_name


@contextmanager
def recording(context: MigrationContext, dry_run: DryRun) -> Iterator[None]:
    """Record the statements of ``op``, and those of any connection that do more than read; none of them is sent."""
    connection = context.connection
    assert connection is not None

    def record(construct: Any, *_: Any, **__: Any) -> None:
        _record(dry_run, _sql_of(construct, context), sys._getframe(1))

    def guard(_cursor: Any, statement: str, *given: Any) -> bool | None:
        parameters = given[0] if len(given) > 1 else None
        text = server_text(statement, parameters, context.dialect)
        return _guard(dry_run, text) if current_dry_run() is dry_run else None

    with ExitStack() as stack:
        # Also on engines that a revision creates.
        for name in SENDING:
            stack.enter_context(listening(Engine, name, guard))
        # Everything already runs in autocommit.
        context.autocommit_block = nullcontext  # type: ignore[method-assign,assignment]
        stack.callback(delattr, context, "autocommit_block")
        stack.enter_context(_alembic.executing_by(context, record))
        stack.enter_context(_refusing_writes(connection))
        yield


def _guard(dry_run: DryRun, statement: str) -> bool | None:
    """Let a statement through that only reads; record others as if they were sent, or end the helper that sends them."""
    kind = kind_of(statement)
    if dry_run.in_helper:
        tries = any(name.startswith(TRIAL) for name in names_in(statement))
        if kind is not Kind.WRITES or tries:
            return None
        raise WouldWrite(_displayed(statement))
    if kind is Kind.SAVEPOINT:
        # Without a transaction there are no savepoints, and nothing to roll back.
        return True
    if kind is Kind.READS and not allows_writes(statement):
        return None
    if kind in (Kind.SESSION, Kind.TRANSACTION) and not sets_more_than_session(statement):
        return None
    _record(dry_run, statement, sys._getframe(1))
    return True


def _record(dry_run: DryRun, sql: str, frame: FrameType | None) -> None:
    dry_run.unknown(_called(frame), _displayed(sql), raw=raw_statement(sql))


def _called(frame: FrameType | None) -> str:
    """Return the function that the revision called to execute it."""
    called, inside = "execute", False
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        is_library = module.startswith(("alembic", "sqlalchemy", "safeops.", "contextlib")) or module == "<string>"
        if not is_library and inside:
            break
        inside = inside or is_library
        if is_library and module != "contextlib":
            called = f"{'op' if module.startswith('alembic') else 'connection'}.{frame.f_code.co_name}"
        frame = frame.f_back
    return called


def _sql_of(construct: Any, context: MigrationContext) -> str:
    if isinstance(construct, str):
        return construct
    try:
        return server_text(str(construct.compile(dialect=context.dialect)), {}, context.dialect)
    except sa.exc.SQLAlchemyError:
        return str(construct)


def _displayed(sql: str) -> str:
    """Return a statement in one line, without passwords."""
    line = " ".join(sql.split())
    for secret in SECRETS:
        line = secret.sub(r"\1***", line)
    return shorten(line, LONGEST)


# Other connections ----------------------------------------------------------------------------------------------


@contextmanager
def _refusing_writes(own: Connection) -> Iterator[None]:
    """Have each other connection refuse to write in the block, until it is returned to its pool.

    Args:
        own: The connection of the migration, which is not changed.
    """
    others = _OtherConnections(own.connection.dbapi_connection)
    try:
        with listening(Pool, "checkout", others.refuse_writes), listening(Pool, "checkin", others.allow_writes):
            yield
    finally:
        others.allow_all_writes()


class _OtherConnections:
    def __init__(self, own: Any) -> None:
        self._own = own
        # Each with its record, which can discard it, and the statement that allows writes again.
        self._read_only: dict[int, tuple[Any, Any, str]] = {}

    def refuse_writes(self, driver: Any, record: Any, proxy: Any) -> None:
        if driver is self._own or id(driver) in self._read_only:
            return
        with suppress(UnsupportedOnDatabase):
            abilities = Abilities.class_of(database_class(_sqlalchemy.dialect_of(proxy)))
            _send(driver, abilities.refusing_writes)
            self._read_only[id(driver)] = driver, record, abilities.accepting_writes

    def allow_writes(self, driver: Any, _record: Any) -> None:
        if id(driver) not in self._read_only:
            return
        _, record, accepting = self._read_only.pop(id(driver))
        try:
            _send(driver, accepting)
        except Exception:
            # The pool must not hand out a connection that cannot write.
            record.invalidate()

    def allow_all_writes(self) -> None:
        for driver, record, _ in list(self._read_only.values()):
            self.allow_writes(driver, record)


def _send(driver: Any, statement: str) -> None:
    cursor = driver.cursor()
    try:
        cursor.execute(statement)
    finally:
        cursor.close()
    # The setting ends with its transaction unless it is committed.
    driver.commit()
