"""A trigger that cancels an UPDATE, or reverts its value: each call that fills rows reports it, by name."""

from __future__ import annotations

import itertools

import pytest
import sqlalchemy as sa

from safeops import (
    BackfillIncomplete,
    ColumnRename,
    TypeChange,
    add_required_column,
    backfill,
    drop_column_if_exists,
    restore_column,
)
from tests.projects import migrate
from tests.servers import Database

NAME = 'No "updates"'
CANCEL = {
    "postgresql": (
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.id % 2 = 0 THEN RETURN NEW; END IF;"
        " RETURN NULL; END'",
        'CREATE TRIGGER "No ""updates""" BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION no()',
    ),
    "sqlite": (
        'CREATE TRIGGER "No ""updates""" BEFORE UPDATE ON t WHEN NEW.id % 2 = 1 BEGIN SELECT RAISE(IGNORE); END',
    ),
}
DROP = {"postgresql": 'DROP TRIGGER "No ""updates""" ON t', "sqlite": 'DROP TRIGGER "No ""updates"""'}
FILLS = {
    "rename": lambda: ColumnRename("t", "a", "b").expand(),
    "type": lambda: TypeChange("t", "a", sa.Numeric(12, 2)).expand(),
    "required": lambda: add_required_column("t", sa.Column("r", sa.Integer), populate=sa.column("a")),
    "backfill": lambda: backfill("t", {"n": sa.column("a")}),
    "backfill of each row": lambda: backfill("t", {"n": sa.column("a")}, where=True),
    "backfill of some rows": lambda: backfill("t", {"n": sa.column("a")}, where=sa.column("id") < 5),
}


def prepare(database: Database) -> None:
    database.execute(
        "CREATE TABLE t (id integer PRIMARY KEY, a integer, n integer)",
        "INSERT INTO t (id, a) VALUES (1, 10), (2, 20), (3, 30), (4, 40)",
    )


@pytest.mark.only("postgresql", "sqlite")
@pytest.mark.parametrize("fill", FILLS.values(), ids=FILLS)
def test_rows_whose_update_is_cancelled_are_not_taken_for_filled(database, fill):
    prepare(database)
    database.execute(*CANCEL[database.kind])

    for _ in range(2):
        with pytest.raises(BackfillIncomplete, match="2 ") as raised:
            migrate(database, fill)
        assert '"No ""updates"""' in str(raised.value)
        assert "the application has written" not in str(raised.value)
    database.execute(DROP[database.kind])

    migrate(database, fill)
    assert database.query("SELECT count(a) FROM t") == [(4,)]


@pytest.mark.only("mysql")
def test_rows_whose_value_a_trigger_reverts_do_not_count_as_filled(database):
    prepare(database)

    def stop(progress):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        migrate(database, lambda: ColumnRename("t", "a", "b").expand(batch_size=1, progress=stop))
    database.execute("CREATE TRIGGER back BEFORE UPDATE ON t FOR EACH ROW SET NEW.b = OLD.b, NEW.n = OLD.n")

    for fill in (FILLS["rename"], FILLS["backfill"]):
        with pytest.raises(BackfillIncomplete, match="trigger back"):
            migrate(database, fill)
    database.execute("DROP TRIGGER back")
    migrate(database, FILLS["rename"])
    assert database.query("SELECT count(b) FROM t") == [(4,)]


@pytest.mark.only("postgresql")
def test_a_rule_that_replaces_the_update_is_named_too(database):
    prepare(database)
    database.execute("CREATE RULE instead AS ON UPDATE TO t WHERE NEW.id = 1 DO INSTEAD NOTHING")

    with pytest.raises(BackfillIncomplete, match=r"1 of them [^\n]*\n.* rule instead"):
        migrate(database, FILLS["backfill"])


@pytest.mark.only("pg18")
def test_a_trigger_that_cancels_only_what_changes_nothing_is_not_an_obstacle(database):
    database.execute(
        "CREATE TABLE t (id integer PRIMARY KEY, a text)",
        "INSERT INTO t VALUES (1, 'x'), (2, 'y')",
        "CREATE TRIGGER z BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    )
    migrate(database, lambda: backfill("t", {"a": "y"}, where=True))
    assert database.query("SELECT a FROM t") == [("y",), ("y",)]


@pytest.mark.only("postgresql", "sqlite")
def test_archived_values_that_could_not_be_put_back_stay_archived(database):
    prepare(database)
    migrate(database, lambda: drop_column_if_exists("t", "a", archive=True))
    database.execute(*CANCEL[database.kind])
    restore = lambda: restore_column("t", sa.Column("a", sa.Integer))  # noqa: E731

    for _ in range(2):
        with pytest.raises(BackfillIncomplete, match=r'trigger "No ""updates"""'):
            migrate(database, restore)
    database.execute(DROP[database.kind])

    assert migrate(database, restore) is True
    assert database.query("SELECT a FROM t ORDER BY id") == [(10,), (20,), (30,), (40,)]


@pytest.mark.only("postgresql")
def test_a_trigger_is_not_blamed_for_rows_that_the_application_inserts(database):
    prepare(database)
    database.execute(
        "CREATE FUNCTION yes() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER yes BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION yes()",
    )
    progress = itertools.count(5)

    def insert(_progress):
        database.execute(f"INSERT INTO t (id, a) VALUES ({next(progress)}, 50)")

    with pytest.raises(BackfillIncomplete, match="The application wrote 1 of them without a value") as raised:
        migrate(database, lambda: backfill("t", {"n": sa.column("a")}, batch_size=100, progress=insert))
    assert "trigger" not in str(raised.value)
