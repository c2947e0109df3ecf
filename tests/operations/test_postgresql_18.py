"""Constraints that PostgreSQL has from 18 on: NOT NULL NOT VALID, NOT ENFORCED, periods of time, virtual columns."""

import pytest
import sqlalchemy as sa
from tests.lifecycle.harness import state
from tests.operations.shape import Expect, assert_refused
from tests.projects import migrate

from safeops import (
    ColumnRename,
    DefinitionMismatch,
    OrphanedRows,
    TypeChange,
    UnsafeOperation,
    UnsupportedOnDatabase,
    ViolatingRows,
    add_column_if_missing,
    create_check_constraint_if_missing,
    create_exclude_constraint_if_missing,
    create_foreign_key_if_missing,
    create_index_if_missing,
    create_primary_key_if_missing,
    create_table_if_missing,
    create_unique_constraint_if_missing,
    drop_column_if_exists,
    drop_constraint_if_exists,
    enforce_not_null,
    restore_column,
    validate_constraint,
)
from safeops.plan_mode import recorded_dry_run

pytestmark = pytest.mark.only("pg18")

NOT_NULL = (
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'n' AND conrelid = 'q'::regclass"
)
TABLE = "CREATE TABLE q (id integer PRIMARY KEY, x integer)"
ROWS = "INSERT INTO q VALUES (1, NULL), (2, 5)"


def not_nulls(database):
    return {name: text for name, text in database.query(NOT_NULL) if name != "q_id_not_null"}


def phases(change, *names):
    return lambda: [getattr(change, name)() for name in names]


# --- NOT NULL, NOT VALID and NO INHERIT --------------------------------------------------------------------------


@pytest.mark.parametrize("rules", [" NOT VALID", " NO INHERIT", " NO INHERIT NOT VALID"])
def test_not_null_keeps_its_name_and_rules(database, rules):
    rows = ROWS if "NOT VALID" in rules else "INSERT INTO q VALUES (2, 5)"
    database.execute(TABLE, rows, f'ALTER TABLE q ADD CONSTRAINT "n X" NOT NULL x{rules}')
    values = database.query("SELECT * FROM q ORDER BY id")
    rename = ColumnRename("q", "x", "Y y")
    migrate(database, phases(rename, "expand", "contract"))
    assert not_nulls(database) == {"n X": f'NOT NULL "Y y"{rules}'}
    migrate(database, phases(rename, "undo_contract", "undo_expand"))
    change = TypeChange("q", "x", sa.BigInteger)
    migrate(database, phases(change, "expand", "switch"))
    assert not_nulls(database) == {"n X": f"NOT NULL x{rules}"}
    migrate(database, phases(change, "undo_switch", "undo_expand"))
    migrate(database, lambda: drop_column_if_exists("q", "x", archive=True))
    migrate(database, lambda: restore_column("q", sa.Column("x", sa.Integer)))
    assert not_nulls(database) == {"n X": f"NOT NULL x{rules}"}
    assert database.query("SELECT * FROM q ORDER BY id") == values


def test_not_null_that_is_not_valid_is_validated(database):
    database.execute(TABLE, ROWS, "UPDATE q SET x = 1", 'ALTER TABLE q ADD CONSTRAINT "n X" NOT NULL x NOT VALID')
    assert [migrate(database, lambda: enforce_not_null("q", "x")) for _ in range(2)] == [True, False]
    assert not_nulls(database) == {"n X": "NOT NULL x"}


# --- NOT ENFORCED ------------------------------------------------------------------------------------------------

LOOSE = (
    "CREATE TABLE p (id integer PRIMARY KEY)",
    "CREATE TABLE q (id integer PRIMARY KEY, x integer, CONSTRAINT ck CHECK (x > 0) NOT ENFORCED,"
    " CONSTRAINT fk FOREIGN KEY (x) REFERENCES p NOT ENFORCED)",
    "INSERT INTO q VALUES (1, -5)",
)


