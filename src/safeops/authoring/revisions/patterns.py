"""Patterns: the revision that ``alembic -x pattern=NAME -x table=... revision`` writes.

A pattern names its arguments and has one function a phase; ``drafts`` has the functions, ``arguments`` reads values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from safeops.authoring.revisions import drafts
from safeops.authoring.revisions.arguments import (
    Argument,
    Values,
    flag,
    names,
    names_or_sql,
    number,
    one_of,
    referent,
    type_,
)
from safeops.authoring.revisions.drafts import Draft


@dataclass(frozen=True)
class Pattern:
    """A kind of change: its arguments, and the function that drafts each phase."""

    summary: str
    required: tuple[Argument, ...]
    optional: tuple[Argument, ...]
    phases: Mapping[str, Callable[[Values], Draft]] = field(default_factory=dict)

    @property
    def arguments(self) -> tuple[Argument, ...]:
        return (*self.required, *self.optional)


_TABLE = Argument("table", "users", "the table; schema.table will do", aliases=("table_name", "source_table"))
_COLUMN = Argument("column", "email", "the column", aliases=("column_name", "col"))
_COLUMNS = Argument(
    "columns",
    "email",
    'columns, separated by commas; one with a comma "in quotes"',
    names,
    aliases=("column", "cols", "local_cols"),
)
_EXPRESSIONS = Argument(
    "columns",
    "email",
    'columns, separated by commas; SQL with parentheses, or before desc, nulls last, collate x; "any, name" is a column',
    names_or_sql,
    aliases=("column", "cols"),
)
_TYPE = Argument("type", "varchar(320)", "its type: bigint, numeric(10,2), sa.Text(), ...", type_, aliases=("type_",))
_SCHEMA = Argument("schema", "crm", "the schema of the table", aliases=("source_schema",))
_NAME = Argument("name", "", "its name; made from table and columns", aliases=("index_name", "constraint_name"))
_DEFAULT = Argument("default", "'new'", "server default, as SQL", aliases=("server_default",))
_COMMENT = Argument("comment", "as they typed it", "comment of the column")
_WHERE = Argument("where", "email IS NULL", "which rows, as SQL")
_ACTIONS = one_of("CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION")

PATTERNS = {
    "add-column": Pattern(
        "a column that may be empty, or has a default",
        (_TABLE, _COLUMN, _TYPE),
        (_DEFAULT, _COMMENT, _SCHEMA),
        {"expand": drafts.add_column},
    ),
    "required-column": Pattern(
        "a NOT NULL column: added, filled, enforced",
        (_TABLE, _COLUMN, _TYPE),
        (
            Argument(
                "populate", "lower(name)", "what the rows that stand get, as SQL; else a TODO", aliases=("value",)
            ),
            _WHERE,
            _DEFAULT,
            _COMMENT,
            _SCHEMA,
        ),
        {"expand": drafts.required_column},
    ),
    "backfill": Pattern(
        "values for a column, in batches",
        (
            _TABLE,
            _COLUMN,
            Argument(
                "value",
                "lower(name)",
                "what it becomes, as SQL",
                aliases=("values", "populate", "set"),
            ),
        ),
        (
            _WHERE,
            Argument("key", "id", "unique columns to walk along, instead of the primary key", names),
            Argument("name", "", "what its progress is kept under; made from revision, table and column"),
            Argument("batch_size", "1000", "rows a batch; adapts itself", number),
            _SCHEMA,
        ),
        {"expand": drafts.backfill},
    ),
    "not-null": Pattern("a column becomes NOT NULL", (_TABLE, _COLUMN), (_SCHEMA,), {"expand": drafts.not_null}),
    "index": Pattern(
        "an index",
        (_TABLE, _EXPRESSIONS),
        (
            _NAME,
            Argument("unique", "yes", "no two rows alike", flag),
            Argument("where", "deleted_at IS NULL", "which rows it has, as SQL (PostgreSQL, SQLite)"),
            Argument("using", "gin", "its method (PostgreSQL)"),
            _SCHEMA,
        ),
        {"expand": drafts.index},
    ),
    "unique": Pattern("a unique constraint", (_TABLE, _COLUMNS), (_NAME, _SCHEMA), {"expand": drafts.unique}),
    "check": Pattern(
        "a check constraint",
        (
            _TABLE,
            Argument(
                "condition",
                "age >= 0",
                "what holds of every row, as SQL",
                aliases=("sqltext", "sql", "check"),
            ),
        ),
        (_NAME, _SCHEMA),
        {"expand": drafts.check},
    ),
    "foreign-key": Pattern(
        "a foreign key",
        (
            _TABLE,
            Argument("columns", "team_id", "columns, separated by commas", names, aliases=("column", "local_cols")),
            Argument(
                "to",
                "teams.id",
                "what it refers to",
                referent,
                aliases=("references", "referent_table"),
            ),
        ),
        (
            Argument(
                "remote_cols",
                "id",
                "columns referred to; id",
                names,
                aliases=("remote_columns", "remote_column"),
            ),
            Argument("ondelete", "CASCADE", "what a delete there does here", _ACTIONS, aliases=("on_delete",)),
            Argument("onupdate", "CASCADE", "what an update there does here", _ACTIONS, aliases=("on_update",)),
            Argument("index", "yes", "an index of its columns as well", flag),
            _NAME,
            _SCHEMA,
            Argument("referent_schema", "crm", "the schema of the table referred to"),
        ),
        {"expand": drafts.foreign_key},
    ),
    "enum-value": Pattern(
        "a value for a named type",
        (
            Argument("enum", "mood", "the type", aliases=("enum_name", "type", "type_name")),
            Argument("value", "curious", "the new value"),
        ),
        (
            Argument("before", "happy", "the value that it stands before"),
            Argument("after", "sad", "the value that it stands after"),
            _SCHEMA,
        ),
        {"expand": drafts.enum_value},
    ),
    "rename-column": Pattern(
        "a column under a new name, in two deploys",
        (
            _TABLE,
            Argument("old", "name", "its name now", aliases=("old_name", "from", "column")),
            Argument("new", "full_name", "its new name", aliases=("new_name", "to")),
        ),
        (_SCHEMA,),
        {"expand": drafts.rename_column_expand, "contract": drafts.rename_column_contract},
    ),
    "rename-table": Pattern(
        "a table under a new name, in two deploys",
        (
            Argument("old", "users", "its name now", aliases=("old_name", "old_table", "from", "table")),
            Argument("new", "members", "its new name", aliases=("new_name", "new_table", "to")),
        ),
        (_SCHEMA,),
        {"expand": drafts.rename_table_expand, "contract": drafts.rename_table_contract},
    ),
    "type-change": Pattern(
        "another type for a column, in three deploys",
        (_TABLE, _COLUMN, Argument("type", "bigint", _TYPE.help, type_, aliases=("type_", "new_type", "to"))),
        (
            Argument("using", "email::citext", "the new value, as SQL over the column"),
            Argument("reverse_using", "email::text", "the old value, as SQL over the column"),
            _SCHEMA,
        ),
        {
            "expand": drafts.type_change_expand,
            "switch": drafts.type_change_switch,
            "contract": drafts.type_change_contract,
        },
    ),
    "drop-column": Pattern(
        "a column goes; its values are kept",
        (_TABLE, _COLUMN, _TYPE),
        (_SCHEMA,),
        {"expand": drafts.drop_column},
    ),
    "drop-table": Pattern("a table goes; its rows are kept", (_TABLE,), (_SCHEMA,), {"expand": drafts.drop_table}),
}
