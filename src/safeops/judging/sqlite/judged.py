"""Judges statements to SQLite."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from sqlglot import exp

from safeops.judging import operations as op
from safeops.judging.existing import KnownTable
from safeops.judging.operations import Operation
from safeops.judging.row_statements import bounded
from safeops.judging.schema import Schema
from safeops.judging.server import JudgedServer as Port
from safeops.judging.server import Session
from safeops.judging.sqlite.statements import COPY, operations_of
from safeops.judging.sqlite.truths import BLOCKS, STRENGTH, TRUTHS
from safeops.judging.truths import Truth
from safeops.naming import Name

_IMPOSSIBLE = {
    "inline unique": "SQLite cannot add a column that is UNIQUE or a PRIMARY KEY",
    "stored": "SQLite cannot add a stored generated column",
}
_ONCE_THERE_ARE_ROWS = {
    "volatile default": "SQLite cannot add a column with a non-constant default to a table with rows",
}


class JudgedServer(Port):
    """Judges statements to SQLite."""

    truths: ClassVar[tuple[Truth, ...]] = TRUTHS
    locks = STRENGTH
    blocking = BLOCKS
    transactional_ddl = False
    compares_json = True

    def parse(self, sql: str) -> list[Operation]:
        return operations_of(sql)

    def scope_of_lock(self, table: Name) -> str:
        return "in the whole database file"

    def failure(self, operation: Operation, session: Session, in_transaction: bool) -> str | None:
        if operation.kind in (op.ADD_COLUMN, op.DROP_COLUMN) and "if exists" in operation.traits:
            return "SQLite has no IF EXISTS or IF NOT EXISTS for columns."
        if operation.kind != op.ADD_COLUMN:
            return None
        found = [why for trait, why in _IMPOSSIBLE.items() if trait in operation.traits]
        if "empty table" not in operation.traits:
            found += [why for trait, why in _ONCE_THERE_ARE_ROWS.items() if trait in operation.traits]
        return f"{found[0]}; batch_alter_table can, by copying the table." if found else None

    # What exists ---------------------------------------------------------------------------------------------------

    def with_facts(self, operation: Operation, schema: Schema, session: Session) -> Operation:
        found = _found(operation, schema)
        table = schema.table(found.table) if found.table is not None else None
        traits = {"write-ahead log"} if session.settings.get("journal_mode") == "wal" else set()
        traits |= set(table.traits) if table is not None else set()
        traits |= {"empty table"} if table is not None and (table.empty or table.new) else set()
        found = found.with_traits(*traits)
        if found.kind in (op.UPDATE, op.DELETE, op.SELECT) and table is not None and table.complete:
            return bounded(found, _keys(table) | {"rowid"})
        if "batch" in found.traits and table is not None and found.kind == op.REWRITE_TABLE:
            return _lost(found, table, schema.table(found.other) if found.other is not None else None)
        if found.kind == op.DROP_COLUMN and table is not None and found.column in table.columns:
            return found.with_traits(*({"virtual"} if table.columns[found.column].generated == "virtual" else ()))
        return found


def _found(operation: Operation, schema: Schema) -> Operation:
    """Return an operation with its table: that of an index, or the one that batch mode puts another in the place of."""
    table, other = operation.table, operation.other
    if operation.kind == op.DROP_INDEX and table is None and operation.name is not None:
        return replace(operation, table=schema.table_of_index(Name(operation.name)))
    if operation.kind == op.REINDEX and table is not None and schema.table(table) is None:
        return replace(operation, table=schema.table_of_index(table) or table)
    if operation.kind == op.DROP_TABLE and table is not None and _copied(table, schema):
        # Its rows are in the copy, which takes its place next.
        return replace(operation, kind=op.ALTER_TABLE).with_traits("batch")
    if (
        operation.kind == op.RENAME_TABLE
        and table is not None
        and other is not None
        and table.name == COPY + other.name
    ):
        return replace(operation, kind=op.REPLACE_TABLE, table=other, other=table)
    return operation


def _copied(table: Name, schema: Schema) -> bool:
    """Return whether batch mode has filled a copy of a table."""
    copy = schema.tables.get(schema.key(replace(table, name=COPY + table.name)))
    return copy is not None and copy.new


def _lost(operation: Operation, table: KnownTable, copy: KnownTable | None) -> Operation:
    """Return the copy of a table as the loss of a column, or its renaming, if the copy does not have it by its name."""
    gone = [name for name in table.columns if copy is not None and name not in copy.columns]
    copied = _copied_columns(operation)
    if gone and gone[0] in copied:
        return replace(operation, kind=op.RENAME_COLUMN, column=gone[0], expression=copied[gone[0]])
    return replace(operation, kind=op.DROP_COLUMN, column=gone[0], columns=tuple(gone)) if gone else operation


def _copied_columns(operation: Operation) -> dict[str, str]:
    """Return the columns that an INSERT ... SELECT copies, with what they are called in the new table."""
    tree: Any = operation.node
    selected = tree.expression.expressions if isinstance(tree, exp.Insert) else []
    sources = [next((column.name for column in each.find_all(exp.Column)), "") for each in selected]
    return dict(zip(sources, operation.columns, strict=False))


def _keys(table: KnownTable) -> set[str]:
    keys = [each.columns for each in table.constraints.values() if each.kind in ("unique", "primary key")]
    keys += [each.columns for each in table.indexes.values() if each.unique]
    return {columns[0] for columns in keys if len(columns) == 1}
