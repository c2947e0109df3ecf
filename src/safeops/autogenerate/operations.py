"""The operations that safeops writes, with the helper of each: subclasses of Alembic's, which other rewriters know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, TypeVar

from alembic.autogenerate import render, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.ddl.postgresql import CreateExcludeConstraintOp
from alembic.operations import ops
from alembic.util import to_list
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from safeops import _alembic
from safeops.autogenerate.alembic_operations import is_generated
from safeops.autogenerate.rendering import (
    commented,
    complete_exclusion,
    completed,
    escaped,
    helper_call,
    import_helper,
    without_parameters,
)
from safeops.naming import Code

Op = TypeVar("Op", bound=ops.MigrateOperation)


def register() -> None:
    """Register with Alembic how the operations are written."""
    for kind in (Note, Safe, ChangeGenerated):
        renderers.dispatch_for(kind)(lambda context, operation: completed(context, operation.lines))
    _alembic.wrap_constraint_renderer(ExcludeConstraint, complete_exclusion)


def become(kind: type[Op], operation: ops.MigrateOperation, **changes: Any) -> Op:
    """Return a copy of an operation as one of a subclass of its class, with other attributes."""
    made = kind.__new__(kind)
    made.__dict__.update(operation.__dict__, **changes)
    return made


# How an operation is written ------------------------------------------------------------------------------------

_RENDERERS = {
    "constraint_name": _alembic.rendered_name,
    "index_name": _alembic.rendered_name,
    "modify_server_default": _alembic.rendered_default,
    "modify_type": _alembic.rendered_type,
    "target": _alembic.rendered_type,
}
"""The attributes of operations that Alembic renders."""


class Safe(ops.MigrateOperation):
    """An operation that is written as the call of a helper."""

    helper = ""
    arguments: tuple[str, ...] = ()
    """The attributes that are the positional arguments of the helper."""
    schema: Any

    def lines(self, context: AutogenContext) -> list[str]:
        """Return the code, line by line, and comments."""
        arguments = [self._argument(name, context) for name in self.arguments]
        return [helper_call(context, self.helper, *arguments, **self.options())]

    def _argument(self, name: str, context: AutogenContext) -> Any:
        value = getattr(self, name)
        return Code(_RENDERERS[name](value, context)) if name in _RENDERERS else value

    def options(self) -> dict[str, Any]:
        """Return the keywords of the helper; those that are None are left out."""
        return {"schema": self.schema or None}


class Renamed(Safe):
    """An operation that is written as Alembic does, under the helper's name, whose arguments are the same."""

    op_name = ""
    """The name in ``alembic.op``."""

    def lines(self, context: AutogenContext) -> list[str]:
        *before, last = _as_alembic(context, self)
        start = f"{context.opts['alembic_module_prefix'] or ''}{self.op_name}("
        # A renderer that replaces Alembic's has the last word.
        if not last.startswith(start):
            return [*before, last]
        import_helper(context, self.helper)
        return [*before, f"{self.helper}({_with_replace(self, last[len(start) :])}"]


def _with_replace(operation: Any, arguments: str) -> str:
    replaces = getattr(operation, "replaces", False)
    return f"{arguments.removesuffix(')')}, if_different='replace')" if replaces else arguments


def _as_alembic(context: AutogenContext, operation: ops.MigrateOperation) -> list[str]:
    plain = next(kind for kind in type(operation).__mro__ if kind.__module__ != __name__)
    # The helpers guard themselves, and take no such argument.
    guards = {name: None for name in ("if_exists", "if_not_exists") if name in operation.__dict__}
    return to_list(renderers.dispatch(plain)(context, become(type(operation), operation, **guards)))


# Comments -------------------------------------------------------------------------------------------------------


class _Comment:
    text: str
    code = ""
    """A statement below the comment."""

    def lines(self, context: AutogenContext) -> list[str]:
        return [*commented(self.text), *([self.code] if self.code else [])]

    def reverse(self) -> Note:
        return Note("")


class Note(_Comment, ops.OpContainer):
    """A comment in the revision. As an empty container, it does not count as a difference for ``alembic check``."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__([])
        self.text, self.code = text, code


class Differs(_Comment, Safe):
    """A comment on a difference that no helper changes; ``alembic check`` finds it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return "differs", self.text


# Tables ---------------------------------------------------------------------------------------------------------


