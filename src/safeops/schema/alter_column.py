"""Changes of a column: NOT NULL, default, type and comment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from safeops.databases.definitions import Table
from safeops.databases.server import Kind
from safeops.errors import DependentObjects, InvalidArgument, UnsafeOperation
from safeops.execution.helper import BRIEF_LOCK, ONLINE, HelperCall, Said, existing_or_skip, helper
from safeops.execution.inspect import look_into, skipped
from safeops.execution.lock_retry import execute
from safeops.execution.migration import Migration
from safeops.execution.replication import note_subscribers
from safeops.naming import Code, Name, call, type_code
from safeops.schema import refusals
from safeops.schema.columns import column_differences
from safeops.schema.refusals import refuse_unless_assured
from safeops.schema.types import instead_of_domain

BLAMES_DEPENDENTS = frozenset[Kind]({"dependents", "unsupported", "other"})
"""Errors of a change of a type whose reason can be an object that depends on the column."""


@helper(
    Said("makes {0}.{1} NOT NULL", f"Rows are checked {ONLINE}.", kind="makes ... NOT NULL"),
    "NOT NULL of {table}.{column_name}",
    changes={"nullable"},
)
def enforce_not_null(migration: HelperCall, table_name: str, column_name: str, *, schema: str | None = None) -> bool:
    """The column is NOT NULL.

    Steps: inspects the column and for rows without a value; PostgreSQL 18: adds NOT NULL NOT VALID, validates it;
    PostgreSQL 14 to 17: adds a check for new rows, validates it, sets NOT NULL (the valid check saves the scan), drops the
    check; MariaDB and MySQL: one online ALTER; SQLite: rebuilds the table.

    Args:
        table_name: The table.
        column_name: The column.
        schema: The schema of the table.

    Returns:
        True if it was made NOT NULL, or an interrupted run was completed; False if it already was NOT NULL.

    Raises:
        UnknownTable: The table does not exist.
        UnknownColumn: The column does not exist.
        ViolatingRows: Rows have NULL in the column.
        LockNotAcquired: The table stayed locked for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly, and SHARE UPDATE EXCLUSIVE for the scan of rows, if there are any; MariaDB
    and MySQL ALGORITHM=INPLACE, LOCK=NONE; SQLite the file, for the rebuild.

    Running it again: continues after the last finished step.

    Offline: the steps of PostgreSQL 14 to 17, guarded; the validation fails if a row has no value. ``OnlineOnly`` on
    MariaDB, MySQL and SQLite, which need the whole definition of the column.

    Example:
        enforce_not_null("users", "email")
    """
    table = migration.existing(column_name)
    offenders = None
    if table is not None and table.columns[column_name].nullable:
        offenders = refusals.nulls(migration, table, column_name)
        refusals.refuse(migration, table, offenders)
    plan = migration.database.ddl.set_not_null(migration.name, column_name, table)
    changed = execute(migration, plan, refusals.explained_by(migration, table, offenders))
    return changed or migration.skip("it is already in place")


@helper(
    Said("makes {0}.{1} nullable", f"{BRIEF_LOCK}.", kind="makes ... nullable"),
    "NOT NULL of {table}.{column_name}",
    changes={"nullable"},
)
def relax_not_null(migration: HelperCall, table_name: str, column_name: str, *, schema: str | None = None) -> bool:
    """The column is nullable.

    Steps: inspects the column; drops NOT NULL in one brief statement.

    Args:
        table_name: The table.
        column_name: The column.
        schema: The schema of the table.

    Returns:
        True if it was changed, False if it already was nullable.

    Raises:
        UnknownTable: The table does not exist.
        UnknownColumn: The column does not exist.
        UnsafeOperation: The column is part of the primary key.
        DependentObjects: The column is part of the replica identity of the table.
        LockNotAcquired: The table stayed locked for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly; MariaDB and MySQL ALGORITHM=INSTANT or INPLACE; SQLite rebuilds the table.

    Running it again: does nothing.

    Offline: ``DROP NOT NULL``, which can run twice; ``OnlineOnly`` on MariaDB, MySQL and SQLite.

    Example:
        relax_not_null("users", "email")
    """
    name, table = migration.name, migration.existing(column_name)
    if table is not None:
        unfinished = migration.database.ddl.has_unfinished_not_null(table, column_name)
        if table.columns[column_name].nullable and not unfinished:
            return migration.skip("it does not exist")
        if column_name in table.primary_key:
            refuse_key(name, column_name)
        look_into(migration, name, lambda: migration.database.dependents.check_takes_null(table, column_name))
    return execute(migration, migration.database.ddl.drop_not_null(name, column_name, table))


def refuse_key(name: Name, column: str) -> None:
    """Raise UnsafeOperation: a column of the primary key cannot be nullable."""
    raise UnsafeOperation(
        f"Could not make {name}.{column} nullable: it is part of the primary key.",
        remedy="If this is intended, drop the key first:",
        code=call("drop_constraint_if_exists", f"{name.name}_pkey", name.name, type_="primary", schema=name.schema),
    )


@helper(
    Said("sets the default of {0}.{1}", f"{BRIEF_LOCK}; no row is changed."),
    "the default of {table}.{column_name}",
    changes={"default"},
)
def set_server_default(
    migration: HelperCall, table_name: str, column_name: str, default: Any, *, schema: str | None = None
) -> bool:
    """The column has this server default, or none.

    Steps: inspects the column; sets or drops the default in one brief statement. Existing rows keep their values.

    Args:
        table_name: The table.
        column_name: The column.
        default: As ``server_default`` in ``op.alter_column``: a string is a value, ``sa.text("now()")`` an expression;
            None removes it.
        schema: The schema of the table.

    Returns:
        True if it was changed, False if it already was as requested.

    Raises:
        UnknownTable: The table does not exist.
        UnknownColumn: The column does not exist.
        LockNotAcquired: The table stayed locked for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly; MariaDB and MySQL ALGORITHM=INSTANT; SQLite rebuilds the table.

    Running it again: does nothing.

    Offline: ``ALTER COLUMN ... SET DEFAULT``, which can run twice.

    Example:
        set_server_default("users", "active", sa.text("true"))
    """
    if default is not None and not isinstance(default, (str, sa.FetchedValue, sa.sql.ClauseElement)):
        raise InvalidArgument(
            f"The default is {default!r}, not a string, an expression or None.",
            why="A server default is SQL text.",
            remedy="Pass the value as a string, or an expression as sa.text(...):",
            code=call("set_server_default", table_name, column_name, str(default), schema=schema),
        )
    name, table = migration.name, migration.existing(column_name, things=())
    column = _column_like(name, column_name, table, server_default=default)
    text = migration.database.default_text(column)
    if table is not None:
        now = table.columns[column_name]
        if text == now.default or not column_differences(migration, table, now, column, only=frozenset({"default"})):
            return migration.skip("it is already as requested")
    return execute(migration, migration.database.ddl.set_default(name, column_name, text, table))


def _column_like(name: Name, column: str, table: Table | None, **changes: Any) -> sa.Column[Any]:
    """Return a column with its existing type; only the changes differ."""
    existing = table.columns[column] if table else None
    type_: Any = _Spelled(existing.type) if existing else sa.types.NullType()
    made: sa.Column[Any] = sa.Column(column, type_, nullable=existing.nullable if existing else True, **changes)
    sa.Table(name.name, sa.MetaData(), made, schema=name.schema)
    return made


class _Spelled(sa.types.UserDefinedType[Any]):
    """A type in the spelling of the server."""

    cache_ok = True

    def __init__(self, spelling: str) -> None:
        self.spelling = spelling

    def get_col_spec(self, **kw: Any) -> str:
        return self.spelling


IN_PLACE = (
    "It is part of a key or of the partitioning: only one statement can change its type. If writers can wait, run:"
)


@helper(
    Said("changes the type of {0}.{1}", f"{BRIEF_LOCK}; refused if rows would be rewritten."),
    "the type of {table}.{column_name}",
    changes={"type", "collation"},
    example={"type_": Code("sa.String(200)")},
)
def alter_column_type(
    migration: HelperCall, table_name: str, column_name: str, type_: Any, *, schema: str | None = None
) -> bool:
    """The column has this type. Refused if the server would rewrite or scan the table.

    Steps: inspects the column; tests on an empty copy of the table whether the change rewrites rows;
    changes the type in one brief statement.

    Args:
        table_name: The table.
        column_name: The column.
        type_: The new type, as in ``op.alter_column``.
        schema: The schema of the table.

    Returns:
        True if it was changed, False if the column has the type.

    Raises:
        UnknownTable: The table does not exist.
        UnknownColumn: The column does not exist.
        DependentObjects: The server refuses, because a view, a generated column, a foreign key or another object uses it.
        UnsafeOperation: It would rewrite or scan rows; the message shows the ``TypeChange`` to use instead.
        LockNotAcquired: The table stayed locked for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly (in other sessions, a prepared statement that returns the column fails once,
    with "cached plan must not change result type"); MariaDB and MySQL ALGORITHM=INSTANT or INPLACE, LOCK=NONE;
    SQLite rebuilds the table.

    Running it again: does nothing.

    Offline: ``OnlineOnly``: whether the table would be rewritten depends on the live table.

    Example:
        alter_column_type("users", "name", sa.String(200))      # from String(100)
    """
    type_ = sa.types.to_instance(type_) if _is_type(type_) else type_
    if not isinstance(type_, sa.types.TypeEngine):
        raise InvalidArgument(f"The type is {type_!r}, not a SQLAlchemy type.", remedy="Write:", code=migration.right)
    name, table = migration.name, migration.existing(column_name)
    if table is None:
        raise migration.online_only(
            f"The type of {name}.{column_name}", "Whether the change would rewrite the table depends on the live table."
        )
    column: sa.Column[Any] = sa.Column(column_name, type_)
    sa.Table(name.name, sa.MetaData(), column, schema=name.schema)
    only = frozenset({"type", "collation"})
    if not column_differences(migration, table, table.columns[column_name], column, only=only):
        return migration.skip("it is already as requested")
    look_into(migration, name, lambda: migration.database.safety.check_type_change(column, table))
    change = f"{call('TypeChange', table_name, column_name, type_code(type_), schema=schema)}.expand()"
    _refuse_blocking(migration, table, name, column, change)
    note_subscribers(migration, table, f"a subscriber stops at a value that its {column_name} rejects.")
    explain = _explained(migration, table, name, column_name, change)
    return execute(migration, migration.database.ddl.alter_type(name, column, table), explain)


def _is_type(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, sa.types.TypeEngine)


def _refuse_blocking(migration: Migration, table: Table, name: Name, column: sa.Column[Any], change: str) -> None:
    """Raise UnsafeOperation if the server would rewrite or scan rows for the new type."""
    database = migration.database
    why = look_into(migration, name, lambda: database.safety.type_refusal(column, table))
    if not why or not look_into(migration, name, lambda: database.has_rows(table)):
        return
    words, code = instead_of_domain(migration, name, column)
    in_place = look_into(migration, name, lambda: database.safety.type_in_place(column, table))
    if in_place:
        words, code = IN_PLACE, in_place
    refuse_unless_assured(
        f"Changing {name}.{column.name} from {table.columns[str(column.name)].type} to"
        f" {database.type_text(column.type)} would block: {why}.",
        "",
        words or "Change it over several deploys, without blocking reads and writes:",
        code or change,
    )


def refuse_in_place_only(migration: Migration, table: Table, name: Name, column: str, type_: Any) -> None:
    """Raise UnsupportedOnDatabase if this server cannot keep a second column of another type in sync."""
    database, wanted = migration.database, sa.Column(column, type_)
    sa.Table(name.name, sa.MetaData(), wanted, schema=name.schema)
    in_place = look_into(migration, name, lambda: database.safety.type_in_place(wanted, table))
    if in_place:
        what = f"A change of the type of {name}.{column} over several deploys"
        raise database.unsupported(what, "PostgreSQL", IN_PLACE, in_place)


def _explained(migration: Migration, table: Table, name: Name, column: str, change: str) -> Callable[[DBAPIError], Any]:
    """Return a function that turns the server's refusal to change a type into an error with a remedy."""

    def explain(error: DBAPIError) -> DependentObjects | UnsafeOperation | None:
        if migration.database.errors.is_unconvertible(error):
            return UnsafeOperation(
                f"Could not change the type of {name}.{column}: {' '.join(str(error.orig).split())}",
                remedy="Define how values are converted, and change the type over several deploys:",
                code=change,
            )
        errors = migration.database.errors
        if errors.kind_of(error) not in BLAMES_DEPENDENTS or errors.explained(error) is not None:
            return None
        dependents = look_into(migration, name, lambda: migration.database.dependents.dependents_on_type(table, column))
        if not dependents:
            return None
        listed = "".join(f"\n  - {dependent}" for dependent in dependents)
        return DependentObjects(
            f"Could not change the type of {name}.{column}: other objects depend on it:{listed}",
            why=f"The server reports: {' '.join(str(error.orig).split())}",
            remedy="Drop these objects first, and create them again afterwards.",
        )

    return explain


