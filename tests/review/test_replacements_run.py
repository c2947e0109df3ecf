"""Replacements run on filled tables, hold no strong lock for long, and end in the same schema."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import op
from alembic.operations import ops
from tests.catalogue import assert_same, unordered
from tests.projects import migrate
from tests.review.locks import long_locks
from tests.servers import Database

import safeops
from safeops._sqlalchemy import copied
from safeops.databases import database_for
from safeops.judging import operations as kinds
from safeops.judging.existing import KnownColumn, KnownConstraint, KnownTable, KnownType
from safeops.judging.operations import Operation
from safeops.judging.replacements import Replacement, replacement_of
from safeops.judging.schema import Schema
from safeops.judging.sent import Call, Sent
from safeops.naming import Name

ROWS = 20_000
FEW = 20
"""Rows if only the schema counts."""
SQUARE = {"update from another table"}
"""What reads another table without an index for each row."""
SCHEMA = """
CREATE TYPE user_status AS ENUM ('new', 'paid');
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
CREATE TABLE users (id serial PRIMARY KEY, email varchar(100) NOT NULL, name text, status user_status, age int, notes text);
CREATE INDEX ix_users_email ON users (email);
CREATE TABLE orders (id serial PRIMARY KEY, user_id int, total numeric(10, 2), state varchar(20), placed_at timestamp);
CREATE TABLE bare (id int NOT NULL, v text);
CREATE TABLE keyed (code int NOT NULL UNIQUE);
INSERT INTO keyed SELECT generate_series(1, {rows});
CREATE MATERIALIZED VIEW mv AS SELECT id AS user_id, count(*) AS n FROM bare GROUP BY id;
CREATE UNIQUE INDEX mv_u ON mv (user_id);
INSERT INTO users (email, name, status, age) SELECT 'u' || i, 'name ' || i, 'paid', i % 90 FROM generate_series(1, {rows}) i;
INSERT INTO orders (user_id, total, state, placed_at)
  SELECT i, i, 'open', timestamp '2026-01-01' + i * interval '1 minute' FROM generate_series(1, {rows}) i;