class TableOps(Safe, ops.ModifyTableOps):
    """The operations on one table; in batch mode those of Alembic go into batches, and helpers between them."""

    def lines(self, context: AutogenContext) -> list[str]:
        lines: list[str] = []
        for is_ours, group in groupby(self.ops, lambda each: isinstance(each, (Safe, Note))):
            group_ops = list(group)
            if is_ours or not context.opts.get("render_as_batch"):
                lines += [line for each in group_ops for line in render.render_op(context, each)]
            else:
                lines += render.render_op(context, ops.ModifyTableOps(self.table_name, group_ops, schema=self.schema))
        return lines


class CreateTable(Renamed, ops.CreateTableOp):
    op_name, helper = "create_table", "create_table_if_missing"


class RestoreTable(Safe, ops.CreateTableOp):
    helper, arguments = "restore_table", ("table_name",)


class _Drop(Safe):
    archive = False

    def options(self) -> dict[str, Any]:
        return {**super().options(), "archive": self.archive or None}


class DropTable(_Drop, ops.DropTableOp):
    helper, arguments = "drop_table_if_exists", ("table_name",)


# Columns --------------------------------------------------------------------------------------------------------

_OF_COLUMN = ("table_name", "column_name")

_TODO = """\
TODO: replace the three dots with the value of {column} for existing rows: an SQL expression such as sa.text("..."), a \
constant, or a function of rows. Until then, this revision fails here."""


class AddColumn(Renamed, ops.AddColumnOp):
    """``add_column_if_missing``, or ``add_required_column`` if existing rows would have no value."""

    op_name, helper = "add_column", "add_column_if_missing"
    fills = False
    """The server default differs from row to row, so existing rows get it in batches."""

    def lines(self, context: AutogenContext) -> list[str]:
        column, default = self.column, self.column.server_default
        if column.nullable or (default is not None and not self.fills):
            return super().lines(context)
        populate = Code(_alembic.rendered_default(default, context) if self.fills else "...")
        code = Code(_alembic.rendered_column(column, context))
        call = helper_call(context, "add_required_column", self.table_name, code, populate=populate, **self.options())
        return [call] if self.fills else [*commented(_TODO.format(column=column.name)), call]


class RestoreColumn(Renamed, ops.AddColumnOp):
    op_name, helper = "add_column", "restore_column"


class DropColumn(_Drop, ops.DropColumnOp):
    helper, arguments = "drop_column_if_exists", _OF_COLUMN


class EnforceNotNull(Safe, ops.AlterColumnOp):
    helper, arguments = "enforce_not_null", _OF_COLUMN


class RelaxNotNull(Safe, ops.AlterColumnOp):
    helper, arguments = "relax_not_null", _OF_COLUMN


class SetServerDefault(Safe, ops.AlterColumnOp):
    helper, arguments = "set_server_default", (*_OF_COLUMN, "modify_server_default")


class SetComment(Safe, ops.AlterColumnOp):
    helper, arguments = "set_comment", (*_OF_COLUMN, "modify_comment")


class SetTableComment(Safe, ops.CreateTableCommentOp):
    helper, arguments = "set_comment", ("table_name", "column_name", "comment")
    column_name = None


class AlterType(Safe, ops.AlterColumnOp):
    helper, arguments = "alter_column_type", (*_OF_COLUMN, "modify_type")


class ChangeType(Safe, ops.AlterColumnOp):
    """Phases of a ``TypeChange``."""

    helper, arguments = "TypeChange", (*_OF_COLUMN, "target")
    target: Any = None
    """The type of the ``TypeChange``."""
    phases: Sequence[str] = ()
    conversion: Mapping[str, str] = {}
    """How values are converted: keywords of the ``TypeChange``."""

    def lines(self, context: AutogenContext) -> list[str]:
        (change,) = super().lines(context)
        return [f"{change}.{phase}()" for phase in self.phases]

    def options(self) -> dict[str, Any]:
        return {**self.conversion, **super().options()}


class ChangeGenerated(ops.AlterColumnOp):
    """A change of an identity or of a computed expression by Alembic, in the batch of its table."""

    def lines(self, context: AutogenContext) -> list[str]:
        """Add the existing default to what Alembic writes: without it an identity is taken for a default, or for none."""
        lines = _as_alembic(context, self)
        if is_generated(self.existing_server_default):
            existing = _alembic.rendered_default(self.existing_server_default, context)
            lines[-1] = f"{lines[-1].removesuffix(')')}, existing_server_default={existing})"
        return lines


