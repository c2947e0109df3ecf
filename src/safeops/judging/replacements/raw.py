"""Reads an SQL statement as the equivalent call of ``alembic.op``, for which there is a replacement."""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa
from alembic.operations import ops

from safeops.databases.ports import Port
from safeops.judging import operations
from safeops.judging.existing import KnownType
from safeops.judging.operations import Operation
from safeops.judging.replacements.replacement import About, Replacement
from safeops.judging.replacements.rows import BATCH, Rows
from safeops.judging.replacements.types import type_of
from safeops.judging.sent import Sent
from safeops.naming import Code, Name, call

Made = ops.MigrateOperation | None


class RawSql(Port):
    """Reads the SQL of a family; this class covers what all families share."""

    place = "safeops.judging.replacements.{family}:RawSql"

    def call_of(self, operation: Operation, sent: Sent) -> Made:
        """Return the call that does what an operation does; None if there is none, or too little is known."""
        make = _CALLS.get(operation.kind)
        return make(self, operation, operation.table) if make is not None and operation.table is not None else None

    def parts(self, sent: Sent) -> list[str] | None:
        """Return a text as one statement for each operation, with the values of its placeholders; None if it cannot."""
        return None

    def rows_of(self, about: About, sent: Sent, repeated: bool) -> Rows | None:
        """Return what an UPDATE or a DELETE does to which rows; None if too little is known.

        If it is ``repeated`` with other values, comparisons of a key with these values are not part of the condition.
        """
        return None

    row_id: ClassVar[str] = "rowid"
    """What the server itself calls a row by, for tables whose key is not known."""

    has_writable_views: ClassVar[bool] = True
    """A view can give a table a second name."""

    def deleted_batch(self, name: Name, key: str | None, condition: str | None) -> str:
        """Return the statement that deletes a batch of rows."""
        table, own = self.quoted_table(name), self.quoted(key) if key else self.row_id
        where = f" WHERE {condition}" if condition else ""
        return f"DELETE FROM {table} WHERE {own} IN (SELECT {own} FROM {table}{where} LIMIT {BATCH})"

    def own(self, operation: Operation, sent: Sent, about: About) -> Replacement | None:
        """Return the replacement for what only this family has; None if there is none."""
        return None

    def named_type(self, text: str, known: KnownType | None) -> Any:
        """Return a type of the database's own by its name."""
        return None

    def base_of(self, type_: Any, known: KnownType | None) -> Any:
        """Return the type that a domain is made of; None if it is not known."""
        return type_of(known.base, self.database) if known else None

    def identity(self, name: Name, column: sa.Column[Any]) -> tuple[str, str, str] | None:
        """Return how rows are numbered: SQL before, the temporary default, SQL after; None if a helper does it."""
        return None

    def serial(self, name: Name, column: sa.Column[Any]) -> tuple[str, str, str] | None:
        """Return the same for a column that a sequence numbers; None if the server has no such columns."""
        return None

    def type_named(self, text: str | None) -> Any:
        return type_of(text, self.database) or (self.named_type(text, None) if text else None)


def executed(sql: str) -> str:
    """Write a statement that safeops has no call for."""
    return call("op.execute", Code(f'"""{sql}"""') if "\n" in sql else sql) if sql else ""


# Operations of any family ---------------------------------------------------------------------------------------


def _add_column(raw: RawSql, operation: Operation, name: Name) -> Made:
    type_ = raw.type_named(operation.type)
    if type_ is None or operation.column is None or operation.traits & _NOT_TOLD:
        return None
    default = sa.text(operation.expression) if operation.expression else None
    column: sa.Column[Any] = sa.Column(
        operation.column, type_, nullable="not null" not in operation.traits, server_default=default
    )
    return ops.AddColumnOp(name.name, column, schema=name.schema)


_NOT_TOLD = {"identity", "serial", "stored", "virtual", "inline check", "inline references", "inline unique"}
"""Traits of a column that an operation does not describe completely."""


