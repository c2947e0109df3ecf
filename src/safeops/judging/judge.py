"""Follows a revision statement by statement, with the locks that its transaction holds, and tells what is unsafe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from safeops.databases.base import Database
from safeops.judging import operations as ops
from safeops.judging.application import Uses, breaks
from safeops.judging.bound import bound_text
from safeops.judging.finding import BRIEF, NOTE, UNSAFE, Finding
from safeops.judging.helper_effects import effects_of
from safeops.judging.operations import Operation
from safeops.judging.schema import KnownTable, Schema
from safeops.judging.sent import Event, HelperSent, Sent, Unseen
from safeops.judging.server import JudgedServer, Session
from safeops.judging.transactions import Transaction
from safeops.judging.truths import CATALOGUE, LONG, REWRITE, ROWS, Measured, Truth, truth_of
from safeops.naming import Name

MASS_ROWS = 2_000
"""Rows of one table that a transaction may change or lock; measured, an UPDATE of so many takes 0.04 s."""
SMALL_TABLE = 1_000
"""Rows below which a table counts as small; measured, a rewrite of so many takes up to 0.02 s."""
CHANGING = frozenset({ops.UPDATE, ops.DELETE, ops.MERGE})
FILLING = frozenset({"constant default", "volatile default", "identity", "serial", "stored", "virtual"})
"""What gives the rows of a table a value in a new column."""
SHOWN = 300
"""Characters of a statement that a finding shows."""
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
    ops.LOCK_TABLE: "lock-table",
}
"""The rule of what takes long under a strong lock."""


@dataclass(frozen=True)
class _Lock:
    """A lock on a table that counts, the work under it, and whether an earlier statement took it."""

    table: Name
    lock: str
    work: str
    earlier: bool = False


class Judge:
    """Judges what a revision sends, an event after the other.

    Args:
        database: The database, or for ``--sql`` the dialect, that it is sent to.
        schema: What is known of the tables; it is kept up to date.
        session: The settings of the session; what the revision sets is added.
        uses: Tells whether released code uses a table or a column.
        small_table: Tables with fewer rows may be locked, scanned and rewritten.
        version: The version of the server, if the database is only a dialect.
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
        version: tuple[int, ...] = (),
        seen: str = "offline",
    ) -> None:
        self.database, self.schema, self.session = database, schema, session
        self.server = JudgedServer.of(database)
        self.uses, self.small_table, self.seen = uses, small_table, seen
        self.version = version or database.version
        self._transaction = Transaction()
        self._unbounded = False
        self._added_keys: list[tuple[Operation, Sent]] = []

    def judge(self, event: Event, measured: Measured | None = None) -> list[Finding]:
        """Return what is to say of the next thing that the revision does."""
        match event:
            case Unseen():
                return [Finding("unseen", UNSAFE, event.why, event.place, _shown(event.sql), seen=self.seen)]
            case HelperSent():
                # A helper commits what came before it.
                self._transaction.end()
                self.schema.apply(effects_of(event, self.database.dialect), new=True)
                return []
            case Sent():
                return list(self._sent(event, measured))

    def end_revision(self) -> list[Finding]:
        """Return what is to say of a whole revision, and forget its transaction."""
        found = [self._finding("missing-index", NOTE, key, sent, _no_index(key)) for key, sent in self._unindexed()]
        self._transaction.end()
        self._added_keys.clear()
        self._unbounded = False
        return found

    # A statement ------------------------------------------------------------------------------------------------

    def _sent(self, sent: Sent, measured: Measured | None) -> Iterator[Finding]:
        self._enter(sent.transaction)
        if measured is not None and measured.error is not None:
            why = f"The server refuses it on an empty copy: {measured.error}"
            yield self._finding("fails", UNSAFE, Operation(ops.OTHER), sent, why)
            return
        operations = self.server.parse(bound_text(sent))
        for place, operation in enumerate(operations):
            own = _part_of(measured, operation, last=place == len(operations) - 1)
            yield from self._operation(self.server.with_facts(operation, self.schema, self.session), sent, own)
        if sent.transaction is None:
            self._transaction.end()

    def _enter(self, number: int | None) -> None:
        if number is None or number != self._transaction.number:
            self._transaction.end()
            self._transaction.number = number

    def _operation(self, operation: Operation, sent: Sent, measured: Measured | None) -> Iterator[Finding]:
        inside = self._transaction.number is not None
        refusal = self.server.failure(operation, self.session, inside) or self._refused_by_rows(operation)
        if refusal is not None:
            yield self._finding("fails", UNSAFE, operation, sent, refusal)
            return
        if self.server.ends_transaction(operation) or operation.kind in (ops.COMMIT, ops.ROLLBACK):
            self._transaction.end()
        self._set(operation)
        found = list(self._judged(operation, sent, measured))
        yield from found
        yield from self._notes(operation, sent)
        if self.server.ends_transaction(operation):
            self._transaction.end()
        self.schema.apply([operation], new=True)

    def _refused_by_rows(self, operation: Operation) -> str | None:
        """Return why a table with rows refuses an operation that an empty copy takes."""
        table = operation.table
        if operation.kind != ops.ADD_COLUMN or table is None or "not null" not in operation.traits:
            return None
        known = self.schema.table(table)
        if not FILLING.isdisjoint(operation.traits) or (known is not None and (known.new or known.empty)):
            return None
        return f"The column is NOT NULL and has no default, so that a table with rows refuses it: {table} has some."

    def _set(self, operation: Operation) -> None:
        if operation.kind == ops.SET_SESSION and operation.name is not None:
            name, value = operation.name.lower(), (operation.expression or "").strip("'\"").lower()
            self.session.settings[name] = value
            if name == "lock_timeout":
                self._unbounded = value in ("0", "0s", "0ms")

    def _judged(self, operation: Operation, sent: Sent, measured: Measured | None) -> Iterator[Finding]:
        if operation.kind == ops.OPAQUE and (measured is None or not measured.exact):
            why = f"What it does cannot be seen here: {operation.opaque or 'no parser understands it'}."
            yield self._finding("unseen", UNSAFE, operation, sent, why)
            return
        truth = truth_of(operation, self.server.truths, self.database.product, self.version)
        held_before = self._strongest_held()
        locks = self._locks(operation, truth, measured)
        rows = self._rows_changed(operation, sent)
        breaking = self._breaking(operation, sent)
        unsafe = [*breaking, *self._long(operation, sent, truth, locks), *self._mass(operation, sent, rows)]
        yield from unsafe or self._under_held(operation, sent, truth, held_before, locks, rows)
        strong = [lock for lock in locks if self._is_strong(lock.lock)]
        if strong and not unsafe:
            yield from self._brief(operation, sent, truth, strong[0])

    # Locks ------------------------------------------------------------------------------------------------------

    def _locks(self, operation: Operation, truth: Truth | None, measured: Measured | None) -> list[_Lock]:
        """Return the locks on tables that count, each as strong as what the transaction holds by then."""
        shown = " ".join(str(part) for part in (operation.kind, operation.table) if part)
        found = []
        for table, lock, work in self._effects(operation, truth, measured):
            if self._is_exempt(table):
                continue
            self._transaction.hold(self.schema.key(table), lock, shown, self.server.strength)
            held = self._transaction.held.get(self.schema.key(table), (lock, ""))[0]
            under = held if work in LONG and work != ROWS else lock
            found.append(_Lock(table, under, work, earlier=under != lock and not self._is_strong(lock)))
        return found

    def _effects(
        self, operation: Operation, truth: Truth | None, measured: Measured | None
    ) -> Iterator[tuple[Name, str, str]]:
        if measured is not None and measured.exact:
            yield from measured.effects
            return
        for effect in truth.effects if truth is not None else ():
            for table in self.server.tables_of(effect.on, operation, self.schema):
                yield table, effect.lock, effect.work

    def _is_strong(self, lock: str) -> bool:
        return self.server.blocks(lock) != "nothing"

    def _is_exempt(self, table: Name) -> bool:
        """Tell whether nothing waits for a table: it is new, has no rows, or few."""
        known = self.schema.table(table)
        return known is not None and (known.new or known.empty or self._is_small(known))

    def _is_small(self, known: KnownTable) -> bool:
        return known.rows is not None and known.rows < self.small_table

    def _strongest_held(self) -> tuple[Name, str, str] | None:
        """Return the table with the strongest lock that earlier statements of the transaction left, if it blocks."""
        held = [(table, lock, by) for table, (lock, by) in self._transaction.held.items() if self._is_strong(lock)]
        return max(held, key=lambda one: self.server.strength(one[1]), default=None)

    # Verdicts ---------------------------------------------------------------------------------------------------

    def _breaking(self, operation: Operation, sent: Sent) -> list[Finding]:
        found = breaks(operation, self.uses)
        known = self.schema.table(operation.table) if operation.table is not None else None
        if (
            found is None
            or (known is not None and known.new)
            or (operation.kind == ops.TRUNCATE and known and known.empty)
        ):
            return []
        return [self._finding(found.rule, UNSAFE, operation, sent, found.why, table=operation.table)]

    def _long(self, operation: Operation, sent: Sent, truth: Truth | None, locks: list[_Lock]) -> Iterator[Finding]:
        """Yield what takes long under a lock that blocks."""
        for lock in locks:
            if lock.work in LONG and lock.work != ROWS and self._is_strong(lock.lock):
                own = (truth.rule if truth is not None else "") or _rule(operation, lock.work)
                rule = "held-lock" if lock.earlier else own
                yield self._locking(rule, UNSAFE, operation, sent, lock, _why(truth, lock, self.server))

    def _mass(self, operation: Operation, sent: Sent, rows: int | None) -> Iterator[Finding]:
        """Yield what changes or locks so many rows in one transaction that others wait for them."""
        table = operation.table
        if table is None or not _locks_rows(operation) or self._is_exempt(table):
            return
        total = None if rows is None else self._transaction.change(self.schema.key(table), rows)
        if total is not None and total <= MASS_ROWS:
            return
        what = "all or many" if total is None else f"about {total:,}"
        why = f"It locks {what} rows of {table} until the transaction ends: whoever writes to one of them waits."
        lock = _Lock(table, self._held(table), ROWS)
        found = self._locking(_rule(operation, ROWS), UNSAFE, operation, sent, lock, why)
        yield found.with_(blocks=found.blocks if self._is_strong(lock.lock) else "writes to those rows", rows=total)

    def _under_held(
        self,
        operation: Operation,
        sent: Sent,
        truth: Truth | None,
        held: tuple[Name, str, str] | None,
        locks: list[_Lock],
        rows: int | None,
    ) -> Iterator[Finding]:
        """Yield what takes long while an earlier statement of the transaction left a lock that blocks."""
        work = next((lock.work for lock in locks if lock.work in LONG and lock.work != ROWS), None)
        if work is None and _works_on_rows(operation) and (rows is None or rows > MASS_ROWS):
            work = ROWS
        if held is None or work is None:
            return
        table, lock, by = held
        why = f"Earlier in the transaction, {by} took {lock}, which is held while this does its work ({work})."
        yield self._locking("held-lock", UNSAFE, operation, sent, _Lock(table, lock, work), why)

    def _brief(self, operation: Operation, sent: Sent, truth: Truth | None, lock: _Lock) -> Iterator[Finding]:
        if self._unbounded:
            why = "The revision has set lock_timeout to 0: while this waits for its lock, all others wait behind it."
            yield self._locking("no-lock-timeout", UNSAFE, operation, sent, lock, why)
            return
        yield self._locking("brief-lock", BRIEF, operation, sent, lock, _why(truth, lock, self.server))

    # Rows -------------------------------------------------------------------------------------------------------

    def _rows_changed(self, operation: Operation, sent: Sent) -> int | None:
        """Return how many rows an operation works on; None if nobody knows."""
        if not _works_on_rows(operation):
            return 0
        if operation.rows is not None:
            return operation.rows * sent.times
        if "by key" in operation.traits:
            return None if sent.synthetic else sent.times
        if self.schema.facts is not None:
            rows = self.schema.facts.rows_of(bound_text(sent), None)
            return None if rows is None else rows * sent.times
        return None

    def _held(self, table: Name) -> str:
        return self._transaction.held.get(self.schema.key(table), ("", ""))[0]

    # Notes ------------------------------------------------------------------------------------------------------

    def _notes(self, operation: Operation, sent: Sent) -> Iterator[Finding]:
        known = self.schema.table(operation.table) if operation.table is not None else None
        if operation.kind == ops.ADD_FOREIGN_KEY and operation.columns:
            self._added_keys.append((operation, sent))
        if operation.kind == ops.ADD_COLUMN and operation.type == "json" and not (known and known.new):
            why = "The type json has no equality, so that SELECT DISTINCT and UNION over the table fail: use jsonb."
            yield self._finding("json-type", NOTE, operation, sent, why)

    def _unindexed(self) -> list[tuple[Operation, Sent]]:
        """Return the foreign keys of the revision whose columns no index begins with."""
        return [(key, sent) for key, sent in self._added_keys if not self._has_index(key)]

    def _has_index(self, key: Operation) -> bool:
        known = self.schema.table(key.table) if key.table is not None else None
        if known is None:
            return False
        keys = [each.columns for each in known.constraints.values() if each.kind in ("unique", "primary key")]
        size = len(key.columns)
        return any(
            set(columns[:size]) == set(key.columns) for columns in (*(i.columns for i in known.indexes.values()), *keys)
        )

    # Findings ---------------------------------------------------------------------------------------------------

    def _locking(self, rule: str, verdict: str, operation: Operation, sent: Sent, lock: _Lock, why: str) -> Finding:
        known = self.schema.table(lock.table)
        rows = known.rows if known is not None else None
        return self._finding(rule, verdict, operation, sent, why, table=lock.table).with_(
            lock=lock.lock or None,
            work=lock.work,
            blocks=self.server.blocks(lock.lock) if lock.lock else "nothing",
            rows=rows,
            seconds=None if rows is None else round(self.server.seconds(lock.work, rows), 3),
            known_from=_known_from(self.schema, rows),
        )

    def _finding(
        self, rule: str, verdict: str, operation: Operation, sent: Sent, why: str, *, table: Name | None = None
    ) -> Finding:
        return Finding(
            rule,
            verdict,
            why,
            sent.place,
            _shown(sent.sql),
            self._full(table or operation.table),
            seen=self.seen,
            operation=operation,
            sent=sent,
        )

    def _full(self, table: Name | None) -> str | None:
        if table is None:
            return None
        schema = table.schema or self.schema.home or self.server.default_schema
        return str(replace(table, schema=schema))


