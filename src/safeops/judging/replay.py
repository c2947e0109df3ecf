"""Applies operations to the model of the schema, for every database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from safeops.judging import operations as op
from safeops.judging.existing import Existing, KnownFunction, KnownTable, KnownType
from safeops.judging.operations import Operation
from safeops.judging.table_changes import ON_TABLES, forget, rename
from safeops.naming import Name


def replay(schema: Existing, operation: Operation, *, new: bool) -> None:
    """Apply an operation to the model; ``new`` marks the tables that it creates as created by this run."""
    if operation.kind == op.CREATE_TABLE:
        _create_table(schema, operation, new=new)
    elif operation.kind == op.CREATE_TYPE:
        _create_type(schema, operation, new=new)
    elif operation.kind == op.CREATE_VIEW:
        _create_view(schema, operation, new=new)
    elif operation.kind in ON_TABLES and operation.table is not None:
        table = _found(schema, operation.table)
        ON_TABLES[operation.kind](table, operation)
    elif operation.kind in _ON_SCHEMAS:
        _ON_SCHEMAS[operation.kind](schema, operation)


def _found(schema: Existing, name: Name) -> KnownTable:
    """Return a table; one that is only seen in passing is known from then on, but not completely."""
    known = schema.table(name)
    if known is None:
        known = schema.tables[schema.key(name)] = KnownTable(schema.key(name))
        schema.gone.discard(schema.key(name))
    return known


# Tables --------------------------------------------------------------------------------------------------------------

_INCOMPLETE = frozenset({"as select", "like", "inherits"})
"""Its columns are those of other tables."""


def _create_table(schema: Existing, operation: Operation, *, new: bool) -> None:
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
        if part.kind in ON_TABLES:
            ON_TABLES[part.kind](made, part)


def _drop_table(schema: Existing, operation: Operation) -> None:
    if operation.table is None:
        return
    name = schema.key(operation.table)
    for gone in [name, *_partitions(schema, name)]:
        schema.tables.pop(gone, None)
        schema.gone.add(gone)
    for table in schema.tables.values():
        table.read_by.pop(name, None)
        forget(table.constraints, [each.name for each in table.constraints.values() if each.referent == name])


def _partitions(schema: Existing, parent: Name) -> list[Name]:
    own = [name for name, table in schema.tables.items() if table.parent == parent]
    return own + [below for name in own for below in _partitions(schema, name)]


def _drop_schema(schema: Existing, operation: Operation) -> None:
    for name in [name for name in schema.tables if name.schema == operation.name]:
        _drop_table(schema, Operation(op.DROP_TABLE, name))


def _rename_table(schema: Existing, operation: Operation) -> None:
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


def _replace_table(schema: Existing, operation: Operation) -> None:
    """The table stays what it is, with the columns and so on of the copy that takes its place."""
    copy = schema.tables.pop(schema.key(operation.other), None) if operation.other is not None else None
    if copy is not None and operation.table is not None:
        table = _found(schema, operation.table)
        table.columns, table.constraints, table.indexes = copy.columns, copy.constraints, copy.indexes


def _attach(schema: Existing, operation: Operation) -> None:
    if operation.table is not None and operation.other is not None:
        part = _found(schema, operation.other)
        part.parent = schema.key(operation.table)
        part.is_default_partition = "default partition" in operation.traits
        _found(schema, operation.table).partitioned = True


def _detach(schema: Existing, operation: Operation) -> None:
    if operation.other is not None:
        part = _found(schema, operation.other)
        part.parent, part.is_default_partition = None, False


# Indexes, by their names alone -----------------------------------------------------------------------------------------


def _drop_index(schema: Existing, operation: Operation) -> None:
    table = _table_of_index(schema, operation)
    if table is not None:
        forget(table.indexes, [_plain(operation.name)])


def _rename_index(schema: Existing, operation: Operation) -> None:
    table = _table_of_index(schema, operation)
    if table is not None and operation.expression is not None:
        rename(table.indexes, _plain(operation.name), operation.expression)
        rename(table.constraints, _plain(operation.name), operation.expression)


def _table_of_index(schema: Existing, operation: Operation) -> KnownTable | None:
    if operation.table is not None:
        return schema.table(operation.table)
    found = schema.table_of_index(Name(_plain(operation.name))) if operation.name else None
    return schema.table(found) if found is not None else None


def _plain(name: str | None) -> str:
    return (name or "").rpartition(".")[2]


# Types and views -----------------------------------------------------------------------------------------------------


def _create_type(schema: Existing, operation: Operation, *, new: bool) -> None:
    name = schema.key(_name_of(operation))
    kind = next((word for word in ("domain", "composite", "range") if word in operation.traits), "enum")
    checks = tuple(part.expression for part in operation.parts if part.expression is not None)
    required = "not null" in operation.traits
    schema.types[name] = KnownType(name, kind, operation.type, bool(checks) or required, new, checks, required)


def _alter_type(schema: Existing, operation: Operation) -> None:
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


def _drop_type(schema: Existing, operation: Operation) -> None:
    schema.types.pop(schema.key(_name_of(operation)), None)


_HARMLESS = frozenset({op.SELECT, op.OTHER})


def _create_function(schema: Existing, operation: Operation) -> None:
    if "function" not in operation.traits:
        return
    volatile = "stable" not in operation.traits
    locks = any(part.kind not in _HARMLESS or "for update" in part.traits for part in operation.parts)
    harmless = not volatile or ("code is read" in operation.traits and not locks)
    schema.functions[schema.key(_name_of(operation))] = KnownFunction(volatile, harmless)


def _create_view(schema: Existing, operation: Operation, *, new: bool) -> None:
    if operation.table is not None:
        name = schema.key(operation.table)
        known = schema.tables.get(name)
        schema.tables[name] = KnownTable(name, kind="view", new=new if known is None else known.new)
        schema.gone.discard(name)
        _reads(schema, schema.tables[name], operation)


def _reads(schema: Existing, view: KnownTable, operation: Operation) -> None:
    """Keep which tables a view reads, at both ends."""
    for part in operation.parts:
        if part.kind == op.SELECT and part.table is not None:
            _found(schema, part.table).read_by[view.name] = frozenset(part.columns)
            view.reads |= {schema.key(part.table)}


def _name_of(operation: Operation) -> Name:
    namespace, _, name = (operation.name or "").rpartition(".")
    return Name(name, namespace or None)


_ON_SCHEMAS: dict[str, Callable[[Existing, Operation], None]] = {
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
