"""What exists and the session make of PostgreSQL's statements: after earlier statements, and with a live server."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from tests.review.postgresql_examples import SETUP
from tests.servers import Database

from safeops.databases.postgresql import PostgreSQL
from safeops.judging import operations as op
from safeops.judging.existing import KnownColumn, KnownTable
from safeops.judging.operations import Operation
from safeops.judging.postgresql import Facts, JudgedServer
from safeops.judging.schema import Schema
from safeops.judging.server import Session
from safeops.naming import Name

USERS = """
CREATE TABLE users (
  id serial PRIMARY KEY, email varchar(9) NOT NULL, name text, state text CHECK (state IS NOT NULL), age int);
CREATE UNIQUE INDEX users_age ON users (age);
CREATE VIEW named AS SELECT u.id, u.name FROM users u;
CREATE TYPE mood AS ENUM ('good');
"""


def server(version: int = 18) -> JudgedServer:
    return JudgedServer(SimpleNamespace(version=(version, 0)))  # type: ignore[arg-type]


def judged(sql: str, *before: str, settings: dict[str, str] | None = None) -> Operation:
    """Return the last operation of a text, with what the statements before it have made."""
    schema, session = Schema(home="public"), Session("psycopg", settings or {})
    schema.apply([one for text in (USERS, *before) for one in server().parse(text)], new=False)
    schema.settle()
    found = [server().with_facts(one, schema, session) for one in server().parse(sql)]
    return found[-1]


@pytest.mark.parametrize(
    ("sql", "before", "trait"),
    [
        ("ALTER TABLE users ALTER email SET NOT NULL", "", "already"),
        ("ALTER TABLE users ALTER state SET NOT NULL", "", "proven not null"),
        ("ALTER TABLE public.users ALTER state SET NOT NULL", "", "proven not null"),
        ("ALTER TABLE users ALTER email TYPE varchar(20)", "", "widens"),
        ("ALTER TABLE users ALTER email TYPE text", "", "widens"),
        ("ALTER TABLE users ALTER email TYPE varchar(9)", "", "already"),
        ("ALTER TABLE users ALTER state TYPE varchar", "", "checked"),
        ("ALTER TABLE users ALTER name TYPE varchar", "", "used by a view"),
        ("ALTER TABLE users DROP name", "", "used by a view"),
        ("DROP TABLE users", "", "used by a view"),
        ("ALTER TABLE users ADD x posint", "CREATE DOMAIN posint AS int CHECK (VALUE > 0)", "checked domain"),
        ("CREATE INDEX IF NOT EXISTS users_age ON users (age)", "", "already"),
        (
            "ALTER TABLE users ADD PRIMARY KEY USING INDEX u",
            "CREATE UNIQUE INDEX u ON users (email)",
            "proven not null",
        ),
        ("CREATE INDEX i ON ONLY log (a)", "CREATE TABLE log (a int) PARTITION BY LIST (a)", "partitioned"),
        ("DROP INDEX i", "CREATE TABLE c (a int) PARTITION BY LIST (a); CREATE INDEX i ON c (a)", "partitioned"),
    ],
)
def test_what_exists_adds_traits(sql: str, before: str, trait: str) -> None:
    assert trait in judged(sql, before).traits


NOT_VALID = "ALTER TABLE users ADD CHECK (name IS NOT NULL) NOT VALID"
DROPPED = "ALTER TABLE users DROP CONSTRAINT users_state_check"


@pytest.mark.parametrize(
    ("sql", "before", "trait"),
    [
        ("ALTER TABLE users ALTER name SET NOT NULL", NOT_VALID, "proven not null"),
        ("ALTER TABLE users ALTER state SET NOT NULL", DROPPED, "proven not null"),
        ("ALTER TABLE users ALTER email TYPE varchar(5)", "", "widens"),
        ("ALTER TABLE users ADD PRIMARY KEY USING INDEX users_age", "", "proven not null"),
        ("ALTER TABLE users DROP age", "", "used by a view"),
        ("ALTER TABLE users DROP name", "DROP VIEW named", "used by a view"),
        ("ALTER TABLE users ADD x posint", "CREATE DOMAIN posint AS int", "checked domain"),
    ],
)
def test_what_does_not_exist_adds_none(sql: str, before: str, trait: str) -> None:
    assert trait not in judged(sql, before).traits


def test_a_setting_decides_about_time_zones() -> None:
    before = "CREATE TABLE t (at timestamp)"
    sql = "ALTER TABLE t ALTER at TYPE timestamptz"
    assert "widens" in judged(sql, before, settings={"timezone": "UTC"}).traits
    assert "widens" not in judged(sql, before, settings={"timezone": "Europe/Berlin"}).traits


def test_a_call_has_the_old_type_of_an_unknown_column() -> None:
    database = PostgreSQL(sa.create_engine("postgresql+psycopg://").dialect, None)
    ours = JudgedServer(database)
    (operation,) = ours.parse("ALTER TABLE far ALTER a TYPE varchar(200)")
    hinted = ours.hinted(operation, SimpleNamespace(existing_type=sa.String(100)))
    assert "widens" in ours.with_facts(hinted, Schema(), Session()).traits
    assert "widens" not in ours.with_facts(operation, Schema(), Session()).traits


# Failures ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "version", "inside", "fails"),
    [
        ("CREATE INDEX CONCURRENTLY i ON users (name)", 18, True, True),
        ("CREATE INDEX CONCURRENTLY i ON users (name)", 18, False, False),
        ("VACUUM users", 18, True, True),
        ("SELECT 1; CREATE INDEX CONCURRENTLY i ON users (name)", 18, False, True),
        ("CREATE INDEX i ON users (name); ALTER TABLE users ADD UNIQUE USING INDEX users_age", 18, True, False),
        ("ALTER TABLE users ADD u uuid DEFAULT uuidv7()", 15, True, True),
        ("ALTER TABLE users ADD u uuid DEFAULT uuidv7()", 18, True, False),
        ("ALTER TABLE users ADD v int GENERATED ALWAYS AS (id) VIRTUAL", 17, True, True),
        ("ALTER TABLE users ALTER CONSTRAINT c NOT ENFORCED", 17, True, True),
        ("ALTER TABLE users ALTER CONSTRAINT c DEFERRABLE", 17, True, False),
        ("ALTER TABLE users ALTER name TYPE varchar", 18, True, True),
        ("DO $$ BEGIN COMMIT; END $$", 18, True, True),
        ("MERGE INTO users USING users o ON true WHEN MATCHED THEN DELETE", 14, True, True),
        ("ALTER TYPE mood ADD VALUE 'bad'; UPDATE users SET name = 'bad'", 18, True, True),
        ("ALTER TYPE mood ADD VALUE 'bad'; UPDATE users SET name = 'good'", 18, True, False),
    ],
)
def test_what_the_server_refuses(sql: str, version: int, inside: bool, fails: bool) -> None:
    assert (server(version).failure(judged(sql), Session("psycopg"), inside) is not None) == fails


# A live server -------------------------------------------------------------------------------------------------------


@pytest.fixture
def facts(database: Database) -> Callable[[sa.Connection], Facts]:
    database.execute(SETUP.replace("CREATE ROLE somebody;", ""))
    return lambda connection: Facts(PostgreSQL(connection.dialect, lambda: connection))


@pytest.mark.only("pg14", "pg18")
@pytest.mark.by_default("pg18")
def test_a_live_server_has_the_facts(database: Database, facts: Callable[[sa.Connection], Facts]) -> None:
    with database.engine().connect() as connection:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        live = facts(connection)
        users = live.table(Name("users"))
        assert users is not None and users.complete and not users.empty and (users.rows or 0) > 100
        assert users.columns["email"] == KnownColumn("email", "character varying(100)", False, collation="default")
        assert users.constraints["state_not_null"].expression == "((state IS NOT NULL))"
        assert not users.constraints["late"].valid
        assert users.indexes["users_email"].columns == ("email",)
        assert users.read_by == {Name("named"): frozenset({"id", "name"})}
        nothing, log = live.table(Name("nothing")), live.table(Name("log"))
        assert nothing is not None and nothing.empty
        assert log is not None and log.partitioned and log.default_partition == Name("log_rest")
        assert live.table(Name("t", "beside")) is not None
        assert live.table(Name("absent")) is None and live.type(Name("absent")) is None
        positive = live.type(Name("positive"))
        assert positive is not None and positive.has_rules and positive.base == "integer"
        assert live.table_of_index(Name("users_at")) == Name("users")
        assert live.tables_of_type(Name("amount")) == [Name("sums")]
        assert (live.is_volatile("random"), live.is_volatile("now"), live.is_volatile("absent")) == (True, False, None)


@pytest.mark.only("pg14", "pg18")
@pytest.mark.by_default("pg18")
@pytest.mark.parametrize("autocommit", [True, False])
def test_a_live_server_estimates_rows(
    database: Database, facts: Callable[[sa.Connection], Facts], autocommit: bool
) -> None:
    options = {"isolation_level": "AUTOCOMMIT"} if autocommit else {}
    with database.engine(**options).connect() as connection:
        live = facts(connection)
        rows = {
            "UPDATE users SET name = 'x' WHERE id % 5 = 0": 100,
            "UPDATE users SET name = 'x'": 500,
            "DELETE FROM users WHERE name IS NULL": 0,
            "SELECT 1": 1,
            "DELETE FROM absent": None,
            "no SQL": None,
        }
        assert {sql: live.rows_of(sql) for sql in rows} == rows
        assert (live.rows_of("UPDATE users SET name = 'x' WHERE email = NULL") or 0) > 100
        # The questions left nothing behind.
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "0"


# The model -----------------------------------------------------------------------------------------------------------


def after(*statements: str) -> Schema:
    schema = Schema(home="public")
    schema.apply([one for sql in statements for one in server().parse(sql)], new=True)
    return schema


def known(schema: Schema, name: str) -> KnownTable:
    found = schema.table(Name(name))
    assert found is not None
    return found


def test_operations_change_the_model() -> None:
    schema = after(
        USERS,
        "ALTER TABLE users RENAME COLUMN state TO status",
        "ALTER TABLE users ADD COLUMN orders_id int REFERENCES orders (id)",
        "ALTER TABLE users ADD CONSTRAINT old CHECK (age > 0) NOT VALID",
        "ALTER TABLE users VALIDATE CONSTRAINT old",
        "ALTER INDEX users_age RENAME TO by_age",
        "ALTER TABLE users RENAME TO people",
    )
    people = known(schema, "people")
    assert schema.table(Name("users")) is None
    assert set(people.columns) == {"id", "email", "name", "status", "age", "orders_id"}
    assert people.constraints["users_state_check"].expression == "status IS NOT NULL"
    assert people.constraints["users_orders_id_fkey"].referent == Name("orders")
    assert people.constraints["old"].valid and people.constraints["users_pkey"].columns == ("id",)
    assert people.indexes["by_age"].unique and people.new


def test_a_dropped_table_is_no_longer_known() -> None:
    schema = after(USERS, "DROP VIEW named", "DROP TABLE users", "DROP TYPE mood")
    assert schema.table(Name("users")) is None and schema.type(Name("mood")) is None
    assert Name("users") in schema.gone


def test_partitions_belong_to_their_table() -> None:
    schema = after(
        "CREATE TABLE log (a int) PARTITION BY RANGE (a)",
        "CREATE TABLE rest PARTITION OF log DEFAULT",
        "CREATE TABLE one (a int)",
        "ALTER TABLE log ATTACH PARTITION one FOR VALUES FROM (1) TO (2)",
    )
    assert known(schema, "rest").is_default_partition and known(schema, "one").parent == Name("log")
    schema.apply(server().parse("ALTER TABLE log DETACH PARTITION one"), new=True)
    assert known(schema, "one").parent is None


def test_a_function_that_only_reads_is_harmless() -> None:
    schema = after(
        "CREATE FUNCTION reads() RETURNS int LANGUAGE sql AS 'SELECT count(*) FROM users'",
        "CREATE FUNCTION writes() RETURNS void LANGUAGE plpgsql AS 'BEGIN UPDATE users SET name = NULL; END'",
        "CREATE FUNCTION fixed() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'",
    )

    def kind(sql: str) -> str:
        return server().with_facts(server().parse(sql)[-1], schema, Session()).kind

    assert (kind("SELECT reads()"), kind("SELECT writes()")) == (op.OTHER, op.OPAQUE)
    (added,) = server().parse("ALTER TABLE users ADD x int DEFAULT fixed()")
    assert "constant default" in server().with_facts(added, schema, Session()).traits
