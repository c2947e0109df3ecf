"""SQLite's connections: who holds the file, drivers and their transactions, attached files, names of all sorts."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool, QueuePool, SingletonThreadPool, StaticPool
from tests.lifecycle.harness import prepared, state, up_up_down_down_up
from tests.projects import Project, log_lines, migrate, render, run_sql
from tests.whole import one_in

from safeops import (
    DefinitionMismatch,
    LockNotAcquired,
    OnlineOnly,
    UnsupportedOnDatabase,
    add_column_if_missing,
    create_check_constraint_if_missing,
    create_foreign_key_if_missing,
    create_index_if_missing,
    create_schema_if_missing,
    create_table_if_missing,
    create_unique_constraint_if_missing,
    drop_column_if_exists,
    drop_constraint_if_exists,
    drop_index_if_exists,
    drop_table_if_exists,
    enforce_not_null,
    migration_lock,
    relax_not_null,
    set_server_default,
    settings,
)

pytestmark = pytest.mark.only("sqlite")

USERS = (
    "CREATE TABLE users (id integer primary key, age integer, name text)",
    "INSERT INTO users VALUES (1, 20, 'a'), (2, 30, 'b')",
)


def up():
    return create_check_constraint_if_missing("ck", "users", "age >= 0")


def down():
    return drop_constraint_if_exists("ck", "users")


# --- waiting ---------------------------------------------------------------------------------------------


@contextmanager
def held(database, *statements):
    own = sqlite3.connect(database.name, isolation_level=None)
    for statement in statements:
        own.execute(statement).fetchall()
    try:
        yield own
    finally:
        own.close()


HOLDERS = {
    "a writer": ["BEGIN IMMEDIATE"],
    "an exclusive writer": ["BEGIN EXCLUSIVE"],
    "a reader": ["BEGIN", "SELECT * FROM users"],
}
DEEDS = {
    "rebuild": up,
    "column": lambda: add_column_if_missing("users", sa.Column("x", sa.Text)),
    "index": lambda: create_index_if_missing("ix", "users", ["age"]),
    "table": lambda: create_table_if_missing("more", sa.Column("id", sa.Integer), sa.Column("a", sa.Text, index=True)),
    "drop": lambda: drop_column_if_exists("users", "name"),
}


@pytest.mark.parametrize("deed", one_in(4, [*DEEDS]))
@pytest.mark.parametrize("holder", HOLDERS)
def test_a_held_file(database, holder, deed):
    prepared(database, USERS)
    before = state(database, exact=True)

    def body():
        with settings(lock_timeout=0.1, retry_budget=0.5):
            return DEEDS[deed]()

    started = time.monotonic()
    with held(database, *HOLDERS[holder]), pytest.raises(LockNotAcquired) as error:
        migrate_held(database, body)
    assert time.monotonic() - started < 2.5
    assert f"pid {os.getpid()}" in str(error.value) or "SQLite does not tell" in str(error.value)
    assert state(database, exact=True) == before
    assert migrate(database, DEEDS[deed]) is True


def migrate_held(database, body):
    """As migrate(), but without the version table, which cannot be written while the file is held."""
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    with database.engine().connect() as connection:
        context = MigrationContext.configure(connection, opts={"transaction_per_migration": True})
        with Operations.context(context):
            return body()


def test_a_holder_that_releases_its_lock(database):
    prepared(database, USERS)
    code = f"""
import sqlite3, time
own = sqlite3.connect({database.name!r})
own.execute("BEGIN IMMEDIATE"); print("held", flush=True); time.sleep(0.6)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with log_lines() as lines, settings(lock_timeout=0.1, retry_budget=30):
            assert migrate_held(database, up) is True
    assert any("attempt 1" in line for line in lines), lines


def test_with_a_write_ahead_log_reads_are_not_blocked(database):
    prepared(database, USERS)
    database.query("PRAGMA journal_mode=WAL")
    with held(database, *HOLDERS["a reader"]) as reader:
        assert migrate(database, up) is True
        assert reader.execute("SELECT count(*) FROM users").fetchone() == (2,)
    named = pytest.raises(LockNotAcquired, match=f"pid {os.getpid()}|SQLite does not tell")
    with held(database, "BEGIN IMMEDIATE"), settings(lock_timeout=0.1, retry_budget=0.3), named:
        migrate_held(database, down)


