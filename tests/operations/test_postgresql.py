"""What only PostgreSQL has: invalid leftovers, partitions, timeouts of the session, waits in the middle of a build."""

import pytest
import sqlalchemy as sa
from alembic import op
from tests.catalogue import snapshot
from tests.concurrency.harness import idle_holder
from tests.lifecycle.harness import crash_everywhere, up_up_down_down_up
from tests.operations.shape import MANY, WORLD, impatient
from tests.projects import migrate, statements_of

from safeops import (
    DefinitionMismatch,
    LockNotAcquired,
    create_check_constraint_if_missing,
    create_foreign_key_if_missing,
    create_index_if_missing,
    create_primary_key_if_missing,
    create_unique_constraint_if_missing,
    drop_column_if_exists,
    drop_constraint_if_exists,
    drop_index_if_exists,
    enforce_not_null,
    lock_timeout,
    relax_not_null,
    settings,
)

pytestmark = pytest.mark.only("pg18", "pg14")


def build(**kw):
    return create_index_if_missing("ix_users_name", "users", ["name"], **kw)


def validity(database, index="ix_users_name"):
    return database.query(f"SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{index}')")


# --- invalid leftovers -----------------------------------------------------------------------------------


def test_an_invalid_index_is_built_again(database):
    database.execute(*WORLD, "CREATE INDEX ix_users_name ON users (name)")
    database.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_users_name'::regclass")
    assert [migrate(database, build), migrate(database, build)] == [True, False]
    assert validity(database) == [(True,)]


def test_an_invalid_index_of_another_definition_is_built_again(database):
    database.execute(*WORLD, "CREATE INDEX ix_users_name ON users (email)")
    database.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_users_name'::regclass")
    assert migrate(database, build) is True
    assert "USING btree (name)" in snapshot(database)


def test_a_failed_unique_build_leaves_nothing(database):
    database.execute(*WORLD, MANY["postgresql"])
    before = snapshot(database)
    with pytest.raises(Exception, match="more than once"):
        migrate(database, lambda: create_index_if_missing("ix", "users", ["age"], unique=True))
    assert snapshot(database) == before


def test_a_build_that_waits_is_cancelled_cleaned_up_and_reported(database):
    database.execute(*WORLD)
    before = snapshot(database)
    with (
        idle_holder(database, "users", "ROW EXCLUSIVE", application_name="sleepy"),
        pytest.raises(LockNotAcquired, match="sleepy"),
    ):
        migrate(database, impatient(build))
    assert snapshot(database) == before


def test_a_build_outlasts_the_lock_timeout(database):
    """The timeout of a strong lock must not kill a build that merely waits for an old transaction."""
    database.execute(*WORLD)

    def patient():
        with settings(lock_timeout=0.1, retry_budget=20):
            return build()

    with idle_holder(database, "users", "ROW EXCLUSIVE") as holder:
        holder.release_after(0.8)
        assert migrate(database, patient) is True
    assert validity(database) == [(True,)]


# --- timeouts of the session -----------------------------------------------------------------------------

SHOWN = ("lock_timeout", "statement_timeout")


def shown():
    return [op.get_bind().scalar(sa.text(f"SHOW {name}")) for name in SHOWN]


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_timeouts_are_restored_on_every_path(database, driver):
    database.execute(*WORLD)

    def body():
        op.execute("SET lock_timeout = '7s'")
        op.execute("SET statement_timeout = '70s'")
        seen = []
        for step in (build, lambda: enforce_not_null("users", "email"), lambda: drop_column_if_exists("users", "age")):
            step()
            seen.append(shown())
        with pytest.raises(DefinitionMismatch):
            create_index_if_missing("ix_users_name", "users", ["email"])
        seen.append(shown())
        with (
            idle_holder(database, "teams"),
            settings(lock_timeout=0.1, retry_budget=0.2),
            pytest.raises(LockNotAcquired),
        ):
            drop_column_if_exists("teams", "title")
        return [*seen, shown()]

    assert migrate(database.with_driver(driver), body) == [["7s", "70s"]] * 5


def test_each_attempt_is_bounded_as_the_block_sets(database):
    database.execute(*WORLD)

    def body():
        with statements_of(database) as sent, settings(lock_timeout=3.0), lock_timeout(0.25):
            drop_column_if_exists("users", "age")
        return sent

    assert "SET LOCAL lock_timeout = 250" in migrate(database, body).along[-1]


# --- partitions ------------------------------------------------------------------------------------------

PARTITIONED = (
    "CREATE TABLE teams (id integer PRIMARY KEY)",
    "INSERT INTO teams VALUES (1), (2)",
    "CREATE TABLE events (id integer NOT NULL, at integer NOT NULL, team_id integer, name varchar(20))"
    " PARTITION BY RANGE (at)",
    "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10)",
    "CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (10) TO (20)",
    "INSERT INTO events SELECT i, i, 1 + i % 2, 'n' || i FROM generate_series(0, 19) i",
)
ON_PARTITIONS = {
    "index": (
        lambda: create_index_if_missing("ix_events_name", "events", ["name"]),
        lambda: drop_index_if_exists("ix_events_name", "events"),
    ),
    "unique index": (
        lambda: create_index_if_missing("ux_events", "events", ["id", "at"], unique=True),
        lambda: drop_index_if_exists("ux_events", "events"),
    ),
    "unique": (
        lambda: create_unique_constraint_if_missing("uq_events", "events", ["id", "at"]),
        lambda: drop_constraint_if_exists("uq_events", "events"),
    ),
    "primary key": (
        lambda: create_primary_key_if_missing("pk_events", "events", ["id", "at"]),
        lambda: drop_constraint_if_exists("pk_events", "events"),
    ),
    "foreign key": (
        lambda: create_foreign_key_if_missing("fk_events_team", "events", "teams", ["team_id"], ["id"]),
        lambda: drop_constraint_if_exists("fk_events_team", "events"),
    ),
    "check": (
        lambda: create_check_constraint_if_missing("ck_events", "events", "id >= 0"),
        lambda: drop_constraint_if_exists("ck_events", "events"),
    ),
    "not null": (lambda: enforce_not_null("events", "name"), lambda: relax_not_null("events", "name")),
}


@pytest.mark.parametrize("what", ON_PARTITIONS)
class TestPartitions:
    def test_up_up_down_down_up(self, database, what):
        up_up_down_down_up(database, *ON_PARTITIONS[what], PARTITIONED)

    def test_interrupted_anywhere_it_continues(self, new_database, what):
        crash_everywhere(new_database, ON_PARTITIONS[what][0], PARTITIONED, kills=0)


def test_partitions_of_partitions(new_database):
    deeper = (
        *PARTITIONED,
        "CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM (20) TO (30) PARTITION BY RANGE (id)",
        "CREATE TABLE events_3a PARTITION OF events_3 FOR VALUES FROM (0) TO (100)",
    )
    crash_everywhere(new_database, ON_PARTITIONS["index"][0], deeper, kills=0)
    crash_everywhere(new_database, ON_PARTITIONS["primary key"][0], deeper, kills=0)
