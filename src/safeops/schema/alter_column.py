"""NOT NULL: proved under a weak lock, then set in a moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from safeops.databases.definitions import Table
from safeops.errors import DependentObjects, InvalidArgument, UnsafeOperation
from safeops.execution.helper import GO_ON, MOMENT, HelperCall, Said, existing_or_skip, helper
from safeops.execution.inspect import look_into, skipped
from safeops.execution.lock_retry import execute
from safeops.execution.migration import Migration
from safeops.execution.replication import note_subscribers
from safeops.naming import Code, Name, call, type_code
from safeops.schema import refusals
from safeops.schema.columns import column_differences
from safeops.schema.refusals import refuse_unless_assured
from safeops.schema.types import instead_of_domain


@helper(
    Said("makes {0}.{1} NOT NULL", f"Rows are checked {GO_ON}.", kind="makes ... NOT NULL"),
    "NOT NULL of {table}.{column_name}",
    changes={"nullable"},
)
def enforce_not_null(migration: HelperCall, table_name: str, column_name: str, *, schema: str | None = None) -> bool:
    """The column is NOT NULL.

    Steps: looks at the column and for rows without a value; PostgreSQL 18: adds NOT NULL NOT VALID, validates it;
    PostgreSQL 14 to 17: adds a check for new rows, validates it, sets NOT NULL (which finds the proof and does not scan),
    drops the check; MariaDB and MySQL: one online ALTER; SQLite: rebuilds the table.

    Args:
        table_name: The table.
        column_name: The column.
        schema: The schema of the table.

    Returns:
        True if it was made NOT NULL, or an interrupted run was completed; False if it was so.

    Raises:
        UnknownTable: There is no such table.
        UnknownColumn: There is no such column.
        ViolatingRows: Rows have NULL there.
        LockNotAcquired: The table was in use for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly, and SHARE UPDATE EXCLUSIVE for the scan; MariaDB and MySQL
    ALGORITHM=INPLACE, LOCK=NONE; SQLite the file for the rebuild.

    Running it again: goes on after the last finished step.

    Offline: the steps of PostgreSQL 14 to 17, guarded; a row without a value makes the validation fail. ``OnlineOnly`` on
    MariaDB, MySQL and SQLite, where the whole column has to be repeated.

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
    return changed or migration.skip("it is there")


@helper(
    Said("lets {0}.{1} be NULL", f"{MOMENT}.", kind="lets ... be NULL"),
    "NOT NULL of {table}.{column_name}",
    changes={"nullable"},
)
def relax_not_null(migration: HelperCall, table_name: str, column_name: str, *, schema: str | None = None) -> bool:
    """The column takes NULL.

    Steps: looks at the column; drops NOT NULL in one brief statement.

    Args:
        table_name: The table.
        column_name: The column.
        schema: The schema of the table.

    Returns:
        True if it was changed, False if it takes NULL already.

    Raises:
        UnknownTable: There is no such table.
        UnknownColumn: There is no such column.
        UnsafeOperation: The column is part of the primary key.
        DependentObjects: The column is in the replica identity of the table.
        LockNotAcquired: The table was in use for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly; MariaDB and MySQL ALGORITHM=INSTANT or INPLACE; SQLite rebuilds the table.

    Running it again: nothing is left to do.

    Offline: ``DROP NOT NULL``, which is the same a second time; ``OnlineOnly`` on MariaDB, MySQL and SQLite.

    Example:
        relax_not_null("users", "email")
    """
    name, table = migration.name, migration.existing(column_name)
    if table is not None:
        unfinished = migration.database.ddl.has_unfinished_not_null(table, column_name)
        if table.columns[column_name].nullable and not unfinished:
            return migration.skip("it is not there")
        if column_name in table.primary_key:
            refuse_key(name, column_name)
        look_into(migration, name, lambda: migration.database.dependents.check_takes_null(table, column_name))
    return execute(migration, migration.database.ddl.drop_not_null(name, column_name, table))


def refuse_key(name: Name, column: str) -> None:
    """Say that a column of the primary key cannot take NULL."""
    raise UnsafeOperation(
        f"{name}.{column} is part of the primary key, so it cannot take NULL.",
        remedy="Drop the key first, if that is what you mean:",
        code=call("drop_constraint_if_exists", f"{name.name}_pkey", name.name, type_="primary", schema=name.schema),
    )


