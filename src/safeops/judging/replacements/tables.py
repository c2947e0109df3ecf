"""What to write instead of a statement on tables, indexes and constraints."""

from __future__ import annotations

from typing import Any

from alembic.operations import ops

from safeops.judging.replacements.code import columns_code, name_code, options_code, sql_of
from safeops.judging.replacements.columns import CASCADE, two_phases
from safeops.judging.replacements.raw import RawSql
from safeops.judging.replacements.replacement import About, Replacement
from safeops.naming import Code, Name, call

# Tables ---------------------------------------------------------------------------------------------------------


def drop_table(dropped: ops.DropTableOp, about: About) -> Replacement:
    """Return the call that drops a table and archives it."""
    if "cascade" in about.operation.traits:
        return Replacement("", note=CASCADE)
    given = {"schema": dropped.schema}
    known = about.schema.table(Name(dropped.table_name, dropped.schema))
    if known is not None and (known.parent is not None or known.partitioned):
        return Replacement(call("drop_table_if_exists", dropped.table_name, **given), note=PARTITION)
    return Replacement(
        call("drop_table_if_exists", dropped.table_name, archive=True, **given),
        call("restore_table", dropped.table_name, **given),
        one_to_one=True,
        note="First deploy an application that does not use it. A later revision deletes the archive: drop_archives().",
    )


def rename_table(renamed: ops.RenameTableOp, about: About) -> Replacement:
    if str(renamed.table_name) == str(renamed.new_table_name):
        return Replacement("", note=MOVED)
    if not RawSql.of(about.database).has_writable_views:
        return Replacement("", note="Rename it in the deploy of the application that uses the new name.")
    rename = call("TableRename", str(renamed.table_name), str(renamed.new_table_name), schema=renamed.schema)
    return two_phases(rename, str(renamed.table_name))


PARTITION = "safeops cannot archive a partition or a partitioned table: copy the rows to keep, or detach the partition."
MOVED = (
    "safeops cannot move a table to another schema: create an updatable view with the old name in the same transaction,"
    " and drop it when no application uses that name any longer."
)


def comment(commented: Any, about: About) -> Replacement:
    """Return the call that sets or removes the comment of a table."""
    wanted = getattr(commented, "comment", None)
    codes = [
        call(
            "set_comment",
            commented.table_name,
            Code("None"),
            Code("None") if text is None else text,
            schema=commented.schema,
        )
        for text in (wanted, commented.existing_comment)
    ]
    return Replacement(codes[0], codes[1], one_to_one=True)


# Indexes --------------------------------------------------------------------------------------------------------

_IGNORED = ("postgresql_concurrently", "if_not_exists", "if_exists", "quote")
"""Options that helpers settle themselves."""


def create_index(created: ops.CreateIndexOp, about: About) -> Replacement:
    name = Name(str(created.table_name), created.schema)
    columns = columns_code(created.columns, about.database)
    own = name_code(created.index_name) or "_".join(["ix", name.name, *map(_plain, created.columns)])
    options = {key: value for key, value in created.kw.items() if key not in _IGNORED}
    code = call(
        "create_index_if_missing",
        own,
        name.name,
        columns,
        unique=created.unique or None,
        schema=name.schema,
        **options_code(options, about.database),
    )
    undo = call("drop_index_if_exists", own, name.name, schema=name.schema)
    return Replacement(code, undo, one_to_one=True)


def _plain(column: Any) -> str:
    return str(column) if isinstance(column, str) else str(getattr(column, "name", "expr"))


def drop_index(dropped: ops.DropIndexOp, about: About) -> Replacement | None:
    table = Name(str(dropped.table_name), dropped.schema) if dropped.table_name else _table_of(dropped, about)
    if table is None:
        return None
    own = str(dropped.index_name)
    known = about.schema.table(table)
    index = known.indexes.get(own) if known else None
    back = ""
    if index is not None and index.columns and known is not None and {*index.columns} <= {*known.columns}:
        unique = index.unique or None
        back = call("create_index_if_missing", own, table.name, [*index.columns], unique=unique, schema=table.schema)
    return Replacement(call("drop_index_if_exists", own, table.name, schema=table.schema), back, one_to_one=True)


