"""Changes the model of what exists as operations do, whichever database they are for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from safeops.databases import sqltext
from safeops.judging import operations as op
from safeops.judging.operations import Operation
from safeops.judging.schema import (
    KnownColumn,
    KnownConstraint,
    KnownFunction,
    KnownIndex,
    KnownTable,
    KnownType,
    Schema,
)
from safeops.naming import Name


def replay(schema: Schema, operation: Operation, *, new: bool) -> None:
    """Change what is known as an operation does; ``new`` says that a table made by it counts as made by this run."""
    if operation.kind == op.CREATE_TABLE:
        _create_table(schema, operation, new=new)
    elif operation.kind == op.CREATE_TYPE:
        _create_type(schema, operation, new=new)
    elif operation.kind == op.CREATE_VIEW:
        _create_view(schema, operation, new=new)
    elif operation.kind in _ON_TABLES and operation.table is not None:
        table = _found(schema, operation.table)
        _ON_TABLES[operation.kind](table, operation)
    elif operation.kind in _ON_SCHEMAS:
        _ON_SCHEMAS[operation.kind](schema, operation)


def _found(schema: Schema, name: Name) -> KnownTable:
    """Return a table; one that is only seen in passing is known from then on, but not completely."""
    known = schema.table(name)
    if known is None:
        known = schema.tables[schema.key(name)] = KnownTable(schema.key(name))
        schema.gone.discard(schema.key(name))
    return known


# Tables --------------------------------------------------------------------------------------------------------------

_INCOMPLETE = frozenset({"as select", "like", "inherits"})
"""Its columns are those of other tables."""


def _create_table(schema: Schema, operation: Operation, *, new: bool) -> None:
    if operation.table is None or ("if exists" in operation.traits and schema.table(operation.table) is not None):
        return
    name = schema.key(operation.table)
    made = KnownTable(
        name,
        new=new or "temporary" in operation.traits,
        complete=_INCOMPLETE.isdisjoint(operation.traits),
        partitioned="partitioned" in operation.traits,
        unlogged="unlogged" in operation.traits,
        kind="materialized view" if "materialized" in operation.traits else "table",
    )
    schema.tables[name] = made
    schema.gone.discard(name)
    _reads(schema, made, operation)
    for part in operation.parts:
        if part.kind in _ON_TABLES:
            _ON_TABLES[part.kind](made, part)


def _drop_table(schema: Schema, operation: Operation) -> None:
    if operation.table is None:
        return
    name = schema.key(operation.table)
    for gone in [name, *_partitions(schema, name)]:
        schema.tables.pop(gone, None)
        schema.gone.add(gone)
    for table in schema.tables.values():
        table.read_by.pop(name, None)
        _forget(table.constraints, [each.name for each in table.constraints.values() if each.referent == name])


def _partitions(schema: Schema, parent: Name) -> list[Name]:
    own = [name for name, table in schema.tables.items() if table.parent == parent]
    return own + [below for name in own for below in _partitions(schema, name)]


def _drop_schema(schema: Schema, operation: Operation) -> None:
    for name in [name for name in schema.tables if name.schema == operation.name]:
        _drop_table(schema, Operation(op.DROP_TABLE, name))


def _rename_table(schema: Schema, operation: Operation) -> None:
    if operation.table is None or operation.other is None:
        return
    old, new = schema.key(operation.table), schema.key(operation.other)
    known = schema.table(old)
    if known is None:
        return
    del schema.tables[old]
    known.name = new
    schema.tables[new] = known
    schema.gone.add(old)
    schema.gone.discard(new)
    for table in schema.tables.values():
        table.parent = new if table.parent == old else table.parent
        for constraint in table.constraints.values():
            constraint.referent = new if constraint.referent == old else constraint.referent


def _replace_table(schema: Schema, operation: Operation) -> None:
    """The table stays what it is, with the columns and so on of the copy that takes its place."""
    copy = schema.tables.pop(schema.key(operation.other), None) if operation.other is not None else None
    if copy is not None and operation.table is not None:
        table = _found(schema, operation.table)
        table.columns, table.constraints, table.indexes = copy.columns, copy.constraints, copy.indexes


def _attach(schema: Schema, operation: Operation) -> None:
    if operation.table is not None and operation.other is not None:
        part = _found(schema, operation.other)
        part.parent = schema.key(operation.table)
        part.is_default_partition = "default partition" in operation.traits
        _found(schema, operation.table).partitioned = True


def _detach(schema: Schema, operation: Operation) -> None:
    if operation.other is not None:
        part = _found(schema, operation.other)
        part.parent, part.is_default_partition = None, False


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
        _ON_TABLES[part.kind](table, part)


def _drop_column(table: KnownTable, operation: Operation) -> None:
    if operation.column is None:
        return
    table.columns.pop(operation.column, None)
    _forget(table.constraints, [one for one, each in table.constraints.items() if operation.column in each.columns])
    _forget(table.indexes, [one for one, each in table.indexes.items() if operation.column in each.columns])


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


def _drop_index(schema: Schema, operation: Operation) -> None:
    table = _table_of_index(schema, operation)
    if table is not None:
        _forget(table.indexes, [_plain(operation.name)])


def _rename_index(schema: Schema, operation: Operation) -> None:
    table = _table_of_index(schema, operation)
    if table is not None and operation.expression is not None:
        _rename(table.indexes, _plain(operation.name), operation.expression)
        _rename(table.constraints, _plain(operation.name), operation.expression)


def _table_of_index(schema: Schema, operation: Operation) -> KnownTable | None:
    if operation.table is not None:
        return schema.table(operation.table)
    found = schema.table_of_index(Name(_plain(operation.name))) if operation.name else None
    return schema.table(found) if found is not None else None


def _plain(name: str | None) -> str:
    return (name or "").rpartition(".")[2]


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
    made = KnownConstraint(name, kind, columns, operation.expression or "", valid, operation.other)
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
        _forget(kept, [operation.name or ""])


def _rename_constraint(table: KnownTable, operation: Operation) -> None:
    for kept in (table.constraints, table.indexes):
        _rename(kept, operation.name or "", operation.expression or "")


def _forget(kept: dict[str, KnownConstraint] | dict[str, KnownIndex], names: Iterable[str]) -> None:
    for name in names:
        kept.pop(name, None)


def _rename(kept: dict[str, KnownConstraint] | dict[str, KnownIndex], old: str, new: str) -> None:
    if old in kept:
        found = kept.pop(old)
        found.name = new
        kept[new] = found  # type: ignore[assignment]


# Types and views -----------------------------------------------------------------------------------------------------


def _create_type(schema: Schema, operation: Operation, *, new: bool) -> None:
    name = schema.key(_name_of(operation))
    kind = next((word for word in ("domain", "composite", "range") if word in operation.traits), "enum")
    checks = tuple(part.expression for part in operation.parts if part.expression is not None)
    required = "not null" in operation.traits
    schema.types[name] = KnownType(name, kind, operation.type, bool(checks) or required, new, checks, required)


def _alter_type(schema: Schema, operation: Operation) -> None:
    known = schema.type(_name_of(operation))
    if known is None:
        return
    if operation.traits & {"domain add constraint", "domain set not null"}:
        added = tuple(part.expression for part in operation.parts if part.expression is not None)
        required = known.required or "domain set not null" in operation.traits
        schema.types[known.name] = replace(known, has_rules=True, checks=known.checks + added, required=required)
    elif "rename" in operation.traits and operation.expression is not None:
        del schema.types[known.name]
        name = Name(operation.expression, known.name.schema)
        schema.types[name] = replace(known, name=name)


def _drop_type(schema: Schema, operation: Operation) -> None:
    schema.types.pop(schema.key(_name_of(operation)), None)


_HARMLESS = frozenset({op.SELECT, op.OTHER})


def _create_function(schema: Schema, operation: Operation) -> None:
    if "function" not in operation.traits:
        return
    volatile = "stable" not in operation.traits
    locks = any(part.kind not in _HARMLESS or "for update" in part.traits for part in operation.parts)
    harmless = not volatile or ("code is read" in operation.traits and not locks)
    schema.functions[schema.key(_name_of(operation))] = KnownFunction(volatile, harmless)


def _create_view(schema: Schema, operation: Operation, *, new: bool) -> None:
    if operation.table is not None:
        name = schema.key(operation.table)
        known = schema.tables.get(name)
        schema.tables[name] = KnownTable(name, kind="view", new=new if known is None else known.new)
        schema.gone.discard(name)
        _reads(schema, schema.tables[name], operation)


def _reads(schema: Schema, view: KnownTable, operation: Operation) -> None:
    """Keep which tables a view reads, at both ends."""
    for part in operation.parts:
        if part.kind == op.SELECT and part.table is not None:
            _found(schema, part.table).read_by[view.name] = frozenset(part.columns)
            view.reads |= {schema.key(part.table)}


def _name_of(operation: Operation) -> Name:
    namespace, _, name = (operation.name or "").rpartition(".")
    return Name(name, namespace or None)


_ON_TABLES: dict[str, Callable[[KnownTable, Operation], None]] = {
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
_ON_SCHEMAS: dict[str, Callable[[Schema, Operation], None]] = {
    op.DROP_TABLE: _drop_table,
    op.DROP_SCHEMA: _drop_schema,
    op.RENAME_TABLE: _rename_table,
    op.REPLACE_TABLE: _replace_table,
    op.ATTACH_PARTITION: _attach,
    op.DETACH_PARTITION: _detach,
    op.DROP_INDEX: _drop_index,
    op.RENAME_INDEX: _rename_index,
    op.ALTER_TYPE: _alter_type,
    op.DROP_TYPE: _drop_type,
    op.OTHER: _create_function,
    op.DROP_VIEW: _drop_table,
}
