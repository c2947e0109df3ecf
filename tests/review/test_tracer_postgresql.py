"""The scratch rung on PostgreSQL: what the server shows of each statement, on a copy without rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from tests.projects import Project
from tests.servers import Database

from safeops.errors import NotReady
from safeops.judging.sent import HelperSent, Recording, Sent
from safeops.judging.truths import Measured
from safeops.review.postgresql import Copies
from safeops.review.scratch import record_scratch

pytestmark = pytest.mark.only("pg15", "pg18")

BASE = """
for one in [
    "CREATE TABLE users (id serial PRIMARY KEY, email varchar(100) NOT NULL, name text, age int, seen timestamp)",
    "CREATE INDEX ix_users_email ON users (email)",
    "CREATE TABLE orders (id serial PRIMARY KEY, user_id int, total numeric(10, 2), state varchar(20))",
    "ALTER TABLE orders ADD CONSTRAINT ck_state CHECK (state IS NOT NULL)",
    "ALTER TABLE orders ADD CONSTRAINT ck_late CHECK (total > -1) NOT VALID",
    "CREATE UNIQUE INDEX uq_total ON orders (total)",
    "CREATE TABLE log (at date NOT NULL, msg text) PARTITION BY RANGE (at)",
    "CREATE TABLE log_26 PARTITION OF log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
    "CREATE TABLE log_def PARTITION OF log DEFAULT",
    "CREATE TABLE log_27 (at date NOT NULL, msg text)",
    "CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
    "CREATE MATERIALIZED VIEW per_user AS SELECT user_id, count(*) FROM orders GROUP BY user_id",
    "CREATE SCHEMA aux",
    "CREATE TABLE aux.users (id int)",
    "CREATE FUNCTION clear_names() RETURNS void LANGUAGE sql AS 'UPDATE users SET name = NULL'",
]:
    op.execute(one)
