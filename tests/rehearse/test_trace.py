"""`trace`: what each statement of a revision locks and does, on each server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.projects import Project
from tests.servers import Database

from safeops.cli import main
from safeops.cli.trace import trace_lines
from safeops.errors import InvalidArgument, NotReady
from safeops.rehearse import Traced, TracedStatement, trace
from safeops.rehearse.markdown import render
from safeops.review import review

TABLES = (
    "CREATE TABLE teams (id integer PRIMARY KEY, name varchar(50))",
    "CREATE TABLE users (id integer PRIMARY KEY, name varchar(50), age integer, team_id integer)",
)
POSTGRESQL_TABLES = (
    *TABLES,
    "ALTER TABLE users ADD CONSTRAINT ck_age CHECK (age IS NOT NULL)",
    "CREATE INDEX ix_spare ON users (name, age)",
    "CREATE MATERIALIZED VIEW named AS SELECT id, name FROM users",
    "CREATE UNIQUE INDEX named_id ON named (id)",
    "CREATE TABLE log (at date NOT NULL) PARTITION BY RANGE (at)",
    "CREATE TABLE log_26 PARTITION OF log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
)
USERS, TEAMS = "public.users", "public.teams"
ALONE = {
    "VACUUM FULL users": ({USERS: "ACCESS EXCLUSIVE"}, "all wait", "sampled"),
    "VACUUM teams": ({TEAMS: "SHARE UPDATE EXCLUSIVE"}, "free", "sampled"),
    "CREATE INDEX CONCURRENTLY ix_age ON users (age)": ({USERS: "SHARE UPDATE EXCLUSIVE"}, "free", "sampled"),
    "REINDEX INDEX CONCURRENTLY ix_spare": ({USERS: "SHARE UPDATE EXCLUSIVE"}, "free", "sampled"),
    "DROP INDEX CONCURRENTLY ix_spare": ({USERS: "SHARE UPDATE EXCLUSIVE"}, "free", "sampled"),
    "REFRESH MATERIALIZED VIEW CONCURRENTLY named": (
        {USERS: "ACCESS SHARE", "public.named": "EXCLUSIVE"},
        "free",
        "measured",
    ),
    "ALTER TABLE users ALTER COLUMN age SET NOT NULL": ({USERS: "ACCESS EXCLUSIVE"}, "brief", "measured"),
    "ALTER TABLE users ALTER COLUMN name SET NOT NULL": ({USERS: "ACCESS EXCLUSIVE"}, "all wait", "measured"),
    "ALTER TABLE log DETACH PARTITION log_26 CONCURRENTLY": (
        {"public.log": "SHARE UPDATE EXCLUSIVE", "public.log_26": "ACCESS EXCLUSIVE"},
        "brief",
        "sampled",
    ),
}
"""Statements in autocommit, with their locks, what the application notices, and how that was observed."""
SHOW_LOCKS = "UPDATE performance_schema.setup_instruments SET ENABLED = '{}' WHERE NAME = 'wait/lock/metadata/sql/mdl'"


def project_of(folder: Path, database: Database, body: str, tables: tuple[str, ...] = TABLES) -> Project:
    project = Project(folder, database, imports="import safeops")
    project.write("tables", "\n".join(f"op.execute({sql!r})" for sql in tables), down=None)
    project.write("r1", body, down="tables")
    return project


def in_autocommit(statements: object) -> str:
    return f"with op.get_context().autocommit_block():\n    for one in {statements!r}:\n        op.execute(one)"


@pytest.mark.only("pg18", "mariadb")
def test_percent_signs_in_names(tmp_path: Path, database: Database) -> None:
    """A driver doubles them; the text that people read, and that names are looked up in, is that of the server."""
    quote = "`" if database.kind == "mysql" else '"'
    table = f"{quote}50%{quote}"
    tables = (f"CREATE TABLE {table} (id integer PRIMARY KEY, {quote}a%b{quote} varchar(50))",)
    body = """op.create_index("ix%", "50%", ["a%b"])
