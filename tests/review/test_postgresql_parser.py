"""What PostgreSQL's statements do, as their text shows it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeops.judging import operations as op
from safeops.judging.operations import Operation
from safeops.judging.postgresql import JudgedServer
from safeops.judging.postgresql.splitting import statements
from safeops.judging.postgresql.types import normal_type, widens
from safeops.judging.traits import FOUND, SHOWN
from safeops.naming import Name


def parsed(sql: str) -> list[Operation]:
    return JudgedServer(SimpleNamespace(version=(18, 0))).parse(sql)  # type: ignore[arg-type]


def kinds(sql: str) -> list[str]:
    return [one.kind for one in parsed(sql)]


# Statements of a text ------------------------------------------------------------------------------------------------


def test_a_text_is_split_as_the_server_would() -> None:
    sql = "SELECT 1;; -- one; two\n;SELECT 'a;b' /* ; */; CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END"
    assert [type(one.node).__name__ for one in statements(sql)] == ["SelectStmt", "SelectStmt", "CreateFunctionStmt"]


def test_a_syntax_error_leaves_the_other_statements_as_they_are() -> None:
    found = parsed("DROP TABLE a; DROPP TABLE b; CREATE INDEX i ON c (d); ALTER TABLE t ADD x int")
    assert [one.kind for one in found] == [op.DROP_TABLE, op.OPAQUE, op.CREATE_INDEX, op.ADD_COLUMN]
    assert "syntax error" in found[1].opaque


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE users SET a = %(x)s WHERE id > %(low)s AND name = 'x%(y)s'",
        "UPDATE users SET a = %s WHERE id=%s AND b %% 2 = 0",
        "UPDATE users SET a = $1::text WHERE id = $2",
        "UPDATE users SET a = :a, b = c[1:2] WHERE id = :1 AND d::int = 5",
        "UPDATE users SET a=? WHERE id = ? AND payload ? 'key'",
    ],
)
def test_placeholders_of_any_driver_are_values(sql: str) -> None:
    (found,) = parsed(sql)
    assert found.kind == op.UPDATE and found.table == Name("users")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_no_text_stops_the_parser(text: str) -> None:
    assert all(isinstance(one, Operation) for one in parsed(text))


# ALTER TABLE ---------------------------------------------------------------------------------------------------------

SHOWN_BY_THE_TEXT: dict[str, tuple[str, set[str]]] = {
    "ADD COLUMN x int": (op.ADD_COLUMN, set()),
    "ADD COLUMN IF NOT EXISTS x int DEFAULT 5 NOT NULL": (op.ADD_COLUMN, {"if exists", "constant default", "not null"}),
    "ADD COLUMN x timestamptz DEFAULT now()": (op.ADD_COLUMN, {"constant default"}),
    "ADD COLUMN x timestamptz DEFAULT (now() AT TIME ZONE 'utc')": (op.ADD_COLUMN, {"constant default"}),
    "ADD COLUMN x date DEFAULT CURRENT_DATE": (op.ADD_COLUMN, {"constant default"}),
    "ADD COLUMN x text DEFAULT NULL": (op.ADD_COLUMN, set()),
    "ADD COLUMN x float DEFAULT random()": (op.ADD_COLUMN, {"volatile default"}),
    "ADD COLUMN x int DEFAULT nextval('s')": (op.ADD_COLUMN, {"volatile default"}),
    "ADD COLUMN x uuid DEFAULT uuid_generate_v4()": (op.ADD_COLUMN, {"volatile default"}),
    "ADD COLUMN x text DEFAULT app.make_code()": (op.ADD_COLUMN, {"volatile default"}),
    "ADD COLUMN x bigserial": (op.ADD_COLUMN, {"serial"}),
    "ADD COLUMN x int GENERATED ALWAYS AS IDENTITY": (op.ADD_COLUMN, {"identity"}),
    "ADD COLUMN x int GENERATED ALWAYS AS (id) STORED": (op.ADD_COLUMN, {"stored"}),
    "ADD COLUMN x int GENERATED ALWAYS AS (id) VIRTUAL": (op.ADD_COLUMN, {"virtual"}),
    "ADD COLUMN x int CHECK (x > 0)": (op.ADD_COLUMN, {"inline check"}),
    "ADD COLUMN x int REFERENCES orders": (op.ADD_COLUMN, {"inline references"}),
    "ADD COLUMN x int UNIQUE": (op.ADD_COLUMN, {"inline unique"}),
    "DROP COLUMN x CASCADE": (op.DROP_COLUMN, {"cascade"}),
    "ALTER x TYPE text": (op.CHANGE_TYPE, set()),
    "ALTER x TYPE text USING x::text": (op.CHANGE_TYPE, set()),
    "ALTER x TYPE text USING lower(x)": (op.CHANGE_TYPE, {"using"}),
    "ALTER x TYPE int USING y::int": (op.CHANGE_TYPE, {"using"}),
    'ALTER x TYPE text COLLATE "C"': (op.CHANGE_TYPE, {"collation"}),
    "ALTER x SET NOT NULL": (op.SET_NOT_NULL, set()),
    "ADD CHECK (x > 0) NOT VALID": (op.ADD_CHECK, {"not valid"}),
    "ADD CHECK (x > 0) NOT ENFORCED": (op.ADD_CHECK, {"not enforced", "not valid"}),
    "ADD FOREIGN KEY (x) REFERENCES orders NOT VALID": (op.ADD_FOREIGN_KEY, {"not valid"}),
    "ADD UNIQUE USING INDEX i": (op.ADD_UNIQUE, {"using index"}),
    "ADD PRIMARY KEY (x)": (op.ADD_PRIMARY_KEY, set()),
    "ADD EXCLUDE USING gist (x WITH &&)": (op.ADD_EXCLUSION, set()),
    "ADD NOT NULL x NOT VALID": (op.ADD_NOT_NULL_CONSTRAINT, {"not valid"}),
    "VALIDATE CONSTRAINT c": (op.VALIDATE_CONSTRAINT, set()),
    "DROP CONSTRAINT IF EXISTS c": (op.DROP_CONSTRAINT, {"if exists"}),
    "RENAME CONSTRAINT c TO d": (op.RENAME_CONSTRAINT, set()),
    "RENAME TO people": (op.RENAME_TABLE, set()),
    "SET SCHEMA app": (op.RENAME_TABLE, set()),
    "ATTACH PARTITION p FOR VALUES IN (1)": (op.ATTACH_PARTITION, set()),
    "ATTACH PARTITION p DEFAULT": (op.ATTACH_PARTITION, {"default partition"}),
    "DETACH PARTITION p CONCURRENTLY": (op.DETACH_PARTITION, {"concurrently"}),
    "SET TABLESPACE t": (op.REWRITE_TABLE, {"tablespace"}),
    "SET LOGGED": (op.REWRITE_TABLE, {"logged"}),
    "ENABLE ROW LEVEL SECURITY": (op.ROW_LEVEL_SECURITY, set()),
    "SET (fillfactor = 70)": (op.ALTER_TABLE, {"storage option"}),
    "DISABLE TRIGGER ALL": (op.ALTER_TABLE, {"trigger"}),
    "OWNER TO somebody": (op.ALTER_TABLE, {"owner"}),
}


@pytest.mark.parametrize("subcommand", SHOWN_BY_THE_TEXT)
def test_each_subcommand_is_an_operation(subcommand: str) -> None:
    kind, traits = SHOWN_BY_THE_TEXT[subcommand]
    (found,) = parsed(f"ALTER TABLE app.users {subcommand}")
    assert (found.kind, found.table, set(found.traits)) == (kind, Name("users", "app"), traits)
    assert found.traits <= SHOWN.keys() | FOUND.keys()


def test_a_statement_may_do_several_things() -> None:
    sql = "ALTER TABLE t ADD a int, DROP b, ALTER c TYPE bigint, ADD CONSTRAINT f FOREIGN KEY (a, d) REFERENCES app.o (x, y)"
    # In the order in which the server works through them.
    assert kinds(sql) == [op.DROP_COLUMN, op.CHANGE_TYPE, op.ADD_COLUMN, op.ADD_FOREIGN_KEY]
    key = parsed(sql)[-1]
    assert (key.name, key.columns, key.other) == ("f", ("a", "d"), Name("o", "app"))


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("VARCHAR(9)", "character varying(9)"),
        ("int8", "bigint"),
        ("timestamp(3)", "timestamp(3) without time zone"),
        ("timestamptz", "timestamp with time zone"),
        ("decimal(10,2)", "numeric(10,2)"),
        ("char(4)", "character(4)"),
        ("text[]", "text[]"),
        ("app.mood", "app.mood"),
        ("serial", "integer"),
    ],
)
def test_a_type_is_written_as_the_server_writes_it(written: str, normal: str) -> None:
    assert normal_type(written) == normal
    assert parsed(f"ALTER TABLE t ADD x {written}")[0].type == normal


def test_a_timestamp_gets_the_zone_utc_at_no_cost() -> None:
    assert widens("timestamp", "timestamptz", utc=True)
    assert not widens("timestamp", "timestamptz", utc=False)


# Rows ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("id = 5", 1),
        ("5 = id", 1),
        ("id IN (1, 2, 3) AND name = 'x'", 3),
        ("id = ANY (ARRAY[1, 2])", 2),
        ("id = ANY ('{1,2}'::int[])", 2),
        ("id BETWEEN 10 AND 19", 10),
        ("id > 100 AND id <= 150", 50),
        ("id < 50", 49),
        ("false", 0),
        ("1 = 0 AND name = 'x'", 0),
        ("id IN (SELECT id FROM t WHERE a LIMIT 10)", 10),
        ("ctid IN (SELECT ctid FROM t LIMIT 10)", 10),
        ("id = (SELECT max(id) FROM o)", 1),
        ("id > 100", None),
        ("name = 'x'", None),
        ("id IN (SELECT id FROM o)", None),
        ("id = 5 OR id > 7", None),
    ],
)
def test_a_condition_on_the_key_bounds_the_rows(where: str, rows: int | None) -> None:
    assert parsed(f"UPDATE t SET a = 1 WHERE {where}")[0].rows == rows
    assert parsed(f"DELETE FROM t WHERE {where}")[0].rows == rows


def test_rows_joined_with_values_are_as_many_as_these() -> None:
    sql = "UPDATE t SET a = v.a FROM (VALUES (1, 'x'), (2, 'y')) AS v (id, a) WHERE t.id = v.id"
    assert parsed(sql)[0].rows == 2


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", [(op.OTHER, None)]),
        ("SELECT relname FROM pg_class", [(op.OTHER, None)]),
        ("SELECT * FROM a JOIN b USING (id)", [(op.SELECT, "a"), (op.SELECT, "b")]),
        ("WITH x AS (SELECT * FROM a) SELECT * FROM x", [(op.SELECT, "a")]),
        ("WITH x AS (DELETE FROM a RETURNING id) SELECT count(*) FROM x", [(op.DELETE, "a")]),
        ("INSERT INTO a SELECT * FROM b", [(op.INSERT, "a")]),
        ("CREATE TABLE a AS SELECT * FROM b", [(op.CREATE_TABLE, "a"), (op.SELECT, "b")]),
        ("SELECT * INTO a FROM b", [(op.CREATE_TABLE, "a"), (op.SELECT, "b")]),
        ("TRUNCATE a, b", [(op.TRUNCATE, "a"), (op.TRUNCATE, "b")]),
        ("DROP TABLE a, b", [(op.DROP_TABLE, "a"), (op.DROP_TABLE, "b")]),
        ("LOCK TABLE a", [(op.LOCK_TABLE, "a")]),
        ("EXPLAIN DELETE FROM a", [(op.OTHER, None)]),
        ("EXPLAIN ANALYZE DELETE FROM a", [(op.DELETE, "a")]),
        ("SELECT set_config('lock_timeout', '0', true)", [(op.SET_SESSION, None)]),
        ("SELECT app.rebuild()", [(op.OPAQUE, None)]),
        ("CALL rebuild()", [(op.OPAQUE, None)]),
    ],
)
def test_a_query_shows_what_it_reads_and_changes(sql: str, expected: list[Any]) -> None:
    assert [(one.kind, one.table.name if one.table else None) for one in parsed(sql)] == expected


@pytest.mark.parametrize(
    ("sql", "locked"),
    [
        ("SELECT * FROM a FOR UPDATE", ["a"]),
        ("SELECT count(*) FROM (SELECT id FROM a FOR NO KEY UPDATE SKIP LOCKED) s", ["a"]),
        ("SELECT * FROM a x JOIN b y ON true FOR SHARE OF y", ["b"]),
    ],
)
def test_rows_may_be_locked_anywhere(sql: str, locked: list[str]) -> None:
    assert [one.table.name for one in parsed(sql) if one.table and "for update" in one.traits] == locked


# Code ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("IF NOT EXISTS (SELECT FROM pg_type) THEN CREATE TYPE t AS ENUM ('a'); END IF;", [op.CREATE_TYPE]),
        ("CREATE INDEX i ON t (a); EXCEPTION WHEN duplicate_table THEN NULL;", [op.CREATE_INDEX]),
        ("EXECUTE 'DROP TABLE t';", [op.DROP_TABLE]),
        ("EXECUTE format('DROP TABLE %I', 't');", [op.OPAQUE]),
        ("PERFORM app.rebuild();", [op.OPAQUE]),
        ("NULL;", [op.OTHER]),
        ("this is no code", [op.OPAQUE]),
    ],
)
def test_a_block_is_read_as_far_as_its_text_is_static(body: str, expected: list[str]) -> None:
    assert kinds(f"DO $$ BEGIN {body} END $$") == expected


def test_what_a_loop_repeats_has_no_bound_unless_it_commits() -> None:
    loop = "DO $$ BEGIN LOOP UPDATE t SET a = 1 WHERE id = 5; {} EXIT WHEN NOT FOUND; END LOOP; END $$"
    (repeated,) = parsed(loop.format(""))
    assert repeated.rows is None and "in a loop" in repeated.traits
    assert parsed(loop.format("COMMIT;"))[0].rows == 1