def test_killed_in_the_middle_of_a_rebuild(database):
    prepared(database, USERS)
    database.execute(
        "INSERT INTO users (age, name) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)"
        " SELECT 1, 'a long name of somebody or other' FROM n"
    )
    before = state(database, exact=True)["schema"]
    child = os.fork()
    if child == 0:
        migrate_held(database, up)
        os._exit(0)
    # The journal is hot as soon as the cache has spilled.
    journal = f"{database.name}-journal"
    while not (os.path.exists(journal) and os.path.getsize(journal)) and os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert state(database, exact=True)["schema"] == before
    assert database.query("SELECT count(*) FROM users") == [(200002,)]
    assert database.query("PRAGMA integrity_check") == [("ok",)]
    assert migrate(database, up) is True


# --- connections -----------------------------------------------------------------------------------------


def recipe(engine):
    """SQLAlchemy's own recipe for transactional DDL with sqlite3."""
    sa.event.listen(engine, "connect", lambda driver, _: setattr(driver, "isolation_level", None))
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


@pytest.mark.parametrize("autocommit", [False, True])
def test_an_engine_that_sends_begin_itself(database, autocommit):
    prepared(database.with_foreign_keys(), USERS)
    with recipe(database.engine()).connect() as connection:
        if autocommit:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        results = [migrate(database, body, connection=connection) for body in (up, up)]
        connection.commit()
        assert results == [True, False]
        assert database.query("SELECT * FROM alembic_version") == [("r1",)]


def test_aiosqlite(database):
    other = prepared(database.with_driver("aiosqlite"), USERS)
    up_up_down_down_up(other, up, down, exact=True)
    with held(database, "BEGIN IMMEDIATE"), pytest.raises(Exception, match="locked"):
        migrate(other, up)


@pytest.mark.parametrize("env", ["sync", "async", "autocommit", "one_transaction", "commit_before"])
def test_env_py(database, tmp_path, env):
    prepared(database, USERS)
    other = database.with_driver("aiosqlite") if env == "async" else database
    body = "create_check_constraint_if_missing('ck', 'users', 'age >= 0')", "drop_constraint_if_exists('ck', 'users')"
    project = Project(tmp_path, other.with_foreign_keys(), {"r1": body}, env=env, imports="from safeops import *")
    before = state(database, exact=True)
    project.upgrade()
    assert "ck" in str(state(database, exact=True))
    project.downgrade()
    assert state(database, exact=True) == before


def test_in_memory():
    engine = sa.create_engine("sqlite://", poolclass=StaticPool)
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    with engine.connect() as connection, migration_lock(connection):
        for statement in USERS:
            connection.exec_driver_sql(statement)
        connection.commit()
        with Operations.context(MigrationContext.configure(connection)):
            assert [up(), up(), down(), up()] == [True, False, True, True]


# --- the runner lock -------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", [NullPool, QueuePool, StaticPool, SingletonThreadPool])
def test_the_runner_lock(database, pool):
    options = {"pool_size": 1, "max_overflow": 0} if pool is QueuePool else {}
    engine = sa.create_engine(database.url, poolclass=pool, **options)
    with engine.connect() as connection, migration_lock(connection):
        assert not connection.in_transaction()
        database.execute("CREATE TABLE t (a int)")  # nothing of the database itself is held
        second = database.engine().connect()
        with second, pytest.raises(LockNotAcquired) as error, migration_lock(second, timeout=0.3):
            pytest.fail("two runners at once")
        assert f"pid {os.getpid()} on " in str(error.value)
    with database.engine().connect() as second, migration_lock(second, timeout=0):
        pass
    engine.dispose()


def test_the_runner_lock_ends_with_its_process(database):
    code = f"""
import sqlalchemy as sa, time
from safeops import migration_lock
with sa.create_engine({database.url.render_as_string()!r}).connect() as connection, migration_lock(connection):
    print("held", flush=True); time.sleep(60)
"""
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with database.engine().connect() as connection:
        with pytest.raises(LockNotAcquired, match=f"pid {holder.pid} on "), migration_lock(connection, timeout=0):
            pass
        holder.kill()
        holder.wait()
        with migration_lock(connection, timeout=5):
            pass
    holder.stdout.close()


# --- names and schemas -----------------------------------------------------------------------------------