INSERT INTO bare SELECT i, 'v' FROM generate_series(1, {rows}) i;
"""
USERS, ORDERS, BARE, KEYED = Name("users"), Name("orders"), Name("bare"), Name("keyed")


@dataclass(frozen=True)
class Case:
    """A statement, and what is done instead.

    Args:
        operation: What the statement does.
        written: Raw SQL, or the operation of Alembic.
        same: It ends in the same schema.
        back: The downgrade ends in the schema from before.
    """

    operation: Operation
    written: Any
    same: bool = True
    back: bool = True


def of(kind: str, table: Name | None, *traits: str, **parts: Any) -> Operation:
    return Operation(kind, table, traits=frozenset(traits), **parts)


def added(column: sa.Column[Any], table: Name, *traits: str) -> Callable[[], Case]:
    """A new column; each time a copy, since it then belongs to a table."""
    operation = of(kinds.ADD_COLUMN, table, *traits, column=str(column.name))
    return lambda: Case(operation, ops.AddColumnOp(table.name, copied(column)))


CASES = {
    "index": lambda: Case(
        of(kinds.CREATE_INDEX, ORDERS), ops.CreateIndexOp("ix_o", "orders", ["user_id", sa.text("state DESC")])
    ),
    "partial unique index": lambda: Case(
        of(kinds.CREATE_INDEX, USERS),
        "CREATE UNIQUE INDEX ux ON users (lower(email) text_pattern_ops DESC NULLS LAST) INCLUDE (age) WHERE age > 0",
    ),
    "index without a name": lambda: Case(of(kinds.CREATE_INDEX, USERS), "CREATE INDEX ON users (lower(name), age)"),
    "column with index": lambda: Case(
        of(kinds.CREATE_INDEX, USERS), ops.AddColumnOp("users", sa.Column("nick", sa.Text(), index=True))
    ),
    "column with reference": added(
        sa.Column("boss", sa.Integer(), sa.ForeignKey("users.id", ondelete="SET NULL")), USERS
    ),
    "column with check": lambda: Case(
        of(kinds.ADD_COLUMN, USERS, "inline check", column="size"),
        "ALTER TABLE users ADD COLUMN size int NOT NULL DEFAULT 1 CHECK (size > 0) REFERENCES users (id) DEFERRABLE",
    ),
    "column that is unique": lambda: Case(
        of(kinds.ADD_COLUMN, USERS, "inline unique", column="code"), "ALTER TABLE users ADD COLUMN code text UNIQUE"
    ),
    "column of an enum": lambda: Case(
        of(kinds.ADD_COLUMN, USERS, column="was"), "ALTER TABLE users ADD was user_status DEFAULT 'new'"
    ),
    "columns of many types": lambda: Case(
        of(kinds.ADD_COLUMN, USERS, column="a"), "ALTER TABLE users ADD a jsonb DEFAULT '{}'::jsonb NOT NULL"
    ),
    "array": lambda: Case(of(kinds.ADD_COLUMN, USERS, column="tags"), "ALTER TABLE users ADD tags varchar(20)[]"),
    "precise time": lambda: Case(
        of(kinds.ADD_COLUMN, USERS, column="at"), "ALTER TABLE users ADD at timestamp(3) with time zone"
    ),
    "volatile default": added(
        sa.Column("seen", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()")),
        USERS,
        "volatile default",
    ),
    "required with volatile default": added(
        sa.Column("token", sa.Uuid(), nullable=False, server_default=sa.text("gen_random_uuid()")),
        USERS,
        "volatile default",
    ),
    "required without a default": lambda: Case(
        of(kinds.ADD_COLUMN, USERS),
        ops.AddColumnOp("users", sa.Column("kind", sa.String(10), nullable=False)),
        same=False,
    ),
    "identity": added(sa.Column("no", sa.BigInteger(), sa.Identity(), nullable=False), ORDERS, "identity"),
    "identity with a start": lambda: Case(
        of(kinds.ADD_COLUMN, ORDERS, "identity", column="no"),
        "ALTER TABLE orders ADD no int GENERATED ALWAYS AS IDENTITY (START WITH 100 INCREMENT BY 5)",
    ),
    "serial": lambda: Case(of(kinds.ADD_COLUMN, ORDERS, "serial", column="no"), "ALTER TABLE orders ADD no bigserial"),
    "small serial": lambda: Case(
        of(kinds.ADD_COLUMN, ORDERS, "serial", column="no"), "ALTER TABLE orders ADD no serial UNIQUE"
    ),
    "serial key": lambda: Case(
        of(kinds.ADD_COLUMN, KEYED, "serial", column="no"), "ALTER TABLE keyed ADD no serial PRIMARY KEY"
    ),
    "stored": lambda: Case(
        of(kinds.ADD_COLUMN, USERS, "stored", column="twice"),
        "ALTER TABLE users ADD twice int GENERATED ALWAYS AS (age * 2) STORED",
        same=False,
    ),
    "domain with rules": lambda: Case(
        of(kinds.ADD_COLUMN, USERS, "checked domain", column="pos"), "ALTER TABLE users ADD pos posint", same=False
    ),
    "not null": lambda: Case(
        of(kinds.SET_NOT_NULL, ORDERS), ops.AlterColumnOp("orders", "user_id", modify_nullable=False)
    ),
    "not null by raw SQL": lambda: Case(
        of(kinds.SET_NOT_NULL, ORDERS, column="state"),
        "ALTER TABLE orders ALTER total DROP NOT NULL, ALTER state SET NOT NULL",
    ),
    "default": lambda: Case(
        of(kinds.SET_DEFAULT, ORDERS), ops.AlterColumnOp("orders", "state", modify_server_default="open")
    ),
    "type that rewrites": lambda: Case(
        of(kinds.CHANGE_TYPE, ORDERS),
        ops.AlterColumnOp("orders", "total", modify_type=sa.Numeric(14, 3), existing_type=sa.Numeric(10, 2)),
    ),
    "text that gets a limit": lambda: Case(
        of(kinds.CHANGE_TYPE, USERS),
        ops.AlterColumnOp("users", "name", modify_type=sa.String(500), existing_type=sa.Text()),
    ),
    "type with a conversion": lambda: Case(
        of(kinds.CHANGE_TYPE, ORDERS, column="total"),
        "ALTER TABLE orders ALTER total TYPE bigint USING CAST(round(total * 100) AS bigint)",
    ),
    "type that widens": lambda: Case(
        of(kinds.CHANGE_TYPE, USERS, "widens"),
        ops.AlterColumnOp("users", "email", modify_type=sa.String(200), existing_type=sa.String(100)),
    ),
    "foreign key": lambda: Case(
        of(kinds.ADD_FOREIGN_KEY, ORDERS),
        ops.CreateForeignKeyOp("fk", "orders", "users", ["user_id"], ["id"], ondelete="CASCADE"),
    ),
    "foreign key without a name": lambda: Case(
        of(kinds.ADD_FOREIGN_KEY, ORDERS),
        "ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users ON UPDATE CASCADE",
    ),
    "check": lambda: Case(
        of(kinds.ADD_CHECK, ORDERS), ops.CreateCheckConstraintOp("ck", "orders", "total >= 0 AND state <> 'a:b'")
    ),
    "check without a name": lambda: Case(of(kinds.ADD_CHECK, ORDERS), "ALTER TABLE orders ADD CHECK (total >= 0)"),
    "check that is not validated": lambda: Case(
        of(kinds.ADD_CHECK, ORDERS, "not valid"),
        "ALTER TABLE orders ADD CONSTRAINT ck CHECK (total >= 0) NOT VALID",
    ),
    "unique": lambda: Case(
        of(kinds.ADD_UNIQUE, USERS),
        "ALTER TABLE users ADD CONSTRAINT uq UNIQUE (email) INCLUDE (age) DEFERRABLE INITIALLY DEFERRED",
    ),
    "primary key": lambda: Case(
        of(kinds.ADD_PRIMARY_KEY, BARE), ops.CreatePrimaryKeyOp("pk_bare", "bare", ["id"]), back=False
    ),
    "dropped column": lambda: Case(of(kinds.DROP_COLUMN, USERS, column="notes"), "ALTER TABLE users DROP notes"),
    "dropped column of an enum": lambda: Case(of(kinds.DROP_COLUMN, USERS), ops.DropColumnOp("users", "status")),
    "dropped column without a key": lambda: Case(of(kinds.DROP_COLUMN, BARE), ops.DropColumnOp("bare", "v")),
    "dropped table": lambda: Case(of(kinds.DROP_TABLE, ORDERS), ops.DropTableOp("orders")),
    "dropped index": lambda: Case(
        of(kinds.DROP_INDEX, None, name="ix_users_email"), "DROP INDEX ix_users_email", back=False
    ),
    "renamed column": lambda: Case(
        of(kinds.RENAME_COLUMN, USERS), ops.AlterColumnOp("users", "name", modify_name="full_name")
    ),
    "renamed column by raw SQL": lambda: Case(
        of(kinds.RENAME_COLUMN, USERS, column="name"), "ALTER TABLE users RENAME name TO full_name"
    ),
    "renamed table": lambda: Case(of(kinds.RENAME_TABLE, ORDERS), ops.RenameTableOp("orders", "purchases")),
    "renamed value": lambda: Case(
        of(kinds.RENAME_ENUM_VALUE, None),
        "ALTER TYPE user_status RENAME VALUE 'paid' TO 'settled'",
        same=False,
        back=False,
    ),
    "new value": lambda: Case(
        of(kinds.ALTER_TYPE, None), "ALTER TYPE user_status ADD VALUE 'late' AFTER 'new'", back=False
    ),
    "update": lambda: Case(of(kinds.UPDATE, USERS), "UPDATE users SET notes = 'it''s', age = age + 1, name = NULL"),
    "update from another table": lambda: Case(
        of(kinds.UPDATE, USERS),
        "UPDATE users u SET notes = o.state || u.name FROM orders o WHERE o.user_id = u.id AND u.age > 5",
    ),
    "delete": lambda: Case(of(kinds.DELETE, ORDERS), "DELETE FROM orders WHERE user_id > 5", back=False),
    "reindex": lambda: Case(of(kinds.REINDEX, None, name="ix_users_email"), "REINDEX INDEX ix_users_email"),
    "refresh": lambda: Case(of(kinds.REFRESH_VIEW, Name("mv")), "REFRESH MATERIALIZED VIEW mv"),
}


def known(database: Database) -> Schema:
    """The facts of the catalogue that replacements need."""
    tables = {}
    for name in (USERS, ORDERS, BARE, KEYED):
        columns = {
            column: KnownColumn(column, type_, nullable, default)
            for column, type_, nullable, default in database.query(
                "SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull, pg_get_expr(adbin, adrelid)"
                " FROM pg_attribute"
                " LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
                f" WHERE attrelid = '{name}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
            )
        }
        keys = {
            key: KnownConstraint(key, {"p": "primary key", "u": "unique"}[kind], tuple(of))
            for key, kind, of in database.query(
                "SELECT conname::text, contype::text, array_agg(attname::text) FROM pg_constraint JOIN pg_attribute"
                f" ON attrelid = conrelid AND attnum = ANY (conkey) WHERE conrelid = '{name}'::regclass"
                " AND contype IN ('p', 'u') GROUP BY 1, 2"
            )
        }
        tables[name] = KnownTable(name, columns=columns, constraints=keys, complete=True)
    posint = KnownType(Name("posint"), "domain", "integer", has_rules=True, checks=("VALUE > 0",))
    status = KnownType(Name("user_status"), "enum")
    return Schema(tables=tables, types={posint.name: posint, status.name: status})


def original(case: Case) -> Any:
    if isinstance(case.written, str):
        return op.execute(case.written)
    return op.invoke(case.written)


def run(code: str) -> None:
    namespace = {name: getattr(safeops, name) for name in safeops.__all__}
    exec(code, {**namespace, "sa": sa, "op": op})


def replaced(case: Case, database: Database) -> Replacement:
    raw = case.written if isinstance(case.written, str) else ""
    sent = Sent(raw, call=None if raw else Call("any", case.written))
    with database.engine().connect() as connection:
        ours = database_for(connection.dialect, lambda: connection)
        found = replacement_of(case.operation, sent, known(database), ours)
    assert found is not None and found.upgrade
    return found


def schema_of(database: Database) -> str:
    """The definitions, without the archives that safeops keeps."""
    lines = (line for line in unordered(database).splitlines() if not re.search("safeops_archive", line))
    return "\n".join(lines)


@pytest.mark.only("pg15", "pg18")
@pytest.mark.by_hand("pg15")
@pytest.mark.parametrize("name", CASES)
def test_a_replacement_ends_in_the_schema_of_the_statement(new_database: Callable[[], Database], name: str) -> None:
    plain, safe = new_database(), new_database()
    for database, rows in ((plain, FEW), (safe, ROWS // 20 if name in SQUARE else ROWS)):
        database.execute(SCHEMA.replace("{rows}", str(rows)))
    before = schema_of(safe)
    with suppress(sa.exc.DBAPIError):
        migrate(plain, lambda: original(CASES[name]()))
    case = CASES[name]()
    found = replaced(case, safe)
    with long_locks(safe, "users", "orders") as locks:
        migrate(safe, lambda: run(found.upgrade))
    if case.same:
        assert_same(schema_of(plain), schema_of(safe), "instead")
    assert not locks
    if found.downgrade and case.back:
        migrate(safe, lambda: run(found.downgrade), down=True)
        assert_same(before, schema_of(safe), "undone")
