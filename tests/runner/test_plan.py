"""``safeops plan``: it shows what the revisions would do, and writes nothing."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.backfill.replication import standby, until
from tests.catalogue import all_rows, assert_same, definitions, rows
from tests.projects import Project, log_lines
from tests.runner.deploys import ONE_EACH, Deploy
from tests.runner.hoard import EACH
from tests.servers import Database

import safeops
from safeops.cli.plan import plan_lines
from safeops.errors import TransactionNotOurs
from safeops.planned import INFINITIVES, PlannedCall
from safeops.runner import plan, status

pytestmark = EACH

IMPORTS = "from safeops import *\nimport sqlalchemy as sa"
WORLD = (
    "CREATE TABLE teams (id integer PRIMARY KEY, name varchar(50))",
    "CREATE TABLE users (id integer PRIMARY KEY, name varchar(50), age integer NOT NULL, team_id integer)",
    "CREATE TABLE olden (id integer PRIMARY KEY, name varchar(50))",
    "INSERT INTO teams VALUES (1, 'a')",
    *[f"INSERT INTO users VALUES ({i}, 'n{i}', {i}, 1)" for i in range(1, 41)],
)
# One of each family that every database has. None is undone: each can be planned a second time.
CALLS = {
    "create_table": 'create_table_if_missing("cities", sa.Column("id", sa.Integer, primary_key=True))',
    "add_column": 'add_column_if_missing("users", sa.Column("email", sa.String(100), index=True))',
    "create_index": 'create_index_if_missing("ix_users_name", "users", ["name"])',
    "unique": 'create_unique_constraint_if_missing("uq_users_age", "users", ["age"])',
    # MariaDB copies the table for it.
    "check": 'with assured("a test"):\n    create_check_constraint_if_missing("ck_users_age", "users", "age > 0")',
    "foreign_key": 'create_foreign_key_if_missing("fk_users_team", "users", "teams", ["team_id"], ["id"])',
    "not_null": 'enforce_not_null("users", "name")',
    "default": 'set_server_default("users", "name", "x")',
    "type": 'alter_column_type("teams", "name", sa.String(60))',
    "null": 'relax_not_null("users", "age")',
    "backfill": 'backfill("olden", {"name": "x"}, name="olden_name")',
    "required": 'add_required_column("teams", sa.Column("nick", sa.String(50), nullable=False),'
    ' populate=sa.func.upper(sa.column("name")))',
    "rename": 'ColumnRename("teams", "name", "title").expand()',
    "drop_index": 'drop_index_if_exists("ix_users_name", "users")',
    "drop_constraint": 'drop_constraint_if_exists("uq_users_age", "users", type_="unique")',
    "drop_column": 'drop_column_if_exists("users", "email")',
    "archive_column": 'drop_column_if_exists("users", "age", archive=True)',
    "drop_table": 'drop_table_if_exists("cities")',
    "archive_table": 'drop_table_if_exists("olden", archive=True)',
}


def made(folder: Path, database: Database, revisions: dict[str, str], **options: Any) -> Project:
    return Project(folder, database, {name: (up, "pass") for name, up in revisions.items()}, imports=IMPORTS, **options)


def told(project: Project, revision: str = "heads", **options: Any) -> dict[str, list[PlannedCall]]:
    """The plan by revision, after it was shown that it wrote nothing."""
    before = standing(project.database)
    with log_lines() as log:
        found = plan(project.config, revision, **options)
    assert log == [], "a plan logs no operation"
    assert_same(before, standing(project.database), "a plan")
    for line in plan_lines(found):
        assert len(line) <= 80
    return {one.revision: list(one.steps) for one in found.revisions}


def standing(database: Database) -> dict[str, Any]:
    """The exact schema, with all that Alembic and safeops keep, and all rows."""
    with database.observer().connect() as connection:
        tables = sorted(sa.inspect(connection).get_table_names())
    found: dict[str, Any] = {name: rows(database, name) for name in tables}
    return {**found, **all_rows(database), "schema": definitions(database, exact=True).splitlines()}


def actions(found: dict[str, list[PlannedCall]]) -> dict[str, list[str]]:
    return {revision: [step.action for step in steps] for revision, steps in found.items()}


# Helpers --------------------------------------------------------------------------------------------------------


def test_each_helper_is_planned_and_after_it_ran_skipped(database: Database, tmp_path: Path) -> None:
    database.execute(*WORLD, "INSERT INTO olden (id) VALUES (1), (2), (3)")
    makes = "\n".join(call for name, call in CALLS.items() if "drop" not in call)
    drops = "\n".join(call for name, call in CALLS.items() if "drop" in call)
    project = made(tmp_path, database, {"r1": makes, "r2": drops})
    for revision in ("r1", "r2"):
        first = told(project, revision)[revision]
        assert {step.action for step in first} == {"run"}, first
        assert all(step.detail.startswith("would ") for step in first)
        project.upgrade(revision)
        database.execute("DELETE FROM alembic_version")
        if revision == "r2":
            database.execute("INSERT INTO alembic_version VALUES ('r1')")
        again = told(project, revision)[revision]
        assert {step.action for step in again} == {"skip"}, again
        assert len(again) == len(first)
        project.upgrade(revision)


def test_all_at_once_from_nothing(database: Database, tmp_path: Path) -> None:
    database.execute(*WORLD)
    found = told(made(tmp_path, database, CALLS))
    assert list(found) == list(CALLS)
    assert {step.helper for steps in found.values() for step in steps} >= {"backfill", "ColumnRename.expand"}
    # What is dropped at the end is not there yet.
    assert found["drop_table"][0].action in ("skip", "unknown")
    assert found["add_column"][0].detail.startswith(
        "would add column users.email; then build index ix_users_email on users"
    )
    assert "about 40 rows" in found["create_index"][0].detail


def test_what_would_be_refused_is_shown_with_the_first_line_of_the_error(database: Database, tmp_path: Path) -> None:
    database.execute(*WORLD, "CREATE INDEX ix_users_name ON users (age)")
    revisions = {
        "r1": 'create_index_if_missing("ix_users_name", "users", ["name"])',
        "r2": 'add_column_if_missing("users", sa.Column("x", sa.Integer, nullable=False))',
        "r3": 'enforce_not_null("nowhere", "x")\nirreversible("because")',
        "r4": 'create_index_if_missing("ix_users_age", "users", ["nothing"])',
        "r5": 'create_index_if_missing("ix_users_id", "users", "id")',
    }
    found = told(made(tmp_path, database, revisions))
    assert actions(found) == {
        "r1": ["unknown"],
        "r2": ["unknown"],
        "r3": ["unknown"] * 2,
        "r4": ["unknown"],
        "r5": ["unknown"],
    }
    texts = [steps[0].detail for steps in found.values()]
    assert re.fullmatch(r"would be refused: Index ix_users_name on users exists, but .* \[S201\]", texts[0])
    assert "[S301]" in texts[1] and "[S101]" in texts[2] and "[S102]" in texts[3] and "[S001]" in texts[4]
    assert found["r3"][1].helper == "irreversible"
    assert "[S701]" in found["r3"][1].detail


def test_a_step_depends_on_what_an_earlier_one_would_create(database: Database, tmp_path: Path) -> None:
    database.execute(*WORLD)
    revisions = {
        "r1": CALLS["create_table"] + "\n" + CALLS["add_column"],
        "r2": 'create_index_if_missing("ix_cities_id", "cities", ["id"])',
        "r3": 'create_index_if_missing("ix_both", "users", ["email", "name"])',
        "r4": 'enforce_not_null("users", "email")',
        "r5": 'op.create_table("raw", sa.Column("id", sa.Integer, primary_key=True))',
        "r6": 'create_index_if_missing("ix_raw", "raw", ["id"])',
    }
    found = told(made(tmp_path, database, revisions))
    assert [steps[-1].action for steps in found.values()] == ["run", "run", "run", "run", "unknown", "unknown"]
    assert found["r2"][0].detail == "would run after create_table_if_missing of revision r1: would create table cities"
    assert found["r3"][0].detail.startswith("would build index ix_both on users")
    assert found["r6"][0].detail.endswith("[S101]; op.create_table of revision r5 runs before it")


def test_constraints_of_a_column_that_an_earlier_step_would_add(database: Database, tmp_path: Path) -> None:
    database.execute(*WORLD)
    revisions = {
        "r1": 'add_column_if_missing("users", sa.Column("boss", sa.Integer))',
        "r2": 'create_foreign_key_if_missing("fk_boss", "users", "teams", ["boss"], ["id"])',
        "r3": 'with assured("a test"):\n    create_check_constraint_if_missing("ck_boss", "users", "boss > age")',
        "r4": 'create_check_constraint_if_missing("ck_lost", "teams", "lost > 0")',
    }
    found = told(made(tmp_path, database, revisions))
    assert actions(found) == {"r1": ["run"], "r2": ["run"], "r3": ["run"], "r4": ["unknown"]}
    assert "would be refused" in found["r4"][0].detail


def test_what_was_interrupted_shows_what_is_left(database: Database, tmp_path: Path) -> None:
    database.execute(*WORLD)
    body = "\n".join([CALLS["add_column"], CALLS["create_index"], "{}", CALLS["not_null"]])
    project = made(tmp_path, database, {"r1": body.format('raise RuntimeError("stopped")')})
    with pytest.raises(RuntimeError):
        project.upgrade()
    project.write("r1", body.format(""), down=None)
    assert actions(told(project)) == {"r1": ["skip", "skip", "run"]}


def test_locks_and_what_they_hold_up(database: Database, tmp_path: Path) -> None:
    database.execute(*WORLD)
    found = told(made(tmp_path, database, CALLS))
    said = {
        name: (found[name][0].locks, found[name][0].blocks)
        for name in ("create_index", "foreign_key", "default", "drop_table")
    }
    if database.kind == "postgresql":
        assert said["create_index"] == ("SHARE UPDATE EXCLUSIVE", "nothing")
        assert said["foreign_key"] == ("SHARE ROW EXCLUSIVE; SHARE UPDATE EXCLUSIVE", "writes, briefly")
        assert said["default"] == ("ACCESS EXCLUSIVE", "reads and writes, briefly")
    elif database.kind == "mysql":
        assert said["create_index"] == (
            "ALGORITHM=INPLACE, LOCK=NONE",
            "reads and writes, briefly at its start and end",
        )
        assert said["default"] == ("ALGORITHM=INSTANT", "reads and writes, briefly")
    else:
        assert said["create_index"] == ("the file", "writes, for as long as it takes")


def test_a_type_is_planned_by_trying_it_on_an_empty_copy(database: Database, tmp_path: Path) -> None:
    database.execute(*WORLD, "UPDATE users SET name = '007'")
    revisions = {
        "r1": 'alter_column_type("users", "age", sa.String(9))',
        "r2": 'alter_column_type("users", "name", sa.Integer())',
    }
    found = told(made(tmp_path, database, revisions))
    assert found["r2"][0].action == "unknown"
    assert "[S301]" in found["r2"][0].detail


# Backfills ------------------------------------------------------------------------------------------------------


def test_a_backfill_shows_its_rows_and_its_time_at_the_last_rate(database: Database, tmp_path: Path) -> None:
    database.execute(
        *WORLD, "ALTER TABLE users ADD COLUMN shout varchar(50)", "ALTER TABLE users ADD COLUMN again varchar(50)"
    )
    calls = {
        "r1": 'backfill("users", {"shout": sa.func.upper(sa.column("name"))})',
        "r2": 'backfill("users", {"again": sa.func.upper(sa.column("name"))})',
    }
    project = made(tmp_path, database, calls)
    first = told(project)
    assert (first["r1"][0].rows, first["r1"][0].seconds) == (40, None)
    project.upgrade("r1")
    second = told(project)["r2"][0]
    assert second.rows == 40
    assert second.seconds is not None
    assert re.search(r"would fill about 40 rows of \S+, about \d+ s at the last measured rate", second.detail)
    # A scan in which most rows needed nothing takes far less time than one that writes them.
    database.execute("UPDATE safeops_backfill SET processed = 1")
    assert told(project)["r2"][0].seconds is None
    database.execute("UPDATE users SET again = name WHERE id > 10")
    assert told(project)["r2"][0].rows == 10
    database.execute("UPDATE users SET again = name")
    assert told(project)["r2"][0].action == "skip"


def test_a_backfill_of_each_row_shows_the_remaining_rows(database: Database, tmp_path: Path) -> None:
    database.execute(*WORLD)
    body = """
    def stop(progress):
        if progress.rows >= 10:
            raise RuntimeError("stopped")
    backfill("users", {"name": "x"}, where=True, batch_size=10, progress=stop)
    """
    project = made(tmp_path, database, {"r1": body})
    assert told(project)["r1"][0].rows == 40
    with pytest.raises(RuntimeError, match="stopped"):
        project.upgrade()
    assert told(project)["r1"][0].rows == 30


# Raw operations -------------------------------------------------------------------------------------------------


def test_raw_operations_are_shown_and_not_done(database: Database, tmp_path: Path) -> None:
    database.execute(*WORLD)
    revisions = {
        "r1": """
            op.execute("UPDATE users SET name = 'x'")
            op.add_column("users", sa.Column("raw", sa.Integer))
            op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("e", sa.Enum("a", name="e")))
            with op.get_context().autocommit_block():
                op.create_index("ix_raw", "users", ["name"])
            with op.batch_alter_table("users") as batch:
                batch.add_column(sa.Column("b", sa.Integer))
            op.bulk_insert(sa.table("teams", sa.column("id")), [{"id": 7}, {"id": 8}])
            """,
        "r2": """
            bind = op.get_bind()
            assert bind.execute(sa.text("SELECT count(*) FROM users WHERE name = :n"), {"n": "n1"}).scalar() == 1
            bind.execute(sa.text("DELETE FROM users WHERE id = :id"), {"id": 1})
            bind.exec_driver_sql("DROP TABLE olden")
            bind.execute(sa.table("teams", sa.column("id")).insert(), [{"id": 7}, {"id": 8}])
            assert bind.execute(sa.text("/* why */ -- how\\n SELECT count(*) FROM users")).scalar() == 40
            """,
        "r3": 'drop_index_if_exists("ix_none", "users")\nraise ValueError("broken here")',
        "r4": CALLS["create_index"],
    }
    project = made(tmp_path, database, revisions)
    found = told(project)
    assert set(actions(found)["r1"]) == set(actions(found)["r2"]) == {"unknown"}
    assert found["r1"][0] == PlannedCall("op.execute", None, "unknown", "UPDATE users SET name = 'x'", loses=True)
    helpers = [step.helper for step in found["r1"]]
    assert {"op.add_column", "op.create_table", "op.create_index", "op.batch_alter_table", "op.bulk_insert"} <= set(
        helpers
    )
    assert len(found["r2"]) == 3
    assert found["r2"][1].detail == "DROP TABLE olden"
    assert [(step.action, step.helper) for step in found["r3"]] == [
        ("skip", "drop_index_if_exists"),
        ("unknown", "upgrade"),
    ]
    assert found["r3"][1].detail == "ends the plan of this revision: ValueError: broken here"
    assert [step.action for step in found["r4"]] == ["run"]
    # Afterwards all is as it was: the same process migrates.
    project.write("r3", "pass", down="r2")
    project.upgrade("r1")
    assert rows(database, "users")[0][1] == "x"


def test_a_password_in_a_statement_is_not_shown(database: Database, tmp_path: Path) -> None:
    statements = {
        "CREATE ROLE r LOGIN PASSWORD 'ge''heim'": "CREATE ROLE r LOGIN PASSWORD '***'",
        "ALTER USER u IDENTIFIED WITH x BY 'geheim', v": "ALTER USER u IDENTIFIED WITH x BY '***', v",
        "SET PASSWORD FOR u = PASSWORD('geheim')": "SET PASSWORD FOR u = PASSWORD('***')",
        "CREATE SUBSCRIPTION s CONNECTION 'password=geheim'": "CREATE SUBSCRIPTION s CONNECTION 'password=***'",
        "CALL link('pg://u:geheim@h/d')": "CALL link('pg://u:***@h/d')",
    }
    body = "\n".join(f"op.execute({sql.replace(':geheim', chr(92) * 2 + ':geheim')!r})" for sql in statements)
    found = told(made(tmp_path, database, {"r1": body}))
    assert [step.detail.replace("\\", "") for step in found["r1"]] == list(statements.values())


@pytest.mark.only("pg15", "pg18", "mysql")
def test_a_query_that_writes_is_refused_by_the_server(database: Database, tmp_path: Path) -> None:
    head = "CREATE FUNCTION writes() RETURNS integer "
    body = {
        "postgresql": f"{head} LANGUAGE sql AS 'DELETE FROM users RETURNING 1'",
        "mysql": f"{head} MODIFIES SQL DATA DETERMINISTIC BEGIN DELETE FROM users; RETURN 1; END",
    }
    database.execute(*WORLD, body[database.kind])
    found = told(made(tmp_path, database, {"r1": 'op.get_bind().execute(sa.text("SELECT writes()"))'}))
    assert "read" in found["r1"][0].detail.lower()


def test_what_a_revision_sets_or_sends_past_the_connection(database: Database, tmp_path: Path) -> None:
    database.execute(*WORLD)
    url = database.url.render_as_string(hide_password=False)
    sets = {
        "postgresql": "SET lock_timeout = '3s'",
        "mysql": "SET SESSION lock_wait_timeout = 3",
        "sqlite": "PRAGMA encoding",
    }
    unlocks = {
        "postgresql": [
            "SET default_transaction_read_only = off",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        ],
        "mysql": ["SET SESSION TRANSACTION READ WRITE", "SET GLOBAL max_connections = 7", "RESET QUERY CACHE"],
        "sqlite": ["PRAGMA query_only = OFF", "PRAGMA user_version = 7"],
    }[database.kind]
    body = f"""
    bind = op.get_bind()
    bind.exec_driver_sql({sets[database.kind]!r})
    for sql in {unlocks!r}:
        bind.exec_driver_sql(sql)
    bind.exec_driver_sql("WITH a AS (SELECT 1) DELETE FROM users")
    with sa.create_engine({url!r}).begin() as own:
        assert own.exec_driver_sql("SELECT count(*) FROM users").scalar() == 40
        own.exec_driver_sql("DELETE FROM users")
    """
    found = told(made(tmp_path, database, {"r1": body}))
    assert [step.detail for step in found["r1"]] == [
        *unlocks,
        "WITH a AS (SELECT 1) DELETE FROM users",
        "DELETE FROM users",
    ]


@pytest.mark.only("pg15", "pg18")
def test_no_transaction_id_is_used_up(database: Database, tmp_path: Path) -> None:
    database.execute(*WORLD)
    calls = {name: CALLS[name] for name in ("create_table", "create_index", "foreign_key", "backfill", "drop_table")}
    project = made(tmp_path, database, {**calls, "raw": "op.execute('DELETE FROM users')"})
    next_id = "SELECT pg_snapshot_xmax(pg_current_snapshot())"
    before = database.query(next_id)
    plan(project.config)
    assert database.query(next_id) == before


def test_the_connection_writes_again_afterwards(database: Database, tmp_path: Path) -> None:
    database.execute(*WORLD)
    project = made(tmp_path, database, {"r1": CALLS["create_index"]})
    own = database.engine()
    with own.connect() as connection:
        config = project.config
        env = (project.folder / "migrations/env.py").read_text()
        env = env.replace(
            "with make_engine(create_engine).connect() as connection:",
            "connection = config.attributes['own']\n    if 1:",
        )
        (project.folder / "migrations/env.py").write_text(env)
        config.attributes["own"] = connection
        plan(config)
        connection.rollback()
        connection.exec_driver_sql("UPDATE users SET name = 'y'")
        connection.commit()
    assert {row[1] for row in rows(database, "users")} == {"y"}


# Rollbacks ------------------------------------------------------------------------------------------------------


def test_a_planned_rollback_shows_what_would_be_lost(database: Database, tmp_path: Path) -> None:
    database.execute(*WORLD)
    up = CALLS["add_column"] + "\n" + CALLS["archive_table"]
    down = """
    drop_column_if_exists("users", "email")
    drop_column_if_exists("users", "name", archive=True)
    restore_table("olden")
    op.drop_table("teams")
    """
    project = Project(tmp_path, database, {"r1": (up, down)}, imports=IMPORTS)
    project.upgrade()
    before = standing(database)
    found = plan(project.config, "-1", down=True)
    assert_same(before, standing(database), "a plan")
    steps = found.revisions[0].steps
    assert [step.action for step in steps] == ["run", "run", "run", "unknown"]
    assert [step.detail for step in found.losses][1:] == ["DROP TABLE teams"]
    assert (
        found.losses[0].detail.endswith("drop column users.email with about 40 rows")
        or "40 rows, " in found.losses[0].detail
    )
    assert plan(project.config).revisions == ()


# Environments ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env", ["one_transaction", "autocommit", "commit_before"])
def test_any_right_env_py(database: Database, tmp_path: Path, env: str) -> None:
    database.execute(*WORLD)
    found = told(made(tmp_path, database, {"r1": CALLS["create_index"] + "\nop.execute('DELETE FROM users')"}, env=env))
    assert actions(found) == {"r1": ["run", "unknown"]}


def test_an_env_py_that_holds_the_transaction_is_reported(database: Database, tmp_path: Path) -> None:
    database.execute(*WORLD)
    project = made(tmp_path, database, {"r1": CALLS["create_index"]}, env="begin")
    with pytest.raises(TransactionNotOurs):
        plan(project.config)
    assert status(project.config).pending[0].revision == "r1"


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg", "aiomysql", "aiosqlite"])
def test_an_asynchronous_env_py(database: Database, tmp_path: Path, driver: str) -> None:
    fits = {"postgresql": ("psycopg", "asyncpg"), "mysql": ("aiomysql",), "sqlite": ("aiosqlite",)}[database.kind]
    if driver not in fits:
        pytest.skip("another database's")
    pytest.importorskip(driver)
    database.execute(*WORLD)
    other = database.with_driver(f"mysql+{driver}" if driver == "aiomysql" else driver)
    if driver == "aiomysql":
        other = type(other)(other.url.set(query={}), other.server)
    project = made(tmp_path, other, {"r1": CALLS["create_index"] + "\nop.execute('DELETE FROM users')"}, env="async")
    assert [step.action for step in plan(project.config).revisions[0].steps] == ["run", "unknown"]


def test_the_target_of_a_plan(database: Database, tmp_path: Path) -> None:
    database.execute(*WORLD)
    project = made(tmp_path, database, {"r1": CALLS["create_index"], "r2": CALLS["not_null"]})
    assert list(told(project, "r1")) == list(told(project, "+1")) == ["r1"]
    project.upgrade()
    assert plan(project.config).exit_status == 0
    assert plan(project.config).as_json() == {"revisions": []}


def test_as_json(database: Database, tmp_path: Path) -> None:
    database.execute(*WORLD)
    found = plan(made(tmp_path, database, {"r1": CALLS["create_index"]}).config)
    (revision,) = json.loads(json.dumps(found.as_json()))["revisions"]
    (step,) = revision["steps"]
    assert revision["revision"] == "r1"
    assert list(step) == ["helper", "target", "action", "detail", "locks", "blocks", "rows", "seconds"]
    assert (step["helper"], step["target"], step["action"]) == (
        "create_index_if_missing",
        "ix_users_name on users",
        "run",
    )
    assert (step["rows"], step["seconds"], found.exit_status) == (40, None, 1)


@pytest.mark.only("pg15", "pg18")
def test_a_user_who_may_only_read(database: Database, tmp_path: Path) -> None:
    database.execute(*WORLD, "CREATE ROLE reading LOGIN", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reading")
    reader = type(database)(database.url.set(username="reading"), database.server)
    try:
        calls = [CALLS[name] for name in ("add_column", "create_index", "backfill", "not_null", "drop_table")]
        found = plan(made(tmp_path, reader, {"r1": "\n".join(calls)}).config)
        steps = found.revisions[0].steps
        assert [step.action for step in steps] == ["run", "run", "unknown", "run", "skip"]
        assert "permission denied" in steps[2].detail
        assert status(made(tmp_path, reader, {"r1": "pass"}).config).exit_status == 1
    finally:
        database.execute("DROP OWNED BY reading", "DROP ROLE reading")


@pytest.mark.only("pg18")
def test_a_table_that_others_hold_is_not_waited_for_long(database: Database, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("safeops.runner.planning.RETRY_BUDGET", 0.2)
    database.execute(*WORLD)
    project = made(
        tmp_path, database, {"r1": 'with lock_timeout(0.1):\n    alter_column_type("users", "age", sa.BigInteger())'}
    )
    with database.observer().begin() as holder:
        holder.exec_driver_sql("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        (step,) = plan(project.config).revisions[0].steps
    assert step.action == "unknown"


@pytest.mark.only("pg18")
def test_a_large_table_is_estimated(database: Database, tmp_path: Path) -> None:
    database.execute(
        *WORLD,
        "INSERT INTO users SELECT i, CASE WHEN i % 4 > 0 THEN 'n' END, i, 1 FROM generate_series(100, 200099) i",
        "ANALYZE users",
        "ALTER TABLE users ADD COLUMN fresh text",
    )
    calls = {
        "r1": 'backfill("users", {"name": "x"})',
        "r2": 'backfill("users", {"fresh": sa.column("name")})',
        "r3": CALLS["create_index"],
    }
    found = told(made(tmp_path, database, calls))
    assert found["r1"][0].rows == pytest.approx(50_000, rel=0.1)
    # Of a column that is new the planner knows nothing.
    assert found["r2"][0].rows == pytest.approx(200_000, rel=0.1)
    assert re.search(r"over about \d\d\d,\d\d\d rows, 1\d MB", found["r3"][0].detail)


@pytest.mark.only("pg18")
def test_a_replica_is_inspected_as_far_as_possible(server_name: str, tmp_path: Path) -> None:
    with standby(server_name) as pair:
        primary = Database(pair.url, pair.primary)
        primary.execute(*WORLD, "ALTER TABLE users ADD CONSTRAINT ck CHECK (age > 0)")
        replica = Database(pair.replica_url(), pair.replica)
        until(
            lambda: replica.query("SELECT count(*) FROM pg_constraint WHERE conname = 'ck'"),
            lambda n: n == [(1,)],
            "it",
        )
        calls = [
            CALLS["create_index"],
            CALLS["not_null"],
            CALLS["backfill"],
            "op.get_bind().execute(sa.text('SELECT 1'))",
        ]
        # Only the server knows whether this is the same.
        calls.append('create_check_constraint_if_missing("ck", "users", "age > 0.0")')
        project = made(tmp_path, replica, {"r1": "\n".join(calls)})
        assert status(project.config).exit_status == 1
        steps = plan(project.config).revisions[0].steps
    assert [step.action for step in steps] == ["run", "run", "skip", "unknown"]
    assert "a server that can write" in steps[-1].detail


# The words ------------------------------------------------------------------------------------------------------


@pytest.mark.only("sqlite")
def test_every_past_tense_has_its_infinitive(server_name: str) -> None:
    past = re.compile(r"([a-z]+ed|built|brought|forgot|gave|kept|made|put|set|took|let) \S")
    found = set()
    for module in (Path(safeops.__file__).parent).rglob("*.py"):
        for text in _deeds(ast.parse(module.read_text())):
            if match := past.match(text):
                found.add(match[1])
    assert found >= {"added", "built", "dropped", "created", "validated", "made"}
    assert found <= set(INFINITIVES)


def _deeds(tree: ast.AST) -> list[str]:
    """The first words of the texts of steps and operations."""
    values: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := getattr(node.func, "attr", getattr(node.func, "id", ""))):
            if re.search(
                r"Step|PlannedStatement|^_?(rebuild|alter|modify|step|block|locked|Swift|Parting|Locked|told|done)$",
                name,
                re.I,
            ):
                values += [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "does")]
        elif isinstance(node, ast.Assign) and any(getattr(one, "id", "") in ("does", "done") for one in node.targets):
            values.append(node.value)
    return [text for value in values for text in _texts(value)]


def _texts(value: ast.AST) -> list[str]:
    if isinstance(value, ast.IfExp):
        return [*_texts(value.body), *_texts(value.orelse)]
    if isinstance(value, ast.JoinedStr):
        value = value.values[0] if value.values else value
        return [f"{value.value}x"] if isinstance(value, ast.Constant) else []
    return [f"{value.value} x"] if isinstance(value, ast.Constant) and isinstance(value.value, str) else []


PHASES = (
    ('TypeChange("t", "b", sa.BigInteger()).expand()', "pass"),
    ('TypeChange("t", "b", sa.BigInteger()).switch()', "pass"),
    ('TypeChange("t", "b", sa.BigInteger()).contract()', "pass"),
    ('ColumnRename("t", "c", "d").expand()', "pass"),
    ('ColumnRename("t", "c", "d").contract()', "pass"),
)


@ONE_EACH
def test_each_pending_phase_shows_its_own_steps(database: Database, tmp_path: Path) -> None:
    database.execute("CREATE TABLE t (id int PRIMARY KEY, b varchar(9), c int)", "INSERT INTO t VALUES (1, '1', 1)")
    using = 'using="CAST(b AS SIGNED)", ' if database.kind == "mysql" else 'using="CAST(b AS BIGINT)", '
    phases = [up.replace("sa.BigInteger()", f"sa.BigInteger(), {using[:-2]}") for up, _ in PHASES]
    project = Deploy(tmp_path, database, {f"r{number}": (up, "pass") for number, up in enumerate(phases)})

    def told() -> list[PlannedCall]:
        return [step for one in plan(project.config).revisions for step in one.steps]

    _, switch, contract, _, dropped = told()
    for ahead in (True, False):
        said = "would run after TypeChange.expand of revision r0: would" if ahead else "would"
        assert switch.detail.startswith(f"{said} exchange the names of t.b and its hidden column: it now has ")
        assert contract.detail.startswith(f"{said} drop the hidden column of t.b with the values of the old type")
        assert contract.loses and not switch.loses and not dropped.loses
        assert all(one.locks and one.blocks for one in (switch, contract, dropped))
        if ahead:
            assert "of revision r3: would drop column t.c, whose values d has" in dropped.detail
            project.main("upgrade", "r0")
            switch = told()[0]
            project.main("upgrade", "r1")
            contract = told()[0]
            project.main("upgrade", "r3")
            dropped = told()[0]
    assert dropped.action == "run" and dropped.detail.startswith("would drop column t.c, whose values d has")


@ONE_EACH
def test_a_restore_loses_nothing(database: Database, tmp_path: Path) -> None:
    database.execute("CREATE TABLE t (id int PRIMARY KEY, b int)", "INSERT INTO t VALUES (1, 1)")
    up, down = 'drop_column_if_exists("t", "b", archive=True)', 'restore_column("t", sa.Column("b", sa.Integer))'
    project = Deploy(tmp_path, database, {"r0": (up, down)})
    project.main("upgrade")
    found = plan(project.config, "base", down=True)
    assert found.losses == ()
    assert found.revisions[0].steps[0].detail.startswith("would put the archived values of t.b back; then add column")
