"""Judges a revision statement by statement, with the locks that its transaction holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from safeops.databases.base import Database
from safeops.judging import operations as ops
from safeops.judging import wording
from safeops.judging.application import Uses, breaks
from safeops.judging.bound import bound_text
from safeops.judging.finding import BRIEF, NOTE, UNSAFE, Finding
from safeops.judging.helper_effects import effects_of
from safeops.judging.operations import Operation
from safeops.judging.refused import is_absent, refused_as_absent, refused_by_rows
from safeops.judging.rows import CHANGING, Rows, locks_rows, works_on_rows
from safeops.judging.schema import Schema
from safeops.judging.sent import Event, HelperSent, Sent, Unseen
from safeops.judging.server import JudgedServer, Session
from safeops.judging.transactions import Transaction
from safeops.judging.truths import CATALOGUE, LONG, REWRITE, ROWS, Measured, Truth, truth_of
from safeops.judging.writer import Lock, Writer, shown
from safeops.naming import Name

MASS_ROWS = 2_000
"""Rows of one table that a transaction may change or lock; measured, an UPDATE of so many takes 0.04 s."""
SMALL_TABLE = 1_000
"""Rows below which a table counts as small; measured, a rewrite of so many takes up to 0.02 s."""
READING = frozenset({ops.SELECT, ops.INSERT, ops.CREATE_TABLE})
"""Operations that can read all rows of other tables, which an empty copy does not show."""
RULES = {
    **dict.fromkeys((ops.CREATE_INDEX, ops.REINDEX, ops.DROP_INDEX), "index-blocks-writes"),
    **dict.fromkeys((ops.ADD_UNIQUE, ops.ADD_PRIMARY_KEY, ops.ADD_EXCLUSION), "key-builds"),
    **dict.fromkeys((ops.ADD_CHECK, ops.VALIDATE_CONSTRAINT), "check-scans"),
    **dict.fromkeys((ops.SET_NOT_NULL, ops.ADD_NOT_NULL_CONSTRAINT), "not-null-scans"),
    **dict.fromkeys((*CHANGING, ops.INSERT), "mass-update"),
    **dict.fromkeys((ops.ATTACH_PARTITION, ops.DETACH_PARTITION), "partition-scans"),
    ops.ADD_FOREIGN_KEY: "foreign-key-scans",
    ops.CHANGE_TYPE: "type-rewrites",
    ops.ADD_COLUMN: "column-scans",
    ops.SELECT: "locks-rows",
}
"""The rule for long work under a strong lock."""


@dataclass(frozen=True)
class _Step:
    """An operation to judge, with all known facts.

    Args:
        operation: The operation, with all its traits.
        sent: Its statement.
        truth: The truth about its kind; None if there is none.
        measured: What a scratch copy showed; None if it did not run there.
        held: The strongest lock of earlier statements: table, lock, and the operation that took it.
        locks: Its locks, without those on exempt tables.
        rows: How many rows it works on; None if that is not known.
    """

    operation: Operation
    sent: Sent
    truth: Truth | None
    measured: Measured | None
    held: tuple[Name, str, str] | None
    locks: list[Lock]
    rows: int | None


class Judge:
    """Judges what a revision sends, event by event.

    Args:
        database: The database that it is sent to, or for ``--sql`` the dialect.
        schema: What is known of the tables; each event updates it.
        session: The settings of the session; those of the revision are added.
        uses: Returns whether deployed code uses a table or a column.
        small_table: Locks, scans and rewrites of tables with fewer rows are safe.
        seen: The rung of the ladder that sees the statements.
    """

    def __init__(
        self,
        database: Database,
        schema: Schema,
        session: Session,
        *,
        uses: Uses | None = None,
        small_table: int = SMALL_TABLE,
        seen: str = "offline",
    ) -> None:
        self.database, self.schema, self.session = database, schema, session
        self.server = JudgedServer.of(database)
        self.uses, self.small_table, self.seen = uses, small_table, seen
        self._writer = Writer(database, schema, seen)
        self._transaction = Transaction()
        self._rows = Rows(schema)
        self._added_keys: list[tuple[Operation, Sent]] = []
        self._added_columns: set[tuple[Name, str | None]] = set()
        self._unbounded = self._is_opaque = False

    def judge(self, event: Event, measured: Measured | None = None) -> list[Finding]:
        """Return the findings about the next event of the revision.

        Args:
            event: The event.
            measured: What was measured of it; by default the measurement that the event carries, if any.
        """
        match event:
            case Unseen():
                return [Finding("unseen", UNSAFE, event.why, event.place, shown(event.sql), seen=self.seen)]
            case HelperSent():
                # A helper commits the work before it.
                self._end_transaction()
                self.schema.apply(effects_of(event, self.database.dialect), new=True)
                return []
            case Sent():
                return list(self._sent(event, measured or event.measured))

    def end_revision(self) -> list[Finding]:
        """Return the findings about the whole revision, and end its transaction."""
        finding = self._writer.finding
        found = [
            finding("missing-index", NOTE, key, sent, wording.without_index(key)) for key, sent in self._unindexed()
        ]
        self._end_transaction()
        self._added_keys.clear()
        self._rows.forget()
        self._unbounded = self._is_opaque = False
        return found

    def _end_transaction(self) -> None:
        self._transaction.end()
        self.session.new_values.clear()

    # A statement ------------------------------------------------------------------------------------------------

    def _sent(self, sent: Sent, measured: Measured | None) -> Iterator[Finding]:
        self._enter(sent.transaction)
        if measured is not None and measured.error is not None:
            why = f"The server rejects it on an empty copy: {measured.error}"
            yield self._writer.finding("fails", UNSAFE, Operation(ops.OTHER), sent, why)
            return
        operations = self.server.operations(bound_text(sent))
        for place, operation in enumerate(operations):
            own = _part_of(measured, operation, last=place == len(operations) - 1)
            hinted = self.server.hinted(operation, sent.call.operation if sent.call is not None else None)
            yield from self._operation(self.server.with_facts(hinted, self.schema, self.session), sent, own)
        if sent.transaction is None:
            self._end_transaction()

    def _enter(self, number: int | None) -> None:
        if number is None or number != self._transaction.number:
            self._end_transaction()
            self._transaction.number = number

    def _operation(self, operation: Operation, sent: Sent, measured: Measured | None) -> Iterator[Finding]:
        refusal = self._refusal(operation)
        if refusal is not None:
            yield self._writer.finding("fails", UNSAFE, operation, sent, refusal)
            return
        absent = _found_nothing(operation, measured) or is_absent(operation, self.schema)
        if absent and not self._is_opaque:
            return
        if self.server.ends_transaction(operation) or operation.kind in (ops.COMMIT, ops.ROLLBACK):
            self._end_transaction()
        self._note_settings(operation)
        yield from self._judged(operation, sent, measured)
        if self.server.ends_transaction(operation):
            self._end_transaction()
        self.schema.apply([operation], new=True)

    def _refusal(self, operation: Operation) -> str | None:
        """Return why the server certainly rejects an operation."""
        inside = self._transaction.number is not None
        found = self.server.failure(operation, self.session, inside)
        if found is None and not self.server.fills_missing_values:
            found = refused_by_rows(operation, self.schema)
        if found is None and not self._is_opaque:
            found = refused_as_absent(operation, self.schema)
        return found

    def _note_settings(self, operation: Operation) -> None:
        if operation.kind == ops.SET_SESSION and operation.name is not None:
            name, value = operation.name.lower(), (operation.expression or "").strip("'\"").lower()
            self.session.settings[name] = value
            if name == "lock_timeout":
                self._unbounded = value in ("0", "0s", "0ms")

    def _judged(self, operation: Operation, sent: Sent, measured: Measured | None) -> Iterator[Finding]:
        if operation.kind == ops.OPAQUE:
            self._is_opaque = True
            if measured is None or not measured.exact:
                why = (
                    f"Its effect cannot be determined here: {operation.opaque or 'the parser does not understand it'}."
                )
                yield self._writer.finding("unseen", UNSAFE, operation, sent, why)
                return
        step = self._step(operation, sent, measured)
        unsafe = [*self._breaking(step), *self._long(step), *self._mass(step)] or [*self._under_held(step)]
        yield from unsafe or self._brief(step)
        yield from self._notes(step)

    def _step(self, operation: Operation, sent: Sent, measured: Measured | None) -> _Step:
        truth = truth_of(operation, self.server.truths, self.database.product, self.database.version)
        held = self._strongest_held()
        locks = self._locks(operation, truth, measured)
        return _Step(operation, sent, truth, measured, held, locks, self._rows.of(operation, sent))

    # Locks ------------------------------------------------------------------------------------------------------

    def _locks(self, operation: Operation, truth: Truth | None, measured: Measured | None) -> list[Lock]:
        """Return the locks on tables that are not exempt, each with the strongest lock that the transaction then holds."""
        described = " ".join(str(part) for part in (operation.kind, operation.table) if part)
        found = []
        for table, lock, work in self._effects(operation, truth, measured):
            if self._is_exempt(table):
                continue
            self._transaction.hold(self.schema.key(table), lock, described, self.server.strength)
            held, by = self._transaction.held.get(self.schema.key(table), (lock, ""))
            if work in LONG and work != ROWS and held != lock:
                found.append(Lock(table, held, work, earlier=not self._is_strong(lock), by=by))
            else:
                found.append(Lock(table, lock, work))
        return found

    def _effects(
        self, operation: Operation, truth: Truth | None, measured: Measured | None
    ) -> Iterator[tuple[Name, str, str]]:
        if measured is not None and measured.exact and operation.kind not in READING:
            yield from measured.effects
            return
        for effect in truth.effects if truth is not None else ():
            for table in self.server.tables_of(effect.on, operation, self.schema):
                yield table, effect.lock, effect.work

    def _is_strong(self, lock: str) -> bool:
        return self.server.blocks(lock) != "nothing"

    def _hinders(self, lock: Lock) -> bool:
        """Return whether a lock blocks other sessions: there are no writers of a materialised view."""
        known = self.schema.table(lock.table)
        is_view = known is not None and known.kind == "materialized view"
        return self._is_strong(lock.lock) and not (is_view and self.server.blocks(lock.lock) == "writes")

    def _is_exempt(self, table: Name) -> bool:
        """Return whether a table is safe to lock: it is new, empty or small."""
        known = self.schema.table(table)
        is_small = known is not None and known.rows is not None and known.rows < self.small_table
        return known is not None and (known.new or known.empty or is_small)

    def _strongest_held(self) -> tuple[Name, str, str] | None:
        held = [(table, lock, by) for table, (lock, by) in self._transaction.held.items() if self._is_strong(lock)]
        return max(held, key=lambda one: self.server.strength(one[1]), default=None)

    # Verdicts ---------------------------------------------------------------------------------------------------

    def _breaking(self, step: _Step) -> Iterator[Finding]:
        """Yield what breaks the application, or loses its data."""
        found = breaks(step.operation, self.uses)
        if step.operation.kind == ops.ADD_COLUMN and step.operation.table is not None:
            self._added_columns.add((self.schema.key(step.operation.table), step.operation.column))
        if found is None or self._is_unreleased(step.operation):
            return
        lock = next((lock for lock in step.locks if lock.table == step.operation.table), None)
        if lock is not None:
            yield self._writer.locking(found.rule, UNSAFE, step.operation, step.sent, lock, found.why)
        else:
            yield self._writer.finding(found.rule, UNSAFE, step.operation, step.sent, found.why)

    def _is_unreleased(self, operation: Operation) -> bool:
        """Return whether no deployed code can use what an operation breaks: this run created it, or it is empty."""
        if operation.kind == ops.ALTER_TYPE:
            renamed = self.schema.type(Name(operation.name or ""))
            return renamed is not None and renamed.new
        if operation.table is None:
            return False
        known = self.schema.table(operation.table)
        is_new = (self.schema.key(operation.table), operation.column) in self._added_columns
        return is_new or (known is not None and (known.new or (operation.kind == ops.TRUNCATE and known.empty)))

    def _long(self, step: _Step) -> Iterator[Finding]:
        """Yield long work under a lock that blocks other sessions."""
        for lock in step.locks:
            if lock.work in LONG and lock.work != ROWS and self._hinders(lock):
                own = (step.truth.rule if step.truth is not None else "") or _rule(step.operation, lock.work)
                rule = "held-lock" if lock.earlier else own
                yield self._writer.locking(rule, UNSAFE, step.operation, step.sent, lock, self._why(step, lock))

    def _mass(self, step: _Step) -> Iterator[Finding]:
        """Yield changes and locks of too many rows in one transaction."""
        if step.measured is not None and step.operation.kind in (ops.OPAQUE, ops.SELECT):
            yield from self._mass_measured(step, step.measured)
        table = step.operation.table
        if table is None or not locks_rows(step.operation) or self._is_exempt(table):
            return
        total = None if step.rows is None else self._transaction.change(self.schema.key(table), step.rows)
        if total is not None and total <= MASS_ROWS:
            return
        held = Lock(table, self._transaction.held.get(self.schema.key(table), ("", ""))[0], ROWS)
        yield self._of_rows(step, held, wording.rows_blocked(held, total)).with_(rows=total)

    def _mass_measured(self, step: _Step, measured: Measured) -> Iterator[Finding]:
        """Yield the tables of which opaque code might change all rows, by its plans on an empty copy."""
        for table, lock, work in measured.effects:
            if work == ROWS and not self._is_exempt(table):
                held = Lock(table, lock, ROWS)
                yield self._of_rows(step, held, wording.rows_blocked_by_code(held))

    def _of_rows(self, step: _Step, lock: Lock, why: str) -> Finding:
        rule = "mass-update" if step.operation.kind == ops.OPAQUE else _rule(step.operation, ROWS)
        found = self._writer.locking(rule, UNSAFE, step.operation, step.sent, lock, why)
        return found.with_(blocks=found.blocks if self._is_strong(lock.lock) else "writes to those rows")

    def _under_held(self, step: _Step) -> Iterator[Finding]:
        """Yield long work while the transaction still holds a blocking lock of an earlier statement."""
        work = next((lock.work for lock in step.locks if lock.work in LONG and lock.work != ROWS), None)
        if work is None and works_on_rows(step.operation) and (step.rows is None or step.rows > MASS_ROWS):
            work = ROWS
        if step.held is None or work is None:
            return
        table, lock, by = step.held
        found = Lock(table, lock, work, by=by)
        why = wording.blocked_by_earlier(self.server, found)
        yield self._writer.locking("held-lock", UNSAFE, step.operation, step.sent, found, why)

    def _brief(self, step: _Step) -> Iterator[Finding]:
        lock = next((lock for lock in step.locks if self._is_strong(lock.lock)), None)
        if lock is None:
            return
        is_lock_table = step.operation.kind == ops.LOCK_TABLE
        rule, verdict, why = "lock-table" if is_lock_table else "brief-lock", BRIEF, self._why(step, lock)
        if self._unbounded:
            rule, verdict = "no-lock-timeout", UNSAFE
            why = wording.blocked_without_timeout(lock)
        yield self._writer.locking(rule, verdict, step.operation, step.sent, lock, why)

    def _why(self, step: _Step, lock: Lock) -> str:
        truth = step.truth
        if truth is None or lock.work != CATALOGUE or not any(effect.work in LONG for effect in truth.effects):
            return wording.blocked(self.server, lock, truth.why if truth is not None else "")
        # The truth explains the long work, which is done online, or on a table that is new, empty or small.
        online = any(one.work in LONG for one in step.locks)
        return wording.blocked(self.server, lock, truth.why if online else "", online=online)

    # Notes ------------------------------------------------------------------------------------------------------

    def _notes(self, step: _Step) -> Iterator[Finding]:
        operation = step.operation
        if operation.kind == ops.ADD_FOREIGN_KEY and operation.columns and not self.server.indexes_foreign_keys:
            self._added_keys.append((operation, step.sent))
        known = self.schema.table(operation.table) if operation.table is not None else None
        has_json = operation.kind == ops.ADD_COLUMN and operation.type == "json" and not self.server.compares_json
        if has_json and not (known and known.new):
            why = "SELECT DISTINCT, GROUP BY and UNION over the table fail: json has no equality operator. Use jsonb."
            yield self._writer.finding("json-type", NOTE, operation, step.sent, why)

    def _unindexed(self) -> list[tuple[Operation, Sent]]:
        """Return the foreign keys of the revision without an index."""
        return [(key, sent) for key, sent in self._added_keys if not self._has_index(key)]

    def _has_index(self, key: Operation) -> bool:
        known = self.schema.table(key.table) if key.table is not None else None
        if known is None:
            return False
        keys = [each.columns for each in known.constraints.values() if each.kind in ("unique", "primary key")]
        beginnings = (columns[: len(key.columns)] for columns in (*(i.columns for i in known.indexes.values()), *keys))
        return any(set(beginning) == set(key.columns) for beginning in beginnings)


def _part_of(measured: Measured | None, operation: Operation, *, last: bool) -> Measured | None:
    """Return what was measured of one operation of a statement; the last operation gets all of it."""
    if measured is None or last:
        return measured
    own = {table.name for table in (operation.table, operation.other) if table is not None}
    return replace(measured, effects=tuple(effect for effect in measured.effects if effect[0].name in own))


def _found_nothing(operation: Operation, measured: Measured | None) -> bool:
    """Return whether a copy showed that the target of IF EXISTS does not exist."""
    asked = measured is not None and measured.exact and operation.kind in (ops.DROP_TABLE, ops.DROP_COLUMN)
    return asked and "if exists" in operation.traits and measured is not None and not measured.effects


def _rule(operation: Operation, work: str) -> str:
    if operation.kind == ops.ADD_COLUMN and work == REWRITE:
        return "column-rewrites"
    return RULES.get(operation.kind, "table-rewrites")
