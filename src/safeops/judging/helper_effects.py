"""What exists after a helper of safeops has run, as operations: later plain statements may depend on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from safeops.judging import operations as ops
from safeops.judging.operations import Operation
from safeops.judging.sent import HelperSent
from safeops.naming import Name

KINDS = {
    "create_table_if_missing": ops.CREATE_TABLE,
    "restore_table": ops.CREATE_TABLE,
    "drop_table_if_exists": ops.DROP_TABLE,
    "add_column_if_missing": ops.ADD_COLUMN,
    "add_required_column": ops.ADD_COLUMN,
    "restore_column": ops.ADD_COLUMN,
    "drop_column_if_exists": ops.DROP_COLUMN,
    "enforce_not_null": ops.SET_NOT_NULL,
    "relax_not_null": ops.DROP_NOT_NULL,
    "alter_column_type": ops.CHANGE_TYPE,
    "set_server_default": ops.SET_DEFAULT,
    "create_index_if_missing": ops.CREATE_INDEX,
    "drop_index_if_exists": ops.DROP_INDEX,
    "create_foreign_key_if_missing": ops.ADD_FOREIGN_KEY,
    "create_check_constraint_if_missing": ops.ADD_CHECK,
    "create_unique_constraint_if_missing": ops.ADD_UNIQUE,
    "create_primary_key_if_missing": ops.ADD_PRIMARY_KEY,
    "validate_constraint": ops.VALIDATE_CONSTRAINT,
    "drop_constraint_if_exists": ops.DROP_CONSTRAINT,
}


def effects_of(helper: HelperSent, dialect: Any) -> Iterator[Operation]:
    """Yield what a helper changes in the schema, as far as later statements can depend on it."""
    kind = KINDS.get(helper.name)
    given = helper.given
    table = given.get("table_name") or given.get("source_table")
    if kind is None or not isinstance(table, str):
        return
    column = given.get("column")
    yield Operation(
        kind,
        Name(table, given.get("schema") or given.get("source_schema")),
        name=given.get("index_name") or given.get("constraint_name"),
        column=getattr(column, "name", None) or given.get("column_name"),
        columns=_columns(given),
        type=_type(given.get("type_", getattr(column, "type", None)), dialect),
        expression=str(given["condition"]) if "condition" in given else None,
        traits=frozenset({"not valid"} if given.get("validate") is False else ()),
    )


def _columns(given: Mapping[str, Any]) -> tuple[str, ...]:
    columns = given.get("columns") or given.get("local_cols") or ()
    return tuple(str(getattr(column, "name", column)) for column in columns)


def _type(type_: Any, dialect: Any) -> str | None:
    if type_ is None:
        return None
    made = type_() if isinstance(type_, type) else type_
    try:
        return str(made.compile(dialect=dialect)).lower()
    except Exception:
        # What cannot be written is not known.
        return None