def _table_of(dropped: ops.DropIndexOp, about: About) -> Name | None:
    found = about.schema.table_of_index(Name(str(dropped.index_name), dropped.schema))
    return found or about.operation.table


# Constraints ----------------------------------------------------------------------------------------------------


def _undo(own: Any, name: Name, type_: str) -> str:
    return call("drop_constraint_if_exists", own, name.name, type_=type_, schema=name.schema)


def create_foreign_key(created: ops.CreateForeignKeyOp, about: About) -> Replacement:
    name = Name(str(created.source_table), created.kw.get("source_schema"))
    own = name_code(created.constraint_name) or "_".join([name.name, *created.local_cols, "fkey"])
    code = call(
        "create_foreign_key_if_missing",
        own,
        name.name,
        str(created.referent_table),
        [*created.local_cols],
        [*created.remote_cols],
        **options_code(_without_not_valid(created.kw), about.database),
        validate=_validate(created.kw, about),
    )
    return Replacement(code, _undo(own, name, "foreignkey"), one_to_one=True)


def _without_not_valid(options: Any) -> dict[str, Any]:
    return {key: value for key, value in options.items() if not key.endswith("_not_valid")}


def _validate(options: Any, about: About) -> bool | None:
    not_valid = any(key.endswith("_not_valid") and value for key, value in options.items())
    return False if not_valid or "not valid" in about.operation.traits else None


def create_check(created: ops.CreateCheckConstraintOp, about: About) -> Replacement:
    name = Name(created.table_name, created.schema)
    own = name_code(created.constraint_name, of_check=True) or f"{name.name}_check"
    code = call(
        "create_check_constraint_if_missing",
        own,
        name.name,
        sql_of(created.condition, about.database),
        schema=name.schema,
        **options_code(_without_not_valid(created.kw), about.database),
        validate=_validate(created.kw, about),
    )
    return Replacement(code, _undo(own, name, "check"), one_to_one=True)


def create_unique(created: ops.CreateUniqueConstraintOp, about: About) -> Replacement:
    return _key(created, "create_unique_constraint_if_missing", "unique", "key", about)


def create_primary_key(created: ops.CreatePrimaryKeyOp, about: About) -> Replacement:
    return _key(created, "create_primary_key_if_missing", "primary", "pkey", about)


def _key(created: Any, helper: str, type_: str, suffix: str, about: About) -> Replacement:
    name = Name(created.table_name, created.schema)
    parts = [name.name, *([] if suffix == "pkey" else created.columns), suffix]
    own = name_code(created.constraint_name) or "_".join(parts)
    options = options_code(dict(created.kw), about.database)
    code = call(helper, own, name.name, [*map(str, created.columns)], schema=name.schema, **options)
    return Replacement(code, _undo(own, name, type_), one_to_one=True)


def drop_constraint(dropped: ops.DropConstraintOp, about: About) -> Replacement | None:
    if dropped.constraint_name is None:
        return None
    name, own = Name(dropped.table_name, dropped.schema), str(dropped.constraint_name)
    known = about.schema.table(name)
    constraint = known.constraints.get(own) if known else None
    type_ = dropped.constraint_type or _TYPES.get(constraint.kind if constraint else "")
    upgrade = call("drop_constraint_if_exists", own, name.name, type_=type_, schema=name.schema)
    return Replacement(upgrade, _restored(constraint, own, name) if constraint else "", one_to_one=True)


_TYPES = {"check": "check", "foreign key": "foreignkey", "unique": "unique", "primary key": "primary"}


def _restored(constraint: Any, own: str, name: Name) -> str:
    """Return the call that creates a constraint again of which its kind and its columns are all that is known."""
    given = {"schema": name.schema}
    if constraint.kind == "check" and constraint.expression:
        return call("create_check_constraint_if_missing", own, name.name, constraint.expression, **given)
    if constraint.kind == "unique" and constraint.columns:
        return call("create_unique_constraint_if_missing", own, name.name, [*constraint.columns], **given)
    if constraint.kind == "primary key" and constraint.columns:
        return call("create_primary_key_if_missing", own, name.name, [*constraint.columns], **given)
    return ""
