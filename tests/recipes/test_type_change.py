"""TypeChange: the shadow column follows, the names are exchanged, and no write is lost up or down."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from tests.catalogue import assert_same, unordered
from tests.lifecycle.harness import crash_everywhere, prepared, state
from tests.projects import migrate, render
from tests.whole import one_in

from safeops import (
    DependentObjects,
    InvalidArgument,
    OnlineOnly,
    PhaseMissing,
    SafeOpsError,
    TypeChange,
    UnknownColumn,
    ViolatingRows,
)

WORLD = (
    "CREATE TABLE users (id integer PRIMARY KEY, n varchar(20) DEFAULT '7' NOT NULL, age integer)",
    "CREATE INDEX ix_n ON users (n)",
    "INSERT INTO users VALUES (1, '10', 20), (2, '20', 30), (5, '50', NULL), (9, '90', 40)",
)
CHANGE = TypeChange("users", "n", sa.Integer())
UP = ("expand", "switch", "contract")
DOWN = ("undo_contract", "undo_switch", "undo_expand")


def phase(name, change=CHANGE):
    return getattr(change, name)


def after(*names, world=WORLD, change=CHANGE):
    def prepare(database):
        prepared(database, world)
        for name in names:
            migrate(database, phase(name, change))

    return prepare


def test_each_phase_and_its_inverse(database):
    before = unordered(prepared(database, WORLD))
    each_again = [name for up in UP for name in (up, f"undo_{up}", up)]
    for name in (*each_again, *DOWN, *UP):
        assert migrate(database, phase(name)) is True, name
        assert migrate(database, phase(name)) is False, name
        if name == "undo_expand":
            assert_same(before, unordered(database), "undone")
    [(value,)] = database.query("SELECT n + 1 FROM users WHERE id = 2")
    assert value == 21


def test_writes_are_in_sync_before_and_after_the_switch(database):
    after("expand")(database)
    database.execute(
        "UPDATE users SET n = '11' WHERE id = 1",
        "INSERT INTO users (id, n, age) VALUES (20, '200', 1)",
        "DELETE FROM users WHERE id = 5",
    )
    migrate(database, CHANGE.switch)
    database.execute("UPDATE users SET n = 22 WHERE id = 2", "INSERT INTO users (id, n) VALUES (21, 210), (22, 220)")
    database.execute("INSERT INTO users (id) VALUES (23)")
    migrate(database, CHANGE.undo_switch)
    found = {id_: str(n) for id_, n in database.query("SELECT id, n FROM users")}
    assert found == {1: "11", 2: "22", 9: "90", 20: "200", 21: "210", 22: "220", 23: "7"}
    database.execute("INSERT INTO users (id) VALUES (24)")
    migrate(database, CHANGE.undo_expand)
    assert [*database.query("SELECT n FROM users WHERE id = 24")] == [("7",)]


# On MariaDB and SQLite, whose statements are others: test_mariadb_shadow_columns, test_sqlite_shadow_columns.
@pytest.mark.only("pg18")
@pytest.mark.parametrize("name", [*UP, *DOWN])
def test_stopped_anywhere_it_continues(new_database, name):
    done = {
        "expand": (),
        # The hidden column is bare then.
        "switch": (*UP[:2], "undo_switch"),
        "contract": UP[:2],
        "undo_contract": UP,
        "undo_switch": (*UP, *DOWN[:1]),
        "undo_expand": UP[:1],
    }[name]
    assert crash_everywhere(new_database, phase(name), after(*done), kills=1) >= 1


def test_missing_phases_are_named(database):
    prepared(database, WORLD)
    for name, missing in (("switch", "expand"), ("contract", "switch")):
        with pytest.raises(PhaseMissing, match=rf"\.{missing}\(\)"):
            migrate(database, phase(name))
    for name in DOWN:
        assert migrate(database, phase(name)) is False
    migrate(database, CHANGE.expand)
    with pytest.raises(PhaseMissing, match=r"\.switch\(\)"):
        migrate(database, CHANGE.contract)
    migrate(database, CHANGE.switch)
    with pytest.raises(PhaseMissing, match=r"\.undo_switch\(\)"):
        migrate(database, CHANGE.undo_expand)
    migrate(database, CHANGE.contract)
    with pytest.raises(PhaseMissing, match=r"\.undo_contract\(\)"):
        migrate(database, CHANGE.undo_switch)


def test_bad_arguments_touch_nothing(database):
    prepared(database, WORLD)
    before = state(database)
    for change, error in (
        (TypeChange("users", "nn", sa.Integer()), UnknownColumn),
        (TypeChange("users", "n", "integer"), InvalidArgument),
        (TypeChange("users", "n", sa.Integer(), using=""), InvalidArgument),
        (TypeChange("users", "n", sa.Integer(), using="nosuch(n)"), SafeOpsError),
        (TypeChange("users", "n", sa.Integer(), using="nosuch"), SafeOpsError),
    ):
        with pytest.raises(error):
            migrate(database, change.expand)
    assert_same(before, state(database), "refused")


def test_to_render_it_the_live_table_is_needed(database):
    for name in (*UP, *DOWN):
        with pytest.raises(OnlineOnly, match="TypeChange"):
            render(database, phase(name))


SHARED = (
    "CREATE TABLE t (id integer PRIMARY KEY, v {type}, w {type}, CONSTRAINT uq UNIQUE (v, w){check})",
    "CREATE INDEX ix_w ON t (w, v)",
    "INSERT INTO t VALUES (1, 1, 2), (2, 3, 4)",
)
TOGETHER = [(name, column) for name in UP for column in "vw"]
ONE_BY_ONE = [("expand", "v"), ("expand", "w"), *((name, column) for column in "wv" for name in UP[1:])]


@pytest.mark.parametrize("order", [TOGETHER, ONE_BY_ONE], ids=["together", "one by one"])
def test_two_changes_with_an_index_in_common(new_database, order):
    check = "" if new_database().kind == "mysql" else ", CONSTRAINT ck CHECK (v < w)"
    database, made = (
        prepared(new_database(), [one.format(type=type_, check=check) for one in SHARED]) for type_ in ("int", "bigint")
    )
    before = unordered(database)
    changes = {column: TypeChange("t", column, sa.BigInteger()) for column in "vw"}
    for name, column in order:
        assert migrate(database, phase(name, changes[column])) is True, (name, column)
    assert_same(unordered(made), unordered(database), "contracted, beside made at once")
    for name, column in reversed(order):
        assert migrate(database, phase(f"undo_{name}", changes[column])) is True, (name, column)
    assert_same(before, unordered(database), "undone")


def test_indexes_that_come_and_go_before_the_switch(database):
    after("expand")(database)
    database.execute(f"DROP INDEX ix_n{' ON users' * (database.kind == 'mysql')}", "CREATE INDEX ix_new ON users (n)")
    for name in UP[1:]:
        assert migrate(database, phase(name)) is True
    found = unordered(database)
    assert set(re.findall(r"ix_\w+|safeops_n\w*", found)) == {"ix_new"}


@pytest.mark.only("pg18", "mysql")
def test_a_wider_varchar_needs_one_step(database):
    prepared(database, WORLD)
    with pytest.raises(InvalidArgument, match="alter_column_type"):
        migrate(database, TypeChange("users", "n", sa.String(40)).expand)


# --- PostgreSQL ----------------------------------------------------------------------------------------------------

KEYED = (
    "CREATE TABLE users (id serial PRIMARY KEY, parent integer REFERENCES users, name text NOT NULL)",
    "CREATE TABLE ids (id integer GENERATED BY DEFAULT AS IDENTITY (START 5 INCREMENT 5 CACHE 3) PRIMARY KEY, v text)",
    "CREATE TABLE orders (id integer PRIMARY KEY, user_id integer NOT NULL REFERENCES users ON DELETE CASCADE, n integer"
    " REFERENCES ids)",
    "GRANT USAGE ON SEQUENCE ids_id_seq TO PUBLIC",
    "INSERT INTO users (parent, name) SELECT nullif(i / 3, 0), 'n' || i FROM generate_series(1, 9) i",
    "INSERT INTO ids (v) SELECT 'v' FROM generate_series(1, 4)",
    "INSERT INTO orders SELECT i, i, 5 FROM generate_series(1, 6) i",
)


@pytest.mark.only("pg18", "pg14")
@pytest.mark.parametrize("table", ["users", "ids"])
def test_the_key_that_others_refer_to_becomes_bigint(new_database, table):
    change = TypeChange(table, "id", sa.BigInteger())
    database, altered = prepared(new_database(), KEYED), prepared(new_database(), KEYED)
    altered.execute(f"ALTER TABLE {table} ALTER id TYPE bigint")
    if table == "users":
        altered.execute("ALTER SEQUENCE users_id_seq AS bigint")
    before = unordered(database)
    for name in UP:
        assert migrate(database, phase(name, change)) is True
        assert migrate(database, phase(name, change)) is False
    assert_same(unordered(altered), unordered(database), "contracted, beside altered in place")
    database.execute(f"INSERT INTO {table} ({'name' if table == 'users' else 'v'}) VALUES ('next')")
    [(last,)] = database.query(f"SELECT max(id) FROM {table}")
    assert last > (9 if table == "users" else 20)
    for name in DOWN:
        assert migrate(database, phase(name, change)) is True
        assert migrate(database, phase(name, change)) is False
    assert_same(before, unordered(database), "undone")


RELATED = (
    "CREATE TABLE a (id {type} PRIMARY KEY, up {type} REFERENCES a)",
    "CREATE TABLE b (id integer PRIMARY KEY, a_id {type} NOT NULL REFERENCES a ON DELETE CASCADE)",
    "CREATE INDEX ix_b ON b (a_id)",
    "INSERT INTO a VALUES (1, NULL), (2, 1)",
    "INSERT INTO b VALUES (1, 1), (2, 2)",
)
RELATIONS = (("a", "id"), ("a", "up"), ("b", "a_id"))


@pytest.mark.only("pg18")
@pytest.mark.parametrize("first", one_in(2, [0, 1, 2]))
@pytest.mark.parametrize("together", one_in(2, [True, False]))
def test_keys_and_what_refers_to_them_change_in_any_order(new_database, first, together):
    database, made = (prepared(new_database(), [one.format(type=of) for one in RELATED]) for of in ("int", "bigint"))
    before = unordered(database)
    changes = [TypeChange(*one, sa.BigInteger()) for one in (*RELATIONS[first:], *RELATIONS[:first])]
    later = [(one, name) for name in UP[1:] for one in changes]
    order = [(one, "expand") for one in changes]
    order += later if together else [(one, name) for one in changes for name in UP[1:]]
    for change, name in order:
        assert migrate(database, phase(name, change)) is True, (change, name)
    assert_same(unordered(made), unordered(database), "contracted, beside made at once")
    for change, name in reversed(order):
        assert migrate(database, phase(f"undo_{name}", change)) is True, (change, name)
    assert_same(before, unordered(database), "undone")


@pytest.mark.only("pg18")
def test_numbers_that_the_old_type_does_not_take(database):
    """They are written anyway, and make the reverse migration fail instead of being lost."""
    change = TypeChange("users", "id", sa.BigInteger())
    after("expand", "switch", world=KEYED, change=change)(database)
    database.execute("INSERT INTO users (id, name) VALUES (3000000000, 'big')")
    with pytest.raises(ViolatingRows, match="out of range"):
        migrate(database, change.undo_switch)
    database.execute("DELETE FROM users WHERE id = 3000000000")
    assert migrate(database, change.undo_switch) is True


CHANGES = {
    "text to jsonb": ("text DEFAULT '{}'", postgresql.JSONB(), None, None, ['{"a": 1}', "[1]", None], '{"b": 2}'),
    "varchar to enum": (
        "varchar(9) DEFAULT 'ok' NOT NULL",
        sa.Enum("sad", "ok", name="mood"),
        "n::text::mood",
        None,
        ["sad", "ok"],
        "sad",
    ),
    "timestamp to timestamptz": (
        "timestamp DEFAULT now()",
        sa.DateTime(timezone=True),
        "n AT TIME ZONE 'Europe/Paris'",
        "n AT TIME ZONE 'Europe/Paris'",
        ["2026-01-02 03:04:05", None],
        "2026-07-02 03:04:05+02",
    ),
    "numeric to integer, lossy": (
        "numeric DEFAULT 1.5",
        sa.Integer(),
        "round(n)::integer",
        None,
        ["1.25", "2.75"],
        "9",
    ),
    "text to integer, nothing as NULL": ("text", sa.Integer(), "nullif(n, '')::integer", None, ["", "5", None], "6"),
}


@pytest.mark.only("pg18", "pg14")
@pytest.mark.parametrize("what", CHANGES)
def test_conversions(database, what):
    spec, type_, using, back, values, new = CHANGES[what]
    prepared(
        database,
        (
            "CREATE TYPE mood AS ENUM ('sad', 'ok')",
            f"CREATE TABLE users (id serial PRIMARY KEY, n {spec})",
            *(f"INSERT INTO users (n) VALUES ({'NULL' if one is None else repr(one)})" for one in values),
        ),
    )
    before, rows = unordered(database), [*database.query("SELECT id, n::text FROM users ORDER BY id")]
    change = TypeChange("users", "n", type_, using=using, reverse_using=back)
    for name in ("expand", "switch"):
        assert migrate(database, phase(name, change)) is True
        assert migrate(database, phase(name, change)) is False
    for name in ("undo_switch", "undo_expand"):
        assert migrate(database, phase(name, change)) is True
    assert [*database.query("SELECT id, n::text FROM users ORDER BY id")] == rows
    assert_same(before, unordered(database), "undone")
    for name in UP:
        assert migrate(database, phase(name, change)) is True
    database.execute(f"UPDATE users SET n = '{new}' WHERE id = 1", "INSERT INTO users DEFAULT VALUES")


@pytest.mark.only("pg18")
def test_a_value_that_cannot_be_converted_does_not_refuse_the_write(database):
    """The old application continues, and the switch reports it."""
    after("expand")(database)
    database.execute("UPDATE users SET n = 'twenty' WHERE id = 2")
    with pytest.raises(ViolatingRows, match="twenty"):
        migrate(database, CHANGE.switch)
    database.execute("UPDATE users SET n = '20' WHERE id = 2")
    assert migrate(database, CHANGE.switch) is True


@pytest.mark.only("pg18")
def test_a_value_from_before_that_cannot_be_converted(database):
    prepared(database, (*WORLD, "UPDATE users SET n = 'twenty' WHERE id = 2"))
    with pytest.raises(ViolatingRows, match="twenty"):
        migrate(database, CHANGE.expand)
    database.execute("UPDATE users SET n = '20' WHERE id = 2")
    assert migrate(database, CHANGE.expand) is True
    assert migrate(database, CHANGE.switch) is True


@pytest.mark.only("pg18")
def test_a_view_is_in_the_way_of_the_switch(database):
    after("expand")(database)
    database.execute("CREATE VIEW grown AS SELECT n FROM users")
    with pytest.raises(DependentObjects, match="grown"):
        migrate(database, CHANGE.switch)


@pytest.mark.only("pg18")
def test_trigger_functions_that_were_compiled_before_the_switch(database):
    prepared(
        database,
        (
            *WORLD,
            "CREATE TABLE log (n text)",
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql COST 7 SET work_mem = '4MB' AS"
            " $$ BEGIN INSERT INTO log VALUES (NEW.n); RETURN NEW; END $$",
            "CREATE TRIGGER note AFTER INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION note()",
        ),
    )
    with database.engine().connect() as application:
        application = application.execution_options(isolation_level="AUTOCOMMIT")
        application.exec_driver_sql("INSERT INTO users (id, n) VALUES (30, '1')")
        migrate(database, CHANGE.expand)
        application.exec_driver_sql("INSERT INTO users (id, n) VALUES (31, '2')")
        migrate(database, CHANGE.switch)
        application.exec_driver_sql("INSERT INTO users (id, n) VALUES (32, 3)")
    assert {"1", "2", "3"} <= {n for (n,) in database.query("SELECT n FROM log")}
    [(options, cost)] = database.query("SELECT proconfig, procost FROM pg_proc WHERE proname = 'note'")
    assert (options, cost) == (["work_mem=4MB"], 7)


@pytest.mark.only("pg18", "pg14")
def test_a_conversion_does_not_depend_on_the_session_that_writes_or_migrates(database):
    def run(name, zone):
        with database.engine().connect() as connection:
            connection.exec_driver_sql(f"SET TimeZone = '{zone}'")
            connection.exec_driver_sql("SET DateStyle = 'SQL, DMY'")
            connection.commit()
            return migrate(database, phase(name, change), connection=connection, down=name.startswith("undo"))

    change = TypeChange("t", "c", sa.Text())
    database.execute(
        "CREATE TABLE t (id integer PRIMARY KEY, c timestamptz)", "INSERT INTO t VALUES (1, '2024-02-03 12:00Z')"
    )
    assert run("expand", "Asia/Kathmandu") is True
    database.execute("SET TimeZone = 'America/New_York'", "INSERT INTO t VALUES (2, '2024-02-03 12:00Z')")
    for name in ("switch", "undo_switch", "switch"):
        assert run(name, "Europe/Paris") is True
    assert database.query("SELECT DISTINCT c FROM t") == [("03/02/2024 17:45:00 +0545",)]
    database.execute("SET DateStyle = 'SQL, MDY'", "INSERT INTO t (id, c) VALUES (3, '03/02/2024 17:45:00 +0545')")
    assert run("undo_switch", "Europe/Paris") is True
    assert database.query("SELECT count(DISTINCT c) FROM t") == [(1,)]
