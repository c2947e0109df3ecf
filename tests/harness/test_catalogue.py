"""Snapshots see what matters, and nothing else."""

import pytest
from tests.catalogue import _described, all_rows, difference, rows, snapshot

TABLE = "CREATE TABLE t (id integer PRIMARY KEY, name varchar(20) NOT NULL DEFAULT 'x')"


def test_a_snapshot_is_stable_and_sees_changes(database):
    database.execute(TABLE)
    before = snapshot(database)
    assert snapshot(database) == before
    database.execute("CREATE INDEX ix ON t (name)")
    assert "ix" in difference(before, snapshot(database))
    database.execute("DROP INDEX ix" + (" ON t" if database.kind == "mysql" else ""))
    assert snapshot(database) == before


def test_rows(database):
    database.execute(TABLE, "INSERT INTO t VALUES (2, 'b'), (1, '100 %:x')")
    assert rows(database, "t") == [(1, "100 %:x"), (2, "b")]
    assert all_rows(database) == {"t": [(1, "100 %:x"), (2, "b")]}


@pytest.mark.only("postgresql")
def test_invalid_indexes_are_seen(database):
    database.execute(TABLE, "CREATE INDEX ix ON t (name)")
    before = snapshot(database)
    database.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix'::regclass")
    assert "ix on t INVALID" in difference(before, snapshot(database))


CHANGES = (
    "ALTER TABLE t ALTER name TYPE varchar(30)",
    "ALTER TABLE t ALTER name DROP DEFAULT",
    "ALTER TABLE t ALTER name DROP NOT NULL",
    "ALTER TABLE t ALTER name SET STATISTICS 7",
    "ALTER TABLE t ALTER name SET STORAGE external",
    'ALTER TABLE t ALTER name TYPE varchar(30) COLLATE "POSIX"',
    "ALTER TABLE t ALTER id ADD GENERATED ALWAYS AS IDENTITY",
    "ALTER TABLE t ALTER id SET INCREMENT 2",
    "ALTER TABLE t ADD CONSTRAINT short CHECK (name < 'y') NOT VALID",
    "ALTER TABLE t VALIDATE CONSTRAINT short",
    "ALTER TABLE t SET (fillfactor = 80)",
    "ALTER TABLE t REPLICA IDENTITY FULL",
    "ALTER TABLE t CLUSTER ON t_pkey",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own ON t USING (id > 0)",
    "GRANT SELECT (name) ON t TO PUBLIC",
    "COMMENT ON COLUMN t.name IS 'said'",
    "CREATE STATISTICS both_of ON id, name FROM t",
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'",
    "CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "CREATE TRIGGER before BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
    "ALTER TABLE t DISABLE TRIGGER before",
    "CREATE RULE none AS ON DELETE TO t DO INSTEAD NOTHING",
    "CREATE TYPE mood AS ENUM ('sad')",
    "ALTER TYPE mood ADD VALUE 'glad'",
    "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
    "ALTER DOMAIN positive SET DEFAULT 1",
    "CREATE VIEW seen AS SELECT id FROM t",
    "CREATE OR REPLACE VIEW seen AS SELECT id + 1 AS id FROM t",
    "CREATE TABLE whole (a mood, b positive) PARTITION BY LIST (a)",
    "CREATE TABLE part PARTITION OF whole FOR VALUES IN ('sad')",
    "CREATE SCHEMA second",
    "CREATE TABLE second.t (a text)",
    "ALTER TABLE second.t ADD b int",
    "ALTER TABLE second.t DROP a, ADD a text",
    "CREATE PUBLICATION shown FOR TABLE second.t",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA second GRANT SELECT ON TABLES TO PUBLIC",
)


@pytest.mark.only("postgresql")
def test_the_catalogue_shows_all_that_a_dump_shows(database):
    database.execute(TABLE)
    looks = (_described, snapshot)
    before = [look(database) for look in looks]
    for change in CHANGES:
        database.execute(change)
        after = [look(database) for look in looks]
        assert all(one != other for one, other in zip(before, after, strict=True)), change
        before = after
    database.execute("ALTER DATABASE " + database.quoted(database.name) + " SET search_path TO second")
    assert _described(database) == before[0]


@pytest.mark.only("sqlite")
def test_a_table_rebuilt_is_the_same_if_it_means_the_same(new_database):
    first, second, third = new_database(), new_database(), new_database()
    first.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, b text collate nocase, CHECK (b <> ''))")
    second.execute(
        'CREATE TABLE "t" (id INTEGER NOT NULL, "b" TEXT COLLATE "NOCASE", PRIMARY KEY (id), CHECK(b <> \'\'))'
    )
    third.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, b text, CHECK (b <> ''))")
    assert snapshot(first) == snapshot(second) != snapshot(third)
    assert snapshot(first, exact=True) != snapshot(second, exact=True)
