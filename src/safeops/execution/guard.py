"""Judges each statement of a revision's own code before it is sent, with what the live database knows of its tables."""

from __future__ import annotations

import itertools
import logging
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from alembic.operations.base import AbstractOperations
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Connection

from safeops.databases import database_class, database_for
from safeops.databases.statements import Kind, kind_of
from safeops.errors import UnsafeOperation
from safeops.execution.guarding import check_refusal, refusals
from safeops.execution.senders import Sender
from safeops.judging import operations as ops
from safeops.judging.application import BREAKS
from safeops.judging.existing import Facts
from safeops.judging.finding import UNSAFE, Finding
from safeops.judging.judge import Judge
from safeops.judging.schema import Schema
from safeops.judging.sent import Call, Place, Sent
from safeops.judging.server import JudgedServer, Session
from safeops.naming import Name
from safeops.policy import Settings, assurance

log = logging.getLogger("safeops")

SEEN = "live"
LONGEST = 300
APPLICATION = frozenset(one.rule for one in BREAKS.values())
"""The rules about breaking the application: a downgrade only reverts what released code no longer uses."""
CHANGING_ROWS = frozenset({ops.SELECT, ops.INSERT, ops.UPDATE, ops.DELETE, ops.MERGE})
_INVOKE = AbstractOperations.invoke.__code__


_guards: WeakKeyDictionary[MigrationContext, Guard] = WeakKeyDictionary()


def guard_of(sender: Sender, settings: Settings) -> Guard | None:
    """Return what judges the statements of a run; None if its revision is not guarded."""
    if settings.guard == "off":
        return None
    found = _guards.get(sender.context)
    if found is None:
        found = _guards[sender.context] = Guard()
    key = sender.revision, settings.guard_from
    if key not in found.guarded:
        found.guarded[key] = _is_guarded(sender, settings.guard_from)
    return found if found.guarded[key] else None


def _is_guarded(sender: Sender, oldest: str | None) -> bool:
    """Return whether a revision is the oldest one that is guarded, or follows it."""
    script = sender.context.script
    if oldest is None or script is None:
        return True
    first = script.get_revision(oldest).revision
    return any(one.revision == first for one in script.iterate_revisions(sender.revision, "base"))


@dataclass(frozen=True)
class Sending:
    """A statement that is about to be sent.

    Args:
        sql: Its text, as the server gets it.
        parameters: Its values, of an ``executemany`` a list of them; None if the driver gets the text as it is.
        many: It is an ``executemany``.
        number: The number of its transaction.
        autocommit: It is committed immediately.
        ended: The revision's own SQL has ended Alembic's transaction.
    """

    sql: str
    parameters: Any
    many: bool
    number: int
    autocommit: bool
    ended: bool

    def sent(self, connection: Connection) -> Sent:
        """Return it as the judge reads it."""
        times = len(self.parameters) if self.many and self.parameters else 1
        values = self.parameters[0] if self.many and self.parameters else self.parameters
        server = JudgedServer.class_of(database_class(connection.dialect))
        outside = self.autocommit or (self.ended and connection.dialect.driver not in server.begins_by_itself)
        return Sent(self.sql, values or None, times, None if outside else self.number)


