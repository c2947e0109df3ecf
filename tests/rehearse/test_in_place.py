"""What plain statements change in place is distinguished from values that were read earlier and written back."""

from __future__ import annotations

import pytest

from safeops.naming import Name
from safeops.rehearse.effects import Statement
from safeops.rehearse.in_place import with_in_place
from safeops.rehearse.traffic import Replacements
from safeops.rehearse.traffic.plan import Column, TableTraffic
from safeops.rehearse.traffic.replacements import Replacement

USERS = Name("users", "public")
COLUMNS = tuple(Column(name, "other", False, True) for name in ("id", "name", "points", "Group"))
TRAFFIC = TableTraffic(USERS, ("id",), True, COLUMNS, ())


def in_place(*sent: str, replacements: Replacements | None = None) -> tuple[set[str], bool]:
    statements = [Statement("r1", "up", sql, 0.0) for sql in sent]
    found = with_in_place(replacements or Replacements(), statements, [TRAFFIC])
    return {column for _, column in found.in_place}, USERS in found.emptied


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("UPDATE users SET points = points + 1", {"points"}),
        ("UPDATE ONLY public.users SET name=lower(name), points = (points * 2) % 7 WHERE id > 3", {"name", "points"}),
        ("""UPDATE "public"."users" SET "Group" = 'a, b' WHERE name LIKE '%%x'""", {"Group"}),
        ("UPDATE users SET points = NULL WHERE name = %(name)s", {"points"}),
        ("UPDATE users SET points = coalesce(%(id)s, points)", {"points"}),
        # Written back row by row, from another column, from elsewhere, to another table.
        ("UPDATE users SET name = %(name)s WHERE id = %(id)s", set()),
        ("UPDATE users SET name = 'x' WHERE users.id = 4", set()),
        ("UPDATE users SET name = points", set()),
        ("UPDATE users SET name = old.name FROM old WHERE old.id = users.id", set()),
        ("UPDATE users SET name = (SELECT max(name) FROM old)", set()),
        ("UPDATE other.users SET name = lower(name)", set()),
        ("UPDATE old SET name = (lower(users))", set()),
        ("INSERT INTO users (name) VALUES ('SET name = 1')", set()),
    ],
)
def test_columns_that_are_changed_in_place(sql: str, columns: set[str]) -> None:
    assert in_place(sql) == (columns, False)


@pytest.mark.parametrize(
    ("sent", "emptied"),
    [
        (("DELETE FROM users WHERE points < 0",), True),
        (("DELETE FROM public.users",), True),
        (("DELETE FROM users WHERE id = 3",), False),
        (("DELETE FROM users USING old WHERE old.name = users.name",), False),
        (("DELETE FROM users", "INSERT INTO users SELECT * FROM old"), False),
        (("TRUNCATE users",), False),
    ],
)
def test_rows_that_are_deleted_as_they_are(sent: tuple[str, ...], emptied: bool) -> None:
    assert in_place(*sent) == (set(), emptied)


def test_what_helpers_keep_is_still_compared() -> None:
    synced = Replacements([Replacement(Name("users"), "name", "points")], rewritten={(Name("users"), "Group")})
    sent = [f'UPDATE users SET "{column}" = lower("{column}")' for column in ("name", "points", "Group")]
    assert in_place(*sent, replacements=synced) == (set(), False)
