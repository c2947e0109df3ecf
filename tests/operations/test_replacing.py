"""if_different="replace": the old definition is enforced until the new one is, while the application writes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from tests.lifecycle.harness import crash_everywhere
from tests.projects import migrate, render, run_sql
from tests.servers import Database

from safeops import (
    DependentObjects,
    DuplicateRows,
    InvalidArgument,
    OrphanedRows,
    UnsupportedOnDatabase,
    assured,
    create_check_constraint_if_missing,
    create_foreign_key_if_missing,
    create_index_if_missing,
    create_primary_key_if_missing,
    create_unique_constraint_if_missing,
)

LONG = "n" * 63
WORLD = (
    "CREATE TABLE parent (id integer PRIMARY KEY, code integer NOT NULL UNIQUE)",
    "CREATE TABLE other (id integer PRIMARY KEY)",
    "INSERT INTO parent VALUES (1, 1), (2, 2)",
    "INSERT INTO other VALUES (1), (2)",
    "CREATE TABLE child (id integer PRIMARY KEY, a integer, b integer, c integer)",
    "INSERT INTO child VALUES (1, 1, 1, 1), (2, 2, 2, 1)",
)
Call = Callable[..., bool]


def index(columns: Any, **options: Any) -> Call:
    return lambda how="replace": create_index_if_missing("Ix 'x'", "child", columns, if_different=how, **options)


def unique(*columns: str, **options: Any) -> Call:
    return lambda how="replace": create_unique_constraint_if_missing(
        LONG, "child", columns, if_different=how, **options
    )


def key(referent: str, local: str, remote: str, **options: Any) -> Call:
    return lambda how="replace": create_foreign_key_if_missing(
        "Fk", "child", referent, [local], [remote], if_different=how, **options
    )


def check(condition: str) -> Call:
    return lambda how="replace": create_check_constraint_if_missing("ck", "child", condition, if_different=how)


PAIRS: dict[str, tuple[Call, Call]] = {
    "columns of an index": (index(["a"]), index(["b", "a"])),
    "an index becomes unique": (index(["a"]), index(["a"], unique=True)),
    "columns of a unique constraint": (unique("a"), unique("b", "a")),
    "actions of a key": (key("parent", "a", "id"), key("parent", "a", "id", ondelete="CASCADE", onupdate="SET NULL")),
    "referent of a key": (key("parent", "a", "id"), key("other", "a", "id")),
    "columns of a key": (key("parent", "a", "id"), key("parent", "b", "code", ondelete="SET NULL")),
    "condition of a check": (check("a > 0"), check("a > 0 AND b > 0")),
}


@pytest.fixture
def world(database: Database) -> Database:
    database.execute(*WORLD)
    return database


def answered(call: Call, *arguments: Any) -> Any:
    def run() -> bool:
        with assured("MariaDB and MySQL copy the table for a check"):
            return call(*arguments)

    return run


def shape(database: Database) -> Any:
    found = sa.inspect(database.observer())
    parts = (
        found.get_indexes("child"),
        found.get_unique_constraints("child"),
        found.get_foreign_keys("child"),
        found.get_check_constraints("child"),
    )
    return [sorted(map(str, part)) for part in parts]


@pytest.mark.parametrize(("old", "new"), PAIRS.values(), ids=PAIRS)
def test_it_is_replaced_and_replaced_back(world: Database, old: Call, new: Call) -> None:
    migrate(world, answered(old))
    before = shape(world)
    assert [migrate(world, answered(new)), migrate(world, answered(new))] == [True, False]
    assert migrate(world, answered(new, "raise")) is False
    assert "safeops" not in str(shape(world))
    assert migrate(world, answered(old))
    assert shape(world) == before


@pytest.mark.parametrize("pair", ["columns of an index", "columns of a unique constraint", "columns of a key"])
def test_a_run_that_is_interrupted_anywhere_continues(new_database: Callable[[], Database], pair: str) -> None:
    old, new = PAIRS[pair]

    def prepare(database: Database) -> None:
        database.execute(*WORLD)
        migrate(database, old)

    crash_everywhere(new_database, new, prepare, kills=0)


class Writers:
    """Sessions that write without a pause, and how many of their writes were taken."""

    def __init__(self, database: Database, *statements: str) -> None:
        self.database, self.statements, self.taken, self.over = database, statements, 0, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self) -> Writers:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def run(self) -> None:
        engine = self.database.engine()
        while not self.over.is_set():
            for statement in self.statements:
                try:
                    with engine.begin() as connection:
                        self.taken += connection.exec_driver_sql(statement).rowcount > 0
                except sa.exc.DBAPIError:
                    pass


@pytest.mark.only("postgresql", "mysql")
@pytest.mark.parametrize(
    ("pair", "write"),
    [
        ("actions of a key", "UPDATE child SET a = 9 WHERE id = 1"),
        ("referent of a key", "UPDATE child SET a = 9 WHERE id = 1"),
        ("columns of a unique constraint", "INSERT INTO child VALUES (3, 1, 1, 1)"),
    ],
)
def test_a_writer_is_refused_all_the_time(world: Database, pair: str, write: str) -> None:
    old, new = PAIRS[pair]
    migrate(world, old)
    with Writers(world, write) as writers:
        for call in (new, old, new):
            assert migrate(world, call)
    assert writers.taken == 0


def test_rows_that_break_the_new_one_leave_the_old_one_in_force(world: Database) -> None:
    old, new = PAIRS["referent of a key"]
    migrate(world, old)
    before = shape(world)
    world.execute("DELETE FROM other WHERE id = 2")
    with pytest.raises(OrphanedRows):
        migrate(world, new)
    assert shape(world) == before


def test_duplicates_leave_the_old_index_in_force(world: Database) -> None:
    migrate(world, index(["c"]))
    before = shape(world)
    with pytest.raises(DuplicateRows):
        migrate(world, index(["c"], unique=True))
    assert shape(world) == before
    world.execute("UPDATE child SET c = id")
    assert migrate(world, index(["c"], unique=True))


@pytest.mark.only("postgresql", "mysql")
def test_a_key_that_another_table_needs_is_not_replaced(world: Database) -> None:
    migrate(world, lambda: create_unique_constraint_if_missing("uq", "child", ["a"]))
    migrate(world, lambda: create_foreign_key_if_missing("back", "parent", "child", ["code"], ["a"]))
    with pytest.raises(DependentObjects, match="back"):
        migrate(world, lambda: create_unique_constraint_if_missing("uq", "child", ["b"], if_different="replace"))


def test_a_primary_key_is_not_replaced(world: Database) -> None:
    with pytest.raises(InvalidArgument, match="'raise' or 'keep'"):
        migrate(world, lambda: create_primary_key_if_missing("pk", "child", ["b"], if_different="replace"))


@pytest.mark.only("postgresql", "mysql")
@pytest.mark.parametrize("pair", PAIRS)
def test_the_script_replaces_and_may_run_twice(world: Database, new_database: Any, pair: str) -> None:
    old, new = PAIRS[pair]
    migrate(world, answered(old))
    script = render(world, new)
    for _ in range(2):
        run_sql(world, script)
    assert migrate(world, lambda: new("raise")) is False
    assert "safeops" not in str(shape(world))
    fresh = new_database()
    fresh.execute(*WORLD)
    run_sql(fresh, script)
    assert shape(fresh) == shape(world)


@pytest.mark.only("postgresql")
def test_what_another_revision_left_under_the_passing_name_is_not_taken(world: Database) -> None:
    migrate(world, index(["a"]))
    migrate(world, key("parent", "a", "id"))
    world.execute(
        """CREATE INDEX "safeops_new_Ix 'x'" ON child (c)""",
        'ALTER TABLE child ADD CONSTRAINT "safeops_new_Fk" FOREIGN KEY (c) REFERENCES other NOT VALID',
    )
    assert migrate(world, index(["b", "a"]))
    assert migrate(world, key("parent", "b", "code"))
    assert migrate(world, lambda: index(["b", "a"])("raise")) is False
    assert migrate(world, lambda: key("parent", "b", "code")("raise")) is False


@pytest.mark.only("postgresql")
def test_on_a_partitioned_table(database: Database) -> None:
    database.execute(
        "CREATE TABLE child (a integer, b integer) PARTITION BY LIST (a)",
        "CREATE TABLE child_1 PARTITION OF child FOR VALUES IN (1) PARTITION BY LIST (b)",
        "CREATE TABLE child_1_1 PARTITION OF child_1 DEFAULT",
    )
    migrate(database, index(["a"]))
    assert [migrate(database, index(["b"])), migrate(database, index(["b"]))] == [True, False]
    names = database.query("SELECT indexname FROM pg_indexes WHERE tablename LIKE 'child%' ORDER BY 1")
    assert names == [("Ix 'x'",), ("child_1_1_child_1_Ix 'x'",), ("child_1_Ix 'x'",)]
    migrate(database, unique("a", "b"))
    with pytest.raises(UnsupportedOnDatabase, match="not partitioned"):
        migrate(database, unique("b", "a"))
