"""What statements to SQLite are taken for, and what is true of them: compared with the steps of its virtual machine."""

from __future__ import annotations

import sqlite3

import pytest
import sqlalchemy as sa

from safeops.databases import database_on
from safeops.judging import operations as op
from safeops.judging.existing import Facts
from safeops.judging.schema import Schema
from safeops.judging.server import JudgedServer, Session
from safeops.judging.sqlite.statements import operations_of
from safeops.judging.truths import LONG, truth_of
from safeops.naming import Name

TABLES = (
    "CREATE TABLE r (id INTEGER PRIMARY KEY)",
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b TEXT, v INT AS (a + 1) VIRTUAL)",
    "CREATE INDEX ia ON t (a)",
)
LASTING = """
ALTER TABLE t ADD COLUMN z int CHECK (z > 0)
ALTER TABLE t ADD COLUMN z int NOT NULL AS (a + 1)
ALTER TABLE t DROP COLUMN b
CREATE INDEX ib ON t (b)
CREATE UNIQUE INDEX ib ON t (b)
CREATE INDEX ib ON t (lower(b)) WHERE a > 5
REINDEX t
REINDEX ia
ANALYZE t
VACUUM
CREATE TABLE n AS SELECT * FROM t
INSERT INTO r SELECT id FROM t
UPDATE t SET b = 'x'
UPDATE t SET b = 'x' WHERE b = 'b3'
"""
BRIEF = """
ALTER TABLE t ADD COLUMN z int
ALTER TABLE t ADD COLUMN z int NOT NULL DEFAULT 3
ALTER TABLE t ADD COLUMN z int DEFAULT (-1)
ALTER TABLE t ADD COLUMN z int REFERENCES r (id)
ALTER TABLE t ADD COLUMN z int AS (a + 1)
ALTER TABLE t DROP COLUMN v
ALTER TABLE t RENAME COLUMN b TO bb
ALTER TABLE t RENAME TO tt
DROP INDEX ia
CREATE TRIGGER tr AFTER UPDATE ON t BEGIN SELECT 1; END
CREATE VIEW w AS SELECT * FROM t
UPDATE t SET b = 'x' WHERE id = 3
DELETE FROM t WHERE id IN (1, 2)
PRAGMA user_version = 3
"""
REFUSED = """
ALTER TABLE t ADD COLUMN z int UNIQUE
ALTER TABLE t ADD COLUMN z int PRIMARY KEY
ALTER TABLE t ADD COLUMN z int AS (a + 1) STORED
ALTER TABLE t ADD COLUMN z text DEFAULT CURRENT_TIMESTAMP
ALTER TABLE t ADD COLUMN z int DEFAULT (random())
ALTER TABLE t ADD COLUMN IF NOT EXISTS z int
"""


def filled(rows: int) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in TABLES:
        connection.execute(statement)
    connection.executemany("INSERT INTO t (id, a, b) VALUES (?, ?, ?)", ((n, n, f"b{n}") for n in range(rows)))
    return connection


def steps(sql: str, rows: int) -> int:
    """How many steps the virtual machine takes for a statement."""
    connection, counted = filled(rows), []
    connection.set_progress_handler(lambda: counted.append(1), 1)
    connection.execute(sql).fetchall()
    return len(counted)


def truths(sql: str) -> list[str]:
    """The work of the operations of a statement, on tables with rows."""
    engine = sa.create_engine("sqlite://", creator=lambda: filled(2_000))
    with engine.connect() as connection:
        database = database_on(connection)
        server, schema = JudgedServer.of(database), Schema(facts=Facts.of(database))
        found = [server.with_facts(each, schema, Session()) for each in server.parse(sql)]
        known = [truth_of(each, server.truths, database.product, database.version) for each in found]
        return [effect.work for truth in known if truth is not None for effect in truth.effects]


@pytest.mark.parametrize("sql", LASTING.strip().splitlines())
def test_what_takes_longer_with_more_rows(sql: str) -> None:
    assert steps(sql, 2_000) > 10 * steps(sql, 20)
    assert LONG.intersection(truths(sql))


@pytest.mark.parametrize("sql", BRIEF.strip().splitlines())
def test_brief_changes_do_not_depend_on_rows(sql: str) -> None:
    assert steps(sql, 2_000) == steps(sql, 20)
    assert not LONG.intersection(truths(sql))


@pytest.mark.parametrize("sql", REFUSED.strip().splitlines())
def test_what_is_refused(sql: str) -> None:
    with pytest.raises(sqlite3.OperationalError):
        filled(20).execute(sql)
    with sa.create_engine("sqlite://", creator=lambda: filled(20)).connect() as connection:
        server = JudgedServer.of(database_on(connection))
        (operation,) = server.parse(sql)
        assert server.failure(operation, Session(), in_transaction=False)


def test_batch_mode_is_one_rewrite_and_the_table_stays_what_it_is() -> None:
    statements = (
        "CREATE TABLE _alembic_tmp_t (id INTEGER NOT NULL, a BIGINT, b TEXT, v INT, PRIMARY KEY (id))",
        "INSERT INTO _alembic_tmp_t (id, a, b) SELECT t.id, CAST(t.a AS BIGINT) AS a, t.b FROM t",
        "DROP TABLE t",
        "ALTER TABLE _alembic_tmp_t RENAME TO t",
    )
    with sa.create_engine("sqlite://", creator=lambda: filled(20)).connect() as connection:
        database = database_on(connection)
        server, schema, kinds = JudgedServer.of(database), Schema(facts=Facts.of(database)), []
        for statement in statements:
            (operation,) = (server.with_facts(each, schema, Session()) for each in server.parse(statement))
            kinds.append(operation.kind)
            schema.apply([operation], new=True)
    assert kinds == [op.CREATE_TABLE, op.REWRITE_TABLE, op.ALTER_TABLE, op.REPLACE_TABLE]
    table = schema.table(Name("t"))
    assert table is not None
    assert (table.columns["a"].type, table.new, table.rows) == ("bigint", False, 20)


KINDS = {
    'ALTER TABLE "a b" RENAME TO [c d]': [op.RENAME_TABLE],
    "PRAGMA foreign_keys=OFF; DROP TABLE a": [op.SET_SESSION, op.DROP_TABLE],
    "CREATE TRIGGER x AFTER UPDATE ON t BEGIN UPDATE t SET a = 1; SELECT 2; END; DROP TABLE t": [
        op.CREATE_TRIGGER,
        op.DROP_TABLE,
    ],
    "REPLACE INTO t VALUES (1)": [op.INSERT],
    "VACUUM INTO 'copy'": [op.OTHER],
    "FROBNICATE": [op.OPAQUE],
    "-- DROP TABLE t": [],
}


@pytest.mark.parametrize("sql", KINDS)
def test_what_a_statement_does(sql: str) -> None:
    assert [operation.kind for operation in operations_of(sql)] == KINDS[sql]
