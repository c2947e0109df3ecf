"""The check of a column that is added: made with it, or refused before it; the second run compares it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from tests.projects import migrate
from tests.servers import Database

from safeops import (
    DefinitionMismatch,
    UnsafeOperation,
    add_column_if_missing,
    add_required_column,
    assured,
    drop_column_if_exists,
    restore_column,
)

TABLE = 'Odd "table"'
COLUMN = "q q"


def column(condition: str = "{} > 0", **options: Any) -> sa.Column[Any]:
    quoted = {"mysql": "`q q`"}.get(column.kind, '"q q"')  # type: ignore[attr-defined]
    check = sa.CheckConstraint(condition.format(quoted), **options)
    return sa.Column(COLUMN, sa.Integer, check, server_default="5", nullable=False)


@pytest.fixture
def table(database: Database) -> Database:
    column.kind = database.kind  # type: ignore[attr-defined]
    database.execute(f"CREATE TABLE {database.quoted(TABLE)} (id integer PRIMARY KEY)")
    return database


def insert(database: Database, value: int, key: int) -> None:
    database.execute(f"INSERT INTO {database.quoted(TABLE)} (id, {database.quoted(COLUMN)}) VALUES ({key}, {value})")


def columns(database: Database) -> list[str]:
    return [one["name"] for one in sa.inspect(database.observer()).get_columns(TABLE)]


@pytest.mark.parametrize("options", [{}, {"name": "CK q"}], ids=["unnamed", "named"])
def test_it_is_made_compared_and_dropped(table: Database, options: dict[str, str]) -> None:
    def up() -> bool:
        return add_column_if_missing(TABLE, column(**options))

    before = columns(table)
    assert [migrate(table, up), migrate(table, up)] == [True, False]
    insert(table, 1, 1)
    with pytest.raises(sa.exc.DBAPIError):
        insert(table, 0, 2)
    with pytest.raises(DefinitionMismatch, match="condition is"):
        migrate(table, lambda: add_column_if_missing(TABLE, column("{} > 1", **options)))
    assert migrate(table, lambda: drop_column_if_exists(TABLE, COLUMN))
    assert columns(table) == before


@pytest.mark.only("mysql")
@pytest.mark.parametrize("required", [False, True])
def test_it_is_refused_before_the_column_where_the_server_copies_the_table(table: Database, required: bool) -> None:
    table.execute(f"INSERT INTO {table.quoted(TABLE)} VALUES (1)")

    def up() -> Any:
        if required:
            return add_required_column(TABLE, column(), populate=5)
        return add_column_if_missing(TABLE, column())

    def answered_for() -> Any:
        with assured("it is small"):
            return up()

    with pytest.raises(UnsafeOperation, match="copies the table"):
        migrate(table, up)
    assert columns(table) == ["id"]
    assert migrate(table, answered_for)
    with pytest.raises(sa.exc.DBAPIError):
        insert(table, 0, 2)


@pytest.mark.only("postgresql", "sqlite")
def test_it_comes_with_a_required_column_and_back_from_an_archive(table: Database) -> None:
    table.execute(f"INSERT INTO {table.quoted(TABLE)} VALUES (1)")
    migrate(table, lambda: add_required_column(TABLE, column(name="ck"), populate=7))
    assert migrate(table, lambda: drop_column_if_exists(TABLE, COLUMN, archive=True))
    assert migrate(table, lambda: restore_column(TABLE, column(name="ck")))
    assert table.query(f"SELECT * FROM {table.quoted(TABLE)}") == [(1, 7)]
    with pytest.raises(sa.exc.DBAPIError):
        insert(table, 0, 2)