HOSTILE = [
    'quo"te',
    "apo'strophe",
    "dot.ted",
    "two words",
    "order",
    "returning",
    "MixedCase",
    "per%cent %s %(x)s",
    "co:lon :x",
    "back`tick [brackets]",
    "semi;colon -- /* */",
    "emoji 🐘",
    "x" * 200,
    "back\\slash",
    "CHECK",
    "1digit",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(database, name):
    quoted = database.quoted(name)
    parent = database.quoted(f"{name} parent")
    statements = (
        f"CREATE TABLE {parent} ({quoted} integer primary key)",
        f"CREATE TABLE {quoted} (id integer primary key, {quoted} text COLLATE NOCASE)",
        f"INSERT INTO {quoted} VALUES (1, 'x')",
    )

    def all_up():
        return any(
            [
                add_column_if_missing(name, sa.Column(f"{name} 2", sa.Integer)),
                create_index_if_missing(f"ix {name}", name, [f"{name} 2", name]),
                create_check_constraint_if_missing(f"ck {name}", name, sa.column(name) != ":x % ' \\"),
                create_unique_constraint_if_missing(f"uq {name}", name, [name]),
                create_foreign_key_if_missing(f"fk {name}", name, f"{name} parent", [f"{name} 2"], [name]),
                set_server_default(name, name, ":d %s ' \\"),
                enforce_not_null(name, name),
            ]
        )

    def all_down():
        return any(
            [
                relax_not_null(name, name),
                set_server_default(name, name, None),
                *[drop_constraint_if_exists(f"{kind} {name}", name) for kind in ("fk", "uq", "ck")],
                drop_index_if_exists(f"ix {name}", name),
                drop_column_if_exists(name, f"{name} 2"),
            ]
        )

    up_up_down_down_up(database, all_up, all_down, statements, exact=True)


@contextmanager
def attached(database, other, name):
    """A connection with another file attached."""
    with database.engine().connect() as connection:
        connection.exec_driver_sql(f"ATTACH {sqlite_literal(other.name)} AS {database.quoted(name)}")
        connection.commit()
        yield connection


def sqlite_literal(text):
    return "'" + text.replace("'", "''") + "'"


@pytest.mark.parametrize("schema", ["other", "Other file.x"])
def test_attached_files(new_database, schema):
    here, there = (prepared(new_database(), USERS) for _ in range(2))
    there.execute(
        "CREATE TABLE far (id integer primary key)", "CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT 1; END"
    )
    before = [state(one, exact=True) for one in (here, there)]

    def all_up():
        return [
            create_table_if_missing("new", sa.Column("id", sa.Integer, index=True), schema=schema),
            add_column_if_missing("users", sa.Column("far", sa.Integer, index=True), schema=schema),
            create_check_constraint_if_missing("ck", "users", "age >= 0", schema=schema),
            enforce_not_null("users", "age", schema=schema),
            create_foreign_key_if_missing(
                "fk", "users", "far", ["far"], ["id"], source_schema=schema, referent_schema=schema
            ),
            create_schema_if_missing(schema),
        ]

    def all_down():
        return [
            drop_constraint_if_exists("fk", "users", schema=schema),
            relax_not_null("users", "age", schema=schema),
            drop_constraint_if_exists("ck", "users", schema=schema),
            drop_column_if_exists("users", "far", schema=schema),
            drop_table_if_exists("new", schema=schema),
        ]

    with attached(here, there, schema) as connection:
        run = lambda body: migrate(here, body, connection=connection)  # noqa: E731
        assert run(all_up) == [True] * 5 + [False]
        assert run(all_up) == [False] * 6
        assert state(here, exact=True) == before[0]
        assert run(all_down) == [True] * 5
        assert run(all_down) == [False] * 5
        with pytest.raises(UnsupportedOnDatabase, match="one database file"):
            run(lambda: create_foreign_key_if_missing("fk", "users", "users", ["age"], ["id"], source_schema=schema))
    assert [state(one, exact=True) for one in (here, there)] == before


def test_schemas_are_files(database):
    with pytest.raises(UnsupportedOnDatabase, match="SQLite"):
        migrate(database, lambda: create_schema_if_missing("billing"))


# --- what the two sides mean -----------------------------------------------------------------------------


def test_the_same_in_other_words(database):
    prepared(
        database,
        [
            "CREATE TABLE Users (Id INTEGER PRIMARY KEY, a int, b bool default TRUE,"
            " c character varying(20) default 'x' not null, d timestamp DEFAULT CURRENT_TIMESTAMP,"
            " e decimal(5,2) DEFAULT ( 1.5 ), unique (a, b), check (a>0),"
            " foreign key (a) references uSers (ID) on delete cascade)",
            "CREATE INDEX IX on users (A, lower( c ) desc) where b",
        ],
    )
    columns = [
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("a", sa.Integer, sa.ForeignKey("users.id", ondelete="CASCADE")),
        sa.Column("b", sa.Boolean, server_default=sa.true()),
        sa.Column("c", sa.String(20), server_default="x", nullable=False),
        sa.Column("d", sa.TIMESTAMP, server_default=sa.func.current_timestamp()),
        sa.Column("e", sa.Numeric(5, 2), server_default="1.5"),
        sa.UniqueConstraint("a", "b"),
    ]

    def body():
        return [
            create_table_if_missing("users", *columns),
            create_index_if_missing("ix", "users", ["a", sa.text("lower(c) DESC")], sqlite_where=sa.text("b")),
            create_unique_constraint_if_missing("users_a_b_key", "users", ["a", "b"]),
            create_check_constraint_if_missing("users_check", "users", "a > 0"),
            create_foreign_key_if_missing("users_a_fkey", "users", "users", ["a"], ["id"], ondelete="CASCADE"),
        ]

    assert migrate(database, body) == [False] * 5


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        (lambda: create_index_if_missing("ix", "t", ["a"]), ["columns is (a, b desc), not (a)", "unique", "predicate"]),
        (lambda: create_index_if_missing("ix", "t", ["a", "b"], unique=True), ["b desc", "predicate"]),
        (lambda: create_foreign_key_if_missing("fk", "t", "p", ["a"], ["id"]), ["ondelete", "deferrable", "initially"]),
        (
            lambda: add_column_if_missing("t", sa.Column("b", sa.String(5), nullable=False)),
            ["type", "null", "collation"],
        ),
        (lambda: add_column_if_missing("t", sa.Column("g", sa.Integer, sa.Computed("a * 2"))), ["computed", "STORED"]),
        (lambda: add_column_if_missing("t", sa.Column("a", sa.Integer, server_default="2")), ["default is 1, not '2'"]),
        (lambda: create_unique_constraint_if_missing("uq", "t", ["b", "a"]), ["columns is (a, b), not (b, a)"]),
        (lambda: create_check_constraint_if_missing("ck", "t", "a > 1"), ["condition is a > 0, not a > 1"]),
    ],
)
def test_differences(database, deed, words):
    prepared(
        database,
        [
            "CREATE TABLE p (id integer primary key)",
            "CREATE TABLE t (a integer default 1, b text collate nocase, g int AS (a * 2) STORED,"
            " CONSTRAINT fk FOREIGN KEY (a) REFERENCES p ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,"
            " CONSTRAINT uq UNIQUE (a, b), CONSTRAINT ck CHECK (a > 0))",
            "CREATE UNIQUE INDEX ix ON t (a, b DESC) WHERE a > 1",
        ],
    )
    before = state(database, exact=True)
    with pytest.raises(DefinitionMismatch) as error:
        migrate(database, deed)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert state(database, exact=True) == before


