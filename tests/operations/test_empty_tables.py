"""On a table without rows PostgreSQL needs no online statement: one brief one makes the same."""

from __future__ import annotations

import threading
import time

import pytest
import sqlalchemy as sa
from tests.catalogue import definitions
from tests.projects import migrate, statements_of

from safeops import (
    create_check_constraint_if_missing,
    create_foreign_key_if_missing,
    create_index_if_missing,
    create_primary_key_if_missing,
    create_unique_constraint_if_missing,
    enforce_not_null,
    settings,
)
from safeops.errors import SafeOpsError
from safeops.observation import observed

pytestmark = pytest.mark.only("postgresql")

WORLD = (
    "CREATE TABLE teams (id int PRIMARY KEY)",
    "CREATE TABLE users (id int NOT NULL, name varchar(50), team int, age int)",
)
A_ROW = "INSERT INTO users VALUES (1, 'a', NULL, 1)"
CHANGES = {
    "index": lambda: create_index_if_missing("ix", "users", ["name"]),
    "unique index": lambda: create_index_if_missing("ix", "users", ["name"], unique=True),
    "foreign key": lambda: create_foreign_key_if_missing("fk", "users", "teams", ["team"], ["id"], ondelete="CASCADE"),
    "check": lambda: create_check_constraint_if_missing("ck", "users", "age > 0"),
    "unique": lambda: create_unique_constraint_if_missing("uq", "users", ["name"]),
    "deferrable": lambda: create_unique_constraint_if_missing("uq", "users", ["name"], deferrable=True),
    "primary key": lambda: create_primary_key_if_missing("pk", "users", ["id"]),
    "not null": lambda: enforce_not_null("users", "age"),
}


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_is_made_as_on_a_table_with_rows(new_database, change, driver):
    without, with_rows = new_database(), new_database()
    without.execute(*WORLD)
    with_rows.execute(*WORLD, A_ROW)

    def body():
        assert change()
        assert not change()

    migrate(without.with_driver(driver), body)
    migrate(with_rows.with_driver(driver), body)
    assert definitions(without) == definitions(with_rows)


def test_one_statement_is_enough(database):
    database.execute(*WORLD)

    def body():
        for name, change in CHANGES.items():
            if name not in ("primary key", "deferrable", "unique index"):
                with statements_of(database) as sent:
                    assert change()
                assert len(sent.ddl) == 1, (name, sent.ddl)
                assert not [text for text in sent.ddl if "CONCURRENTLY" in text or "NOT VALID" in text]

    migrate(database, body)


AN_HEIR = "CREATE TABLE heirs (CHECK (age > 0)) INHERITS (users)"


@pytest.mark.parametrize(
    ("change", "late", "online"),
    [("index", A_ROW, "CONCURRENTLY"), ("unique", A_ROW, "CONCURRENTLY"), ("check", AN_HEIR, "NOT VALID")],
    ids=["index", "unique", "inherited"],
)
def test_new_rows_while_it_waits_have_it_work_online(database, change, late, online):
    """Another session has the table locked when it is inspected, and writes before it releases it."""
    database.execute(*WORLD)
    held, ended = threading.Event(), threading.Event()

    def insert_late():
        with database.observer().begin() as other:
            other.exec_driver_sql("LOCK TABLE users IN ROW EXCLUSIVE MODE")
            held.set()
            time.sleep(0.3)
            other.exec_driver_sql(late)
        ended.set()

    other = threading.Thread(target=insert_late)
    other.start()
    assert held.wait(10)
    sent = migrate(database, lambda: _sent_by(database, CHANGES[change]))
    other.join(10)
    assert ended.is_set()
    assert any(online in text for text in sent.ddl)
    assert online not in sent.ddl[0]


def _sent_by(database, change):
    with statements_of(database) as sent:
        assert change()
    return sent


def test_its_lock_is_waited_for_no_longer_than_the_bound(database):
    database.execute(*WORLD)

    def body():
        with database.observer().begin() as other, settings(lock_timeout=0.2, retry_budget=0.5):
            other.exec_driver_sql("LOCK TABLE users IN ROW EXCLUSIVE MODE")
            CHANGES["index"]()

    with pytest.raises(SafeOpsError, match="Held by"):
        migrate(database, body)


def test_a_run_that_is_observed_on_an_empty_copy_does_what_it_does_to_rows(database):
    database.execute(*WORLD)

    def body():
        with observed(), statements_of(database) as sent:
            assert CHANGES["index"]()
        assert any("CONCURRENTLY" in text for text in sent.ddl)

    migrate(database, body)


def test_a_table_that_became_empty_again_is_built_online_while_its_pages_are_there(database):
    database.execute(*WORLD, A_ROW, "DELETE FROM users")

    def body():
        with statements_of(database) as sent:
            assert CHANGES["index"]()
        assert any("CONCURRENTLY" in text for text in sent.ddl)

    migrate(database, body)


def test_a_partition_and_a_parent_are_what_they_were(database):
    database.execute(
        "CREATE TABLE logs (id int, day date) PARTITION BY RANGE (day)",
        "CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        "CREATE TABLE parent (id int)",
        "CREATE TABLE child () INHERITS (parent)",
        "INSERT INTO child VALUES (1)",
    )

    def body():
        assert create_index_if_missing("ix_logs", "logs", ["id"])
        assert create_check_constraint_if_missing("ck_parent", "parent", "id > 0")
        assert create_index_if_missing("ix_parent", "parent", [sa.text("(id + 1)")])

    migrate(database, body)
    invalid = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
    unchecked = "SELECT conname FROM pg_constraint WHERE NOT convalidated"
    assert database.query(invalid) == database.query(unchecked) == []
