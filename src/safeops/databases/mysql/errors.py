"""The errors of MariaDB and MySQL by their numbers: what each is, and what to do about it.

https://mariadb.com/kb/en/mariadb-error-code-reference/, https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.exc import DBAPIError

from safeops.databases.server import Kind
from safeops.databases.steps import Step
from safeops.errors import DefinitionMismatch, UnsafeOperation
from safeops.planned import could_not

NO_TRIGGERS = 1419
"""https://mariadb.com/kb/en/binary-logging-of-stored-routines/"""
LOCK_FAILURES = {1205, 1213, 3572}
VIOLATIONS = {1048, 1062, 1138, 1265, 1452, 1586, 3819, 4025}
NEEDED_BY_KEY = 1553
NAME_TAKEN = {1823, 1826, 3822}
CAME = {1007, 1050, 1060, 1061, 1068, 1359, *NAME_TAKEN}
GONE = {1008, 1051, 1091, 1360, 3821, 3940}
REFUSALS = {1221, 1845, 1846, 4092}
UNKNOWN_TABLE = {1049, 1146}

# fmt: off
KINDS: Mapping[Kind, set[int]] = {
    "lost": {1053, 1927, 2002, 2003, 2006, 2013, 2055, 4031},
    "held": LOCK_FAILURES,
    "rights": {1044, 1045, 1095, 1142, 1143, 1227, 1370, 1396, 1410, 1419, 1959, 3530},
    "read only": {1290, 1792, 1836},
    "resources": {1021, 1037, 1038, 1040, 1041, 1114, 1203, 1226, 3019},
    "cancelled": {1317, 1969, 3024},
    "values": {1264, 1265, 1292, 1365, 1366, 1367, 1406, 1411, 1416, 1426, 1441, 1690, 3140, 3141, 3144, 3156, 4038},
    "rule": {1644},
    "violation": {*VIOLATIONS, 1451},
    "dependents": {NEEDED_BY_KEY, 1217, 1829, 1834, 3108, 3730, 3837, 3959},
    "unsupported": {
        1069, 1070, 1071, 1105, 1118, 1170, 1178, 1214, 1235, 1347, 1464, 1901, 1906, 3106, 3748, 4119, 4129,
    },
    "statement": {
        1049, 1054, 1064, 1067, 1072, 1101, 1115, 1128, 1146, 1166, 1273, 1305, 1582, 3102, 3757, 3763, 3770, 3813,
    },
}
# fmt: on
# What the arguments of a call make the server refuse: the errors, what to do instead, and the code for that.
_REFUSED: Sequence[tuple[set[int], str, str]] = (
    ({1054, 1064, 1305, 1582, 1583}, "Correct the SQL of the expression.", ""),
    ({1067}, "Give the column a default of its type, as a string or as sa.text(...).", ""),
    (
        {1071, 1170},
        "Index the beginning of the value, or give the column a shorter type:",
        'create_index_if_missing(..., mysql_length={"...": 100})',
    ),
    ({1074, 1118}, "Use TEXT or BLOB for the long columns, or shorter types.", ""),
    ({1090, 4028}, "Drop the table instead:", 'drop_table_if_exists("...")'),
    ({1101}, "Leave the default out: only an expression can be one, sa.text(\"('...')\").", ""),
    ({1163}, "Store the table in InnoDB.", ""),
    ({1215, 3780}, "Give the columns of both sides of the key the same type, sign and character set.", ""),
    ({1503}, "Give the key the columns by which the table is partitioned.", ""),
    ({1506}, "Leave the foreign key out, or use a table that is not partitioned.", ""),
    ({1822, 6125}, "Refer to all columns of a primary key or of a unique constraint, and create that first.", ""),
    ({1824}, "Create the table that the key refers to first.", ""),
    ({1901, 3758, 3763, 3772, 3814, 3815}, "Use functions that return the same value for the same arguments.", ""),
    ({3105}, "Leave the column out: the server computes its values.", ""),
    (
        {3750},
        "The server has sql_require_primary_key set: give the table a primary key. Or let the session do without:",
        'op.execute("SET SESSION sql_require_primary_key = OFF")',
    ),
    ({3753, 3754, 3757}, "Give the expression a type: CAST(... AS CHAR(100)).", ""),
    ({3812}, 'Write a condition that is true or false, such as "(...) <> 0".', ""),
)
REMEDIES = {number: (remedy, code) for numbers, remedy, code in _REFUSED for number in numbers}
VERSIONED = 4119
"""The table keeps a history, which a change of its columns would falsify: no argument is wrong."""


def number_of(error: BaseException) -> int | None:
    """Return the server's number of an error, with every driver."""
    original = getattr(error, "orig", None) or error
    for raised in (original, getattr(original, "__cause__", None)):
        number = getattr(raised, "errno", None) or next(iter(getattr(raised, "args", ())), None)
        if isinstance(number, int):
            return number
    return None


def message_of(error: DBAPIError) -> str:
    """Return the server's own words, without what the driver puts around them."""
    words: Sequence[Any] = getattr(error.orig, "args", ())
    return str(words[1] if len(words) > 1 else error.orig)


def name_taken(step: Step) -> DefinitionMismatch:
    return DefinitionMismatch(
        f"{could_not(step.does)}: another table has a constraint of that name, or another runner has just added it.",
        why="The name of a foreign key, and on MySQL that of a check, is unique in a schema.",
        remedy="Run again, which inspects again. If the name is that of another table, give the new one another name.",
    )


def triggers_not_allowed(failed: str, state: str = "") -> UnsafeOperation:
    """Return the error of a step, or a feature, that needs triggers."""
    return UnsafeOperation(
        f"{failed}: this account cannot create triggers while the server writes a binary log (error {NO_TRIGGERS}).",
        why="With statements in the log, a replica runs what the trigger does with other privileges, so the server requires"
        " SUPER, or the setting that its triggers can be trusted.",
        remedy="Have an administrator run this, keep it in the server's configuration, and run again:",
        code="SET GLOBAL log_bin_trust_function_creators = 1;",
        **({"state": state} if state else {}),
    )