@helper(
    Said("sets the default of {0}.{1}", f"{MOMENT}; no row is touched."),
    "the default of {table}.{column_name}",
    changes={"default"},
)
def set_server_default(
    migration: HelperCall, table_name: str, column_name: str, default: Any, *, schema: str | None = None
) -> bool:
    """The column has this server default, or none.

    Steps: looks at the column; sets or drops the default in one brief statement. Rows that stand keep their values.

    Args:
        table_name: The table.
        column_name: The column.
        default: As ``server_default`` in ``op.alter_column``: a string is a value, ``sa.text("now()")`` an expression;
            None removes it.
        schema: The schema of the table.

    Returns:
        True if it was changed, False if it was as asked.

    Raises:
        UnknownTable: There is no such table.
        UnknownColumn: There is no such column.
        LockNotAcquired: The table was in use for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly; MariaDB and MySQL ALGORITHM=INSTANT; SQLite rebuilds the table.

    Running it again: nothing is left to do.

    Offline: ``ALTER COLUMN ... SET DEFAULT``, which is the same a second time.

    Example:
        set_server_default("users", "active", sa.text("true"))
    """
    if default is not None and not isinstance(default, (str, sa.FetchedValue, sa.sql.ClauseElement)):
        raise InvalidArgument(
            f"The default is {default!r}, not a string, an expression or None.",
            why="A server default is SQL: the server has to be able to read it.",
            remedy="Write a value as a string, or SQL:",
            code=call("set_server_default", table_name, column_name, str(default), schema=schema),
        )
    name, table = migration.name, migration.existing(column_name)
    column = _column_like(name, column_name, table, server_default=default)
    text = migration.database.default_text(column)
    if table is not None:
        now = table.columns[column_name]
        if text == now.default or not column_differences(migration, table, now, column, only=frozenset({"default"})):
            return migration.skip("it is as asked")
    return execute(migration, migration.database.ddl.set_default(name, column_name, text, table))


def _column_like(name: Name, column: str, table: Table | None, **changes: Any) -> sa.Column[Any]:
    """Return a column of the type that stands, so that only the changes differ."""
    existing = table.columns[column] if table else None
    type_: Any = _Spelled(existing.type) if existing else sa.types.NullType()
    made: sa.Column[Any] = sa.Column(column, type_, nullable=existing.nullable if existing else True, **changes)
    sa.Table(name.name, sa.MetaData(), made, schema=name.schema)
    return made


class _Spelled(sa.types.UserDefinedType[Any]):
    """A type that is spelled as the server spells it."""

    cache_ok = True

    def __init__(self, spelling: str) -> None:
        self.spelling = spelling

    def get_col_spec(self, **kw: Any) -> str:
        return self.spelling


IN_PLACE = "It belongs to a key or to the partitioning: only one statement can change its type. If writes may wait:"


@helper(
    Said("changes the type of {0}.{1}", f"{MOMENT}; refused where rows would be rewritten."),
    "the type of {table}.{column_name}",
    changes={"type", "collation"},
    example={"type_": Code("sa.String(200)")},
)
def alter_column_type(
    migration: HelperCall, table_name: str, column_name: str, type_: Any, *, schema: str | None = None
) -> bool:
    """The column has this type; refused where the server would rewrite or scan the table for it.

    Steps: looks at the column; asks the server on an empty copy of the table whether the change rewrites anything;
    changes the type in one brief statement.

    Args:
        table_name: The table.
        column_name: The column.
        type_: The new type, as in ``op.alter_column``.
        schema: The schema of the table.

    Returns:
        True if it was changed, False if the column has the type.

    Raises:
        UnknownTable: There is no such table.
        UnknownColumn: There is no such column.
        DependentObjects: A view, a generated column, a foreign key or the like uses it, and the server refuses.
        UnsafeOperation: It would rewrite or scan rows; the message shows the ``TypeChange`` that does not.
        LockNotAcquired: The table was in use for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly (a statement that a session prepared before and whose result has the column
    fails once, with "cached plan must not change result type"); MariaDB and MySQL ALGORITHM=INSTANT or INPLACE, LOCK=NONE;
    SQLite rebuilds the table.

    Running it again: nothing is left to do.

    Offline: ``OnlineOnly``: only the live table can tell whether it would be rewritten.

    Example:
        alter_column_type("users", "name", sa.String(200))      # from String(100)
    """
    type_ = sa.types.to_instance(type_) if _is_type(type_) else type_
    if not isinstance(type_, sa.types.TypeEngine):
        raise InvalidArgument(f"The type is {type_!r}, not a SQLAlchemy type.", remedy="Write:", code=migration.right)
    name, table = migration.name, migration.existing(column_name)
    if table is None:
        raise migration.online_only(
            f"The type of {name}.{column_name}", "Only the live table can tell whether the change would rewrite it."
        )
    column: sa.Column[Any] = sa.Column(column_name, type_)
    sa.Table(name.name, sa.MetaData(), column, schema=name.schema)
    only = frozenset({"type", "collation"})
    if not column_differences(migration, table, table.columns[column_name], column, only=only):
        return migration.skip("it is as asked")
    look_into(migration, name, lambda: migration.database.safety.check_type_change(column, table))
    change = f"{call('TypeChange', table_name, column_name, type_code(type_), schema=schema)}.expand()"
    _refuse_blocking(migration, table, name, column, change)
    note_subscribers(migration, table, f"a subscriber stops at a value that its {column_name} does not take.")
    explain = _explained(migration, table, name, column_name, change)
    return execute(migration, migration.database.ddl.alter_type(name, column, table), explain)