def _part_of(measured: Measured | None, operation: Operation, *, last: bool) -> Measured | None:
    """Return what was measured of one operation of a statement; what belongs to none of them goes with the last."""
    if measured is None or last:
        return measured
    own = {table.name for table in (operation.table, operation.other) if table is not None}
    return replace(measured, effects=tuple(effect for effect in measured.effects if effect[0].name in own))


def _works_on_rows(operation: Operation) -> bool:
    return _locks_rows(operation) or (operation.kind == ops.INSERT and "from table" in operation.traits)


def _locks_rows(operation: Operation) -> bool:
    return operation.kind in CHANGING or (operation.kind == ops.SELECT and "for update" in operation.traits)


def _rule(operation: Operation, work: str) -> str:
    if operation.kind == ops.ADD_COLUMN and work == REWRITE:
        return "column-rewrites"
    return RULES.get(operation.kind, "table-rewrites")


def _why(truth: Truth | None, lock: _Lock, server: JudgedServer) -> str:
    waits = server.blocks(lock.lock)
    what = "changes the catalogue only" if lock.work == CATALOGUE else f"does its work ({lock.work})"
    reason = f": {truth.why}" if truth is not None and truth.why else ""
    return f"It takes {lock.lock} on {lock.table}, for which {waits} wait, and {what}{reason}."


def _no_index(key: Operation) -> str:
    columns = ", ".join(key.columns)
    return f"No index of {key.table} begins with {columns}: each DELETE of a referred row scans the whole table."


def _known_from(schema: Schema, rows: int | None) -> str:
    if rows is None:
        return "assumed"
    return "the live database" if schema.facts is not None else "stats.json"


def _shown(sql: str) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 3]}..."