def test_what_is_not_enforced_is_another_definition(database):
    database.execute(*LOOSE)
    check = 'create_check_constraint_if_missing("ck", "q", "(x > 0)", if_different="replace")'
    key = 'create_foreign_key_if_missing("fk", "q", "p", ["x"], ["id"], if_different="replace")'
    different, unchecked = (
        ["enforced is False, not True", "neither existing nor new rows"],
        [
            "is NOT ENFORCED",
            "neither existing nor new rows",
        ],
    )
    alone = {"add": [*different, check, "Nothing was changed"], "tie": [*different, key, "Nothing was changed"]}
    rule, own = (sa.CheckConstraint("x > 0", name="ck") for _ in range(2))
    column = sa.Column("x", sa.Integer, own)
    assert_refused(
        database,
        [
            Expect(lambda: create_check_constraint_if_missing("ck", "q", "x > 0"), alone["add"]),
            Expect(lambda: create_check_constraint_if_missing("ck", "q", "x > 0", validate=False), alone["add"]),
            Expect(
                lambda: create_check_constraint_if_missing("ck", "q", "x > 1"),
                ["condition is (x > 0)", "enforced is False", 'drop_constraint_if_exists("ck", "q")'],
            ),
            Expect(lambda: create_foreign_key_if_missing("fk", "q", "p", ["x"], ["id"]), alone["tie"]),
            Expect(lambda: add_column_if_missing("q", column._copy()), alone["add"]),
            Expect(
                lambda: create_table_if_missing("q", sa.Column("id", sa.Integer, primary_key=True), rule),
                ["enforced of check ck is False, not True"],
            ),
            Expect(lambda: validate_constraint("ck", "q"), [*unchecked, check]),
            Expect(lambda: validate_constraint("fk", "q"), [*unchecked, key]),
        ],
    )
    assert (
        migrate(database, lambda: create_check_constraint_if_missing("ck", "q", "x > 0", if_different="keep")) is False
    )


def test_what_is_not_enforced_is_replaced_as_the_error_shows(database):
    database.execute(*LOOSE)
    for call, error in (
        (lambda: validate_constraint("ck", "q"), ViolatingRows),
        (lambda: validate_constraint("fk", "q"), OrphanedRows),
    ):
        with pytest.raises(DefinitionMismatch) as refused:
            migrate(database, call)
        before = state(database)
        with pytest.raises(error):
            migrate(database, lambda refused=refused: eval(refused.value.code))
        assert state(database) == before
    database.execute("UPDATE q SET x = 5", "INSERT INTO p VALUES (5)")
    for call in (lambda: validate_constraint("ck", "q"), lambda: validate_constraint("fk", "q")):
        with pytest.raises(DefinitionMismatch) as refused:
            migrate(database, call)
        assert migrate(database, lambda refused=refused: eval(refused.value.code)) is True
        assert migrate(database, call) is False
    found = database.query("SELECT conname FROM pg_constraint WHERE conrelid = 'q'::regclass AND NOT convalidated")
    assert found == []


def test_what_is_not_enforced_proves_nothing_and_is_dropped(database):
    database.execute(*LOOSE, "ALTER TABLE q ADD CONSTRAINT nn CHECK (x IS NOT NULL) NOT ENFORCED")
    database.execute("INSERT INTO q VALUES (2, NULL)")
    with pytest.raises(ViolatingRows):
        migrate(database, lambda: enforce_not_null("q", "x"))
    database.execute("DELETE FROM q WHERE id = 2")
    assert [migrate(database, lambda: enforce_not_null("q", "x")) for _ in range(2)] == [True, False]
    for name in ("ck", "fk", "nn"):
        dropped = [migrate(database, lambda name=name: drop_constraint_if_exists(name, "q")) for _ in range(2)]
        assert dropped == [True, False]


def test_a_plan_refuses_what_is_not_enforced(database):
    database.execute(*LOOSE)
    before = state(database)
    with recorded_dry_run() as dry_run:
        migrate(database, lambda: validate_constraint("ck", "q"))
    [(_, told)] = dry_run.calls
    assert (told.action, "would be refused: Could not validate check ck of q: it is NOT ENFORCED" in told.detail) == (
        "unknown",
        True,
    )
    assert state(database) == before


