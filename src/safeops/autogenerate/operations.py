"""Alembic's operations as safeops writes them: each is one of Alembic's own, so that other rewriters know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic.ddl.postgresql import CreateExcludeConstraintOp
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import to_list
from sqlalchemy.sql.elements import conv

from safeops.databases.definitions import Constraint
from safeops.naming import Name

Op = TypeVar("Op", bound=ops.MigrateOperation)


class Safe(ops.MigrateOperation):
    """An operation that is written as the call of a helper."""


class Note(ops.OpContainer):
    """A comment in the revision. As a container of nothing it is no difference for ``alembic check``.

    Args:
        text: The comment; each line becomes one.
        code: A statement below it.
    """

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__([])
        self.text, self.code = text, code

    def reverse(self) -> Note:
        return Note("")


class Differs(Safe):
    """A comment on a difference that no helper changes; ``alembic check`` finds it."""

    code = ""

    def __init__(self, text: str) -> None:
        self.text = text

    def reverse(self) -> Note:
        return Note("")

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return "differs", self.text


class TableOps(Safe, ops.ModifyTableOps):
    """The operations on one table; in batch mode those of Alembic go into batches, and helpers between them."""


class CreateTable(Safe, ops.CreateTableOp):
    """``create_table_if_missing``"""


class RestoreTable(Safe, ops.CreateTableOp):
    """``restore_table``"""


class DropTable(Safe, ops.DropTableOp):
    """``drop_table_if_exists``"""

    archive = False


class AddColumn(Safe, ops.AddColumnOp):
    """``add_column_if_missing``, or ``add_required_column`` if existing rows would have no value."""

    fills = False
    """The server default differs from row to row, so existing rows get it in batches."""


class RestoreColumn(Safe, ops.AddColumnOp):
    """``restore_column``"""


class DropColumn(Safe, ops.DropColumnOp):
    """``drop_column_if_exists``"""

    archive = False


class CreateIndex(Safe, ops.CreateIndexOp):
    """``create_index_if_missing``"""


class DropIndex(Safe, ops.DropIndexOp):
    """``drop_index_if_exists``"""


class CreateForeignKey(Safe, ops.CreateForeignKeyOp):
    """``create_foreign_key_if_missing``"""


class CreateUniqueConstraint(Safe, ops.CreateUniqueConstraintOp):
    """``create_unique_constraint_if_missing``"""


class CreateCheckConstraint(Safe, ops.CreateCheckConstraintOp):
    """``create_check_constraint_if_missing``"""


class CreatePrimaryKey(Safe, ops.CreatePrimaryKeyOp):
    """``create_primary_key_if_missing``"""


class CreateExclude(Safe, CreateExcludeConstraintOp):
    """``create_exclude_constraint_if_missing``"""


class DropConstraint(Safe, ops.DropConstraintOp):
    """``drop_constraint_if_exists``"""


class SetNullability(Safe, ops.AlterColumnOp):
    """``enforce_not_null`` or ``relax_not_null``"""


class SetServerDefault(Safe, ops.AlterColumnOp):
    """``set_server_default``"""


class SetComment(Safe, ops.AlterColumnOp):
    """``set_comment`` of a column"""


class SetTableComment(Safe, ops.CreateTableCommentOp):
    """``set_comment`` of a table"""


class AlterType(Safe, ops.AlterColumnOp):
    """``alter_column_type``"""


class ChangeType(Safe, ops.AlterColumnOp):
    """Phases of a ``TypeChange``."""

    target: Any = None
    """The type of the ``TypeChange``."""
    phases: Sequence[str] = ()
    options: dict[str, str] | None = None


class ChangeGenerated(ops.AlterColumnOp):
    """A change of an identity or of a computed expression by Alembic, in the batch of its table."""


class ByStatement(Safe, ops.AlterColumnOp):
    """A change by a separate statement, if ``op.alter_column`` would change more, or fail."""

    sql = ""


class _NamedType(Safe):
    def __init__(self, name: str, values: Sequence[str], *, schema: str | None = None) -> None:
        self.name, self.values, self.schema = name, values, schema


class CreateEnum(_NamedType):
    """``create_enum_if_missing``"""

    def reverse(self) -> DropEnum:
        return DropEnum(self.name, self.values, schema=self.schema)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return "add_enum", self.schema, self.name, self.values


class DropEnum(_NamedType):
    """``drop_enum_if_exists``"""

    def reverse(self) -> CreateEnum:
        return CreateEnum(self.name, self.values, schema=self.schema)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return "remove_enum", self.schema, self.name, self.values


class AddEnumValue(Safe):
    """``add_enum_value_if_missing``"""

    def __init__(
        self, name: str, value: str, *, before: str | None = None, after: str | None = None, schema: str | None = None
    ) -> None:
        self.name, self.value, self.before, self.after, self.schema = name, value, before, after, schema

    def reverse(self) -> Note:
        return Note(
            f"Nothing to undo: value {self.value!r} of type {self.name} stays; no server takes one back, and it harms none."
        )

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return "add_enum_value", self.schema, self.name, self.value


SAFE: dict[type[ops.MigrateOperation], type[Safe]] = {
    ops.CreateTableOp: CreateTable,
    ops.DropTableOp: DropTable,
    ops.AddColumnOp: AddColumn,
    ops.DropColumnOp: DropColumn,
    ops.CreateIndexOp: CreateIndex,
    ops.DropIndexOp: DropIndex,
    ops.CreateForeignKeyOp: CreateForeignKey,
    ops.CreateUniqueConstraintOp: CreateUniqueConstraint,
    ops.CreateCheckConstraintOp: CreateCheckConstraint,
    ops.CreatePrimaryKeyOp: CreatePrimaryKey,
    CreateExcludeConstraintOp: CreateExclude,
    ops.DropConstraintOp: DropConstraint,
    ops.ModifyTableOps: TableOps,
}


def become(kind: type[Op], operation: ops.MigrateOperation, **changes: Any) -> Op:
    """Return a copy of an operation as one of a subclass of its class, with other attributes."""
    made = kind.__new__(kind)
    made.__dict__.update(operation.__dict__, **changes)
    return made


def safe(operation: ops.MigrateOperation) -> ops.MigrateOperation:
    """Return an operation of Alembic as safeops writes it; what others have made stays as it is."""
    kind = SAFE.get(type(operation))
    return operation if kind is None else become(kind, operation)


# Questions about operations -------------------------------------------------------------------------------------

Operations = list[ops.MigrateOperation]


def name_of(operation: Any) -> Name:
    """Return the table that an operation changes."""
    if isinstance(operation, ops.CreateForeignKeyOp):
        return Name(str(operation.source_table), operation.kw.get("source_schema") or None)
    return Name(str(operation.table_name), operation.schema or None)


def referent_of(key: ops.CreateForeignKeyOp) -> Name:
    """Return the table that a foreign key refers to."""
    return Name(str(key.referent_table), key.kw.get("referent_schema") or None)


def tables_in(found: Operations) -> list[ops.ModifyTableOps]:
    """Return the changes of tables among operations."""
    return [operation for operation in found if isinstance(operation, ops.ModifyTableOps)]


def drops_foreign_key(operation: ops.MigrateOperation) -> bool:
    return isinstance(operation, ops.DropConstraintOp) and operation.constraint_type == "foreignkey"


def is_generated(default: Any) -> bool:
    """Tell whether a default is an identity or the expression of a computed column."""
    return isinstance(default, (sa.Computed, sa.Identity))


def is_partial(options: Mapping[str, Any]) -> bool:
    """Tell whether the options of an index have a condition on the rows that it holds."""
    return any(key.endswith("_where") and value is not None for key, value in options.items())


def leads(columns: Sequence[str], covered: Sequence[str]) -> bool:
    """Tell whether an index on the covered columns begins with the columns of a foreign key."""
    return set(covered[: len(columns)]) == set(columns)


def models(context: MigrationContext) -> list[sa.Table]:
    """Return the tables of the models."""
    metadatas: Sequence[sa.MetaData] = to_list(context.opts.get("target_metadata"), [])
    return [table for metadata in metadatas for table in metadata.tables.values()]


def existing_foreign_key(name: Name, key: Constraint, referent: Name) -> ops.CreateForeignKeyOp:
    """Return what creates a foreign key of a table again as it is."""
    options = ("deferrable", "initially", "onupdate", "ondelete", "match")
    return ops.CreateForeignKeyOp(
        conv(key.name),
        name.name,
        referent.name,
        list(key.columns),
        list(key.remote),
        source_schema=name.schema,
        referent_schema=referent.schema,
        **{option: getattr(key, option) for option in options if getattr(key, option)},
    )