class Guard:
    """Judges what the revisions of one run send."""

    def __init__(self) -> None:
        self._judge: Judge | None = None
        self._connection: Connection | None = None
        self.guarded: dict[tuple[str, str | None], bool] = {}
        self._revision: tuple[str, int | None] = ("", None)
        self._call: tuple[Any, int] = (None, 0)
        self._numbers = itertools.count(1)

    def check(self, sender: Sender, settings: Settings, connection: Connection, sending: Sending) -> None:
        """Let a statement pass, or raise UnsafeOperation; a warning, or a reason that was given, is logged instead.

        Args:
            sender: The migration that runs.
            settings: What is allowed.
            connection: Gets the statement, and answers what is known of its tables.
            sending: The statement.
        """
        check_refusal(sender.context)
        if not JudgedServer.serves(database_class(connection.dialect)):
            return
        place, call = _place(sender), self._call_of(sender)
        sent = replace(sending.sent(connection), place=place, call=call, assured=assurance())
        try:
            found = self._unsafe(sender, settings, connection, sent)
        except Exception as error:
            log.debug("the guard failed", exc_info=True)
            found = [Finding("unseen", UNSAFE, f"It cannot be judged: {type(error).__name__}: {error}", sent=sent)]
        if not found:
            return
        if sent.assured is not None:
            log.warning("revision %s: assured (%s): %s", sender.revision, sent.assured, _told(found))
        elif settings.guard == "warn":
            log.warning("revision %s: unsafe: %s\n%s", sender.revision, _told(found), _shown(sent.sql))
        else:
            refusals[sender.context] = refusal = _refused(sender, connection, sent, found)
            raise refusal

    def helper_created(self, connection: Connection, sql: str) -> None:
        """Record what a helper creates: no other session waits for a new table."""
        if JudgedServer.serves(database_class(connection.dialect)):
            judge = self._judge_on(connection)
            made = [one for one in judge.server.parse(sql) if one.kind == ops.CREATE_TABLE]
            judge.schema.apply(made, new=True)

    # Judging ----------------------------------------------------------------------------------------------------

    def _unsafe(self, sender: Sender, settings: Settings, connection: Connection, sent: Sent) -> list[Finding]:
        judge = self._judge_on(connection)
        judge.small_table = settings.small_table
        revision, transaction = self._revision
        self._revision = sender.revision, sent.transaction
        if revision != sender.revision and (transaction is None or transaction != sent.transaction):
            # Of several revisions in one transaction the locks of the first are held to the end of the last.
            judge.end_revision()
        if _changes_definitions(judge, sent):
            _look_again(judge)
        found = [one for one in judge.judge(sent) if one.verdict == UNSAFE]
        if not sender.is_upgrade:
            found = [one for one in found if one.rule not in APPLICATION]
        return [one for one in found if not _is_on_empty_tables(one, judge.schema.facts)]

    def _judge_on(self, connection: Connection) -> Judge:
        """Return the judge of a database; each engine that a revision uses has its own tables."""
        known = self._judge if self._is_current(connection) else None
        self._connection = connection
        if known is None:
            database = database_for(connection.dialect, self._current)
            facts = Facts.of(database) if Facts.serves(database) else None
            schema = Schema(facts, home=connection.dialect.default_schema_name)
            settings = facts.settings() if facts is not None else {}
            self._judge = known = Judge(database, schema, Session(connection.dialect.driver, settings), seen=SEEN)
        return known

    def _is_current(self, connection: Connection) -> bool:
        return self._connection is not None and self._connection.engine is connection.engine

    def _current(self) -> Connection:
        assert self._connection is not None
        return self._connection

    def _call_of(self, sender: Sender) -> Call | None:
        """Return the call of ``op`` that sends the statement: the outermost, which the revision wrote."""
        frame, operation = sender.innermost, None
        while frame is not None and frame is not sender.outermost:
            if frame.f_code is _INVOKE:
                operation = frame.f_locals.get("operation")
            frame = frame.f_back
        if operation is None:
            return None
        if self._call[0] is not operation:
            self._call = operation, next(self._numbers)
        name = type(operation).__name__
        return Call(name, None if name == "ExecuteSQLOp" else operation, self._call[1])


# Judging --------------------------------------------------------------------------------------------------------


def _look_again(judge: Judge) -> None:
    """Discard what was read earlier in the run: statements, and other sessions, may have changed it since."""
    schema = judge.schema
    schema.tables = {name: table for name, table in schema.tables.items() if table.new}
    schema.types, schema.gone = {}, set()
    if schema.facts is not None:
        judge.session.settings.update(schema.facts.settings())


