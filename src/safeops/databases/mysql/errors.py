"""What MariaDB and MySQL refuse, whatever the way: by the server's number, with what to do about it.

https://dev.mysql.com/doc/mysql-errors/9.7/en/server-error-reference.html, https://mariadb.com/kb/en/mariadb-error-code-reference/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.exc import DBAPIError

from safeops.databases import server_errors
from safeops.databases.mysql.session import GONE, KINDS, LOCK_FAILURES, NEEDED_BY_KEY, VIOLATIONS, number_of
from safeops.databases.server_errors import Kind
from safeops.databases.steps import Step
from safeops.errors import InvalidArgument, SafeOpsError, UnsafeOperation

_SQL = "Correct the SQL of the expression."
_TYPES = "Give the columns of both sides of the key the same type, sign and character set."
_LENGTH = "Index the beginning of the value, or give the column a shorter type:"
_SHORTER = "Use TEXT or BLOB for the long columns, or shorter types."
_DEFAULT = "Give the column a default of its type, as a string or as sa.text(...)."
_FUNCTION = "Use functions that return the same value for the same arguments."
_PARENT = "Refer to all columns of a primary key or of a unique constraint, and create that first."
_BOOLEAN = 'Write a condition that is true or false, such as "(...) <> 0".'

REFUSED: Mapping[int, tuple[str, str]] = {
    1054: (_SQL, ""),
    1064: (_SQL, ""),
    1067: (_DEFAULT, ""),
    1071: (_LENGTH, 'create_index_if_missing(..., mysql_length={"...": 100})'),
    1074: (_SHORTER, ""),
    1090: ("Drop the table instead:", 'drop_table_if_exists("...")'),
    1101: ("Leave the default out: only an expression can be one, sa.text(\"('...')\").", ""),
    1118: (_SHORTER, ""),
    1163: ("Store the table in InnoDB.", ""),
    1170: (_LENGTH, 'create_index_if_missing(..., mysql_length={"...": 100})'),
    1215: (_TYPES, ""),
    1305: (_SQL, ""),
    1503: ("Give the key the columns by which the table is partitioned.", ""),
    1506: ("Leave the foreign key out, or use a table that is not partitioned.", ""),
    1582: (_SQL, ""),
    1583: (_SQL, ""),
    1822: (_PARENT, ""),
    1824: ("Create the table that the key refers to first.", ""),
    1901: (_FUNCTION, ""),
    3105: ("Leave the column out: the server computes its values.", ""),
    3750: (
        "The server has sql_require_primary_key set: give the table a primary key. Or let the session do without:",
        'op.execute("SET SESSION sql_require_primary_key = OFF")',
    ),
    3753: ("Give the expression a type: CAST(... AS CHAR(100)).", ""),
    3754: ("Give the expression a type: CAST(... AS CHAR(100)).", ""),
    3757: ("Give the expression a type: CAST(... AS CHAR(100)).", ""),
    3758: (_FUNCTION, ""),
    3763: (_FUNCTION, ""),
    3772: (_FUNCTION, ""),
    3780: (_TYPES, ""),
    3812: (_BOOLEAN, ""),
    3814: (_FUNCTION, ""),
    3815: (_FUNCTION, ""),
    4028: ("Drop the table instead:", 'drop_table_if_exists("...")'),
    6125: (_PARENT, ""),
}
# Of these it is no argument that is wrong: the table has a history, which a change of its columns would falsify.
VERSIONED = 4119

CAME = {1007, 1050, 1060, 1061, 1068, 1359}

REFUSALS = {1221, 1845, 1846, 4092}


class ServerErrors(server_errors.ServerErrors):
    """Turns what the server says of a definition into an error that says what to do."""

    def taught(self, error: DBAPIError) -> SafeOpsError | None:
        number = number_of(error)
        if number == VERSIONED:
            return UnsafeOperation(
                f"{self.database.describe()} does not change a system-versioned table: {_said(error)}",
                why="Its history keeps the rows as they were, in the columns of that time.",
                remedy="Where the history may be changed along with the table, let the session do that:",
                code="op.execute(\"SET SESSION system_versioning_alter_history = 'KEEP'\")",
            )
        if number is None or number not in REFUSED:
            return None
        remedy, code = REFUSED[number]
        asked = f"The statement is: {error.statement}" if error.statement else ""
        return InvalidArgument(
            f"{self.database.describe()} refuses this: {_said(error)}", why=asked, remedy=remedy, code=code
        )

    def kind_of(self, error: DBAPIError) -> Kind:
        number = number_of(error)
        if error.connection_invalidated:
            return "lost"
        return next((kind for kind, numbers in KINDS.items() if number in numbers), "other")

    def is_lock_failure(self, error: BaseException) -> bool:
        return number_of(error) in LOCK_FAILURES

    def is_race(self, error: BaseException, step: Step) -> bool:
        return number_of(error) in CAME | GONE

    def is_violation(self, error: BaseException) -> bool:
        return number_of(error) in VIOLATIONS

    def is_refusal(self, error: BaseException) -> bool:
        return number_of(error) in REFUSALS

    def is_dependency(self, error: BaseException) -> bool:
        return number_of(error) == NEEDED_BY_KEY


def _said(error: DBAPIError) -> str:
    """Return the server's own words, whatever the driver puts around them."""
    words: Sequence[Any] = getattr(error.orig, "args", ())
    return str(words[1] if len(words) > 1 else error.orig)