rates = sa.table("50%", sa.column("id", sa.Integer))
op.execute(rates.delete().where(rates.c.id % 2 == 0))"""
    found = trace(project_of(tmp_path, database, body, tables).config, ["r1"])
    index, delete = found.statements
    assert table in index.sql and table in delete.sql and "%%" not in index.sql + delete.sql
    # MariaDB's are sampled: that of the DELETE is brief, and seldom seen.
    locked = [{name.rpartition(".")[2] for name in one.locks} for one in (index, delete)]
    assert locked[0] == {"50%"}
    assert locked[1] in ([{"50%"}, set()] if database.kind == "mysql" else [{"50%"}])


@pytest.mark.only("pg18", "pg14")
def test_statements_outside_a_transaction(tmp_path: Path, database: Database) -> None:
    """What cannot run in a transaction is held up by other sessions until the server lists its lock."""
    project = project_of(tmp_path, database, in_autocommit(list(ALONE)), POSTGRESQL_TABLES)
    found = trace(project.config, ["r1"])
    seen = {one.sql: (dict(one.locks), one.application, one.seen) for one in found.statements}
    assert seen == ALONE
    by_text = {one.sql: one for one in found.statements}
    assert by_text["VACUUM FULL users"].rewrote == (USERS,)
    assert by_text["CREATE INDEX CONCURRENTLY ix_age ON users (age)"].built == (USERS,)
    assert by_text["ALTER TABLE users ALTER COLUMN name SET NOT NULL"].scanned == {USERS: None}
    assert by_text["ALTER TABLE users ALTER COLUMN age SET NOT NULL"].scanned == {}
    assert any("sampled" in remark for remark in found.remarks)


@pytest.mark.only("pg18")
def test_a_transaction_prolongs_a_lock(tmp_path: Path, database: Database) -> None:
    body = """
        op.execute("ALTER TABLE users ADD COLUMN nick varchar(20)")
        op.execute("UPDATE teams SET name = 'x' WHERE id = 7")
        op.create_index("ix_nick", "users", ["nick"])
        """
    added, updated, built = trace(project_of(tmp_path, database, body).config, ["r1"]).statements
    assert (added.application, added.prolonged_by) == ("all wait", ("CREATE INDEX ix_nick ON users (nick)",))
    assert (updated.application, updated.locks) == ("rows wait", {TEAMS: "ROW EXCLUSIVE"})
    assert (built.application, built.locks, built.built) == ("writes wait", {USERS: "SHARE"}, (USERS,))
    assert added.held_seconds > updated.held_seconds > built.held_seconds >= built.seconds
    assert {one.in_transaction for one in (added, updated, built)} == {True}


@pytest.mark.only("pg18", "pg14")
def test_helpers_are_followed(tmp_path: Path, database: Database) -> None:
    """Each statement of a helper that touches a table is shown, and none that only reads the catalogue."""
    body = """
        safeops.create_foreign_key_if_missing("fk", "users", "teams", ["team_id"], ["id"], index=True)
        safeops.ColumnRename("users", "name", "full_name").expand()
        """
    found = trace(project_of(tmp_path, database, body).config, ["r1"])
    assert found.verdict == "brief"
    assert {one.helper for one in found.statements} == {"create_foreign_key_if_missing", "ColumnRename.expand"}
    first, added, validated, *_ = (one for one in found.statements if not one.sql.startswith("SELECT"))
    assert (first.locks, first.built) == ({USERS: "SHARE UPDATE EXCLUSIVE"}, (USERS,))
    assert added.locks == {USERS: "SHARE ROW EXCLUSIVE", TEAMS: "SHARE ROW EXCLUSIVE"}
    assert validated.locks == {USERS: "SHARE UPDATE EXCLUSIVE", TEAMS: "ROW SHARE"}
    assert (validated.application, list(validated.scanned)) == ("free", [USERS])
    assert not [one for one in found.statements if "pg_catalog.pg_class" in one.sql or "safeops_backfill" in one.sql]


@pytest.mark.only("mariadb", "mysql97")
def test_metadata_locks(tmp_path: Path, database: Database) -> None:
    """The algorithm is measured; other locks are shown if the server records them; else a remark shows how to."""
    body = """
        op.execute("CREATE TRIGGER t1 BEFORE INSERT ON teams FOR EACH ROW SET NEW.name = 'x'")
        safeops.enforce_not_null("users", "name")
        op.execute("ALTER TABLE users MODIFY age bigint")
        op.execute("UPDATE users SET age = 1")
        op.execute("DROP TABLE teams")
        """
    project = project_of(tmp_path, database, body)
    for enabled in ("YES", "NO"):
        database.execute(SHOW_LOCKS.format(enabled))
        found = trace(project.config, ["r1"])
        trigger, not_null, changed, updated, dropped = found.statements
        assert (not_null.locks, not_null.rewrote) == ({"users": "ALGORITHM=INPLACE, LOCK=NONE"}, ("users",))
        assert (not_null.application, not_null.seen, not_null.in_transaction) == ("brief", "measured", False)
        assert changed.locks["users"].startswith("ALGORITHM=COPY, LOCK=SHARED")
        assert changed.application == "writes wait"
        assert updated.application == "rows wait"
        if enabled == "YES":
            exclusive = {"teams": "EXCLUSIVE metadata lock"}
            # MariaDB holds this one until it has the exclusive one: a sample may be of either moment.
            no_write = {"teams": "SHARED_NO_WRITE metadata lock"}
            assert trigger.locks in (exclusive, no_write)
            assert dropped.locks == exclusive
            assert (dropped.seen, dropped.application) == ("sampled", "brief")
        else:
            assert (trigger.seen, dropped.locks, dropped.seen) == ("not seen", {}, "not seen")
            assert (trigger.application, dropped.application) == ("unknown", "unknown")
            assert any("setup_instruments SET ENABLED" in remark for remark in found.remarks)


@pytest.mark.only("sqlite")
def test_the_file_is_held(tmp_path: Path, database: Database) -> None:
    body = """
        op.execute("ALTER TABLE users ADD COLUMN nick varchar(20)")
        op.execute("CREATE INDEX ix_nick ON users (nick)")
        safeops.enforce_not_null("users", "name")
        op.execute("SELECT count(*) FROM teams WHERE name = 'x'")
        """
    added, built, *rebuilt, read = trace(project_of(tmp_path, database, body).config, ["r1"]).statements
    assert (added.locks, added.application) == ({"main": "RESERVED"}, "brief")
    assert (built.application, list(built.scanned), built.built) == ("writes wait", ["users"], ("users",))
    assert (read.locks, read.application, list(read.scanned)) == ({}, "free", ["teams"])
    [copied] = [one for one in rebuilt if one.sql.startswith("INSERT")]
    assert (list(copied.scanned), copied.in_transaction, copied.application) == (["users"], True, "writes wait")
    begun = next(one for one in rebuilt if one.sql.startswith("BEGIN"))
    assert begun.held_seconds > copied.held_seconds
    assert begun.prolonged_by[0] == copied.sql


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg2"])
@pytest.mark.only("pg18")
def test_drivers(tmp_path: Path, database: Database, driver: str) -> None:
    """A second session is opened as env.py opens its own, also in a running event loop."""
    statement = "CREATE INDEX CONCURRENTLY ix_age ON users (age)"
    project = Project(tmp_path, database.with_driver(driver), env="async" if driver == "asyncpg" else "sync")
    project.write("tables", "\n".join(f"op.execute({sql!r})" for sql in TABLES), down=None)
    project.write(
        "r1", f"{in_autocommit([statement])}\nop.add_column('users', sa.Column('a', sa.Text()))", down="tables"
    )
    built, added = trace(project.config, ["r1"]).statements
    assert (built.locks, built.built, built.seen) == ({USERS: "SHARE UPDATE EXCLUSIVE"}, (USERS,), "sampled")
    assert (added.locks, added.in_transaction) == ({USERS: "ACCESS EXCLUSIVE"}, True)


@pytest.mark.only("pg18")
def test_what_cannot_be_traced(
    tmp_path: Path, database: Database, new_database: object, capsys: pytest.CaptureFixture[str]
) -> None:
    project = project_of(tmp_path, database, "op.execute('SELECT 1')\nop.execute('ALTER TABLE missing ADD a int')")
    found = trace(project.config, ["r1"])
    assert found.exit_status == 2
    assert "missing" in str(found.revisions[0].error)
    assert "It did not end" in "\n".join(trace_lines(found))
    with pytest.raises(InvalidArgument, match="no revision nowhere"):
        trace(project.config, ["nowhere"])
    database.execute("CREATE TABLE theirs (id int)")
    with pytest.raises(NotReady, match="not empty"):
        trace(project.config, ["r1"], scratch_url=database.url.render_as_string(hide_password=False))
    assert main(["-c", str(tmp_path / "nothing.ini"), "trace"]) == 4
    assert "There is no file" in capsys.readouterr().err


def test_formats() -> None:
    statement = TracedStatement(
        "r1", "CREATE INDEX i\n ON users (a | b)", 0.25, {USERS: "SHARE"}, built=(USERS,), scanned={USERS: None},
        in_transaction=True, held_seconds=2, application="writes wait", line=12, helper="one", prolonged_by=("X",),
    )  # fmt: skip
    traced = Traced((), "PostgreSQL 18", ("A remark.",))
    assert traced.summary() == "No statements."
    from safeops.rehearse import TracedRevision

    traced = Traced((TracedRevision("r1", "r1.py", "an index", (statement,)),), "PostgreSQL 18", ("A remark.",))
    assert json.loads(json.dumps(traced.as_json()))["statements"][0] == {
        "revision": "r1", "line": 12, "helper": "one", "sql": "CREATE INDEX i\n ON users (a | b)", "seconds": 0.25,
        "locks": {USERS: "SHARE"}, "rewrote": [], "scanned": {USERS: None}, "built": [USERS], "in_transaction": True,
        "held_seconds": 2, "application": "writes wait", "prolonged_by": ["X"], "seen": "measured", "error": None,
    }  # fmt: skip
    assert traced.as_json()["verdict"] == "writes wait"
    page = render(traced)
    assert "### safeops trace on PostgreSQL 18: 1 statement: writes wait." in page
    assert (
        "| 12 (one) | `CREATE INDEX i ON users (a \\| b)` | SHARE on public.users | built an index of public.users"
        " | writes wait | 250.0 ms, held 2.0 s |"
    ) in page
    lines = "\n".join(trace_lines(traced))
    assert "12: one: CREATE INDEX i ON users (a | b)" in lines
    assert "Held for    X" in lines


@pytest.mark.only("pg18", "sqlite")
@pytest.mark.parametrize("first", ["a:head", "b"])
def test_why_a_revision_after_one_that_fails_is_not_run(database: Database, tmp_path: Path, first: str) -> None:
    project = Project(tmp_path, database)
    for name, body, down in (("a", 'op.execute("DELETE FROM missing")', None), ("b", "pass", "a"), ("c", "pass", "b")):
        project.write(name, body, down=down)
    empty = database.server.new_database().render_as_string(hide_password=False)
    why = "a, which comes before, fails on an empty database: "
    assert str(trace(project.config, [first], scratch_url=empty).revisions[-1].error).startswith(why)
    (remark,) = (one for one in review(project.config, ["b", "c"], scratch_url=empty).remarks if "scratch copy" in one)
    assert remark.startswith(f"Not measured on the scratch copy: b and 1 more. {why}") and "missing" in remark