def _changes_definitions(judge: Judge, sent: Sent) -> bool:
    if kind_of(sent.sql[:LONGEST]) in (Kind.SESSION, Kind.SAVEPOINT, Kind.TRANSACTION):
        return False
    return any(one.kind not in CHANGING_ROWS for one in judge.server.parse(sent.sql))


def _is_on_empty_tables(finding: Finding, facts: Facts | None) -> bool:
    """Return whether it is about tables without rows, as in a test suite that has just made its database."""
    operation = finding.operation
    if facts is None or operation is None or finding.rule not in APPLICATION:
        return False
    tables = [operation.table] if operation.table is not None else []
    if not tables and operation.name is not None:
        tables = facts.tables_of_type(Name(operation.name))
    # The judge already has the state after the operation.
    known = [facts.table(table) for table in tables]
    return bool(known) and all(table is not None and table.empty for table in known)


def _place(sender: Sender) -> Place | None:
    frame = sender.innermost
    file = str(getattr(getattr(sender.step, "revision", None), "path", ""))
    while frame is not None and frame is not sender.outermost:
        if frame.f_code.co_filename == file:
            return Place(file, frame.f_lineno)
        frame = frame.f_back
    return None


# Messages -------------------------------------------------------------------------------------------------------


def _refused(sender: Sender, connection: Connection, sent: Sent, found: Sequence[Finding]) -> UnsafeOperation:
    written = _lines(one.replacement for one in found)
    undone = _lines(one.replacement_downgrade for one in found) if sender.is_upgrade else ""
    place = f" ({sent.place.file.rpartition('/')[2]}:{sent.place.line})" if sent.place is not None else ""
    opaque = any(one.rule == "unseen" for one in found)
    log.debug("revision %s: refused: %s", sender.revision, _told(found))
    return UnsafeOperation(
        f"Revision {sender.revision}{place} sends an unsafe statement: {_shown(sent.sql)}\n{_details(found)}",
        why=" ".join(dict.fromkeys(one.advice for one in found if one.advice)),
        remedy=_remedy(written, opaque=opaque),
        code=_code(written, undone, sender),
        state=_state(connection, sent),
    )


def _lines(parts: Iterable[str | None]) -> str:
    return "\n".join(dict.fromkeys(part for part in parts if part))


def _details(found: Sequence[Finding]) -> str:
    return "\n".join(dict.fromkeys(f"  {one.rule}: {one.why}{_measures(one)}" for one in found))


def _measures(finding: Finding) -> str:
    """Return the lock, how much is read under it, and for how long, as far as that is known."""
    lock = f"{finding.lock} on {finding.table}" if finding.lock else ""
    rows = f"{finding.rows:,} rows" if finding.rows is not None else ""
    seconds = f"about {finding.seconds:.1g} s" if finding.seconds else ""
    parts = [part for part in (lock, rows, seconds) if part]
    return f" ({'; '.join(parts)})" if parts else ""


def _told(found: Sequence[Finding]) -> str:
    return "; ".join(dict.fromkeys(f"{one.rule}: {one.why}" for one in found))


def _remedy(written: str, *, opaque: bool) -> str:
    if opaque:
        return (
            "See its effect on an empty copy by safeops review --scratch-url URL. If it is fine here, give the reason:"
        )
    return (
        "Write this instead, or give the reason in assured(...):" if written else "If it is fine here, give the reason:"
    )


def _code(written: str, undone: str, sender: Sender) -> str:
    if not written:
        return 'with assured("why this is fine here"):\n    ...'
    below = f"\n# in downgrade():\n{textwrap.dedent(undone)}" if undone else ""
    return f"{written}{below}"


def _state(connection: Connection, sent: Sent) -> str:
    server = JudgedServer.class_of(database_class(connection.dialect))
    nothing = "Nothing of this statement was done."
    if sent.transaction is None or not server.transactional_ddl:
        return f"{nothing} What the revision did before it is kept: look at what is there before you run it again."
    return (
        f"{nothing} What its transaction did before is rolled back; what was committed before is kept. Running again is"
        " safe once the revision is changed."
    )


def _shown(sql: str) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."