"""
CATALOGUE, SCAN, BUILD, REWRITE, ROWS, NOTHING = "catalogue only", "scan", "build", "rewrite", "rows", "nothing"
EXCLUSIVE = "ACCESS EXCLUSIVE"
USERS, ORDERS = "public.users", "public.orders"
Effect = tuple[str, str, str]

STATEMENTS: dict[str, set[Effect]] = {
    "ALTER TABLE users ADD COLUMN nick text": {(USERS, EXCLUSIVE, CATALOGUE)},
    "ALTER TABLE users ADD COLUMN made timestamptz DEFAULT now()": {(USERS, EXCLUSIVE, CATALOGUE)},
    "ALTER TABLE users ADD COLUMN made timestamptz DEFAULT clock_timestamp()": {(USERS, EXCLUSIVE, REWRITE)},
    "ALTER TABLE users ADD COLUMN rank positive": {(USERS, EXCLUSIVE, REWRITE)},
    "ALTER TABLE users ADD COLUMN rank int CHECK (rank > 0)": {(USERS, EXCLUSIVE, SCAN)},
    "ALTER TABLE users ALTER COLUMN email TYPE varchar(200)": {(USERS, EXCLUSIVE, CATALOGUE)},
    "ALTER TABLE users ALTER COLUMN email TYPE varchar(50)": {(USERS, EXCLUSIVE, REWRITE)},
    'ALTER TABLE users ALTER COLUMN email TYPE varchar(100) COLLATE "C"': {(USERS, EXCLUSIVE, BUILD)},
    "SET LOCAL timezone = 'UTC'; ALTER TABLE users ALTER COLUMN seen TYPE timestamptz": {(USERS, EXCLUSIVE, CATALOGUE)},
    "ALTER TABLE users ALTER COLUMN name SET NOT NULL": {(USERS, EXCLUSIVE, SCAN)},
    "ALTER TABLE orders ALTER COLUMN state SET NOT NULL": {(ORDERS, EXCLUSIVE, CATALOGUE)},
    "CREATE INDEX ix_name ON users (name)": {(USERS, "SHARE", BUILD)},
    "CREATE INDEX ix_at ON log (at)": {
        ("public.log", "SHARE", CATALOGUE),
        ("public.log_26", "SHARE", BUILD),
        ("public.log_def", "SHARE", BUILD),
    },
    "CREATE INDEX ix_at ON ONLY log (at)": {("public.log", "SHARE", CATALOGUE)},
    "DROP INDEX ix_users_email": {(USERS, EXCLUSIVE, CATALOGUE)},
    "REINDEX INDEX ix_users_email": {(USERS, EXCLUSIVE, BUILD)},
    "ALTER INDEX ix_users_email RENAME TO ix_mail": {(USERS, "SHARE UPDATE EXCLUSIVE", CATALOGUE)},
    "ALTER TABLE orders ADD CONSTRAINT uq UNIQUE USING INDEX uq_total": {(ORDERS, EXCLUSIVE, CATALOGUE)},
    "ALTER TABLE orders ADD UNIQUE (state)": {(ORDERS, EXCLUSIVE, BUILD)},
    "ALTER TABLE orders ADD CHECK (total > 0)": {(ORDERS, EXCLUSIVE, SCAN)},
    "ALTER TABLE orders ADD CHECK (total > 0) NOT VALID": {(ORDERS, EXCLUSIVE, CATALOGUE)},
    "ALTER TABLE orders VALIDATE CONSTRAINT ck_late": {(ORDERS, "SHARE UPDATE EXCLUSIVE", SCAN)},
    "TRUNCATE orders": {(ORDERS, EXCLUSIVE, CATALOGUE)},
    "DROP TABLE aux.users": {("aux.users", EXCLUSIVE, CATALOGUE)},
    "CLUSTER users USING users_pkey": {(USERS, EXCLUSIVE, REWRITE)},
    "ALTER TABLE users SET UNLOGGED": {(USERS, EXCLUSIVE, REWRITE)},
    "LOCK TABLE users IN SHARE MODE": {(USERS, "SHARE", CATALOGUE)},
    "COMMENT ON TABLE users IS 'people'": {(USERS, "SHARE UPDATE EXCLUSIVE", CATALOGUE)},
    "CREATE TABLE fresh (id int PRIMARY KEY, v text); CREATE INDEX ix_fresh ON fresh (v)": set(),
    "UPDATE users SET name = 'x'": {(USERS, "ROW EXCLUSIVE", NOTHING)},
    "SELECT count(*) FROM users": {(USERS, "ACCESS SHARE", NOTHING)},
    "SELECT id FROM users FOR UPDATE": {(USERS, "ROW SHARE", NOTHING)},
    "SELECT clear_names()": {(USERS, "ROW EXCLUSIVE", ROWS)},
    "DO $$ BEGIN UPDATE users SET name = 'x'; END $$": {(USERS, "ROW EXCLUSIVE", ROWS)},
    "DO $$ BEGIN UPDATE users SET name = 'x' WHERE id = 5; END $$": {(USERS, "ROW EXCLUSIVE", NOTHING)},
    "DO $$ BEGIN ALTER TABLE users ALTER COLUMN id TYPE bigint; END $$": {(USERS, EXCLUSIVE, REWRITE)},
    "DO $$ BEGIN EXECUTE 'CREATE INDEX ON orders (user_id)'; END $$": {(ORDERS, "SHARE", BUILD)},
    "ALTER TABLE log ATTACH PARTITION log_27 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')": {
        ("public.log", "SHARE UPDATE EXCLUSIVE", CATALOGUE),
        ("public.log_27", EXCLUSIVE, SCAN),
        ("public.log_def", EXCLUSIVE, SCAN),
    },
}


def project_of(folder: Path, database: Database, **upgrades: str) -> Project:
    """A project whose revisions all follow the one that makes the tables."""
    project = Project(folder, database)
    project.write("tables", BASE, down=None)
    for revision, upgrade in upgrades.items():
        project.write(revision, upgrade, down="tables")
    return project


def recorded(project: Project, *revisions: str, scratch_url: str | None = None) -> list[Recording]:
    config = project.config
    script = ScriptDirectory.from_config(config)
    selected: list[Any] = [script.get_revision(one) for one in revisions]
    return list(record_scratch(config, selected, scratch_url))


def effects_of(measured: Measured | None) -> set[Effect]:
    assert measured is not None
    return {(str(table), lock, work) for table, lock, work in measured.effects}


def sent_by(recording: Recording) -> list[Sent]:
    return [event for event in recording.events if isinstance(event, Sent)]


def test_each_statement(tmp_path: Path, database: Database) -> None:
    """The server shows locks and work, even of opaque code."""
    names = {f"r{place}": statement for place, statement in enumerate(STATEMENTS)}
    project = project_of(tmp_path, database, **{name: f"op.execute({sql!r})" for name, sql in names.items()})
    found = {}
    for recording in recorded(project, *names):
        assert (recording.seen, recording.error) == ("scratch", None), names[recording.revision]
        [sent] = sent_by(recording)
        assert sent.transaction == 0
        assert sent.place is not None
        assert (sent.place.file, sent.place.line) == (recording.file, 13)
        found[names[recording.revision]] = effects_of(sent.measured)
    assert found == STATEMENTS
    assert left_over(database) == []


def test_tables_of_a_foreign_key(tmp_path: Path, database: Database) -> None:
    key = "ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (user_id) REFERENCES users"
    project = project_of(
        tmp_path, database, checked=f"op.execute({key!r})", unchecked=f"op.execute({key + ' NOT VALID'!r})"
    )
    checked, unchecked = (sent_by(one)[0] for one in recorded(project, "checked", "unchecked"))
    assert (ORDERS, "SHARE ROW EXCLUSIVE", SCAN) in effects_of(checked.measured)
    assert effects_of(unchecked.measured) == {
        (ORDERS, "SHARE ROW EXCLUSIVE", CATALOGUE),
        (USERS, "SHARE ROW EXCLUSIVE", CATALOGUE),
    }


def test_an_earlier_lock_of_the_transaction(tmp_path: Path, database: Database) -> None:
    """A statement that takes no further lock works under the one that is held."""
    upgrade = """
        op.execute("ALTER TABLE users ADD COLUMN nick text")
        op.execute("CREATE INDEX ix_nick ON users (nick)")
        op.execute("ALTER TABLE users ALTER COLUMN id TYPE bigint")
        """
    [recording] = recorded(project_of(tmp_path, database, r1=upgrade), "r1")
    added, built, changed = sent_by(recording)
    assert effects_of(added.measured) == {(USERS, EXCLUSIVE, CATALOGUE)}
    assert effects_of(changed.measured) == {(USERS, EXCLUSIVE, REWRITE)}
    assert effects_of(built.measured) == {(USERS, "SHARE", BUILD)}
    assert {sent.transaction for sent in (added, changed, built)} == {0}


def test_what_commits_half_way(tmp_path: Path, database: Database) -> None:
    """Each transaction has its number, autocommit has none; what was committed is not there for the next one."""
    upgrade = """
        op.execute("ALTER TABLE users ADD COLUMN nick text")
        with op.get_context().autocommit_block():
            op.execute("ALTER TABLE users ADD COLUMN other text DEFAULT gen_random_uuid()::text")
            op.execute("CREATE INDEX CONCURRENTLY ix_nick ON users (nick)")
        op.execute("ALTER TABLE orders ADD COLUMN note text")
        """
    project = project_of(tmp_path, database, r1=upgrade, r2=upgrade)
    for recording in recorded(project, "r1", "r2"):
        assert recording.error is None
        first, alone, concurrent, second = sent_by(recording)
        assert [one.transaction for one in (first, alone, concurrent, second)] == [0, None, None, 1]
        assert effects_of(alone.measured) == {(USERS, EXCLUSIVE, REWRITE)}
        assert effects_of(second.measured) == {(ORDERS, EXCLUSIVE, CATALOGUE)}
        assert concurrent.measured is not None
        assert not concurrent.measured.exact


def test_a_statement_that_the_server_refuses(tmp_path: Path, database: Database) -> None:
    upgrades = {
        "unknown": "op.execute('ALTER TABLE users ADD COLUMN a no_such_type')",
        "inside": "op.execute('CREATE INDEX CONCURRENTLY ix ON users (name)')",
        "role": "op.execute('GRANT SELECT ON users TO nobody_here')",
        "rows": "op.execute('INSERT INTO orders (total) VALUES (1)')",
        "python": "op.get_bind().execute(sa.text('SELECT id FROM users')).one()",
        "after": "op.execute('SELECT 1')",
    }
    found = {one.revision: one for one in recorded(project_of(tmp_path, database, **upgrades), *upgrades)}
    assert {name: one.seen for name, one in found.items()} == {
        **dict.fromkeys(("unknown", "inside", "after"), "scratch"),
        **dict.fromkeys(("role", "rows", "python"), "unseen"),
    }
    errors = {name: sent_by(one)[-1].measured for name, one in found.items()}
    assert "no_such_type" in str(errors["unknown"])
    assert "cannot run inside a transaction block" in str(errors["inside"])
    assert found["python"].error is not None


def test_a_chain(tmp_path: Path, database: Database) -> None:
    """Each revision finds what those before it made; after one that fails nothing can be seen."""
    project = Project(
        tmp_path,
        database,
        {
            "a": ("op.execute('CREATE TABLE t (a int)')", "pass"),
            "b": ("op.execute('ALTER TABLE t ADD COLUMN b int')", "pass"),
            "c": ("op.execute('ALTER TABLE t ADD COLUMN c int DEFAULT random()')", "pass"),
            "d": ("op.execute('ALTER TABLE t ADD COLUMN b int')", "pass"),
            "e": ("op.execute('ALTER TABLE t ADD COLUMN e int')", "pass"),
        },
    )
    found = {one.revision: one for one in recorded(project, "b", "c", "d", "e")}
    assert effects_of(sent_by(found["b"])[0].measured) == {("public.t", EXCLUSIVE, CATALOGUE)}
    assert effects_of(sent_by(found["c"])[0].measured) == {("public.t", EXCLUSIVE, REWRITE)}
    assert found["d"].seen == "scratch"
    assert (found["e"].seen, found["e"].events) == ("unseen", ())
    assert "already exists" in str(found["e"].error)


def test_a_database_that_the_user_gave(tmp_path: Path, database: Database, new_database: Any) -> None:
    """It is as empty afterwards as it was, whether databases can be created next to it or not; one in use is refused."""
    given = new_database()
    url = given.url.render_as_string(hide_password=False)
    upgrade = "op.execute('COMMIT')\nop.execute('CREATE TABLE aux.made (a int)')"
    project = project_of(tmp_path, database, r1=upgrade, r2=upgrade)
    role = f"plain_{given.name}"
    given.execute(f"CREATE ROLE {role} LOGIN", f"ALTER DATABASE {given.name} OWNER TO {role}")
    own = given.url.set(username=role).render_as_string(hide_password=False)
    for scratch_url in (url, own):
        found = recorded(project, "r1", "r2", scratch_url=scratch_url)
        assert [one.seen for one in found] == ["scratch", "scratch"], [one.error for one in found]
        assert left_over(given) == []
    given.execute("CREATE TABLE theirs (a int)")
    with pytest.raises(NotReady, match="not empty: it has table theirs"):
        recorded(project, "r1", scratch_url=url)
    assert left_over(given) == ["theirs"]
    given.execute("DROP TABLE theirs", f"ALTER DATABASE {given.name} OWNER TO postgres", f"DROP ROLE {role}")


def left_over(database: Database) -> list[str]:
    """Tables in a database, and scratch databases on its server."""
    with database.observer().connect() as connection:
        databases = connection.execute(sa.text("SELECT datname FROM pg_database WHERE datname LIKE 'safeops%'"))
        tables = connection.execute(
            sa.text("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'")
        )
        return [*databases.scalars(), *tables.scalars()]


def test_helpers_are_recorded_and_run(tmp_path: Path, database: Database) -> None:
    """A helper is one event, however many others it calls; what comes after it finds what it made."""
    upgrade = """
        op.add_column("users", sa.Column("a", sa.Text()))
        safeops.add_column_if_missing("users", sa.Column("nick", sa.Text()))
        with op.batch_alter_table("users") as batch:
            batch.create_index("ix_nick", ["nick"])
        safeops.ColumnRename("users", "name", "full_name").expand()
        print("done")
        """
    project = project_of(tmp_path, database)
    project.imports = "import safeops"
    project.write("r1", upgrade, down="tables")
    project.write("r2", "op.execute('SELECT name, nick FROM users')", down="tables")
    found, after = recorded(project, "r1", "r2")
    assert found.error is None
    first, helper, built, phase = found.events
    assert isinstance(first, Sent)
    assert isinstance(built, Sent)
    assert [first.transaction, built.transaction] == [0, 1]
    assert isinstance(helper, HelperSent)
    assert isinstance(phase, HelperSent)
    assert [helper.name, phase.name] == ["add_column_if_missing", "ColumnRename.expand"]
    assert (first.call and first.call.name, built.call and built.call.name) == ("add_column", "create_index")
    assert effects_of(built.measured) == {(USERS, "SHARE", BUILD)}
    assert "nick" in str(after.error)


@pytest.mark.only("pg18")
def test_drivers(tmp_path: Path, database: Database) -> None:
    """psycopg2 stays outside of a transaction after a COMMIT that was sent as text; an async env.py is traced too."""
    upgrade = """
        op.execute("ALTER TABLE users ADD COLUMN nick text DEFAULT random()::text")
        op.execute("COMMIT")
        op.execute("CREATE INDEX CONCURRENTLY ix_nick ON users (nick)")
        op.execute("CREATE INDEX ix_name ON users (name)")
        """
    (tmp_path / "sync").mkdir()
    project = project_of(tmp_path / "sync", database.with_driver("psycopg2"), r1=upgrade, r2=upgrade)
    for recording in recorded(project, "r1", "r2"):
        assert recording.error is None
        first, commit, concurrent, alone = sent_by(recording)
        assert [one.transaction for one in (first, commit, concurrent, alone)] == [0, 0, None, None]
        assert effects_of(first.measured) == {(USERS, EXCLUSIVE, REWRITE)}
        assert effects_of(alone.measured) == {(USERS, "SHARE", BUILD)}
    project = Project(tmp_path, database.with_driver("asyncpg"), env="async")
    project.write("tables", BASE, down=None)
    change = 'op.execute("ALTER TABLE users ALTER COLUMN id TYPE bigint")'
    project.write("r1", f"{change}\nwith op.get_context().autocommit_block():\n    {change}", down="tables")
    [recording] = recorded(project, "r1")
    assert recording.error is None
    inside, outside = sent_by(recording)
    assert [inside.transaction, outside.transaction] == [0, None]
    assert effects_of(inside.measured) == {(USERS, EXCLUSIVE, REWRITE)}
    assert outside.measured is not None
    assert outside.measured.exact


def test_a_session_of_the_revisions_own(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A concurrent build does not wait for sessions of the review; a revision that waits for itself ends."""
    monkeypatch.setattr(Copies, "limits", ("SET lock_timeout = '300ms'",))
    first, lock = 'op.execute("SELECT count(*) FROM users")\n', 'op.execute("LOCK TABLE orders")\n'
    own = (
        'with op.get_bind().engine.connect().execution_options(isolation_level="AUTOCOMMIT") as own:\n'
        '    own.execute(sa.text("CREATE INDEX CONCURRENTLY ix_own ON orders (user_id)"))'
    )
    project = project_of(tmp_path, database, r1=first + own, r2=lock + own)
    built, waiting = recorded(project, "r1", "r2")
    assert (built.seen, built.error) == ("scratch", None)
    assert [one.transaction for one in sent_by(built)] == [0, None]
    assert waiting.seen == "unseen"
    assert "lock timeout" in str(waiting.error)


@pytest.mark.only("pg18")
def test_a_given_database_with_another_session_in_it(tmp_path: Path, database: Database, new_database: Any) -> None:
    """It cannot be copied then: it is used itself, and emptied each time."""
    given = new_database()
    project = project_of(tmp_path, database, **dict.fromkeys(("r1", "r2"), "op.execute('COMMIT')\nprint('here')"))
    with given.observer().connect():
        found = recorded(project, "r1", "r2", scratch_url=given.url.render_as_string(hide_password=False))
    assert [(one.seen, one.error) for one in found] == [("scratch", None)] * 2
    assert left_over(given) == []
