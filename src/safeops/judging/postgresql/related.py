"""The other tables that the effects of a statement are on."""

from __future__ import annotations

from safeops.judging import operations as op
from safeops.judging.existing import KnownTable
from safeops.judging.operations import Operation
from safeops.judging.postgresql.partitions import default_partition
from safeops.judging.schema import Schema
from safeops.naming import Name


def tables_of(on: str, operation: Operation, schema: Schema) -> list[Name]:
    """Return the tables that an effect is on."""
    if on in ("table", "index"):
        # The planner locks each index of a table: a lock on an index blocks readers of the table.
        return _each(operation.table, schema) if operation.table is not None else _unknown(operation)
    if on == "other":
        return [operation.other] if operation.other is not None else []
    found = schema.table(operation.table) if operation.table is not None else None
    if on == "default partition" and found is not None:
        return _default_beside(found, operation, schema)
    if on == "parent" and found is not None:
        return [found.parent] if found.parent is not None else []
    if on == "referents" and found is not None:
        return [each.referent for each in found.constraints.values() if each.referent is not None]
    if on == "sources" and found is not None:
        return list(found.reads)
    return _users(operation.name, schema) if on == "tables of the type" and operation.name else []


def _default_beside(table: KnownTable, operation: Operation, schema: Schema) -> list[Name]:
    """Return the default partition of a table, or of the table that a partition to be dropped belongs to."""
    parent = schema.table(table.parent) if operation.kind == op.DROP_TABLE and table.parent is not None else table
    default = default_partition(parent, schema) if parent is not None else None
    return [default.name] if default is not None and default is not table else []


def _unknown(operation: Operation) -> list[Name]:
    """Return an index instead of its table, if that is unknown."""
    names_index = operation.kind in (op.REINDEX, op.DROP_INDEX, op.RENAME_INDEX)
    return [Name(operation.name)] if names_index and operation.name else []


def _each(table: Name, schema: Schema) -> list[Name]:
    """Return a table; of "*" each that is known, of its schema if it has one."""
    if table.name != "*":
        return [table]
    return [name for name in schema.tables if table.schema in (None, name.schema)] or [table]


def _users(type_name: str, schema: Schema) -> list[Name]:
    namespace, _, plain = type_name.rpartition(".")
    asked = schema.facts.tables_of_type(Name(plain, namespace or None)) if schema.facts is not None else []
    tables = schema.tables.items()
    own = [name for name, table in tables if any(_is_of(one.type, plain) for one in table.columns.values())]
    return list(dict.fromkeys([*asked, *own]))


def _is_of(written: str | None, type_name: str) -> bool:
    return written is not None and written.rpartition(".")[2] == type_name