def _drop_column(raw: RawSql, operation: Operation, name: Name) -> Made:
    return ops.DropColumnOp(name.name, operation.column, schema=name.schema) if operation.column else None


def _alter(raw: RawSql, operation: Operation, name: Name, **changes: Any) -> Made:
    if operation.column is None:
        return None
    return ops.AlterColumnOp(name.name, operation.column, schema=name.schema, **changes)


def _required(raw: RawSql, operation: Operation, name: Name) -> Made:
    return _alter(raw, operation, name, modify_nullable=False)


def _optional(raw: RawSql, operation: Operation, name: Name) -> Made:
    return _alter(raw, operation, name, modify_nullable=True)


def _default(raw: RawSql, operation: Operation, name: Name) -> Made:
    default = sa.text(operation.expression) if operation.expression else None
    return _alter(raw, operation, name, modify_server_default=default)


def _type(raw: RawSql, operation: Operation, name: Name) -> Made:
    type_ = raw.type_named(operation.type)
    using = {"postgresql_using": operation.expression} if operation.expression else {}
    return _alter(raw, operation, name, modify_type=type_, **using) if type_ is not None else None


def _rename_column(raw: RawSql, operation: Operation, name: Name) -> Made:
    return _alter(raw, operation, name, modify_name=operation.expression) if operation.expression else None


def _rename_table(raw: RawSql, operation: Operation, name: Name) -> Made:
    return ops.RenameTableOp(name.name, operation.other.name, schema=name.schema) if operation.other else None


def _drop_table(raw: RawSql, operation: Operation, name: Name) -> Made:
    return ops.DropTableOp(name.name, schema=name.schema)


def _create_index(raw: RawSql, operation: Operation, name: Name) -> Made:
    if not operation.columns or operation.name is None:
        return None
    unique = "unique" in operation.traits
    return ops.CreateIndexOp(operation.name, name.name, [*operation.columns], schema=name.schema, unique=unique)


def _drop_index(raw: RawSql, operation: Operation, name: Name) -> Made:
    return ops.DropIndexOp(operation.name, name.name, schema=name.schema) if operation.name else None


def _unique(raw: RawSql, operation: Operation, name: Name) -> Made:
    return ops.CreateUniqueConstraintOp(operation.name, name.name, [*operation.columns], schema=name.schema)


def _primary_key(raw: RawSql, operation: Operation, name: Name) -> Made:
    return ops.CreatePrimaryKeyOp(operation.name, name.name, [*operation.columns], schema=name.schema)


def _check(raw: RawSql, operation: Operation, name: Name) -> Made:
    if not operation.expression or operation.name is None:
        return None
    return ops.CreateCheckConstraintOp(operation.name, name.name, operation.expression, schema=name.schema)


def _drop_constraint(raw: RawSql, operation: Operation, name: Name) -> Made:
    return ops.DropConstraintOp(operation.name, name.name, schema=name.schema) if operation.name else None


_CALLS: dict[str, Any] = {
    operations.ADD_COLUMN: _add_column,
    operations.DROP_COLUMN: _drop_column,
    operations.RENAME_COLUMN: _rename_column,
    operations.CHANGE_TYPE: _type,
    operations.SET_NOT_NULL: _required,
    operations.DROP_NOT_NULL: _optional,
    operations.SET_DEFAULT: _default,
    operations.DROP_DEFAULT: _default,
    operations.DROP_TABLE: _drop_table,
    operations.RENAME_TABLE: _rename_table,
    operations.CREATE_INDEX: _create_index,
    operations.DROP_INDEX: _drop_index,
    operations.ADD_UNIQUE: _unique,
    operations.ADD_PRIMARY_KEY: _primary_key,
    operations.ADD_CHECK: _check,
    operations.DROP_CONSTRAINT: _drop_constraint,
}
