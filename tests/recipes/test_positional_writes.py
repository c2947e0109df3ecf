"""Writes without a list of columns while a hidden column has the position of the visible one."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from tests.projects import migrate
from tests.servers import Database

from safeops import TypeChange

CHANGES = {
    "text to jsonb": ("text", postgresql.JSONB(), "[1,2]", [1, 2]),
    "integer to bigint": ("integer NOT NULL DEFAULT 5", sa.BigInteger(), "7", 7),
    "text to integer": ("text", sa.Integer(), "12", 12),
}


def prepare(database: Database, type_: str, value: str) -> None:
    database.execute(
        f'CREATE TABLE "My t" (id integer PRIMARY KEY, "The a" {type_}, c integer)',
        f"INSERT INTO \"My t\" VALUES (1, '{value}', 3)",
    )


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("name", CHANGES)
def test_a_value_written_by_its_position_is_the_value_of_the_column(database, name):
    type_, wanted, value, converted = CHANGES[name]
    change = TypeChange("My t", "The a", wanted)
    prepare(database, type_, value)
    insert = f"INSERT INTO \"My t\" VALUES ({{}}, '{value}', 3)"

    migrate(database, change.expand)
    database.execute(insert.format(2))
    migrate(database, change.switch)
    database.execute(insert.format(3), insert.format(1) + ' ON CONFLICT (id) DO UPDATE SET "The a" = EXCLUDED."The a"')
    assert database.query('SELECT "The a", c FROM "My t" ORDER BY id') == [(converted, 3)] * 3

    migrate(database, change.undo_switch)
    database.execute(insert.format(4))
    migrate(database, change.switch)
    database.execute('CREATE TABLE copied AS SELECT * FROM "My t"', 'DELETE FROM "My t"')
    database.execute('INSERT INTO "My t" SELECT * FROM copied')
    migrate(database, change.contract)

    assert database.query('SELECT "The a", c FROM "My t" ORDER BY id') == [(converted, 3)] * 4


@pytest.mark.only("postgresql")
def test_a_value_that_the_new_type_does_not_take_is_refused_with_what_to_write(database):
    change = TypeChange("My t", "The a", sa.Integer(), using="NULLIF(\"The a\", 'none')::integer")
    prepare(database, "text", "12")
    migrate(database, change.expand)
    migrate(database, change.switch)

    for value in ("twelve", "none"):
        with pytest.raises(sa.exc.DataError, match="written by its position") as raised:
            database.execute(f"INSERT INTO \"My t\" VALUES (2, '{value}', 3)")
        assert 'INSERT INTO public."My t" ("The a", ...)' in str(raised.value)
    database.execute('INSERT INTO "My t" (id, "The a") VALUES (2, 2)', 'INSERT INTO "My t" (id) VALUES (3)')

    assert database.query('SELECT "The a" FROM "My t" ORDER BY id') == [(12,), (2,), (None,)]


@pytest.mark.only("postgresql")
def test_copy_without_columns_takes_the_value(database):
    change = TypeChange("t", "a", postgresql.JSONB())
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, a text)", "INSERT INTO t VALUES (1, '{}')")
    migrate(database, change.expand)
    migrate(database, change.switch)

    with database.engine().connect() as connection:
        cursor = connection.connection.driver_connection.cursor()
        with cursor.copy("COPY t FROM STDIN") as copy:
            copy.write_row((2, '{"b": 2}', None))
        connection.connection.commit()

    assert database.query("SELECT a, safeops_a FROM t WHERE id = 2") == [({"b": 2}, '{"b": 2}')]


@pytest.mark.only("mysql", "sqlite")
def test_elsewhere_the_server_refuses_a_row_with_too_few_values(database):
    change = TypeChange("t", "a", sa.String(50))
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, a integer, c integer)", "INSERT INTO t VALUES (1, 7, 3)")
    for phase in (change.expand, change.switch, change.undo_switch):
        migrate(database, phase)
        with pytest.raises(sa.exc.DBAPIError):
            database.execute("INSERT INTO t VALUES (2, 8, 3)")
        database.execute("INSERT INTO t (id, a, c) VALUES (2, 8, 3)", "DELETE FROM t WHERE id = 2")

    assert [str(row[0]) for row in database.query("SELECT a FROM t")] == ["7"]
