"""Revision templates: what ``alembic -x pattern=NAME -x table=... revision`` writes.

A pattern is a function that writes one phase: the body of ``upgrade()`` and its inverse. It is declared with its
arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from safeops.authoring.layout import literal
from safeops.authoring.pattern import (
    Argument,
    Arguments,
    Draft,
    Expression,
    Pattern,
    Values,
    Write,
    flag,
    names,
    names_or_sql,
    number,
    one_of,
    phased,
    referent,
    sql,
    type_from_text,
)
from safeops.naming import Code, call, fitting

PATTERNS: dict[str, Pattern] = {}


def _pattern(
    name: str, summary: str, required: Arguments, optional: Arguments, phases: Mapping[str, str] | None = None
) -> Callable[[Write], Write]:
    """Declare a pattern by the function that writes it, or that writes the value whose methods are the phases."""

    def declare(write: Write) -> Write:
        writers = phased(write, phases) if phases else {"expand": write}
        PATTERNS[name] = Pattern(name, summary, required, optional, writers)
        return write

    return declare


_TABLE = Argument("table", "users", "the table, or schema.table", aliases=("table_name", "source_table"))
_COLUMN = Argument("column", "email", "the column", aliases=("column_name", "col"))
_TYPE = Argument(
    "type", "varchar(320)", "its type: bigint, numeric(10,2), sa.Text(), ...", type_from_text, aliases=("type_",)
)
_SCHEMA = Argument("schema", "crm", "the schema of the table", aliases=("source_schema",))
_NAME = Argument(
    "name", "", "its name; by default made from table and columns", aliases=("index_name", "constraint_name")
)
_DEFAULT = Argument("default", "'new'", "server default, as SQL", aliases=("server_default",))
_COMMENT = Argument("comment", "as they typed it", "comment of the column")
_WHERE = Argument("where", "email IS NULL", "which rows, as SQL")
_ACTIONS = one_of("CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION")


# Columns --------------------------------------------------------------------------------------------------------


@_pattern(
    "add-column",
    "a nullable column, or one with a default",
    (_TABLE, _COLUMN, _TYPE),
    (_DEFAULT, _COMMENT, _SCHEMA),
)
def add_column(given: Values) -> Draft:
    return Draft(
        given.call("add_column_if_missing", given.table, _column(given)),
        _drop_column(given),
        phase=f"1 of 1. Then deploy the application that uses {given.column}.",
        roll_back="Values that were written to the column are lost.",
    )


_POPULATE = Argument(
    "populate", "lower(name)", "the value for existing rows, as SQL; by default a TODO", aliases=("value",)
)


@_pattern(
    "required-column",
    "a NOT NULL column: added, filled, enforced",
    (_TABLE, _COLUMN, _TYPE),
    (_POPULATE, _WHERE, _DEFAULT, _COMMENT, _SCHEMA),
)
def required_column(given: Values) -> Draft:
    todo, value = "", given.populate or given.default
    if value is None:
        todo = '# TODO: replace ... with the value for existing rows: sa.text("SQL") or a constant.\n'
    upgrade = given.call(
        "add_required_column",
        given.table,
        _column(given, nullable=False),
        populate=Code("...") if value is None else sql(value),
        where=sql(given.where),
    )
    return Draft(
        todo + upgrade,
        _drop_column(given),
        phase=f"1 of 1. Afterwards, an insert without {given.column} is refused: set a server default, or pass"
        " keep_filled=True until the application that writes it is deployed.",
        roll_back="Values that were written to the column are lost.",
    )


@_pattern(
    "backfill",
    "values for a column, in batches",
    (
        _TABLE,
        _COLUMN,
        Argument("value", "lower(name)", "the new value, as SQL", aliases=("values", "populate", "set")),
    ),
    (
        _WHERE,
        Argument("key", "id", "unique columns that order the batches, instead of the primary key", names),
        Argument("name", "", "the name of its progress; by default made from revision, table and column"),
        Argument("batch_size", "1000", "rows per batch; adapts to a target time", number),
        _SCHEMA,
    ),
)
def backfill(given: Values) -> Draft:
    name = given.name or fitting("fill", given.table, given.column, given.revision, max_bytes=63)
    return Draft(
        given.call(
            "backfill",
            given.table,
            {given.column: sql(given.value)},
            where=sql(given.where),
            key=given.key,
            name=Code("BACKFILL"),
            batch_size=given.batch_size,
        ),
        call("forget_backfill", Code("BACKFILL")),
        module=f"BACKFILL = {literal(name)}",
        roll_back="Filled values are kept; the next upgrade fills what is empty then.",
    )


@_pattern("not-null", "a column becomes NOT NULL", (_TABLE, _COLUMN), (_SCHEMA,))
def not_null(given: Values) -> Draft:
    return Draft(
        given.call("enforce_not_null", given.table, given.column),
        given.call("relax_not_null", given.table, given.column),
        phase=f"1 of 1. First deploy the application that always writes {given.column}.",
    )


def _column(given: Values, nullable: bool | None = None) -> Code:
    default, type_ = sql(given.default), Code(given.type)
    return call("sa.Column", given.column, type_, nullable=nullable, server_default=default, comment=given.comment)


def _drop_column(given: Values) -> Code:
    return given.call("drop_column_if_exists", given.table, given.column)


# Indexes and constraints ----------------------------------------------------------------------------------------

_EXPRESSIONS = Argument(
    "columns",
    "email",
    'columns, separated by commas; SQL with parentheses, or before desc, nulls last, collate x; "any, name" is a column',
    names_or_sql,
    aliases=("column", "cols"),
)


@_pattern(
    "index",
    "an index",
    (_TABLE, _EXPRESSIONS),
    (
        _NAME,
        Argument("unique", "yes", "no two rows have the same values", flag),
        Argument("where", "deleted_at IS NULL", "the rows in it, as SQL (PostgreSQL, SQLite)"),
        Argument("using", "gin", "its access method (PostgreSQL)"),
        _SCHEMA,
    ),
)
def index(given: Values) -> Draft:
    name = given.name or _named("ix", given.table, *given.columns)
    upgrade = given.call(
        "create_index_if_missing",
        name,
        given.table,
        [sql(column) if isinstance(column, Expression) else column for column in given.columns],
        unique=given.unique or None,
        postgresql_using=given.using,
        postgresql_where=sql(given.where),
        sqlite_where=sql(given.where),
    )
    return Draft(upgrade, given.call("drop_index_if_exists", name, given.table))


_COLUMNS = Argument(
    "columns",
    "email",
    'columns, separated by commas; one with a comma "in quotes"',
    names,
    aliases=("column", "cols", "local_cols"),
)


@_pattern("unique", "a unique constraint", (_TABLE, _COLUMNS), (_NAME, _SCHEMA))
def unique(given: Values) -> Draft:
    name = given.name or _named("uq", given.table, *given.columns)
    return _constraint(given, "unique", name, given.columns, "have the same values")


@_pattern(
    "check",
    "a check constraint",
    (
        _TABLE,
        Argument("condition", "age >= 0", "the condition for every row, as SQL", aliases=("sqltext", "sql", "check")),
    ),
    (_NAME, _SCHEMA),
)
def check(given: Values) -> Draft:
    plain = given.name or _named("ck", given.table, *re.findall(r"[^\W\d]\w*", given.condition)[:1])
    # A naming convention would add its prefix to it.
    return _constraint(given, "check", call("op.f", plain), given.condition, "violate it")


def _constraint(given: Values, kind: str, name: str, definition: Any, violate: str) -> Draft:
    helper = f"create_{kind}_constraint_if_missing"
    return Draft(
        given.call(helper, name, given.table, definition),
        _drop_constraint(given, name, kind),
        phase=f"1 of 1. If rows {violate}, it fails and names them. First deploy the application that writes no such rows.",
    )


@_pattern(
    "foreign-key",
    "a foreign key",
    (
        _TABLE,
        Argument("columns", "team_id", "columns, separated by commas", names, aliases=("column", "local_cols")),
        Argument(
            "to", "teams.id", "the referenced table and column", referent, aliases=("references", "referent_table")
        ),
    ),
    (
        Argument(
            "remote_cols",
            "id",
            "the referenced columns; by default id",
            names,
            aliases=("remote_columns", "remote_column"),
        ),
        Argument("ondelete", "CASCADE", "the action on delete", _ACTIONS, aliases=("on_delete",)),
        Argument("onupdate", "CASCADE", "the action on update", _ACTIONS, aliases=("on_update",)),
        Argument("index", "yes", "also creates an index on its columns", flag),
        _NAME,
        _SCHEMA,
        Argument("referent_schema", "crm", "the schema of the referenced table"),
    ),
)
def foreign_key(given: Values) -> Draft:
    schema, table, columns = given.to
    name = given.name or _named("fk", given.table, *given.columns, table)
    upgrade = call(
        "create_foreign_key_if_missing",
        name,
        given.table,
        table,
        given.columns,
        given.remote_cols or columns or ["id"],
        onupdate=given.onupdate,
        ondelete=given.ondelete,
        source_schema=given.schema,
        referent_schema=given.referent_schema or schema,
    )
    downgrade = _drop_constraint(given, name, "foreignkey")
    if not given.index:
        hint = (
            "# A delete in the referenced table looks up its rows here. Without an index that begins\n"
            "# with these columns, it scans the whole table. -x index=yes adds one.\n"
        )
        return Draft(hint + upgrade, downgrade, phase="1 of 1. If rows refer to missing rows, it fails and names them.")
    helper = index(Values(table=given.table, columns=given.columns, schema=given.schema))
    return Draft(f"{helper.upgrade}\n{upgrade}", f"{downgrade}\n{helper.downgrade}")


def _drop_constraint(given: Values, name: str, type_: str) -> Code:
    return given.call("drop_constraint_if_exists", name, given.table, type_=type_)


def _named(prefix: str, table: str, *rest: str) -> str:
    words = [word for name in (table, *rest) for word in re.findall(r"\w+", name)]
    return fitting(prefix, *words, max_bytes=63)


# Types ----------------------------------------------------------------------------------------------------------


@_pattern(
    "enum-value",
    "a value for a named type",
    (
        Argument("enum", "mood", "the type", aliases=("enum_name", "type", "type_name")),
        Argument("value", "curious", "the new value"),
    ),
    (
        Argument("before", "happy", "the value to place it before"),
        Argument("after", "sad", "the value to place it after"),
        _SCHEMA,
    ),
)
def enum_value(given: Values) -> Draft:
    place = {"before": given.before, "after": given.after}
    return Draft(
        given.call("add_enum_value_if_missing", given.enum, given.value, **place),
        "# Nothing to undo: a value cannot be removed from a named type. An unused value does\n"
        "# no harm, and a later upgrade() finds it there.\npass",
        phase="1 of 1. Then deploy the application that writes the value.",
        roll_back="The value stays in the type, and rows that have it are unchanged.",
    )


# Several deploys ------------------------------------------------------------------------------------------------


_RENAME = {
    "expand": "1 of 2, expand. Then deploy the application that uses {new} only. When no old version runs:\n{next}",
    "contract": "2 of 2, contract. No application that uses {old} must be running.",
}


@_pattern(
    "rename-column",
    "a column with a new name, in two deploys",
    (
        _TABLE,
        Argument("old", "name", "its name now", aliases=("old_name", "from", "column")),
        Argument("new", "full_name", "its new name", aliases=("new_name", "to")),
    ),
    (_SCHEMA,),
    _RENAME,
)
def rename_column(given: Values) -> Code:
    return given.call("ColumnRename", given.table, given.old, given.new)


@_pattern(
    "rename-table",
    "a table with a new name, in two deploys",
    (
        Argument("old", "users", "its name now", aliases=("old_name", "old_table", "from", "table")),
        Argument("new", "members", "its new name", aliases=("new_name", "new_table", "to")),
    ),
    (_SCHEMA,),
    _RENAME,
)
def rename_table(given: Values) -> Code:
    return given.call("TableRename", given.old, given.new)


@_pattern(
    "type-change",
    "a column with a new type, in three deploys",
    (_TABLE, _COLUMN, Argument("type", "bigint", _TYPE.help, type_from_text, aliases=("type_", "new_type", "to"))),
    (
        Argument("using", "email::citext", "the new value, as SQL that uses the column"),
        Argument("reverse_using", "email::text", "the old value, as SQL that uses the column"),
        _SCHEMA,
    ),
    {
        "expand": "1 of 3, expand. The application does not change. Next:\n{next}",
        "switch": "2 of 3, switch. First deploy the application that accepts both types. When the old type is no longer"
        " needed:\n{next}",
        "contract": "3 of 3, contract. Afterwards, a downgrade must fill a column of the old type again.",
    },
)
def type_change(given: Values) -> Code:
    how = {"using": given.using, "reverse_using": given.reverse_using}
    return given.call("TypeChange", given.table, given.column, Code(given.type), **how)


# The last deploy ------------------------------------------------------------------------------------------------


@_pattern("drop-column", "a dropped column; its values are archived", (_TABLE, _COLUMN, _TYPE), (_SCHEMA,))
def drop_column(given: Values) -> Draft:
    return Draft(
        given.call("drop_column_if_exists", given.table, given.column, archive=True),
        given.call("restore_column", given.table, _column(given)),
        phase=f"The last phase. First deploy the application that no longer uses {given.column}.",
        roll_back="The values can be restored until drop_archives() is called.",
    )


@_pattern("drop-table", "a dropped table; its rows are archived", (_TABLE,), (_SCHEMA,))
def drop_table(given: Values) -> Draft:
    return Draft(
        given.call("drop_table_if_exists", given.table, archive=True),
        given.call("restore_table", given.table),
        phase=f"The last phase. First deploy the application that no longer uses {given.table}.",
        roll_back="The rows can be restored until drop_archives() is called.",
    )