def _is_no_comment(comment: Any) -> bool:
    return comment is not None and (not isinstance(comment, str) or "\x00" in comment)


@helper(
    Said("sets the comment of {0}.{1}", "Reads and writes are not blocked; no row is changed."),
    changes={"comment"},
    example={
        "comment": lambda given: (
            str(given["comment"]).replace("\x00", "") if _is_no_comment(given["comment"]) else given["comment"]
        )
    },
)
def set_comment(
    migration: HelperCall, table_name: str, column_name: str | None, comment: str | None, *, schema: str | None = None
) -> bool:
    """The table or its column has this comment, or none.

    Steps: inspects the table; sets or removes the comment in one brief statement. On MariaDB and MySQL this
    repeats the whole definition of the column, which is read from the table.

    Args:
        table_name: The table.
        column_name: The column; None sets the comment of the table.
        comment: The text; None removes the comment.
        schema: The schema of the table.

    Returns:
        True if it was changed, False if it already was as requested.

    Raises:
        UnknownTable: The table does not exist.
        UnknownColumn: The column does not exist.
        UnsupportedOnDatabase: The server keeps no comments (SQLite).
        UnsafeOperation: MariaDB and MySQL would copy a table that has rows, for example for a generated column; or the
            comment holds the state of a helper that was stopped.
        LockNotAcquired: The table stayed locked for the whole retry budget.

    Locks: PostgreSQL SHARE UPDATE EXCLUSIVE, briefly: reads and writes are not blocked; MariaDB and MySQL
    ALGORITHM=INSTANT.

    Running it again: does nothing.

    Offline: ``COMMENT ON``, ``ALTER TABLE ... COMMENT``, which can run twice. The comment of a column is
    ``OnlineOnly`` on MariaDB and MySQL.

    Example:
        set_comment("users", "email", "as they typed it")
    """
    if _is_no_comment(comment):
        raise InvalidArgument(f"The comment is {comment!r}, not a text or None.", remedy="Write:", code=migration.right)
    database, columns = migration.database, [column_name] if column_name else []
    what = f"the comment of {'.'.join([str(migration.name), *columns])}"
    if not database.abilities.has_comments:
        code = f"if op.get_context().dialect.supports_comments:\n    {migration.right}"
        remedy = "Make the call depend on the server:"
        raise database.unsupported(f"{what[:1].upper()}{what[1:]}", "a server that keeps comments", remedy, code)
    table = existing_or_skip(migration, migration.name, what, columns, things=())
    if table is not None and database.ddl.comment_of(table, column_name) == (comment or None):
        return skipped(what, "it is already as requested")
    return execute(migration, database.ddl.set_comment(migration.name, column_name, comment or None, table))