def _is_type(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, sa.types.TypeEngine)


def _refuse_blocking(migration: Migration, table: Table, name: Name, column: sa.Column[Any], change: str) -> None:
    """Raise UnsafeOperation where the server would rewrite or scan rows for the new type."""
    database = migration.database
    why = look_into(migration, name, lambda: database.safety.type_refusal(column, table))
    if not why or not look_into(migration, name, lambda: database.has_rows(table)):
        return
    words, code = instead_of_domain(migration, name, column)
    in_place = look_into(migration, name, lambda: database.safety.type_in_place(column, table))
    if in_place:
        words, code = IN_PLACE, in_place
    refuse_unless_assured(
        f"{name}.{column.name} is {table.columns[str(column.name)].type}; making it"
        f" {database.type_text(column.type)} would block: {why}.",
        "",
        words or "Change it over several deploys, which blocks nobody:",
        code or change,
    )


def refuse_in_place_only(migration: Migration, table: Table, name: Name, column: str, type_: Any) -> None:
    """Raise UnsupportedOnDatabase for a column of which this server makes no second one of another type."""
    database, wanted = migration.database, sa.Column(column, type_)
    sa.Table(name.name, sa.MetaData(), wanted, schema=name.schema)
    in_place = look_into(migration, name, lambda: database.safety.type_in_place(wanted, table))
    if in_place:
        what = f"Another type for {name}.{column} over several deploys"
        raise database.unsupported(what, "PostgreSQL", IN_PLACE, in_place)


def _explained(migration: Migration, table: Table, name: Name, column: str, change: str) -> Callable[[DBAPIError], Any]:
    """Return what turns the server's refusal to change a type into an error that teaches."""

    def explain(error: DBAPIError) -> DependentObjects | UnsafeOperation | None:
        if migration.database.errors.is_unconvertible(error):
            return UnsafeOperation(
                f"{migration.database.product} does not change {name}.{column} to that type:"
                f" {' '.join(str(error.orig).split())}",
                remedy="Say how a value is converted, over several deploys:",
                code=change,
            )
        dependents = look_into(migration, name, lambda: migration.database.dependents.dependents_on_type(table, column))
        if not dependents:
            return None
        listed = "".join(f"\n  - {dependent}" for dependent in dependents)
        return DependentObjects(
            f"Cannot change the type of {name}.{column}, because others depend on it:{listed}",
            why=f"The server says: {' '.join(str(error.orig).split())}",
            remedy="Drop them first, and create them again afterwards.",
        )

    return explain


def _is_no_comment(comment: Any) -> bool:
    return comment is not None and (not isinstance(comment, str) or "\x00" in comment)


@helper(
    Said("sets the comment of {0}.{1}", "Readers and writers go on; no row is touched."),
    changes={"comment"},
    example={"comment": lambda given: "as they typed it" if _is_no_comment(given["comment"]) else given["comment"]},
)
def set_comment(
    migration: HelperCall, table_name: str, column_name: str | None, comment: str | None, *, schema: str | None = None
) -> bool:
    """The table, or its column, has this comment, or none.

    Steps: looks at the table; sets or removes the comment in one brief statement. MariaDB and MySQL repeat the whole
    definition of a column for it, which is read from the table.

    Args:
        table_name: The table.
        column_name: The column; None for the comment of the table itself.
        comment: The text; None removes the comment.
        schema: The schema of the table.

    Returns:
        True if it was changed, False if it was as asked.

    Raises:
        UnknownTable: There is no such table.
        UnknownColumn: There is no such column.
        UnsupportedOnDatabase: The server keeps no comments (SQLite).
        UnsafeOperation: MariaDB and MySQL would copy a table that has rows, as for a generated column; or the comment
            holds the state of a helper that was stopped.
        LockNotAcquired: The table was in use for the whole retry budget.

    Locks: PostgreSQL SHARE UPDATE EXCLUSIVE, briefly: reads and writes are not blocked; MariaDB and MySQL
    ALGORITHM=INSTANT.

    Running it again: nothing is left to do.

    Offline: ``COMMENT ON``, ``ALTER TABLE ... COMMENT``, which are the same a second time. The comment of a column is
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
    table = existing_or_skip(migration, migration.name, what, columns)
    if table is not None and database.ddl.comment_of(table, column_name) == (comment or None):
        return skipped(what, "it is as asked")
    return execute(migration, database.ddl.set_comment(migration.name, column_name, comment or None, table))
