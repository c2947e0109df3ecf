"""Traits that depend on the existing schema and the session, which the text of a statement cannot show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pglast import ast
from pglast.enums import ConstrType

from safeops.judging import operations as op
from safeops.judging.existing import KnownTable
from safeops.judging.operations import Operation
from safeops.judging.postgresql.columns import default_words
from safeops.judging.postgresql.nodes import walk
from safeops.judging.postgresql.partitions import default_partition, partition_words
from safeops.judging.postgresql.proofs import has_check, proves_not_null
from safeops.judging.postgresql.rows import bounded
from safeops.judging.postgresql.types import is_same, widens
from safeops.judging.schema import Schema
from safeops.judging.server import Session
from safeops.naming import Name

UTC = frozenset({"utc", "etc/utc", "gmt", "etc/gmt", "z", "zulu", "etc/zulu", "uct", "universal", "0", "utc0", "gmt0"})
"""Time zones in which a timestamp is stored as it reads."""


def with_facts(operation: Operation, schema: Schema, session: Session) -> Operation:
    """Return an operation with its table, and with the traits that what exists and the session add."""
    found = _with_table(operation, schema)
    table = schema.table(found.table) if found.table is not None else None
    words = _words_of_table(table, schema)
    words |= {"uses new value"} if session.new_values and _uses(found, session.new_values) else set()
    words |= {"used by a view"} if _is_read(found, table) else set()
    special = _SPECIAL.get(found.kind)
    if special is not None:
        found, more = special(found, table, schema, session)
        words |= more
    return found.with_traits(*words)


def _words_of_table(table: KnownTable | None, schema: Schema) -> set[str]:
    if table is None:
        return set()
    shown = {"new table": table.new, "empty table": table.empty, "unlogged": table.unlogged}
    shown["partitioned"] = table.partitioned
    return {word for word, holds in shown.items() if holds}


def _uses(operation: Operation, values: set[str]) -> bool:
    """Return whether a statement contains one of these texts."""
    constants = (one.val for one in walk(operation.node) if isinstance(one, ast.A_Const))
    return any(isinstance(one, ast.String) and one.sval in values for one in constants)


def _is_read(operation: Operation, table: KnownTable | None) -> bool:
    """Return whether a view reads the target of a drop or a change of type."""
    if table is None or operation.kind not in (op.DROP_COLUMN, op.CHANGE_TYPE, op.DROP_TABLE, op.DROP_VIEW):
        return False
    if operation.kind == op.DROP_COLUMN and "cascade" in operation.traits:
        return False
    whole = operation.kind in (op.DROP_TABLE, op.DROP_VIEW)
    if whole:
        return bool(table.read_by) and "cascade" not in operation.traits
    return any(operation.column in columns or "*" in columns for columns in table.read_by.values())


def _with_table(operation: Operation, schema: Schema) -> Operation:
    """Find the table of an index that the statement names alone."""
    if operation.table is not None or operation.name is None or operation.kind not in _NAMES_AN_INDEX:
        return operation
    if operation.kind == op.ALTER_TABLE and operation.traits.isdisjoint({"attach index", "index option"}):
        return operation
    if operation.kind == op.COMMENT and "on index" not in operation.traits:
        return operation
    namespace, _, name = operation.name.rpartition(".")
    table = schema.table_of_index(Name(name, namespace or None))
    return replace(operation, table=table) if table is not None else operation


_NAMES_AN_INDEX = (op.DROP_INDEX, op.RENAME_INDEX, op.REINDEX, op.ALTER_TABLE, op.COMMENT)

# By kind -------------------------------------------------------------------------------------------------------------

Found = tuple[Operation, set[str]]


def _add_column(operation: Operation, table: KnownTable | None, schema: Schema, session: Session) -> Found:
    words = {"already"} if table is not None and operation.column in table.columns else set()
    # The elements of an array are checked when there are some: a new column has none.
    is_array = (operation.type or "").endswith("[]")
    known = schema.type(_type_name(operation.type)) if not is_array else None
    words |= {"checked domain"} if known is not None and known.kind == "domain" and known.has_rules else set()
    return _with_asked_default(operation, schema), words


def _type_name(written: str | None) -> Name:
    namespace, _, name = (written or "").removesuffix("[]").rpartition(".")
    return Name(name, namespace or None)


def _with_asked_default(operation: Operation, schema: Schema) -> Operation:
    """Return whether a function that is not built in is volatile."""
    if "volatile default" not in operation.traits:
        return operation

    def volatile(name: str) -> bool | None:
        known = schema.function(name)
        return known.volatile if known is not None else None

    default = next(one.raw_expr for one in operation.node.constraints if one.contype == ConstrType.CONSTR_DEFAULT)
    if "volatile default" in default_words(default, volatile):
        return operation
    return replace(operation, traits=(operation.traits - {"volatile default"}) | {"constant default"})


def _change_type(operation: Operation, table: KnownTable | None, schema: Schema, session: Session) -> Found:
    column = table.columns.get(operation.column or "") if table is not None else None
    old = (column.type if column is not None else None) or operation.old_type
    if old is None or operation.type is None:
        return operation, set()
    utc = session.settings.get("timezone", "").strip("'\"").lower() in UTC
    collation = "collation" in operation.traits
    words: set[str] = set()
    if is_same(old, operation.type):
        words = {"widens"} if collation else {"already"}
    elif _stays(old, operation.type, schema, utc=utc):
        words = {"widens"}
    if table is not None and words:
        words |= _consequences(operation, table, old, collation=collation)
    return operation, words


def _stays(old: str, new: str, schema: Schema, *, utc: bool) -> bool:
    wanted = schema.type(_type_name(new))
    if wanted is not None and wanted.kind == "domain":
        return (
            not wanted.has_rules
            and wanted.base is not None
            and (is_same(old, wanted.base) or widens(old, wanted.base, utc=utc))
        )
    return widens(old, new, utc=utc)


def _consequences(operation: Operation, table: KnownTable, old: str, *, collation: bool) -> set[str]:
    """Return the remaining work of the server for a change that leaves the rows unchanged."""
    column = operation.column or ""
    indexed = any(column in index.columns for index in table.indexes.values())
    timed = "timestamp" in old and "timestamp" in (operation.type or "") and not is_same(old, operation.type or "")
    words = (
        {"rebuilds index"}
        if indexed and (collation or (timed and old.split()[-3:] != (operation.type or "").split()[-3:]))
        else set()
    )
    return words | ({"checked"} if has_check(table, column) else set())


def _set_not_null(operation: Operation, table: KnownTable | None, schema: Schema, session: Session) -> Found:
    column = operation.column or ""
    known = table.columns.get(column) if table is not None else None
    if known is not None and known.nullable is False:
        return operation, {"already"}
    return operation, {"proven not null"} if table is not None and proves_not_null(table, column) else set()


def _key(operation: Operation, table: KnownTable | None, schema: Schema, session: Session) -> Found:
    if "using index" not in operation.traits or table is None:
        return operation, set()
    index = table.indexes.get(operation.expression or "")
    columns = operation.columns or (index.columns if index is not None else ())
    proven = [_is_required(table, column) for column in columns]
    words = {"proven not null"} if proven and all(proven) else set()
    words |= {"not unique"} if index is not None and not (index.unique and index.valid) else set()
    return replace(operation, columns=columns), words


def _is_required(table: KnownTable, column: str) -> bool:
    known = table.columns.get(column)
    return (known is not None and known.nullable is False) or proves_not_null(table, column)


def _foreign_key(operation: Operation, table: KnownTable | None, schema: Schema, session: Session) -> Found:
    referent = schema.table(operation.other) if operation.other is not None else None
    words = {"partitioned referent"} if referent is not None and referent.partitioned else set()
    return operation, words


def _constraint(operation: Operation, table: KnownTable | None, schema: Schema, session: Session) -> Found:
    known = table.constraints.get(operation.name or "") if table is not None else None
    if known is None:
        return operation, set()
    words = {"already"} if known.valid and operation.kind == op.VALIDATE_CONSTRAINT else set()
    return replace(operation, other=operation.other or known.referent), words


def _altered(operation: Operation, table: KnownTable | None, schema: Schema, session: Session) -> Found:
    return (
        _constraint(operation, table, schema, session)
        if "constraint option" in operation.traits
        else (operation, set())
    )


def _create_index(operation: Operation, table: KnownTable | None, schema: Schema, session: Session) -> Found:
    words = {"already"} if table is not None and operation.name in table.indexes else set()
    # ONLY has no meaning for a table without partitions.
    if "only" in operation.traits and (table is None or not table.complete):
        words.add("partitioned")
    return operation, words


def _create_table(operation: Operation, table: KnownTable | None, schema: Schema, session: Session) -> Found:
    return operation, {"already"} if table is not None else set()


def _alter_type(operation: Operation, table: KnownTable | None, schema: Schema, session: Session) -> Found:
    namespace, _, name = (operation.name or "").rpartition(".")
    known = schema.type(Name(name, namespace or None))
    # All values of a type that the same run created can be used at once.
    if "add value" in operation.traits and operation.expression is not None and not (known is not None and known.new):
        session.new_values.add(operation.expression)
    return operation, set()


def _opaque(operation: Operation, table: KnownTable | None, schema: Schema, session: Session) -> Found:
    known = schema.function(operation.name) if operation.name is not None else None
    if known is None or not known.harmless:
        return operation, set()
    return replace(operation, kind=op.OTHER, opaque=""), set()


def _detach(operation: Operation, table: KnownTable | None, schema: Schema, session: Session) -> Found:
    exists = table is not None and default_partition(table, schema) is not None
    return operation, {"default partition exists"} if exists else set()


def _partition(operation: Operation, table: KnownTable | None, schema: Schema, session: Session) -> Found:
    return operation, partition_words(operation, table, schema)


def _rewrite(operation: Operation, table: KnownTable | None, schema: Schema, session: Session) -> Found:
    if table is None or not table.complete:
        return operation, set()
    column = table.columns.get(operation.column or "")
    if column is not None and column.generated == "virtual":
        return operation, {"virtual"}
    if "tablespace" in operation.traits and operation.name is not None:
        return operation, {"already"} if table.tablespace == operation.name else set()
    if "access method" in operation.traits and operation.name is not None:
        return operation, {"already"} if table.access_method == operation.name else set()
    already = ("unlogged option" in operation.traits and table.unlogged) or (
        "logged" in operation.traits and not table.unlogged
    )
    return operation, {"already"} if already else set()


def _rows(operation: Operation, table: KnownTable | None, schema: Schema, session: Session) -> Found:
    keys = _keys_of(table)
    node = operation.node
    if not keys or node is None or not hasattr(node, "whereClause") or "in a loop" in operation.traits:
        return operation, set()
    return bounded(operation, keys), set()


def _keys_of(table: KnownTable | None) -> set[str]:
    """Return the columns that are a whole key of a table that is known completely, and the place of a row."""
    if table is None or not table.complete:
        return set()
    keys = [each.columns for each in table.constraints.values() if each.kind in ("primary key", "unique")]
    keys += [each.columns for each in table.indexes.values() if each.unique]
    return {columns[0] for columns in keys if len(columns) == 1} | {"ctid"}


_SPECIAL: dict[str, Callable[[Operation, KnownTable | None, Schema, Session], Found]] = {
    op.ADD_COLUMN: _add_column,
    op.CHANGE_TYPE: _change_type,
    op.SET_NOT_NULL: _set_not_null,
    op.ADD_NOT_NULL_CONSTRAINT: _set_not_null,
    op.ADD_UNIQUE: _key,
    op.ADD_PRIMARY_KEY: _key,
    op.ADD_FOREIGN_KEY: _foreign_key,
    op.VALIDATE_CONSTRAINT: _constraint,
    op.DROP_CONSTRAINT: _constraint,
    op.CREATE_INDEX: _create_index,
    op.CREATE_TABLE: _create_table,
    op.CREATE_VIEW: _create_table,
    op.ATTACH_PARTITION: _partition,
    op.DETACH_PARTITION: _detach,
    op.ALTER_TYPE: _alter_type,
    op.OPAQUE: _opaque,
    op.REWRITE_TABLE: _rewrite,
    op.ALTER_TABLE: _altered,
    op.UPDATE: _rows,
    op.DELETE: _rows,
    op.SELECT: _rows,
}
