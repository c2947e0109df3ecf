"""Plans of traffic: from a file of statements with rates, from a script of pgbench, and from what the server has counted."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from tests.servers import Database

from safeops import InvalidArgument, UnsupportedOnDatabase
from safeops.naming import Name
from safeops.rehearse.traffic import Traffic, TrafficPlan, plan_from_file, plan_from_server, plan_of
from safeops.rehearse.traffic.expressions import evaluate
from safeops.rehearse.traffic.sql import Statement, split_statements

RATED = r"""-- The statements of the shop.
\set id random(1, 20)

-- rate: 60/s
SELECT name FROM items
 WHERE id = :id AND name <> ':id; no variable';  -- one of :nothing

-- rate: 1200 / min
BEGIN;
UPDATE items SET stock = stock - 1 WHERE id = :id;
SELECT stock FROM items WHERE id = :id;
COMMIT;
"""
PGBENCH = r"""\set aid random(1, 10 * :scale)
\set delta random(-50, 50) + 2 * (:aid % 3)
BEGIN;
UPDATE items SET stock = stock + :delta WHERE id = :aid;
\sleep 1 ms
COMMIT;
"""


@pytest.fixture
def items(database: Database) -> Database:
    if database.kind == "sqlite":
        database.execute("PRAGMA journal_mode = wal")
    database.execute("CREATE TABLE items (id integer PRIMARY KEY, name varchar(20), stock integer NOT NULL)")
    for number in range(1, 21):
        database.execute(f"INSERT INTO items VALUES ({number}, 'item {number}', 100)")
    return database


@pytest.mark.only("pg18")
def test_rows_that_exclude_each_other(database: Database) -> None:
    database.execute(
        "CREATE TABLE stays (id serial PRIMARY KEY, room integer, during daterange, note text,"
        " EXCLUDE (room WITH =), EXCLUDE USING gist (during WITH &&))",
        "INSERT INTO stays (room, during, note) SELECT n, daterange(day, day + 1), 'x' || n"
        " FROM (SELECT n, DATE '2020-01-01' + n AS day FROM generate_series(1, 40) n) days",
    )
    plan = plan_of(database.observer(), [Name("stays")])
    result, notes = ran(database, plan)
    assert result.writes > 0 and result.errors == ()
    assert "stays: no new rows, because during must be unique and no value can be made for it." in notes


def ran(database: Database, plan: TrafficPlan, seconds: float = 1.5):
    with Traffic(database.url, plan, rate=100.0) as traffic:
        time.sleep(seconds)
        return traffic.stop(), traffic.notes


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "traffic.sql"
    path.write_text(text)
    return path


@pytest.mark.by_hand("mysql97", "sqlite", "mariadb")
def test_a_file_has_a_rate_for_each_statement(items, tmp_path):
    plan = plan_from_file(written(tmp_path, RATED))
    assert [(script.rate, len(script.steps)) for script in plan.scripts] == [(60.0, 2), (20.0, 5)]
    assert TrafficPlan.from_json(plan.as_json()) == plan
    result, notes = ran(items, plan)
    assert not result.errors and not notes
    # Both sections read: 60 + 20 a second; the second one writes 20, and commits.
    assert result.reads > result.writes > 0
    assert set(result.samples) == {"items"}
    [(stock,)] = items.query("SELECT sum(stock) FROM items")
    assert stock < 2000


@pytest.mark.by_hand("mysql97", "sqlite", "mariadb")
def test_a_script_of_pgbench_repeats(items, tmp_path):
    plan = plan_from_file(written(tmp_path, PGBENCH))
    assert [step.variable or step.sql or step.pause for step in plan.scripts[0].steps] == [
        *("aid", "delta", "BEGIN", "UPDATE items SET stock = stock + :delta WHERE id = :aid", 0.001, "COMMIT"),
    ]
    result, _ = ran(items, plan)
    assert not result.errors
    assert result.writes


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("SELECT :x FROM items;", "", ":x"),
        ("\\set x random(1, 2\nSELECT :x;", "line 1", "random(1, 2"),
        ("\\set x __import__('os')\nSELECT :x;", "line 1", "__import__('os')"),
        ("SELECT 1;\n\\gset\n", "line 2", "\\gset"),
    ],
)
def test_a_line_that_is_not_understood_is_refused(tmp_path, text, line, what):
    with pytest.raises(InvalidArgument) as error:
        plan_from_file(written(tmp_path, text))
    assert f"{what} is not known" in error.value.problem and line in error.value.problem


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="cannot be read"):
        plan_from_file(tmp_path / "nothing.sql")


def test_expressions_are_those_of_pgbench():
    chance = random.Random(1)
    assert evaluate("7 / 2 * :a - abs(-1)", {"a": 3}, chance) == 8
    assert evaluate("greatest(1, least(9, 5)) % 3", {}, chance) == 2
    for name in ("random_gaussian(1, 9, 2.5)", "random_exponential(1, 9, 3)", "random_zipfian(1, 9, 1.1)"):
        drawn = {evaluate(name, {}, chance) for _ in range(500)}
        assert drawn <= set(range(1, 10)) and len(drawn) > 4


def test_a_statement_knows_its_variables_from_its_texts():
    statement = Statement.read("SELECT a::int, ':no', \"x:no\" /* :no */ FROM t WHERE b = :b AND c=:c -- :no")
    assert statement.names == ("b", "c")
    assert Statement.read(statement.text) == statement
    assert Statement.read("UPDATE t SET a = 1").writes and not Statement.read("SELECT 'update'").writes
    assert split_statements("SELECT ';'; -- ;\n DO $$ BEGIN; END $$; /* ; */") == [
        "SELECT ';'",
        "-- ;\n DO $$ BEGIN; END $$",
    ]


COUNTED = (
    ("SELECT name FROM items WHERE id = $1 LIMIT $2", 900),
    ("UPDATE items i SET stock = $1 WHERE i.id = $2 AND i.stock BETWEEN $3 AND $4", 100),
    (
        "SELECT stock FROM prices JOIN public.items ON price = stock WHERE items.name IN ($1::VARCHAR, $2 /*, ... */)"
        " AND prices.price > $3",
        50,
    ),
    ("INSERT INTO items (id, name, stock) VALUES ($1, $2, $3)", 20),
    (
        "SELECT i.name, i.stock + $1::INTEGER FROM items AS i WHERE lower(i.name) = lower($2::VARCHAR) AND now() > now() -"
        " interval $3 ORDER BY i.id LIMIT $4::INTEGER OFFSET $5",
        15,
    ),
    ("SELECT max($1 + $2) FROM items", 10),
    ("select current_schema()", 5),
)


@pytest.mark.only("postgresql")
def test_the_statements_of_the_running_release(items):
    listed = ", ".join(f"('{sql}', {calls})" for sql, calls in COUNTED)
    # As the extension has it; the server of the tests does not load it.
    items.execute("CREATE TABLE prices (price integer)", "INSERT INTO prices VALUES (100)")
    items.execute(
        "CREATE VIEW pg_stat_statements AS SELECT oid AS dbid, query, calls::bigint FROM pg_database,"
        f" (VALUES {listed}) counted (query, calls) WHERE datname = current_database()"
    )
    plan = plan_from_server(items.url)
    assert [round(script.rate) for script in plan.scripts] == [82, 9, 5, 2, 1]
    assert plan.scripts[0].columns == (("p1", None, "items", "id"),)
    assert plan.notes == ("statement SELECT max($1 + $2) FROM items: left out, because no column is known for $1.",)
    result, notes = ran(items, plan)
    assert not result.errors
    assert result.reads > result.writes > 0
    # Values of existing rows cannot be inserted again.
    assert any("left out, because it fails now: duplicate key" in note for note in notes)


@pytest.mark.only("postgresql")
def test_statements_of_a_file_are_prepared_too(items, tmp_path):
    plan = plan_from_file(
        written(tmp_path, "\\set id random(1, 20)\nSELECT * FROM items WHERE id = :id;\nSELECT :id + :id;")
    )
    with Traffic(items.url, plan, rate=100.0) as traffic:
        time.sleep(0.8)
        items.execute("ALTER TABLE items ADD more integer")
        time.sleep(0.8)
        result = traffic.stop()
    assert {(error.table, error.code) for error in result.errors} == {("items", "0A000")}


@pytest.mark.only("pg18", "sqlite")
def test_a_server_that_does_not_count_is_refused(items):
    with pytest.raises(UnsupportedOnDatabase, match="statements that the server has counted"):
        plan_from_server(items.url)