@pytest.mark.parametrize(
    "change",
    [
        phases(ColumnRename("q", "x", "y"), "expand", "contract", "undo_contract", "undo_expand"),
        phases(TypeChange("q", "x", sa.BigInteger), "expand", "switch", "undo_switch", "undo_expand"),
        lambda: (drop_column_if_exists("q", "x", archive=True), restore_column("q", sa.Column("x", sa.Integer))),
    ],
    ids=["rename", "type", "archive"],
)
def test_what_is_not_enforced_is_carried_along(database, change):
    database.execute(*LOOSE)
    before = state(database)
    migrate(database, change)
    assert state(database) == before


# --- periods -----------------------------------------------------------------------------------------------------

PERIODS = (
    "CREATE EXTENSION btree_gist",
    "CREATE TABLE q (id integer, r int4range, n integer NOT NULL UNIQUE, CONSTRAINT pk PRIMARY KEY (id, r WITHOUT OVERLAPS),"
    " CONSTRAINT uq UNIQUE (n, r WITHOUT OVERLAPS))",
    "CREATE TABLE c (id integer PRIMARY KEY, q_id integer, r int4range,"
    " CONSTRAINT fk FOREIGN KEY (q_id, PERIOD r) REFERENCES q (id, PERIOD r))",
)


def test_periods_are_another_definition_and_no_recipe_copies_them(database):
    database.execute(*PERIODS)
    words = ["over periods of time is True, not False"]
    assert_refused(
        database,
        [
            Expect(lambda: create_primary_key_if_missing("pk", "q", ["id", "r"]), words),
            Expect(lambda: create_unique_constraint_if_missing("uq", "q", ["n", "r"]), words),
            Expect(lambda: create_foreign_key_if_missing("fk", "c", "q", ["q_id", "r"], ["id", "r"]), words),
            Expect(lambda: ColumnRename("q", "r", "period").expand(), ["WITHOUT OVERLAPS"], UnsafeOperation),
            Expect(lambda: TypeChange("q", "n", sa.BigInteger).expand(), ["WITHOUT OVERLAPS"], UnsafeOperation),
            Expect(lambda: ColumnRename("c", "r", "period").expand(), ["PERIOD r"], UnsafeOperation),
        ],
    )


# --- virtual generated columns -----------------------------------------------------------------------------------

VIRTUAL = (
    "CREATE TABLE p (id integer PRIMARY KEY)",
    'CREATE TABLE q (id integer PRIMARY KEY, x integer, "V v" integer GENERATED ALWAYS AS (x * 2) VIRTUAL)',
    "INSERT INTO q VALUES (1, 5)",
)


def computed(**kw):
    return sa.Column("w", sa.Integer, sa.Computed("x + 1", persisted=False), **kw)


def test_no_index_or_key_is_over_a_virtual_column(database):
    database.execute(*VIRTUAL)
    over, new = ["virtual generated column V v", "stored"], ["virtual generated column w"]
    calls = [
        lambda: create_index_if_missing("ix", "q", ["V v"]),
        lambda: create_index_if_missing("ix", "q", [sa.text('("V v" + 1)')]),
        lambda: create_index_if_missing("ix", "q", ["x"], postgresql_where=sa.text('"V v" > 1')),
        lambda: create_index_if_missing("ix", "q", ["x"], postgresql_include=["V v"]),
        lambda: create_unique_constraint_if_missing("uq", "q", ["V v"]),
        lambda: create_foreign_key_if_missing("fk", "q", "p", ["V v"], ["id"]),
        lambda: create_exclude_constraint_if_missing("ex", "q", ("V v", "="), using="btree"),
    ]
    added = [
        lambda: add_column_if_missing("q", computed(index=True)),
        lambda: add_column_if_missing("q", computed(unique=True)),
        lambda: create_table_if_missing("z", sa.Column("x", sa.Integer, primary_key=True), computed(index=True)),
    ]
    found = [Expect(one, over, UnsupportedOnDatabase) for one in calls]
    assert_refused(database, found + [Expect(one, new, UnsupportedOnDatabase) for one in added])
    assert migrate(database, lambda: create_index_if_missing("ix", "q", [sa.text("(x * 2)")])) is True
    assert migrate(database, lambda: create_check_constraint_if_missing("ck", "q", '"V v" > 0')) is True
