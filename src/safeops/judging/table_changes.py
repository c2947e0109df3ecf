"""Changes what is known of one table, as an operation on it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from safeops.databases import sqltext
from safeops.judging import operations as op
from safeops.judging.existing import KnownColumn, KnownConstraint, KnownIndex, KnownTable
from safeops.judging.operations import Operation

# Rows ----------------------------------------------------------------------------------------------------------------


def _truncate(table: KnownTable, _operation: Operation) -> None:
    table.empty, table.rows = True, 0


def _insert(table: KnownTable, _operation: Operation) -> None:
    if table.empty:
        table.empty, table.rows = False, None


def _rewrite(table: KnownTable, operation: Operation) -> None:
    if "logged" in operation.traits:
        table.unlogged = False
    elif "unlogged option" in operation.traits:
        table.unlogged = True


# Columns -------------------------------------------------------------------------------------------------------------


def _add_column(table: KnownTable, operation: Operation) -> None:
    if operation.column is None or ("if exists" in operation.traits and operation.column in table.columns):
        return
    table.columns[operation.column] = KnownColumn(
        operation.column,
        operation.type,
        nullable=operation.traits.isdisjoint({"not null", "identity", "serial"}),
        default=operation.expression,
        generated=next((word for word in ("stored", "virtual") if word in operation.traits), None),
    )
    for part in operation.parts:
        ON_TABLES[part.kind](table, part)


def _drop_column(table: KnownTable, operation: Operation) -> None:
    if operation.column is None:
        return
    table.columns.pop(operation.column, None)
    forget(table.constraints, [one for one, each in table.constraints.items() if operation.column in each.columns])
    forget(table.indexes, [one for one, each in table.indexes.items() if operation.column in each.columns])


def _rename_column(table: KnownTable, operation: Operation) -> None:
    old, new = operation.column, operation.expression
    if old is None or new is None:
        return
    if old in table.columns:
        column = table.columns.pop(old)
        column.name = new
        table.columns[new] = column
    for index in table.indexes.values():
        index.columns = tuple(new if one == old else one for one in index.columns)
    for constraint in table.constraints.values():
        constraint.columns = tuple(new if one == old else one for one in constraint.columns)
        constraint.expression = sqltext.with_word(constraint.expression, old, new)


def _column(table: KnownTable, operation: Operation) -> KnownColumn:
    name = operation.column or ""
    return table.columns.setdefault(name, KnownColumn(name))


def _change_type(table: KnownTable, operation: Operation) -> None:
    _column(table, operation).type = operation.type


def _set_not_null(table: KnownTable, operation: Operation) -> None:
    _column(table, operation).nullable = False


def _drop_not_null(table: KnownTable, operation: Operation) -> None:
    _column(table, operation).nullable = True


def _set_default(table: KnownTable, operation: Operation) -> None:
    _column(table, operation).default = operation.expression


# Indexes and constraints ---------------------------------------------------------------------------------------------


def _create_index(table: KnownTable, operation: Operation) -> None:
    name = operation.name or "_".join([table.name.name, *operation.columns, "idx"])
    table.indexes.setdefault(name, KnownIndex(name, operation.columns, "unique" in operation.traits))
    table.traits |= {"fulltext table"} if "fulltext" in operation.traits else set()


_CONSTRAINTS = {
    op.ADD_CHECK: ("check", "check"),
    op.ADD_FOREIGN_KEY: ("foreign key", "fkey"),
    op.ADD_UNIQUE: ("unique", "key"),
    op.ADD_PRIMARY_KEY: ("primary key", "pkey"),
    op.ADD_EXCLUSION: ("exclusion", "excl"),
    op.ADD_NOT_NULL_CONSTRAINT: ("not null", "not_null"),
}


def _add_constraint(table: KnownTable, operation: Operation) -> None:
    kind, suffix = _CONSTRAINTS[operation.kind]
    taken = table.indexes.pop(_index_taken(operation), None)
    columns = operation.columns or (taken.columns if taken is not None else ())
    middle = columns if kind not in ("primary key",) else ()
    name = operation.name or _index_taken(operation) or "_".join([table.name.name, *middle, suffix])
    valid = operation.traits.isdisjoint({"not valid", "not enforced"})
    made = KnownConstraint(
        name, kind, columns, operation.expression or "", valid, operation.other, operation.other_columns
    )
    made.guessed = not operation.name
    table.constraints[name] = made
    if kind in ("unique", "primary key", "exclusion"):
        table.indexes[name] = KnownIndex(name, columns, unique=kind != "exclusion")
    if kind == "primary key" or (kind == "not null" and valid):
        _require(table, columns)


def _index_taken(operation: Operation) -> str:
    return (operation.expression or "") if "using index" in operation.traits else ""


def _require(table: KnownTable, columns: Iterable[str]) -> None:
    for column in columns:
        table.columns.setdefault(column, KnownColumn(column)).nullable = False


def _validate(table: KnownTable, operation: Operation) -> None:
    constraint = table.constraints.get(operation.name or "")
    if constraint is not None:
        constraint.valid = True
        _require(table, constraint.columns if constraint.kind == "not null" else ())


def _drop_constraint(table: KnownTable, operation: Operation) -> None:
    for kept in (table.constraints, table.indexes):
        forget(kept, [operation.name or ""])


def _rename_constraint(table: KnownTable, operation: Operation) -> None:
    for kept in (table.constraints, table.indexes):
        rename(kept, operation.name or "", operation.expression or "")


def forget(kept: dict[str, KnownConstraint] | dict[str, KnownIndex], names: Iterable[str]) -> None:
    for name in names:
        kept.pop(name, None)


def rename(kept: dict[str, KnownConstraint] | dict[str, KnownIndex], old: str, new: str) -> None:
    if old in kept:
        found = kept.pop(old)
        found.name = new
        kept[new] = found  # type: ignore[assignment]


ON_TABLES: dict[str, Callable[[KnownTable, Operation], None]] = {
    op.ADD_COLUMN: _add_column,
    op.DROP_COLUMN: _drop_column,
    op.RENAME_COLUMN: _rename_column,
    op.CHANGE_TYPE: _change_type,
    op.SET_NOT_NULL: _set_not_null,
    op.DROP_NOT_NULL: _drop_not_null,
    op.SET_DEFAULT: _set_default,
    op.DROP_DEFAULT: _set_default,
    op.CREATE_INDEX: _create_index,
    **dict.fromkeys(_CONSTRAINTS, _add_constraint),
    op.VALIDATE_CONSTRAINT: _validate,
    op.DROP_CONSTRAINT: _drop_constraint,
    op.RENAME_CONSTRAINT: _rename_constraint,
    op.TRUNCATE: _truncate,
    op.INSERT: _insert,
    op.REWRITE_TABLE: _rewrite,
}