@pytest.mark.parametrize(
    "deed",
    [
        lambda: create_unique_constraint_if_missing("uq", "users", ["age"], deferrable=True),
        lambda: create_unique_constraint_if_missing("uq", "users", ["age"], postgresql_nulls_not_distinct=True),
        lambda: create_check_constraint_if_missing("ck", "users", "age > 0", validate=False),
        lambda: create_foreign_key_if_missing("fk", "users", "users", ["age"], ["id"], match="FULL"),
        lambda: add_column_if_missing("users", sa.Column("n", sa.Integer, sa.Identity())),
    ],
)
def test_what_sqlite_has_not(database, deed):
    prepared(database, USERS)
    before = state(database, exact=True)
    with pytest.raises(UnsupportedOnDatabase, match="this server is SQLite"):
        migrate(database, deed)
    assert state(database, exact=True) == before


# --- offline ---------------------------------------------------------------------------------------------


def test_offline(database):
    def body():
        create_table_if_missing("t", sa.Column("a", sa.Integer, index=True), sa.Column("b", sa.Text, comment="x"))
        create_index_if_missing("ix 2", "t", ["b"], unique=True)
        drop_index_if_exists("ix_t_a", "t")

    script = render(database, body)
    run_sql(database, script)
    before = state(database, exact=True)
    run_sql(database, script)
    assert state(database, exact=True) == before
    run_sql(database, render(database, lambda: drop_table_if_exists("t")) * 2)
    assert "CREATE TABLE" not in str(state(database, exact=True))


@pytest.mark.parametrize(
    "deed",
    [
        up,
        down,
        DEEDS["column"],
        DEEDS["drop"],
        lambda: enforce_not_null("users", "age"),
        lambda: relax_not_null("users", "age"),
        lambda: set_server_default("users", "age", "1"),
        lambda: create_unique_constraint_if_missing("uq", "users", ["age"]),
        lambda: create_foreign_key_if_missing("fk", "users", "users", ["age"], ["id"]),
    ],
)
def test_online_only(database, deed):
    with pytest.raises(OnlineOnly, match="--sql"):
        render(database, deed)


def test_comments_are_left_out_aloud(database):
    with log_lines() as lines:
        body = lambda: create_table_if_missing("t", sa.Column("a", sa.Integer, comment="why"), comment="what")  # noqa: E731
        assert [migrate(database, body), migrate(database, body)] == [True, False]
    assert sum("SQLite keeps no comments" in line for line in lines) == 2
