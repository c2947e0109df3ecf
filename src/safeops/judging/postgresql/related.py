"""Which tables an effect is on, beside the one that a statement is about."""

from __future__ import annotations

from safeops.judging.operations import Operation
from safeops.judging.postgresql.partitions import default_partition
from safeops.judging.schema import Schema
from safeops.naming import Name


def tables_of(on: str, operation: Operation, schema: Schema) -> list[Name]:
    """Return the tables that an effect is on."""
    if on == "table":
        return [operation.table] if operation.table is not None else []
    if on == "other":
        return [operation.other] if operation.other is not None else []
    found = schema.table(operation.table) if operation.table is not None else None
    if on == "default partition" and found is not None:
        default = default_partition(found, schema)
        return [default.name] if default is not None else []
    if on == "referents" and found is not None:
        return [each.referent for each in found.constraints.values() if each.referent is not None]
    if on == "sources" and found is not None:
        return list(found.reads)
    return _users(operation.name, schema) if on == "tables of the type" and operation.name else []


def _users(type_name: str, schema: Schema) -> list[Name]:
    namespace, _, plain = type_name.rpartition(".")
    asked = schema.facts.tables_of_type(Name(plain, namespace or None)) if schema.facts is not None else []
    tables = schema.tables.items()
    own = [name for name, table in tables if any(_is_of(one.type, plain) for one in table.columns.values())]
    return list(dict.fromkeys([*asked, *own]))


def _is_of(written: str | None, type_name: str) -> bool:
    return written is not None and written.rpartition(".")[2] == type_name
