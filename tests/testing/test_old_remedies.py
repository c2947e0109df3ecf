"""What to write in place of a change that breaks the deployed release depends on what the database can do."""

from __future__ import annotations

import pytest

from safeops.databases.definitions import Column, Table
from safeops.naming import Name
from safeops.testing.old_remedies import Change, Described, remedy_of

USERS = Name("users")


def users(*columns: Column) -> dict[Name, Described]:
    found = Table(USERS, {column.name: column for column in (Column("id", "integer", False), *columns)})
    return {USERS: Described(found, {"short": "sa.String(10)"})}


@pytest.mark.parametrize("fills", [True, False])
def test_a_required_column_can_be_filled_by_a_trigger(fills: bool) -> None:
    change = Change(USERS, ("id",), users(), users(Column("short", "varchar(10)", False)), fills=fills)
    code = remedy_of([(change, "short")]).code
    column = 'sa.Column("short", sa.String(10), nullable=False'
    assert f'add_column_if_missing("users", {column}, server_default="..."))' in code
    assert f'add_required_column("users", {column}), populate=...)' in code
    filled = f'add_required_column("users", {column}), populate=sa.text(...), keep_filled=True)'
    assert (filled in code) is fills
