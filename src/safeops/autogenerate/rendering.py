"""Writes operations as calls of helpers: as Alembic does, under the helper's name, whose arguments are the same."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from textwrap import wrap
from typing import Any

from alembic.autogenerate import render, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from safeops import _alembic
from safeops.autogenerate import operations as safe
from safeops.autogenerate.rendered_code import (
    allow_imports_of_template,
    escaped,
    import_helper,
    literal_text,
    with_types_imported,
    without_parameters,
)
from safeops.naming import Code

Renderer = Callable[[AutogenContext, Any], "str | list[str]"]


def register() -> None:
    """Register with Alembic."""
    for kind, renderer in _RENDERERS.items():
        renderers.dispatch_for(kind)(_completing(renderer))
    _alembic.wrap_constraint_renderer(ExcludeConstraint, _complete_exclusion)


def _completing(renderer: Renderer) -> Renderer:
    def rendered(context: AutogenContext, operation: ops.MigrateOperation) -> list[str]:
        with literal_text(context):
            found = renderer(context, operation)
        lines = [found] if isinstance(found, str) else found
        lines = [line if line.startswith("#") else with_types_imported(context, line) for line in lines]
        allow_imports_of_template(context, "\n".join(line for line in lines if not line.startswith("#")))
        return lines

    return rendered


def helper_call(context: AutogenContext, helper: str, *arguments: Any, **options: Any) -> str:
    """Write the call of a helper, and import it. Options that are None are left out."""
    import_helper(context, helper)
    values = [_value(argument) for argument in arguments]
    values += [f"{name}={_value(value)}" for name, value in options.items() if value is not None]
    return f"{helper}({', '.join(values)})"


def _value(value: Any) -> str:
    if isinstance(value, Code):
        return str(value)
    # SQLAlchemy's quoted_name has another repr().
    return repr(str(value)) if isinstance(value, str) else repr(value)


def commented(text: str) -> list[str]:
    """Write a text as comments; indented lines are commands and stay whole."""
    lines = [part for line in text.splitlines() for part in ([line] if line[:1] == " " else wrap(line, 110))]
    return [f"# {line}" for line in lines]


def renamed(old: str, new: str) -> Renderer:
    """Return a renderer that writes an operation as Alembic does, with another name for the call."""

    def rendered(context: AutogenContext, operation: ops.MigrateOperation) -> list[str]:
        *before, last = _as_alembic(context, operation)
        start = f"{context.opts['alembic_module_prefix'] or ''}{old}("
        # A renderer that replaces Alembic's has the last word.
        if not last.startswith(start):
            return [*before, last]
        import_helper(context, new)
        return [*before, f"{new}({_with_replace(operation, last[len(start) :])}"]

    return rendered


def _with_replace(operation: Any, arguments: str) -> str:
    replaces = getattr(operation, "replaces", False)
    return f"{arguments.removesuffix(')')}, if_different='replace')" if replaces else arguments


def _as_alembic(context: AutogenContext, operation: ops.MigrateOperation) -> list[str]:
    plain = next(kind for kind in type(operation).__mro__ if kind.__module__ != safe.__name__)
    # The helpers guard themselves, and take no such argument.
    guards = {name: None for name in ("if_exists", "if_not_exists") if name in operation.__dict__}
    rendered = renderers.dispatch(plain)(context, safe.become(type(operation), operation, **guards))
    return [rendered] if isinstance(rendered, str) else list(rendered)


def _note(context: AutogenContext, note: safe.Note | safe.Differs) -> list[str]:
    return [*commented(note.text), *([note.code] if note.code else [])]


# Tables ---------------------------------------------------------------------------------------------------------


def _table_ops(context: AutogenContext, operation: safe.TableOps) -> list[str]:
    """Write each operation; in batch mode put those of Alembic into batches."""
    lines: list[str] = []
    for is_ours, group in groupby(operation.ops, lambda each: isinstance(each, (safe.Safe, safe.Note))):
        found = list(group)
        if is_ours or not context.opts.get("render_as_batch"):
            lines += [line for each in found for line in render.render_op(context, each)]
        else:
            lines += render.render_op(context, ops.ModifyTableOps(operation.table_name, found, schema=operation.schema))
    return lines


def _drop_table(context: AutogenContext, operation: safe.DropTable) -> str:
    return helper_call(context, "drop_table_if_exists", operation.table_name, **_archiving(operation))


def _restore_table(context: AutogenContext, operation: safe.RestoreTable) -> str:
    return helper_call(context, "restore_table", operation.table_name, **_schema(operation))


# Columns --------------------------------------------------------------------------------------------------------

_TODO = """\
TODO: in place of the three dots, say what {column} becomes in the rows that stand: an expression of SQL such as \
sa.text("..."), a plain value, or a function of rows. Until then this revision stops here."""


def _add_column(context: AutogenContext, operation: safe.AddColumn) -> str | list[str]:
    column, default = operation.column, operation.column.server_default
    if column.nullable or (default is not None and not operation.fills):
        return renamed("add_column", "add_column_if_missing")(context, operation)
    populate = _alembic.rendered_default(default, context) if operation.fills else "..."
    code = Code(_alembic.rendered_column(column, context))
    options = {"populate": Code(populate), **_schema(operation)}
    required = helper_call(context, "add_required_column", operation.table_name, code, **options)
    return [required] if operation.fills else [*commented(_TODO.format(column=column.name)), required]


def _drop_column(context: AutogenContext, operation: safe.DropColumn) -> str:
    return helper_call(context, "drop_column_if_exists", *_column(operation), **_archiving(operation))


def _nullability(context: AutogenContext, operation: safe.SetNullability) -> str:
    helper = "relax_not_null" if operation.modify_nullable else "enforce_not_null"
    return helper_call(context, helper, *_column(operation), **_schema(operation))


def _server_default(context: AutogenContext, operation: safe.SetServerDefault) -> str:
    default = Code(_alembic.rendered_default(operation.modify_server_default, context))
    return helper_call(context, "set_server_default", *_column(operation), default, **_schema(operation))


def _comment(context: AutogenContext, operation: safe.SetComment) -> str:
    return helper_call(context, "set_comment", *_column(operation), operation.modify_comment, **_schema(operation))


def _table_comment(context: AutogenContext, operation: safe.SetTableComment) -> str:
    return helper_call(context, "set_comment", operation.table_name, None, operation.comment, **_schema(operation))


def _alter_type(context: AutogenContext, operation: safe.AlterType) -> str:
    type_ = Code(_alembic.rendered_type(operation.modify_type, context))
    return helper_call(context, "alter_column_type", *_column(operation), type_, **_schema(operation))


def _change_type(context: AutogenContext, operation: safe.ChangeType) -> list[str]:
    type_ = Code(_alembic.rendered_type(operation.target, context))
    options = {**(operation.options or {}), **_schema(operation)}
    change = helper_call(context, "TypeChange", *_column(operation), type_, **options)
    return [f"{change}.{phase}()" for phase in operation.phases]


def _statement(context: AutogenContext, operation: safe.ByStatement) -> str:
    return f"{context.opts['alembic_module_prefix'] or ''}execute({escaped(operation.sql)!r})"


def _generated(context: AutogenContext, operation: safe.ChangeGenerated) -> list[str]:
    """Add the existing default to what Alembic writes: without it an identity is taken for a default, or for none."""
    lines = _as_alembic(context, operation)
    if safe.is_generated(operation.existing_server_default):
        existing = _alembic.rendered_default(operation.existing_server_default, context)
        lines[-1] = f"{lines[-1].removesuffix(')')}, existing_server_default={existing})"
    return lines


# Indexes and constraints ----------------------------------------------------------------------------------------


def _create_index(context: AutogenContext, operation: safe.CreateIndex) -> str | list[str]:
    # The condition of an existing index comes from the server.
    kw = {
        key: without_parameters(value) if key.endswith("_where") and isinstance(value, str) else value
        for key, value in operation.kw.items()
    }
    own = safe.become(safe.CreateIndex, operation, kw=kw)
    return renamed("create_index", "create_index_if_missing")(context, own)


def _drop_index(context: AutogenContext, operation: safe.DropIndex) -> str:
    name = Code(_alembic.rendered_name(operation.index_name, context))
    return helper_call(context, "drop_index_if_exists", name, operation.table_name, **_schema(operation))


def _primary_key(context: AutogenContext, operation: safe.CreatePrimaryKey) -> str:
    name = Code(_alembic.rendered_name(operation.constraint_name, context))
    columns = [str(column) for column in operation.columns]
    options = {**_schema(operation), **operation.kw}
    return helper_call(context, "create_primary_key_if_missing", name, operation.table_name, columns, **options)


def _complete_exclusion(constraint: Any, rendered: str) -> str:
    """Add what Alembic leaves out of an exclusion constraint: the operator classes, and True that is no string."""
    rendered = rendered.replace("deferrable='True'", "deferrable=True")
    classes = {str(name): str(value) for name, value in (constraint.ops or {}).items()}
    return f"{rendered.removesuffix(')')}, ops={classes!r})" if classes and "ops=" not in rendered else rendered


_EXCLUSION = """\
It builds an index under a lock that blocks reads and writes, so it refuses a large table. If they can wait, put it in a \
block: with assured("..."):"""


def _create_exclude(context: AutogenContext, operation: safe.CreateExclude) -> list[str]:
    helper = "create_exclude_constraint_if_missing"
    import_helper(context, helper)
    constraint: Any = operation.to_constraint(context.migration_context)
    call = _complete_exclusion(constraint, _alembic.rendered_exclusion(constraint, context))
    return [*commented(_EXCLUSION), f"{helper}({_with_replace(operation, call.partition('(')[2])}"]


# Named types ----------------------------------------------------------------------------------------------------


def _create_enum(context: AutogenContext, operation: safe.CreateEnum) -> str:
    values = [str(value) for value in operation.values]
    return helper_call(context, "create_enum_if_missing", operation.name, values, **_schema(operation))


def _add_enum_value(context: AutogenContext, operation: safe.AddEnumValue) -> str:
    options = {"before": operation.before, "after": operation.after, **_schema(operation)}
    return helper_call(context, "add_enum_value_if_missing", operation.name, operation.value, **options)


def _drop_enum(context: AutogenContext, operation: safe.DropEnum) -> str:
    return helper_call(context, "drop_enum_if_exists", operation.name, **_schema(operation))


def _column(operation: ops.AlterColumnOp | ops.DropColumnOp) -> tuple[str, str]:
    return operation.table_name, operation.column_name


def _schema(operation: Any) -> dict[str, Any]:
    return {"schema": operation.schema or None}


def _archiving(operation: safe.DropTable | safe.DropColumn) -> dict[str, Any]:
    return {**_schema(operation), "archive": operation.archive or None}


_RENDERERS: dict[type[ops.MigrateOperation], Renderer] = {
    safe.Note: _note,
    safe.Differs: _note,
    safe.TableOps: _table_ops,
    safe.CreateTable: renamed("create_table", "create_table_if_missing"),
    safe.RestoreTable: _restore_table,
    safe.DropTable: _drop_table,
    safe.AddColumn: _add_column,
    safe.RestoreColumn: renamed("add_column", "restore_column"),
    safe.DropColumn: _drop_column,
    safe.SetNullability: _nullability,
    safe.SetServerDefault: _server_default,
    safe.SetComment: _comment,
    safe.SetTableComment: _table_comment,
    safe.AlterType: _alter_type,
    safe.ChangeType: _change_type,
    safe.ByStatement: _statement,
    safe.ChangeGenerated: _generated,
    safe.CreateIndex: _create_index,
    safe.DropIndex: _drop_index,
    safe.CreateForeignKey: renamed("create_foreign_key", "create_foreign_key_if_missing"),
    safe.CreateUniqueConstraint: renamed("create_unique_constraint", "create_unique_constraint_if_missing"),
    safe.CreateCheckConstraint: renamed("create_check_constraint", "create_check_constraint_if_missing"),
    safe.CreatePrimaryKey: _primary_key,
    safe.CreateExclude: _create_exclude,
    safe.DropConstraint: renamed("drop_constraint", "drop_constraint_if_exists"),
    safe.CreateEnum: _create_enum,
    safe.AddEnumValue: _add_enum_value,
    safe.DropEnum: _drop_enum,
}
