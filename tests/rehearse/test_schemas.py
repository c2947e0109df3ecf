"""What a comparison of schemas sees: all that a revision may change, and that its downgrade must restore."""

from __future__ import annotations

import pytest
from tests.servers import Database

from safeops.databases import database_on
from safeops.databases.connections import run_on_connection
from safeops.rehearse.schemas import Schema, schema_differences, schema_now

WORLD = {
    "postgresql": [
        "CREATE TABLE users (id serial PRIMARY KEY, name text)",
        "CREATE FUNCTION f(i integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER tidy BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION tidy()",
        "CREATE VIEW seen AS SELECT 1 AS one",
        "CREATE TYPE pair AS (a integer)",
        "CREATE DOMAIN positive AS integer",
        "CREATE SEQUENCE numbers",
        "CREATE TABLE events (at integer) PARTITION BY LIST (at)",
        "CREATE TABLE events_1 PARTITION OF events FOR VALUES IN (1)",
    ],
    "mysql": [
        "CREATE TABLE users (id integer PRIMARY KEY, name varchar(20))",
        "CREATE TRIGGER tidy BEFORE INSERT ON users FOR EACH ROW SET NEW.name = lower(NEW.name)",
    ],
    "sqlite": ["CREATE TABLE users (id integer PRIMARY KEY, name text)"],
}
CHANGES = {
    "postgresql": {
        "GRANT SELECT ON users TO PUBLIC": "privileges on users was left over",
        "GRANT UPDATE (name) ON users TO PUBLIC": "privileges on users.name was left over",
        "REVOKE EXECUTE ON FUNCTION f FROM PUBLIC": "privileges on function f(integer) was left over",
        "ALTER TABLE users ENABLE ROW LEVEL SECURITY": "row security on users was left over",
        "CREATE POLICY own ON users USING (id > 1)": "policy own on users was left over",
        "ALTER TABLE users REPLICA IDENTITY FULL": "replica identity on users was left over",
        "ALTER TABLE users SET (fillfactor = 50)": "storage options on users was left over",
        "ALTER TABLE users ALTER name SET STATISTICS 500": "column options on users was left over",
        "CREATE RULE quiet AS ON UPDATE TO users DO ALSO NOTHING": "rule quiet on users was left over",
        "CREATE STATISTICS st ON id, name FROM users": "statistics st on users was left over",
        "COMMENT ON VIEW seen IS 'x'": "comment on view seen was left over",
        "ALTER TABLE events DETACH PARTITION events_1": "parent table on events_1 is missing",
        "ALTER TABLE users DISABLE TRIGGER tidy": "trigger tidy on users: its definition differs",
        "ALTER TYPE pair ADD ATTRIBUTE b text": "type pair: it was a integer, and is a integer, b text",
        "ALTER DOMAIN positive ADD CHECK (VALUE > 0)": "type positive: it was integer, and is integer CHECK ((VALUE > 0))",
        "ALTER SEQUENCE numbers INCREMENT 5": "sequence numbers: it was START 1 INCREMENT 1",
        "CREATE PUBLICATION news FOR TABLE users": "publication news was left over",
        "ALTER FUNCTION f SECURITY DEFINER": "function f: its definition differs",
    },
    "mysql": {
        "ALTER TABLE users DEFAULT CHARACTER SET latin1": "storage options on users: it was InnoDB ",
        "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM users": "event nightly was left over",
        "DROP TRIGGER tidy": "trigger tidy on users is missing",
        "CREATE TRIGGER late AFTER DELETE ON users FOR EACH ROW SET @n = 1": "trigger late on users was left over",
    },
    "sqlite": {"CREATE VIEW seen AS SELECT 1": "view seen was left over"},
}


def schema_of(database: Database) -> Schema:
    return run_on_connection(database.observing(), lambda own: schema_now(database_on(own)))


@pytest.mark.smoke
def test_each_change_is_seen(database: Database) -> None:
    database.execute(*WORLD[database.kind], "CREATE TABLE alembic_version (version_num varchar(32))")
    before = schema_of(database)
    assert not [name for name in before if "alembic_version" in name]
    for change, words in CHANGES[database.kind].items():
        database.execute(change)
        now = schema_of(database)
        assert any(words in one for one in schema_differences(before, now)), change
        before = now
