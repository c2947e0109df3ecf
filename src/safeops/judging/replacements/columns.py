"""What to write instead of a statement that adds, changes, renames or drops a column."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from safeops import _sqlalchemy
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
from safeops.judging.replacements.replacement import (
    NO_KEY,
    NOTHING_TO_UNDO,
    About,
    Replacement,
    key_of,
    lacks_key,
    lines,
)
from safeops.naming import Code, Name, call

# Added ----------------------------------------------------------------------------------------------------------


def add_column(added: ops.AddColumnOp, about: About) -> Replacement | None:
    """Return the call that adds a column and fills it in batches if the server would write its value to each row."""
    return _added(Name(added.table_name, added.schema), added.column, about)


def _added(name: Name, column: sa.Column[Any], about: About) -> Replacement | None:
    undo = call("drop_column_if_exists", name.name, str(column.name), schema=name.schema)
    fills = about.operation.traits & FILLED or (not column.nullable and column.server_default is None)
    if fills and lacks_key(about, name):
        return Replacement("", note=NO_KEY.format(name))
    if column.primary_key:
        return _key(name, column, about, undo)
    if generated.SERIAL in column.info:
        return generated.serial(name, column, about, undo)
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


FILLED = frozenset({"volatile default", "identity", "serial", "stored"})
"""Traits of a default that differs from row to row: a backfill in batches replaces it."""


def _key(name: Name, column: sa.Column[Any], about: About, undo: str) -> Replacement | None:
    """Return the calls that add a column, and then make it the primary key."""
    plain = _sqlalchemy.copied(column)
    plain.primary_key = plain.nullable = False
    if "serial" in about.operation.traits:
        plain.info[generated.SERIAL] = True
    made = _added(name, plain, about)
    if made is None:
        return None
    key = call("create_primary_key_if_missing", f"{name.name}_pkey", name.name, [str(column.name)], schema=name.schema)
    return Replacement(lines(made.upgrade, key), undo, note=made.note)


def _filled(name: Name, column: sa.Column[Any], about: About, undo: str) -> Replacement:
    """Return the calls that set the default for new rows, and fill existing rows in batches."""
    database, own = about.database, str(column.name)
    value, key = value_code(column.server_default, database), key_of(about, name)
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
            call("backfill", name.name, {own: value}, key=key, schema=name.schema),
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
        key=key_of(about, name),
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
    """Return a harmless value for existing rows, if the author gave none; None if there is none."""
    if isinstance(type_, sa.Enum):
        return constant_code(type_.enums[0]) if type_.enums else None
    if isinstance(type_, sa.String):
        return constant_code("")
    return next((Code(value) for kind, value in _INITIAL if isinstance(type_, kind)), None)


# Changed --------------------------------------------------------------------------------------------------------


def alter_column(altered: ops.AlterColumnOp, about: About) -> Replacement | None:
    """Return the calls for all changes of a call; a finding can be about any of its statements."""
    name = Name(altered.table_name, altered.schema)
    made = list(_changes(altered, name, about))
    if not made:
        return None
    if not all(one.upgrade for one in made):
        return Replacement("", note=" ".join(dict.fromkeys(one.note for one in made if one.note)))
    undone = [one.downgrade for one in reversed(made)]
    return Replacement(
        lines(*(one.upgrade for one in made)),
        lines(*undone) if all(undone) else "",
        one_to_one=len(made) == 1 and made[0].one_to_one,
        note=" ".join(dict.fromkeys(one.note for one in made if one.note)),
    )


def _changes(altered: ops.AlterColumnOp, name: Name, about: About) -> Iterator[Replacement]:
    own = altered.column_name
    if altered.modify_nullable is True:
        yield _nullable(altered, name, about)
    if altered.modify_type is not None:
        yield change_type(name, own, sa.types.to_instance(altered.modify_type), altered, about)
    if altered.modify_server_default is not False:
        yield _default(altered, name, about)
    if altered.modify_nullable is False:
        yield _nullable(altered, name, about)
    if altered.modify_comment is not False:
        yield _comment(name, own, altered)
    if altered.modify_name:
        yield _rename(name, own, altered.modify_name, about)


def _nullable(altered: ops.AlterColumnOp, name: Name, about: About) -> Replacement:
    column, takes_null = altered.column_name, bool(altered.modify_nullable)
    do, undo = ("relax_not_null", "enforce_not_null") if takes_null else ("enforce_not_null", "relax_not_null")
    code, back = (call(helper, name.name, column, schema=name.schema) for helper in (do, undo))
    known = about.schema.table(name)
    before = known.columns.get(column) if known else None
    if before is not None and before.nullable is takes_null:
        return Replacement(code, f"{NOTHING_TO_UNDO}: {name}.{column} was the same before", one_to_one=True)
    return Replacement(code, back, one_to_one=True)


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
    """Return the call that changes a type at once if that rewrites no row, else the phases."""
    old = _old_type(name, column, altered, about)
    if _is_brief(name, column, type_, about):
        code = call("alter_column_type", name.name, column, type_code(type_), schema=name.schema)
        back = _phases(name, column, type_code(old), {}, about) if old is not None else ""
        return Replacement(with_imports(code), with_imports(back) if back else "", one_to_one=True)
    if lacks_key(about, name):
        return Replacement("", note=NO_KEY.format(name))
    conversion = _conversion(column, type_, old, altered)
    change = call("TypeChange", name.name, column, type_code(type_), **conversion, schema=name.schema)
    return Replacement(
        with_imports(_phases(name, column, type_code(type_), conversion, about)),
        lines(
            with_imports(f"change = {change}"),
            *(f"change.undo_{phase}()" for phase in ("contract", "switch", "expand")),
        ),
        note=f"{PHASES} {ZONE}" if "reverse_using" in conversion else PHASES,
    )


def _old_type(name: Name, column: str, altered: ops.AlterColumnOp, about: About) -> Any:
    if altered.existing_type is not None:
        return sa.types.to_instance(altered.existing_type)
    return RawSql.of(about.database).type_named(about.column_type(name, column))


def _is_brief(name: Name, column: str, type_: Any, about: About) -> bool:
    """Return whether the server changes the catalogue only, by the traits of the statement that Alembic sends."""
    traits = about.operation.traits
    if about.operation.kind != operations.CHANGE_TYPE:
        table, own = about.database.quoted_table(name), about.database.quoted(column)
        sql = f"ALTER TABLE {table} ALTER COLUMN {own} TYPE {about.database.type_text(type_)}"
        traits = frozenset(trait for operation in about.judged(sql) for trait in operation.traits)
    return bool(traits & {"widens", "already"}) and not traits & {"checked", "rebuilds index", "using"}


UTC = "{} AT TIME ZONE 'UTC'"
ZONE = "The values are assumed to be in UTC: write their time zone."


def _conversion(column: str, type_: Any, old: Any, altered: ops.AlterColumnOp) -> dict[str, str]:
    using = altered.kw.get("postgresql_using")
    if using is not None and not _is_cast(using, column):
        return {"using": str(using)}
    if isinstance(type_, sa.DateTime) and isinstance(old, sa.DateTime) and type_.timezone != old.timezone:
        # Otherwise the result would depend on the time zone of each session.
        return dict.fromkeys(("using", "reverse_using"), UTC.format(column))
    return {}


PHASES = "Put switch() and contract() into separate revisions, each one deploy later."


def _phases(name: Name, column: str, type_: Any, conversion: dict[str, str], about: About) -> str:
    change = call("TypeChange", name.name, column, type_, **conversion, schema=name.schema)
    return lines(f"change = {change}", expanded("change", about, name), LATER.format("switch"), LAST.format("contract"))


def expanded(change: str, about: About, name: Name) -> str:
    return call(f"{change}.expand", key=key_of(about, name))


LATER = "change.{}()  # a revision of the next deploy"
LAST = "change.{}()  # and of the one after that"


def _is_cast(using: Any, column: str) -> bool:
    """Return whether a conversion only casts the column, which is the default."""
    quoted = rf'"?{re.escape(column)}"?'
    return bool(re.fullmatch(rf"\s*(?:{quoted}\s*::.+|cast\s*\(\s*{quoted}\s+as\s+.+\))\s*", str(using), re.IGNORECASE))


# Renamed and dropped ---------------------------------------------------------------------------------------------


def _rename(name: Name, old: str, new: str, about: About) -> Replacement:
    if lacks_key(about, name):
        return Replacement("", note=NO_KEY.format(name))
    rename = call("ColumnRename", name.name, old, new, schema=name.schema)
    return two_phases(rename, f"{name}.{old}", expanded("rename", about, name))


def two_phases(rename: str, old: str, expand: str = "rename.expand()") -> Replacement:
    """Return the phases of a rename, for both directions."""
    return Replacement(
        lines(f"rename = {rename}", expand, "rename.contract()  # a revision of a later deploy"),
        lines(f"rename = {rename}", "rename.undo_contract()", "rename.undo_expand()"),
        note=f"Put contract() into a later revision, when no application uses {old} any longer.",
    )


CASCADE = (
    "CASCADE drops dependent objects without naming them. Drop those by name first; then drop the target with"
    " archive=True, which can be restored."
)


def drop_column(dropped: ops.DropColumnOp, about: About) -> Replacement:
    """Return the call that drops a column and archives its values."""
    name, own = Name(dropped.table_name, dropped.schema), str(dropped.column_name)
    if "cascade" in about.operation.traits:
        return Replacement("", note=CASCADE)
    archive = None if lacks_key(about, name, own) else True
    upgrade = call("drop_column_if_exists", name.name, own, archive=archive, schema=name.schema)
    restored = _restored(name, own, about)
    helper = "restore_column" if archive else "add_column_if_missing"
    downgrade = with_imports(call(helper, name.name, restored, schema=name.schema)) if restored else ""
    note = "Deploy an application that does not use it first."
    note += "" if archive else f" {name} has no key, so its values are not kept."
    return Replacement(upgrade, downgrade, one_to_one=True, note=note)


def _restored(name: Name, own: str, about: About) -> Code | None:
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
