"""Judges statements to MariaDB and MySQL."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from safeops.judging import operations as op
from safeops.judging.existing import KnownTable
from safeops.judging.mysql import existing
from safeops.judging.mysql.statements import operations_of
from safeops.judging.mysql.truths import BLOCKS, COPY, COPY_EXCLUSIVE, COPY_ONLINE, INSTANT, ONLINE, STRENGTH, TRUTHS
from safeops.judging.operations import Operation
from safeops.judging.row_statements import bounded
from safeops.judging.schema import Schema
from safeops.judging.server import JudgedServer as Port
from safeops.judging.server import Session
from safeops.judging.truths import REWRITE, Truth, truth_of

_WITHIN_TRANSACTIONS = frozenset(
    {op.UPDATE, op.DELETE, op.INSERT, op.SELECT, op.SET_SESSION, op.SAVEPOINT, op.LOCK_TABLE, op.OPAQUE, op.OTHER}
)
"""Every other kind commits before and after it."""
_GUARDED = frozenset(
    {op.ADD_COLUMN, op.DROP_COLUMN, op.CREATE_INDEX, op.DROP_INDEX, op.ADD_UNIQUE, op.ADD_FOREIGN_KEY, op.ADD_CHECK}
    | {op.DROP_CONSTRAINT, op.RENAME_COLUMN, op.CHANGE_TYPE, op.RENAME_TABLE}
)
_RANKS = {"algorithm instant": 0, "algorithm nocopy": 1, "algorithm inplace": 2}
_LOCKS = frozenset({"lock none", "lock shared", "lock exclusive"})


class JudgedServer(Port):
    """Judges statements to MySQL."""

    truths: ClassVar[tuple[Truth, ...]] = TRUTHS
    locks = STRENGTH
    blocking = BLOCKS
    transactional_ddl = False
    fills_missing_values = True
    indexes_foreign_keys = True
    compares_json = True
    changes: ClassVar[existing.Changes] = existing.MYSQL
    instant_takes_lock: ClassVar[bool] = False
    lacks: ClassVar[tuple[tuple[frozenset[str], str, str], ...]] = (
        (_GUARDED, "if exists", "IF EXISTS or IF NOT EXISTS here"),
    )
    """Kinds, a trait, and the syntax that the server lacks for both."""

    def parse(self, sql: str) -> list[Operation]:
        return operations_of(sql)

    def ends_transaction(self, operation: Operation) -> bool:
        return operation.kind not in _WITHIN_TRANSACTIONS

    def with_facts(self, operation: Operation, schema: Schema, session: Session) -> Operation:
        table = schema.table(operation.table) if operation.table is not None else None
        found = operation.with_traits(*existing.traits_of_session(session), *existing.traits_of_table(table))
        if operation.kind in (op.UPDATE, op.DELETE, op.SELECT):
            return bounded(found, existing.keys_of(table)) if table is not None and table.complete else found
        if operation.kind == op.CHANGE_TYPE:
            return existing.changed(found, table, self.changes)
        return found.with_traits(*_traits(operation, table))

    def failure(self, operation: Operation, session: Session, in_transaction: bool) -> str | None:
        """Return why the server rejects a statement: it rejects an ALGORITHM or LOCK that it cannot use."""
        for kinds, trait, syntax in self.lacks:
            if operation.kind in kinds and trait in operation.traits:
                return f"{self.product} does not support {syntax}."
        asked = frozenset(trait for trait in operation.traits if trait.startswith(("algorithm ", "lock ")))
        if not asked or "unknown column" in operation.traits:
            return None
        plain = replace(operation, traits=operation.traits - asked)
        truth = truth_of(plain, self.truths, self.product, self.database.version)
        return self._refused(asked, truth.effects[0].lock, truth.effects[0].work) if truth is not None else None

    def _refused(self, asked: frozenset[str], lock: str, work: str) -> str | None:
        if "algorithm instant" in asked and asked & _LOCKS and not self.instant_takes_lock:
            return f"{self.product} does not accept LOCK together with ALGORITHM=INSTANT."
        for word, rank in _RANKS.items():
            if word in asked and _rank(lock, work) > rank:
                return f"{self.product} needs {lock} for this, and rejects {_spelt(word)}."
        copies = "algorithm copy" in asked and lock != COPY_ONLINE
        if "lock none" in asked and (copies or lock not in (INSTANT, ONLINE, COPY_ONLINE)):
            return f"{self.product} needs {COPY if copies else lock} for this, and rejects LOCK=NONE."
        return None


class MariaDBJudgedServer(JudgedServer):
    """Judges statements to MariaDB."""

    changes = existing.MARIADB
    instant_takes_lock = True
    lacks = (
        (frozenset({op.CREATE_INDEX, op.ADD_UNIQUE}), "functional", "index of an expression"),
        (frozenset({op.ADD_CHECK}), "not enforced", "NOT ENFORCED"),
    )


def _traits(operation: Operation, table: KnownTable | None) -> set[str]:
    if operation.kind == op.ADD_COLUMN:
        return {*existing.traits_of_new_column(operation)}
    if operation.kind == op.DROP_COLUMN:
        return {*existing.traits_of_column(table, operation.column)}
    if "character set" in operation.traits and table is not None and operation.expression is not None:
        return {"already"} if existing.has_charset(table, operation.expression) else set()
    if operation.kind == op.DROP_CONSTRAINT and table is not None:
        known = table.constraints.get(operation.name or "")
        return {known.kind} if known is not None else set()
    return set()


def _rank(lock: str, work: str) -> int:
    """Return the rank of an algorithm: INSTANT, NOCOPY, INPLACE, COPY."""
    if lock in (COPY, COPY_ONLINE, COPY_EXCLUSIVE):
        return 3
    return 0 if lock == INSTANT else 2 if work == REWRITE else 1


def _spelt(trait: str) -> str:
    word, _, value = trait.upper().partition(" ")
    return f"{word}={value}"
