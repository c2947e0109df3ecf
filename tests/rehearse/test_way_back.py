"""What a downgrade does not restore is found: a part of the schema, a value, or a row."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.runner.deploys import Deploy
from tests.servers import Database

from safeops.rehearse.running import run_up
from safeops.rehearse.saved_rows import Key, keeping_rows
from safeops.rehearse.way_back import Back, WayBack

EACH = pytest.mark.only("pg15", "pg18", "mysql", "sqlite")
TABLES = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR(50), points INTEGER DEFAULT 0)",
    "CREATE TABLE pairs (a INTEGER NOT NULL, b VARCHAR(20) NOT NULL, note VARCHAR(50), PRIMARY KEY (a, b))",
    "CREATE TABLE plain (name VARCHAR(50))",
    "INSERT INTO users (id, name) VALUES (1, 'Ada'), (2, 'Bob'), (3, NULL), (4, 'a, \"b\"')",
    "INSERT INTO pairs VALUES (1, 'x', 'one'), (1, 'y', NULL)",
    "INSERT INTO plain VALUES ('same'), ('same'), (NULL)",
)
ADDED = ('add_column_if_missing("users", sa.Column("mail", sa.String(50)))', 'drop_column_if_exists("users", "mail")')


def went_back(
    database: Database, folder: Path, revision: tuple[str, str], touched: dict[str, set[Key]] | None = None
) -> Back:
    """Upgrades a database, and downgrades it; while it is upgraded the application writes to the rows that are touched."""
    database.execute(*TABLES)
    project = Deploy(folder, database, {"r1": ("pass", "pass"), "r2": revision})
    engine = database.engine()
    run_up(project.config, "r1")
    with keeping_rows(engine) as keeper:
        back = WayBack(project.config, engine, keeper, "r1")
        run_up(project.config, "r2")
        if touched:
            database.execute("UPDATE users SET points = 7 WHERE id = 2")
        names = {table.name: touched[table.name.name] for table in keeper.tables if table.name.name in (touched or {})}
        found = back.down()
        return back.again(found if found.why else back.compared(found, names), "r2")


@EACH
def test_a_downgrade_that_leads_back(database: Database, tmp_path: Path) -> None:
    back = went_back(database, tmp_path, ADDED)
    assert back.differences == ()
    assert back.ok and back.same_schema and back.same_rows and back.again_same


@EACH
def test_rows_that_a_downgrade_does_not_restore(database: Database, tmp_path: Path) -> None:
    lossy = "op.execute(\"UPDATE users SET name = 'x' WHERE id < 3\"); op.execute(\"UPDATE pairs SET note = 'x'\")"
    back = went_back(database, tmp_path, (lossy, "pass"))
    assert back.same_schema and back.same_rows is False and not back.ok
    users, pairs = sorted(back.differences, reverse=True)
    assert "users: 2 rows changed (keys: 1, 2)" in users
    assert "pairs: 1 row changed (keys: 1, x)" in pairs


@EACH
def test_a_null_may_keep_the_value_that_it_got(database: Database, tmp_path: Path) -> None:
    filled = (
        "op.execute(\"UPDATE users SET name = coalesce(name, 'x')\"); op.execute(\"UPDATE pairs SET note = 'one'\")"
    )
    back = went_back(database, tmp_path, (filled, "pass"))
    assert back.ok and back.differences == ()


@EACH
def test_rows_that_are_missing_or_new_and_a_table_without_a_key(database: Database, tmp_path: Path) -> None:
    lossy = (
        "op.execute('DELETE FROM users WHERE id = 1'); op.execute('INSERT INTO users (id) VALUES (9)');"
        " op.execute(\"UPDATE plain SET name = 'other' WHERE name IS NULL\")"
    )
    back = went_back(database, tmp_path, (lossy, "pass"))
    text = "\n".join(back.differences)
    assert "users: 1 row missing (keys: 1)" in text and "users: 1 row added (keys: 9)" in text
    assert "plain: 2 rows changed, missing or added" in text


@EACH
def test_a_column_that_comes_back_empty(database: Database, tmp_path: Path) -> None:
    dropped = ('op.drop_column("users", "points")', 'op.add_column("users", sa.Column("points", sa.Integer))')
    back = went_back(database, tmp_path, dropped)
    assert back.same_schema is False and back.same_rows is False
    assert any("column" in one and "points: default was" in one for one in back.differences)
    assert any("users: 4 rows changed" in one for one in back.differences)


@EACH
def test_what_a_downgrade_leaves_behind(database: Database, tmp_path: Path) -> None:
    more = 'create_table_if_missing("more", sa.Column("id", sa.Integer, primary_key=True))'
    up = f'create_index_if_missing("ix", "users", ["name"]); {more}'
    back = went_back(database, tmp_path, (up, "pass"))
    assert back.same_schema is False and back.same_rows
    assert len(back.differences) - any("sequence" in one for one in back.differences) == 2
    assert any("index ix" in one and "left over" in one for one in back.differences)
    assert any("table" in one and "more was left over" in one for one in back.differences)


@EACH
def test_rows_that_the_application_has_written_are_not_compared(database: Database, tmp_path: Path) -> None:
    back = went_back(database, tmp_path, ADDED, {"users": {"2"}})
    assert back.ok, back.differences


@EACH
def test_a_revision_that_declares_that_it_cannot_be_undone(database: Database, tmp_path: Path) -> None:
    back = went_back(database, tmp_path, (ADDED[0], 'irreversible("the old names are not needed")'))
    assert back.irreversible and back.ok and "the old names are not needed" in back.why


@EACH
def test_a_downgrade_that_fails(database: Database, tmp_path: Path) -> None:
    back = went_back(database, tmp_path, (ADDED[0], 'op.drop_column("users", "nothing")'))
    assert not back.ok and not back.irreversible and "nothing" in back.why


@pytest.mark.only("pg15", "pg18")
def test_the_session_that_keeps_rows_compiles_no_query(database: Database) -> None:
    # Without nested loops each look at the catalogue seems to be dear, and compiling it takes seconds for each table.
    engine = database.engine(connect_args={"options": "-c jit=on"})
    with keeping_rows(engine) as keeper:
        assert keeper._port.read("SHOW jit")[0][0] == "off"
