"""The words of a statement show what it does, not its strings and comments."""

from __future__ import annotations

import pytest

from safeops.databases.statements import Kind, allows_writes, kind_of, raw_statement, sets_more_than_session

READS = [
    "SELECT 1",
    "  (SELECT 'DELETE FROM users')",
    "/* DROP TABLE t */ -- UPDATE\nSELECT count(*) FROM t",
    "WITH a AS (SELECT 'INSERT') SELECT * FROM a",
    "EXPLAIN SELECT 1",
    "PRAGMA table_info(t)",
    "PRAGMA encoding",
    "SELECT 1; SELECT 2;",
]
WRITES = [
    "DELETE FROM users",
    "WITH a AS (SELECT 1) DELETE FROM users",
    "SELECT 1 INTO OUTFILE '/tmp/x'",
    "/*!50000 DELETE FROM users */",
    "/*M!100100 DROP TABLE t */",
    "SELECT 1; DELETE FROM users",
    "BEGIN IMMEDIATE",
    "VACUUM",
    "",
]
LOSING = [
    "DELETE FROM users",
    "update users set a = 1",
    "TRUNCATE users",
    "DROP TABLE t",
    "DROP SCHEMA s CASCADE",
    "ALTER TABLE t DROP COLUMN a",
    "ALTER TABLE t DROP a",
    "ALTER TABLE t ADD b int, DROP IF EXISTS a",
    "ALTER TABLE t DROP PARTITION p",
    "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1",
    "WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a",
    "DO $$ BEGIN DELETE FROM t; END $$",
    "SELECT 1; DROP TABLE t",
]
KEEPING = [
    "SELECT * FROM t FOR UPDATE",
    "CREATE TRIGGER x AFTER UPDATE ON t EXECUTE FUNCTION f()",
    "ALTER TABLE t ALTER a SET DEFAULT 'DROP COLUMN b'",
    "ALTER TABLE t ADD a int /* DROP COLUMN b */",
    "COMMENT ON TABLE t IS 'DELETE FROM it'",
    "ALTER TABLE t DROP CONSTRAINT c",
    "ALTER TABLE t ALTER a DROP NOT NULL, ALTER b DROP DEFAULT",
    "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u ON DELETE CASCADE ON UPDATE SET NULL",
    "DROP INDEX i",
    "INSERT INTO t VALUES ('DROP TABLE t')",
]


@pytest.mark.parametrize("sql", READS)
def test_what_only_reads(sql: str) -> None:
    assert kind_of(sql) is Kind.READS


@pytest.mark.parametrize("sql", WRITES)
def test_what_may_write(sql: str) -> None:
    assert kind_of(sql) is Kind.WRITES


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SAVEPOINT a", Kind.SAVEPOINT),
        ("ROLLBACK TO SAVEPOINT a", Kind.SAVEPOINT),
        ("ROLLBACK", Kind.TRANSACTION),
        ("START TRANSACTION", Kind.TRANSACTION),
        ("SET lock_timeout = '3s'", Kind.SESSION),
        ("PREPARE safeops_1 (text) AS SELECT 1", Kind.SESSION),
        ("PREPARE own AS DELETE FROM t", Kind.WRITES),
        ("PRAGMA query_only = 1", Kind.SESSION),
    ],
)
def test_what_is_of_the_session(sql: str, kind: Kind) -> None:
    assert kind_of(sql) is kind


@pytest.mark.parametrize("sql", LOSING)
def test_what_loses_values(sql: str) -> None:
    assert raw_statement(sql).loses


@pytest.mark.parametrize("sql", KEEPING)
def test_what_keeps_them(sql: str) -> None:
    assert not raw_statement(sql).loses


def test_what_a_revision_must_not_set() -> None:
    for sql in (
        "SET default_transaction_read_only = off",
        "SET GLOBAL x = 1",
        "RESET ALL",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    ):
        assert sets_more_than_session(sql)
    assert not sets_more_than_session("SET application_name = 'GLOBAL read only'")
    assert allows_writes("SELECT set_config('transaction_read_only', 'off', false)")
    assert not allows_writes("SELECT set_config('work_mem', '1MB', false)")


def test_the_names_in_a_statement() -> None:
    found = raw_statement("""CREATE TABLE "Users ""x"" y" (id int DEFAULT 'teams') -- cities""")
    assert found.makes_table and found.names_table('users "X" Y')
    assert not found.names_table("teams") and not found.names_table("cities")
    assert raw_statement("ALTER TABLE a RENAME TO b").makes_table
    assert (
        raw_statement("DO $$ BEGIN END $$").hides
        and raw_statement("CALL p()").hides
        and not raw_statement("SELECT 'CALL p()'").hides
    )
