"""What to write instead of a statement that adds, changes, renames or drops a column."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from safeops.judging import operations
from safeops.judging.replacements import generated
from safeops.judging.replacements.code import (
    column_code,
    constant_code,
    default_code,
    type_code,
    value_code,
    with_imports,
)
from safeops.judging.replacements.raw import RawSql
from safeops.judging.replacements.replacement import About, Replacement, lines
from safeops.naming import Code, Name, call

# Added ----------------------------------------------------------------------------------------------------------


def add_column(added: ops.AddColumnOp, about: About) -> Replacement:
    """Return the call that adds a column and fills it in batches if the server would write its value to each row."""
    column, name = added.column, Name(added.table_name, added.schema)
    undo = call("drop_column_if_exists", name.name, str(column.name), schema=name.schema)
    if column.identity is not None:
        return generated.identity(name, column, about, undo)
    if column.computed is not None:
        return generated.computed(name, column, about, undo)
    if "checked domain" in about.operation.traits:
        return generated.domain(name, column, about, undo)
    if "volatile default" in about.operation.traits:
        return _filled(name, column, about, undo)
    if not column.nullable and column.server_default is None:
        return _required(name, column, about, undo)
    code = call("add_column_if_missing", name.name, column_code(column, about.database), schema=name.schema)
    return Replacement(with_imports(code), undo, one_to_one=True)


def _filled(name: Name, column: sa.Column[Any], about: About, undo: str) -> Replacement:
    """Return the calls after which new rows get the default, and the rows of before have got it in batches."""
    database, own = about.database, str(column.name)
    value = value_code(column.server_default, database)
    if not column.nullable:
        code = call("add_required_column", name.name, column_code(column, database), populate=value, schema=name.schema)
        return Replacement(with_imports(code), undo)
    bare = column_code(column, database, server_default=None)
    return Replacement(
        lines(
            with_imports(call("add_column_if_missing", name.name, bare, schema=name.schema)),
            call(
                "set_server_default", name.name, own, default_code(column.server_default, database), schema=name.schema
            ),
            call("backfill", name.name, {own: value}, schema=name.schema),
        ),
        undo,
    )


def _required(name: Name, column: sa.Column[Any], about: About, undo: str) -> Replacement:
    value = initial_value(column.type)
    code = call(
        "add_required_column",
        name.name,
        column_code(column, about.database),
        populate=value or Code('sa.text("...")'),
        schema=name.schema,
    )
    chosen = f"Only you know which value the existing rows get: {value or 'the dots'} is a guess."
    return Replacement(with_imports(code), undo, note=chosen)


_INITIAL: tuple[tuple[type[Any], str], ...] = (
    (sa.Boolean, "sa.false()"),
    (sa.Numeric, "0"),
    (sa.Integer, "0"),
    (sa.DateTime, "sa.func.now()"),
    (sa.Date, "sa.func.current_date()"),
    (sa.JSON, "sa.text(\"'{}'\")"),
)


def initial_value(type_: Any) -> Code | None:
    """Return a value that rows may be given where nobody has said one; None if there is none that is harmless."""
    if isinstance(type_, sa.Enum):
        return constant_code(type_.enums[0]) if type_.enums else None
    if isinstance(type_, sa.String):
        return constant_code("")
    return next((Code(value) for kind, value in _INITIAL if isinstance(type_, kind)), None)


# Changed --------------------------------------------------------------------------------------------------------


def alter_column(altered: ops.AlterColumnOp, about: About) -> Replacement | None:
    """Return the call for the part of ``op.alter_column`` that a statement was."""
    name, own = Name(altered.table_name, altered.schema), altered.column_name
    match about.operation.kind:
        case operations.SET_NOT_NULL | operations.ADD_NOT_NULL_CONSTRAINT:
            return _nullable("enforce_not_null", "relax_not_null", name, own)
        case operations.DROP_NOT_NULL:
            return _nullable("relax_not_null", "enforce_not_null", name, own)
        case operations.SET_DEFAULT | operations.DROP_DEFAULT:
            return _default(altered, name, about)
        case operations.CHANGE_TYPE if altered.modify_type is not None:
            return change_type(name, own, sa.types.to_instance(altered.modify_type), altered, about)
        case operations.RENAME_COLUMN if altered.modify_name:
            return _rename(name, own, altered.modify_name)
        case operations.COMMENT if altered.modify_comment is not False:
            return _comment(name, own, altered)
    return _whole(altered, name, about)


def _whole(altered: ops.AlterColumnOp, name: Name, about: About) -> Replacement | None:
    """Return the calls for all that a call changes, for servers that are told the whole column at once."""
    kinds = [
        (altered.modify_nullable is True, operations.DROP_NOT_NULL),
        (altered.modify_type is not None, operations.CHANGE_TYPE),
        (altered.modify_server_default is not False, operations.SET_DEFAULT),
        (altered.modify_nullable is False, operations.SET_NOT_NULL),
        (altered.modify_comment is not False, operations.COMMENT),
        (bool(altered.modify_name), operations.RENAME_COLUMN),
    ]
    asked = [replace(about, operation=replace(about.operation, kind=kind)) for changes, kind in kinds if changes]
    made = [one for part in asked if (one := alter_column(altered, part))]
    if not made:
        return None
    return Replacement(
        lines(*(one.upgrade for one in made)),
        lines(*(one.downgrade for one in reversed(made))),
        one_to_one=len(made) == 1 and made[0].one_to_one,
        note=" ".join(one.note for one in made if one.note),
    )


def _nullable(do: str, undo: str, name: Name, column: str) -> Replacement:
    return Replacement(
        call(do, name.name, column, schema=name.schema), call(undo, name.name, column, schema=name.schema), True
    )


def _default(altered: ops.AlterColumnOp, name: Name, about: About) -> Replacement:
    def code(default: Any) -> str:
        written = default_code(default, about.database) or Code("None")
        return call("set_server_default", name.name, altered.column_name, written, schema=name.schema)

    before = altered.existing_server_default
    if before is False:
        known = about.schema.table(name)
        column = known.columns.get(altered.column_name) if known else None
        before = sa.text(column.default) if column and column.default else None
    return Replacement(code(altered.modify_server_default), code(before), True)


def _comment(name: Name, column: str | None, altered: Any) -> Replacement:
    wanted = getattr(altered, "modify_comment", getattr(altered, "comment", None))
    codes = [
        call("set_comment", name.name, _or_none(column), _or_none(comment), schema=name.schema)
        for comment in (wanted, altered.existing_comment)
    ]
    return Replacement(codes[0], codes[1], one_to_one=True)


def _or_none(value: str | None) -> Any:
    return Code("None") if value is None else value


def change_type(name: Name, column: str, type_: Any, altered: ops.AlterColumnOp, about: About) -> Replacement:
    """Return the call that changes a type at once if no row is rewritten for it, else the phases."""
    before = altered.existing_type or RawSql.of(about.database).type_named(about.column_type(name, column))
    old = type_code(before) if before is not None else None
    if about.operation.traits & {"widens", "already"}:
        code = call("alter_column_type", name.name, column, type_code(type_), schema=name.schema)
        back = _phases(name, column, old, {}) if old else ""
        return Replacement(with_imports(code), with_imports(back) if back else "", one_to_one=True)
    using = altered.kw.get("postgresql_using")
    conversion = {} if using is None or _is_cast(using, column) else {"using": str(using)}
    back = call("TypeChange", name.name, column, type_code(type_), **conversion, schema=name.schema)
    return Replacement(
        with_imports(_phases(name, column, type_code(type_), conversion)),
        lines(
            with_imports(f"change = {back}"), "change.undo_contract()", "change.undo_switch()", "change.undo_expand()"
        ),
        note=PHASES,
    )


PHASES = "switch() and contract() belong in revisions of their own, each a deploy later."


def _phases(name: Name, column: str, type_: Any, conversion: dict[str, str]) -> str:
    change = call("TypeChange", name.name, column, type_, **conversion, schema=name.schema)
    return lines(f"change = {change}", "change.expand()", LATER.format("switch"), LAST.format("contract"))


LATER = "change.{}()  # a revision of the next deploy"
LAST = "change.{}()  # and of the one after that"


def _is_cast(using: Any, column: str) -> bool:
    """Tell whether a conversion only casts the column, as is done without it."""
    quoted = rf'"?{re.escape(column)}"?'
    return bool(re.fullmatch(rf"\s*(?:{quoted}\s*::.+|cast\s*\(\s*{quoted}\s+as\s+.+\))\s*", str(using), re.IGNORECASE))


# Renamed and dropped ---------------------------------------------------------------------------------------------


def _rename(name: Name, old: str, new: str) -> Replacement:
    rename = call("ColumnRename", name.name, old, new, schema=name.schema)
    return two_phases(rename, f"{name}.{old}")


def two_phases(rename: str, old: str) -> Replacement:
    """Return the phases of a rename, for both directions."""
    return Replacement(
        lines(f"rename = {rename}", "rename.expand()", "rename.contract()  # a revision of a later deploy"),
        lines(f"rename = {rename}", "rename.undo_contract()", "rename.undo_expand()"),
        note=f"contract() belongs in a revision of its own, when no application uses {old} any more.",
    )


def drop_column(dropped: ops.DropColumnOp, about: About) -> Replacement:
    """Return the call that drops a column and keeps its values, so that it can be restored."""
    name, own = Name(dropped.table_name, dropped.schema), str(dropped.column_name)
    archive = None if lacks_key(about, name, own) else True
    upgrade = call("drop_column_if_exists", name.name, own, archive=archive, schema=name.schema)
    restored = _restored(dropped, name, own, about)
    helper = "restore_column" if archive else "add_column_if_missing"
    downgrade = with_imports(call(helper, name.name, restored, schema=name.schema)) if restored else ""
    note = "Deploy an application that does not use it first."
    note += "" if archive else f" {name} has no key, so its values are not kept."
    return Replacement(upgrade, downgrade, one_to_one=True, note=note)


def lacks_key(about: About, name: Name, column: str = "") -> bool:
    """Tell whether a table is known to have no unique key of other columns, which an archive needs."""
    table = about.schema.table(name)
    if table is None or not table.complete:
        return False
    keys = [one.columns for one in table.constraints.values() if one.kind in ("primary key", "unique")]
    keys += [index.columns for index in table.indexes.values() if index.unique]
    nullable = {own for own, known in table.columns.items() if known.nullable is not False}
    primary = {own for one in table.constraints.values() if one.kind == "primary key" for own in one.columns}
    return not any(key and column not in key and not (nullable - primary) & {*key} for key in keys)


def _restored(dropped: ops.DropColumnOp, name: Name, own: str, about: About) -> Code | None:
    known = about.schema.table(name)
    column = known.columns.get(own) if known else None
    if column is None:
        return None
    type_ = RawSql.of(about.database).type_named(column.type)
    if type_ is None:
        return None
    made: sa.Column[Any] = sa.Column(
        own,
        type_,
        nullable=column.nullable is not False,
        server_default=sa.text(column.default) if column.default else None,
    )
    return column_code(made, about.database)
