"""What was wrong with renames and type changes once, each as its smallest example."""

from __future__ import annotations

import threading
import time

import pytest
import sqlalchemy as sa
from tests.catalogue import assert_same, unordered
from tests.lifecycle.harness import state
from tests.projects import migrate

from safeops import ColumnRename, InvalidArgument, PhaseMissing, TypeChange, UnsafeOperation

pytestmark = pytest.mark.only("pg18", "pg14")

RENAME = ColumnRename("users", "name", "full_name")


@pytest.mark.parametrize("options", [{}, {"batch_size": 0}, {"key": "nosuch"}, {"throttles": 5}])
def test_what_is_wrong_with_the_fill_is_found_before_anything_is_touched(database, options):
    key = "PRIMARY KEY" if options else "UNIQUE"
    database.execute(f"CREATE TABLE users (id integer {key}, name text)", "INSERT INTO users VALUES (1, 'a')")
    before = state(database)
    with pytest.raises((UnsafeOperation, InvalidArgument, sa.exc.ArgumentError, Exception)) as caught:
        migrate(database, lambda: RENAME.expand(**options))
    assert "Nothing was changed" in str(caught.value)
    assert_same(before, state(database), "refused")


TENANTS = (
    "CREATE TABLE users (tenant integer, id integer, boss integer, PRIMARY KEY (tenant, id),"
    " CONSTRAINT boss FOREIGN KEY (tenant, boss) REFERENCES users (tenant, id) ON DELETE CASCADE)",
    "INSERT INTO users VALUES (1, 1, NULL), (1, 2, 1), (2, 1, 1)",
)


@pytest.mark.parametrize(
    ("change", "in_place"),
    [
        (ColumnRename("users", "tenant", "org"), "RENAME tenant TO org"),
        (TypeChange("users", "tenant", sa.BigInteger()), "ALTER tenant TYPE bigint"),
    ],
    ids=["renamed", "wider"],
)
def test_a_key_within_the_table_that_has_the_column_on_both_sides(new_database, change, in_place):
    database, altered = new_database(), new_database()
    database.execute(*TENANTS)
    altered.execute(*TENANTS, f"ALTER TABLE users {in_place}")
    before = unordered(database)
    middle = ("switch",) if isinstance(change, TypeChange) else ()
    for phase in ("expand", *middle, "contract"):
        assert migrate(database, getattr(change, phase)) is True
    assert_same(unordered(altered), unordered(database), "contracted")
    for phase in ("undo_contract", *(f"undo_{one}" for one in middle), "undo_expand"):
        assert migrate(database, getattr(change, phase)) is True
    assert_same(before, unordered(database), "undone")


def test_the_default_of_a_domain(new_database):
    """It was given to existing rows, and to the new column of rows that the old application wrote."""
    world = ("CREATE DOMAIN label AS text DEFAULT 'q'", "CREATE TABLE users (id integer PRIMARY KEY, name label)")
    world = (*world, "INSERT INTO users VALUES (1, 'a'), (2, NULL)")
    database, renamed = new_database(), new_database()
    database.execute(*world)
    renamed.execute(*world, "ALTER TABLE users RENAME name TO full_name")
    before = unordered(database)
    assert migrate(database, RENAME.expand) is True
    database.execute(
        "INSERT INTO users (id, name) VALUES (3, 'old')",
        "INSERT INTO users (id, full_name) VALUES (4, 'new')",
        "INSERT INTO users (id) VALUES (5)",
        "INSERT INTO users (id, full_name) VALUES (6, NULL)",
    )
    values = {1: "a", 2: None, 3: "old", 4: "new", 5: "q", 6: None}
    found = database.query("SELECT id, name, full_name FROM users")
    assert sorted(found) == [(key, value, value) for key, value in values.items()]
    assert migrate(database, RENAME.contract) is True
    assert_same(unordered(renamed), unordered(database), "contracted")
    assert migrate(database, RENAME.undo_contract) is True
    assert migrate(database, RENAME.undo_expand) is True
    assert_same(before, unordered(database), "undone")


@pytest.mark.parametrize("rest", ["CHECK (value <> '')", "DEFAULT 'q' NOT NULL"])
def test_a_domain_with_constraints_would_rewrite_the_table(database, rest):
    database.execute(f"CREATE DOMAIN label AS text {rest}", "CREATE TABLE users (id integer PRIMARY KEY, name label)")
    before = state(database)
    with pytest.raises(UnsafeOperation, match="label is a domain"):
        migrate(database, RENAME.expand)
    assert_same(before, state(database), "refused")


