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
    create_table_if_missing,
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
def test_it_is_refused_before_the_column_if_the_server_copies_the_table(table: Database, required: bool) -> None:
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


def create(*conditions: str, **options: Any) -> bool:
    checks = [sa.CheckConstraint(one, **options) for one in conditions]
    return create_table_if_missing(
        "goods",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("price", sa.Integer, *checks),
        sa.Column("details", sa.JSON),
    )


@pytest.mark.parametrize("options", [{}, {"name": "CK q"}], ids=["unnamed", "named"])
def test_that_of_a_new_table_is_compared(database: Database, options: dict[str, str]) -> None:
    assert [migrate(database, lambda: create("price > 0", **options)) for _ in range(2)] == [True, False]
    database.execute("INSERT INTO goods (id, price) VALUES (1, 1)")
    with pytest.raises(sa.exc.DBAPIError):
        database.execute("INSERT INTO goods (id, price) VALUES (2, 0)")
    with pytest.raises(DefinitionMismatch, match="check"):
        migrate(database, lambda: create("price > 1", **options))


def test_that_which_a_table_lacks_is_missing(database: Database) -> None:
    migrate(database, create)
    with pytest.raises(DefinitionMismatch, match="goods_price_check is missing"):
        migrate(database, lambda: create("price > 0"))


@pytest.mark.parametrize("condition", ["price in (1, 2)", "price between 1 and 9 or price is null", "abs(price) <= 7"])
def test_it_is_the_same_however_the_server_writes_it(database: Database, condition: str) -> None:
    assert [migrate(database, lambda: create(condition)) for _ in range(2)] == [True, False]


def test_it_can_be_written_next_to_the_columns(database: Database) -> None:
    def beside() -> bool:
        return create_table_if_missing(
            "goods",
            sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("price", sa.Integer),
            sa.CheckConstraint("price > 0"),
        )

    assert [migrate(database, one) for one in (lambda: create("price > 0"), beside)] == [True, False]


def test_that_of_a_column_that_was_added_later_counts(database: Database) -> None:
    migrate(
        database,
        lambda: create_table_if_missing("goods", sa.Column("id", sa.Integer, primary_key=True, autoincrement=False)),
    )
    price = sa.Column("price", sa.Integer, sa.CheckConstraint("price > 0"))
    migrate(database, lambda: add_column_if_missing("goods", price))
    migrate(database, lambda: add_column_if_missing("goods", sa.Column("details", sa.JSON)))
    assert not migrate(database, lambda: create("price > 0"))
