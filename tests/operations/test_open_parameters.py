"""A colon in text() that begins a parameter without a value is refused: SQLAlchemy writes NULL for it."""

import pytest
import sqlalchemy as sa
from tests.projects import migrate, render

from safeops import (
    InvalidArgument,
    add_column_if_missing,
    create_check_constraint_if_missing,
    create_index_if_missing,
    create_table_if_missing,
    set_server_default,
)

REPLACED = "replace(name, ':x', '')"
CALLS = {
    "a default": lambda: set_server_default("users", "name", sa.text("'{\"a\":1}'")),
    "a computed column": lambda: add_column_if_missing("users", sa.Column("c", sa.String(20), sa.Computed(REPLACED))),
    "a check": lambda: create_check_constraint_if_missing("ck", "users", sa.text("name <> ':x'")),
    "an index": lambda: create_index_if_missing("ix", "users", [sa.text(f"({REPLACED})")]),
    "a condition": lambda: create_index_if_missing("ix", "users", ["name"], postgresql_where=sa.text("name <> ':x'")),
    "a new table": lambda: create_table_if_missing("t", sa.Column("a", sa.Text, server_default=sa.text("':x'"))),
}


@pytest.mark.parametrize("named", CALLS)
def test_it_is_refused(database, named):
    if named == "a condition" and database.kind != "postgresql":
        pytest.skip("its name is for PostgreSQL")
    database.execute(
        "CREATE TABLE users (id integer PRIMARY KEY, name varchar(20))", "INSERT INTO users VALUES (1, 'x')"
    )
    with pytest.raises(InvalidArgument, match=r"the parameter :\w+ has no value"):
        migrate(database, CALLS[named])
    assert database.query("SELECT * FROM users") == [(1, "x")]


def test_it_is_refused_offline():
    with pytest.raises(InvalidArgument, match=r"the parameter :x has no value"):
        render("postgresql://", CALLS["a condition"])


@pytest.mark.only("pg18")
def test_an_escaped_colon_and_a_value_are_written(database):
    database.execute("CREATE TABLE users (id integer PRIMARY KEY, name varchar(20))")
    condition = sa.text(r"name <> ':\:x' AND name <> :given").bindparams(given="'%:y")
    migrate(database, lambda: create_index_if_missing("ix", "users", ["name"], postgresql_where=condition))
    [(definition,)] = database.query("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix'")
    assert "'::x'" in definition and "'''%:y'" in definition