@pytest.mark.parametrize("rest", ["CHECK (value > 0)", "NOT NULL"])
def test_the_type_of_a_column_is_again_a_domain_with_constraints(database, rest):
    """No column of such a type is added online: the message has the way, by which the old type comes back."""
    database.execute(f"CREATE DOMAIN size AS integer {rest}", "CREATE TABLE t (id integer PRIMARY KEY, n size)")
    database.execute("INSERT INTO t VALUES (1, 5)")
    change, before = TypeChange("t", "n", sa.BigInteger()), state(database)
    for phase in (change.expand, change.switch, change.contract):
        assert migrate(database, phase) is True
    with pytest.raises(UnsafeOperation, match="size is a domain") as refused:
        migrate(database, change.undo_contract, down=True)
    dropped = "DROP NOT NULL" if rest == "NOT NULL" else "DROP CONSTRAINT"
    assert dropped in refused.value.code
    database.execute(f"ALTER DOMAIN size {dropped}" + ("" if rest == "NOT NULL" else " size_check"))
    for phase in (change.undo_contract, change.undo_switch, change.undo_expand):
        assert migrate(database, phase, down=True) is True
    database.execute(f"ALTER DOMAIN size {'SET' if rest == 'NOT NULL' else 'ADD'} {rest}")
    assert_same(before, state(database), "undone")


def test_the_index_that_the_table_is_clustered_on(new_database):
    world = (
        "CREATE TABLE users (id integer PRIMARY KEY, name text)",
        "CREATE INDEX ix ON users (name)",
        "ALTER TABLE users CLUSTER ON ix",
    )
    database, renamed = new_database(), new_database()
    database.execute(*world)
    renamed.execute(*world, "ALTER TABLE users RENAME name TO full_name")
    migrate(database, RENAME.expand)
    migrate(database, RENAME.contract)
    assert_same(unordered(renamed), unordered(database), "contracted")


SMALL = ("CREATE TABLE users (id integer PRIMARY KEY, name text)", "INSERT INTO users VALUES (1, 'a')")


def test_a_table_that_was_dropped_and_made_again(database):
    database.execute(*SMALL)
    migrate(database, RENAME.expand)
    database.execute("DROP TABLE users", *SMALL)
    with pytest.raises(PhaseMissing):
        migrate(database, RENAME.contract)
    assert migrate(database, RENAME.expand) is True
    assert migrate(database, RENAME.contract) is True
    assert database.query("SELECT full_name FROM users") == [("a",)]


def test_a_trigger_for_replication_alone_keeps_nothing_in_sync(database):
    database.execute(*SMALL)
    migrate(database, RENAME.expand)
    database.execute("ALTER TABLE users ENABLE REPLICA TRIGGER safeops_users_name_full_name")
    with pytest.raises(PhaseMissing):
        migrate(database, RENAME.contract)


def test_a_column_that_was_dropped_by_hand(database):
    """Each write failed from then on, and no phase took the trigger away."""
    database.execute(*SMALL)
    migrate(database, RENAME.expand)
    database.execute("ALTER TABLE users DROP COLUMN full_name")
    for phase in (RENAME.expand, RENAME.contract):
        with pytest.raises(PhaseMissing, match=r"(?s)manually.*undo_expand\(\)"):
            migrate(database, phase)
    assert migrate(database, RENAME.undo_expand) is True
    database.execute("INSERT INTO users VALUES (2, 'b')")
    assert migrate(database, RENAME.expand) is True


REFERRED = (
    "CREATE TABLE users (id serial PRIMARY KEY, name text UNIQUE, n integer)",
    "CREATE TABLE orders (id integer PRIMARY KEY, name text REFERENCES users (name))",
    "INSERT INTO users (name) SELECT 'c' || i FROM generate_series(1, 9) i",
)


@pytest.mark.only("pg18")
@pytest.mark.parametrize(
    ("change", "phase", "read", "first", "then"),
    [
        (RENAME, "contract", "orders", "UPDATE users SET n = 1", "INSERT INTO orders VALUES (1, 'c1')"),
        (
            TypeChange("users", "id", sa.BigInteger()),
            "switch",
            "users",
            "SELECT nextval('users_id_seq')",
            "INSERT INTO users (id) VALUES (100)",
        ),
    ],
    ids=["two tables", "a sequence"],
)
def test_the_application_does_not_lose_a_deadlock(database, change, phase, read, first, then):
    """It locks two tables in the other order, and has waited longer when the second one is requested."""
    database.execute(*REFERRED)
    migrate(database, change.expand)
    engine = database.observer()
    with engine.connect() as reader, engine.connect() as application:
        reader.exec_driver_sql(f"SELECT 1 FROM {read} LIMIT 1")
        application.exec_driver_sql(first)
        migration = threading.Thread(target=lambda: migrate(database, getattr(change, phase)))
        migration.start()
        time.sleep(0.6)
        timer = threading.Timer(0.3, reader.rollback)
        timer.start()
        application.exec_driver_sql(then)
        application.commit()
        timer.join()
    migration.join(30)
    assert not migration.is_alive()
    assert migrate(database, getattr(change, phase)) is False
