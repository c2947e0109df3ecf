"""On MariaDB, MySQL and SQLite too, replacements run on filled tables and end in the same schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import op
from alembic.operations import ops
from tests.catalogue import all_rows, assert_same
from tests.projects import migrate
from tests.review.test_replacements_run import run
from tests.servers import Database, numbers

from safeops._sqlalchemy import copied
from safeops.databases import database_for
from safeops.judging import operations as kinds
from safeops.judging.operations import Operation
from safeops.judging.replacements import Replacement, replacement_of
from safeops.judging.schema import Schema
from safeops.judging.sent import Call, Sent
from safeops.judging.server import JudgedServer, Session
from safeops.naming import Name
from safeops.review.catalogue import Catalogue

ROWS = 500
TABLES = """
CREATE TABLE users (id integer NOT NULL PRIMARY KEY, email varchar(100) NOT NULL, name varchar(50), age integer, notes text);
CREATE INDEX ix_users_email ON users (email);
CREATE TABLE orders (id integer NOT NULL PRIMARY KEY, user_id integer, total decimal(10, 2) DEFAULT 5, state varchar(20));
"""
USERS, ORDERS = Name("users"), Name("orders")

CALLS = {
    "index": (kinds.CREATE_INDEX, lambda: ops.CreateIndexOp("ix_o", "orders", ["user_id", "state"], unique=True)),
    "column": (
        kinds.ADD_COLUMN,
        lambda: ops.AddColumnOp("users", copied(sa.Column("nick", sa.String(20), index=True))),
    ),
    "not null": (
        kinds.SET_NOT_NULL,
        lambda: ops.AlterColumnOp("orders", "user_id", modify_nullable=False, existing_type=sa.Integer()),
    ),
    "foreign key": (
        kinds.ADD_FOREIGN_KEY,
        lambda: ops.CreateForeignKeyOp("fk", "orders", "users", ["user_id"], ["id"], ondelete="CASCADE"),
    ),
    "unique": (kinds.ADD_UNIQUE, lambda: ops.CreateUniqueConstraintOp("uq", "users", ["email"])),
    "dropped column": (kinds.DROP_COLUMN, lambda: ops.DropColumnOp("users", "notes")),
    "dropped table": (kinds.DROP_TABLE, lambda: ops.DropTableOp("orders")),
    "dropped index": (kinds.DROP_INDEX, lambda: ops.DropIndexOp("ix_users_email", "users")),
    "renamed column": (
        kinds.RENAME_COLUMN,
        lambda: ops.AlterColumnOp(
            "users", "name", modify_name="full_name", existing_type=sa.String(50), existing_nullable=True
        ),
    ),
    "renamed table": (kinds.RENAME_TABLE, lambda: ops.RenameTableOp("orders", "purchases")),
}
"""Calls of op; SQLite has no ALTER for some of them."""
NOT_ON_SQLITE = {"not null", "foreign key", "unique"}
TEXTS = {
    "column": "ALTER TABLE users ADD COLUMN nick varchar(20) NOT NULL DEFAULT 'x'",
    "index": "CREATE UNIQUE INDEX ix_o ON orders (user_id, state)",
    "dropped column": "ALTER TABLE users DROP COLUMN notes",
    "renamed column": "ALTER TABLE users RENAME COLUMN name TO full_name",
    "renamed table": "ALTER TABLE orders RENAME TO purchases",
    "dropped table": "DROP TABLE orders",
    "update": "UPDATE users SET notes = 'it''s', age = age + 1, name = NULL",
    "update of some": "UPDATE users SET notes = 'x' WHERE (age > 5 OR name = 'a:b') AND id > 3",
    "several changes": "ALTER TABLE orders ADD COLUMN note varchar(20), ADD INDEX ix_note (note), DROP COLUMN state",
    "update from another table": "UPDATE users u JOIN orders o ON o.user_id = u.id SET u.notes = o.state WHERE o.total > 7",
    "delete": "DELETE FROM users WHERE age > 5",
}


@pytest.fixture
def filled(new_database: Callable[[], Database]) -> Callable[[], Database]:
    def make() -> Database:
        database = new_database()
        database.execute(*filter(str.strip, TABLES.split(";")))
        if database.kind == "sqlite":
            following = f"SELECT seq + 1 FROM c WHERE seq < {ROWS}"
            counted = f"(WITH RECURSIVE c (seq) AS (SELECT 1 UNION ALL {following}) SELECT seq FROM c)"
        else:
            counted = numbers(1, ROWS)
        database.execute(
            f"INSERT INTO users SELECT seq, seq, seq, seq % 90, NULL FROM {counted}",
            f"INSERT INTO orders SELECT seq, seq, seq, 'open' FROM {counted}",
        )
        return database

    return make


@pytest.mark.only("mariadb", "mysql97", "sqlite")
@pytest.mark.parametrize("name", CALLS)
def test_what_takes_the_place_of_a_call(filled: Callable[[], Database], name: str) -> None:
    kind, make = CALLS[name]
    plain, safe = filled(), filled()
    if plain.kind == "sqlite" and name in NOT_ON_SQLITE:
        pytest.skip("SQLite has no ALTER for it")
    migrate(plain, lambda: op.invoke(make()))
    table = ORDERS if "orders" in str(vars(make())) else USERS
    _same(plain, safe, _replaced(safe, Operation(kind, table), Sent("", call=Call("any", make()))))


@pytest.mark.only("mariadb", "mysql97", "sqlite")
@pytest.mark.parametrize("name", TEXTS)
def test_what_takes_the_place_of_sql(filled: Callable[[], Database], name: str) -> None:
    plain, safe = filled(), filled()
    if plain.kind == "sqlite" and name in ("several changes", "update from another table"):
        pytest.skip("SQLite has no such statement")
    migrate(plain, lambda: op.execute(sa.text(TEXTS[name].replace(":", r"\:"))))
    _same(plain, safe, _replaced(safe, None, Sent(TEXTS[name])))


def _replaced(database: Database, operation: Operation | None, sent: Sent) -> Replacement:
    """The replacement, by what the judge knows of the tables."""
    with database.engine().connect() as connection:
        ours = database_for(connection.dialect, lambda: connection)
        server, schema = JudgedServer.of(ours), Schema()
        for statement in filter(str.strip, TABLES.split(";")):
            schema.apply(server.parse(statement), new=False)
        judged = [server.with_facts(one, schema, Session()) for one in server.parse(sent.sql)] if sent.sql else []
        found = replacement_of(operation or judged[0], sent, schema, ours)
    assert found is not None
    if database.kind == "sqlite" and "uses the new name" in found.note:
        pytest.skip("SQLite has no table under two names")
    assert found.upgrade
    return found


def _same(plain: Database, safe: Database, found: Replacement) -> None:
    before: Any = _schema(safe)
    migrate(safe, lambda: run(found.upgrade))
    assert_same(_schema(plain), _schema(safe), found.upgrade)
    if "restore" not in found.downgrade:
        assert_same(all_rows(plain), all_rows(safe), found.upgrade)
    if found.downgrade and "irreversible" not in found.downgrade:
        migrate(safe, lambda: run(found.downgrade), down=True)
        assert_same(before, _schema(safe), found.downgrade)


def _schema(database: Database) -> str:
    """The schema without what safeops keeps, and without the order of columns."""
    with database.engine().connect() as connection:
        found = Catalogue.of(database_for(connection.dialect, lambda: connection)).lines()
    return "\n".join(line for line in found if not line.startswith("alembic_version"))
