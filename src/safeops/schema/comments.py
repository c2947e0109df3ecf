"""Comments of tables and columns."""

from __future__ import annotations

from safeops.errors import InvalidArgument
from safeops.execution.inspect import check_has_columns, check_names, known, look, skipped
from safeops.execution.lock_retry import carry_out
from safeops.execution.migration import running
from safeops.naming import Name, call
from safeops.schema.refusals import GONE, is_gone


def set_comment(table_name: str, column_name: str | None, comment: str | None, *, schema: str | None = None) -> bool:
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
    text = comment if comment is None or isinstance(comment, str) else "as they typed it"
    right = call("set_comment", table_name, column_name, text, schema=schema)
    with running("set_comment") as migration:
        check_names(migration, right, table_name=table_name, schema=schema)
        if column_name is not None:
            check_names(migration, right, column_name=column_name)
        if comment is not None and (text != comment or "\x00" in comment):
            raise InvalidArgument(f"The comment is {comment!r}, not a text or None.", remedy="Write:", code=right)
        database, name, columns = migration.database, Name(table_name, schema), [column_name] if column_name else []
        what = f"the comment of {'.'.join([str(name), *columns])}"
        if not database.abilities.has_comments:
            asked, code = (
                f"{what[:1].upper()}{what[1:]}",
                f"if op.get_context().dialect.supports_comments:\n    {right}",
            )
            raise database.unsupported(
                asked, "a server that keeps comments", "Make the call depend on the server:", code
            )
        stands = look(migration, name)
        if is_gone(migration, stands, name, *columns):
            return skipped(what, GONE)
        stands = known(migration, stands, name)
        check_has_columns(stands, columns)
        if stands is not None and database.ddl.comment_of(stands, column_name) == (comment or None):
            return skipped(what, "it is as asked")
        return carry_out(migration, database.ddl.set_comment(name, column_name, comment or None, stands))
