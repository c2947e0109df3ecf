"""create_primary_key_if_missing"""

import pytest
from tests.lifecycle.harness import crash_everywhere
from tests.operations.shape import WORLD, Defines, Expect, Named, OnTable, assert_refused
from tests.projects import migrate

from safeops import (
    DefinitionMismatch,
    DuplicateRows,
    UnknownColumn,
    UnknownTable,
    ViolatingRows,
    assured,
    create_primary_key_if_missing,
    drop_constraint_if_exists,
)

EVENTS = (
    "CREATE TABLE events (id integer NOT NULL, at integer NOT NULL, name varchar(20))",
    "INSERT INTO events VALUES (1, 1, 'a'), (2, 1, 'b'), (2, 2, NULL)",
)


def create(columns=("id", "at"), table="events", **kw):
    return create_primary_key_if_missing("pk_events", table, columns, **kw)


class TestCreatePrimaryKey(Defines, Named, OnTable):
    prepare = EVENTS
    table, many, columns = "events", False, ("at", "name")
    up = staticmethod(create)
    blocked_by = "ROW EXCLUSIVE"
    offline_needs = ("renders_constraints_offline",)
    # The check that makes SET NOT NULL safe is in a DO block, which squawk does not read.
    linted_for = (
        "adding-not-nullable-field",
        "ban-drop-constraint",
    )

    @staticmethod
    def down(**kw):
        with assured("few rows, which MariaDB copies"):
            return drop_constraint_if_exists("pk_events", "events", type_="primary", **kw)

    different = (
        Expect(lambda **kw: create(["id"], **kw), ["primary key", "columns is (id, at), not (id)"]),
        Expect(lambda **kw: create(["at", "id"], **kw), ["columns is (id, at), not (at, id)"]),
    )
    same = (
        lambda: create(("id", "at")),
        lambda: create(if_different="keep"),
    )
    unknown = (
        Expect(lambda: create(table="event"), ["no table event", "events"], UnknownTable),
        Expect(lambda: create(["idd"]), ["no column idd", "id"], UnknownColumn),
    )
    bad = (
        Expect(lambda: create_primary_key_if_missing("", "events", ["id"]), ["constraint name"]),
        Expect(lambda: create("id"), ["columns is 'id'"]),
        Expect(lambda: create([]), ["columns is []"]),
        Expect(lambda: create(["id", "id"]), ["twice"]),
        Expect(lambda: create(if_different="no"), ["if_different"]),
    )

    def traffic(self, database):
        # Not unique before the key is made: rows of the application's own, by one column.
        database.execute("DELETE FROM events WHERE at = 1")
        return super().traffic(database)


def test_rows_that_are_in_the_way(database):
    database.execute(*EVENTS)
    nullable = Expect(lambda: create(["name"]), ["1 row has NULL in", "events.name"], ViolatingRows)
    twice = Expect(lambda: create(["id"]), ["1 value of", "more than once", "2"], DuplicateRows)
    assert_refused(database, [nullable, twice])


@pytest.mark.only("pg18", "pg14", "mysql", "sqlite")
def test_nullable_columns_are_made_not_null(new_database):
    events = "CREATE TABLE events (id integer, at integer, name varchar(20))"
    crash_everywhere(new_database, create, [events, EVENTS[1]], kills=1)


def test_another_key(database):
    database.execute(*WORLD)
    words = ["columns is (id), not (email)"]
    call = lambda: create_primary_key_if_missing("pk_users", "users", ["email"])  # noqa: E731
    assert_refused(database, [Expect(call, words, DefinitionMismatch)])


def test_the_key_that_is_there_under_its_own_name(database):
    """A server that names the key itself uses another name than a later revision."""
    database.execute(*WORLD)
    assert migrate(database, lambda: create_primary_key_if_missing("pk_users", "users", ["id"])) is False
