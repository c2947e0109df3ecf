"""What a database with rows, or the live one, rejects although an empty copy accepts it."""

from __future__ import annotations

from safeops.judging import operations as ops
from safeops.judging.existing import KnownTable
from safeops.judging.operations import Operation
from safeops.judging.schema import Schema

FILLING = frozenset({"constant default", "volatile default", "identity", "serial", "stored", "virtual"})
"""Traits of a new column that give existing rows a value."""
NEEDING_TABLE = frozenset(
    {
        *(ops.ADD_COLUMN, ops.DROP_COLUMN, ops.RENAME_COLUMN, ops.CHANGE_TYPE, ops.SET_NOT_NULL, ops.DROP_NOT_NULL),
        *(ops.SET_DEFAULT, ops.DROP_DEFAULT, ops.DROP_TABLE, ops.CREATE_INDEX, ops.ADD_CHECK, ops.ADD_FOREIGN_KEY),
        *(
            ops.ADD_UNIQUE,
            ops.ADD_PRIMARY_KEY,
            ops.VALIDATE_CONSTRAINT,
            ops.DROP_CONSTRAINT,
            ops.RENAME_CONSTRAINT,
            ops.UPDATE,
            ops.DELETE,
        ),
    }
)
"""What fails, or does nothing if it has IF EXISTS, when the table does not exist."""
ABOUT_A_COLUMN = frozenset(
    {ops.DROP_COLUMN, ops.RENAME_COLUMN, ops.CHANGE_TYPE, ops.SET_NOT_NULL, ops.DROP_NOT_NULL, ops.SET_DEFAULT}
)
ABOUT_A_CONSTRAINT = frozenset({ops.VALIDATE_CONSTRAINT, ops.DROP_CONSTRAINT, ops.RENAME_CONSTRAINT})


def refused_by_rows(operation: Operation, schema: Schema) -> str | None:
    """Return why a table with rows rejects an operation; None if it does not."""
    table = operation.table
    if operation.kind != ops.ADD_COLUMN or table is None or "not null" not in operation.traits:
        return None
    known = schema.table(table)
    if not FILLING.isdisjoint(operation.traits) or (known is not None and (known.new or known.empty)):
        return None
    return f"Not possible if {table} has rows: the new column is NOT NULL and has no default for them."


def is_absent(operation: Operation, schema: Schema) -> bool:
    """Return whether the target of an operation certainly does not exist.

    A live database shows that. Without one, only a column that is missing from a table of the revisions is certain: other
    tables can be older than the first revision.
    """
    if schema.facts is None:
        known = schema.table(operation.table) if operation.table is not None else None
        made = known is not None and known.complete and "if exists" in operation.traits
        return made and known is not None and operation.kind in ABOUT_A_COLUMN and _lacks(known, operation)
    if operation.kind == ops.DROP_INDEX and operation.table is None:
        return True
    if operation.table is None or operation.kind not in NEEDING_TABLE:
        return False
    known = schema.table(operation.table)
    return known is None or (known.complete and _lacks(known, operation))


def _lacks(table: KnownTable, operation: Operation) -> bool:
    if operation.kind in ABOUT_A_CONSTRAINT:
        guessed = any(each.guessed for each in table.constraints.values())
        return operation.name not in table.constraints and not guessed
    return operation.kind in ABOUT_A_COLUMN and operation.column not in table.columns


def refused_as_absent(operation: Operation, schema: Schema) -> str | None:
    if not is_absent(operation, schema) or "if exists" in operation.traits:
        return None
    if operation.table is None:
        return f"There is no index {operation.name}."
    if schema.table(operation.table) is None:
        return f"There is no table {operation.table}."
    what = f"constraint {operation.name}" if operation.kind in ABOUT_A_CONSTRAINT else f"column {operation.column}"
    return f"Table {operation.table} has no {what}."