class ByStatement(Safe, ops.AlterColumnOp):
    """A change by a separate statement, if ``op.alter_column`` would change more, or fail."""

    sql = ""

    def lines(self, context: AutogenContext) -> list[str]:
        return [f"{context.opts['alembic_module_prefix'] or ''}execute({escaped(self.sql)!r})"]


# Indexes and constraints ----------------------------------------------------------------------------------------


class CreateIndex(Renamed, ops.CreateIndexOp):
    op_name, helper = "create_index", "create_index_if_missing"

    def lines(self, context: AutogenContext) -> list[str]:
        # The condition of an existing index comes from the server.
        kw = {
            key: without_parameters(value) if key.endswith("_where") and isinstance(value, str) else value
            for key, value in self.kw.items()
        }
        return Renamed.lines(become(CreateIndex, self, kw=kw), context)


class DropIndex(Safe, ops.DropIndexOp):
    helper, arguments = "drop_index_if_exists", ("index_name", "table_name")


class CreateForeignKey(Renamed, ops.CreateForeignKeyOp):
    op_name, helper = "create_foreign_key", "create_foreign_key_if_missing"


class CreateUniqueConstraint(Renamed, ops.CreateUniqueConstraintOp):
    op_name, helper = "create_unique_constraint", "create_unique_constraint_if_missing"


class CreateCheckConstraint(Renamed, ops.CreateCheckConstraintOp):
    op_name, helper = "create_check_constraint", "create_check_constraint_if_missing"


class CreatePrimaryKey(Safe, ops.CreatePrimaryKeyOp):
    helper, arguments = "create_primary_key_if_missing", ("constraint_name", "table_name", "columns")

    def options(self) -> dict[str, Any]:
        return {**super().options(), **self.kw}


_EXCLUSION = """\
It builds an index under a lock that blocks reads and writes, so it refuses a large table. If they can wait, put it in a \
block: with assured("..."):"""


class CreateExclude(Safe, CreateExcludeConstraintOp):
    helper = "create_exclude_constraint_if_missing"

    def lines(self, context: AutogenContext) -> list[str]:
        import_helper(context, self.helper)
        constraint: Any = self.to_constraint(context.migration_context)
        call = complete_exclusion(constraint, _alembic.rendered_exclusion(constraint, context))
        return [*commented(_EXCLUSION), f"{self.helper}({_with_replace(self, call.partition('(')[2])}"]


class DropConstraint(Renamed, ops.DropConstraintOp):
    op_name, helper = "drop_constraint", "drop_constraint_if_exists"


# Named types ----------------------------------------------------------------------------------------------------


class _NamedType(Safe):
    def __init__(self, name: str, values: Sequence[str], *, schema: str | None = None) -> None:
        self.name, self.members, self.schema = name, list(values), schema


class CreateEnum(_NamedType):
    helper, arguments = "create_enum_if_missing", ("name", "members")

    def reverse(self) -> DropEnum:
        return DropEnum(self.name, self.members, schema=self.schema)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return "add_enum", self.schema, self.name, self.members


class DropEnum(_NamedType):
    helper, arguments = "drop_enum_if_exists", ("name",)

    def reverse(self) -> CreateEnum:
        return CreateEnum(self.name, self.members, schema=self.schema)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return "remove_enum", self.schema, self.name, self.members


class AddEnumValue(Safe):
    helper, arguments = "add_enum_value_if_missing", ("name", "value")

    def __init__(
        self, name: str, value: str, *, before: str | None = None, after: str | None = None, schema: str | None = None
    ) -> None:
        self.name, self.value, self.before, self.after, self.schema = name, value, before, after, schema

    def options(self) -> dict[str, Any]:
        return {"before": self.before, "after": self.after, **super().options()}

    def reverse(self) -> Note:
        return Note(
            f"Nothing to undo: value {self.value!r} of type {self.name} stays; no server takes one back, and it harms none."
        )

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return "add_enum_value", self.schema, self.name, self.value


_SAFE = {
    kind.__bases__[-1]: kind
    for kind in (
        *(CreateTable, DropTable, AddColumn, DropColumn, TableOps),
        *(CreateIndex, DropIndex, CreateForeignKey, CreateUniqueConstraint, CreateCheckConstraint),
        *(CreatePrimaryKey, CreateExclude, DropConstraint),
    )
}


def safe(operation: ops.MigrateOperation) -> ops.MigrateOperation:
    """Return an operation of Alembic as safeops writes it; what others have made stays as it is."""
    kind = _SAFE.get(type(operation))
    return operation if kind is None else become(kind, operation)
