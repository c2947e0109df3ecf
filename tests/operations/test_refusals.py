"""What a server refuses becomes an error of safeops by its code, never a raw one."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.projects import listening, migrate

import safeops
from safeops.errors import (
    InvalidArgument,
    ServerRefused,
    UnknownTable,
    Unreachable,
    UnsafeOperation,
    UnsupportedOnDatabase,
    ViolatingRows,
)

TABLE = "CREATE TABLE t (id int PRIMARY KEY, a int, b varchar(2000))"
ROWS = "INSERT INTO t VALUES (1, 1, '1'), (2, 0, 'two'), (3, 3, '3')"


def column(type_, name="c", **options):
    return sa.Column(name, type_, **options)


def refuse(database, body, kind):
    """The error of a body, which left the tables as they were."""
    with pytest.raises(kind) as caught:
        migrate(database, body)
    assert "safeops" not in str(caught.value.__cause__ or "")
    return str(caught.value)


# --- rights ----------------------------------------------------------------------------------------------


@pytest.fixture
def stranger(database):
    """A login that may read and write the table, and owns nothing."""
    name = f"{database.name} Stranger"
    login = database.quoted(name)
    if database.kind == "postgresql":
        grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {login}"
        create = f"REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE {login} LOGIN"
    else:
        grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON {database.name}.* TO {login}"
        create = f"CREATE USER {login} IDENTIFIED BY 'password'"
    migrated = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
    database.execute(TABLE, ROWS, migrated, create, grant)
    return sa.create_engine(database.url.set(username=name), poolclass=sa.pool.NullPool)


CHANGES = {
    "add_column": lambda: safeops.add_column_if_missing("t", column(sa.Integer)),
    "drop_column": lambda: safeops.drop_column_if_exists("t", "a"),
    "create_table": lambda: safeops.create_table_if_missing("new", column(sa.Integer)),
    "index": lambda: safeops.create_index_if_missing("ix", "t", ["a"]),
    "check": lambda: safeops.create_check_constraint_if_missing("ck", "t", "a >= 0"),
    "rename": lambda: safeops.ColumnRename("t", "a", "new").expand(),
    "type": lambda: safeops.TypeChange("t", "a", sa.Text()).expand(),
    "backfill": lambda: safeops.backfill("t", {"a": 1}, where=True),
}


@pytest.mark.only("pg18", "pg14", "mysql")
def test_a_missing_right_is_reported(database, stranger):
    for name, change in CHANGES.items():
        # On MariaDB and MySQL triggers are checked first: this account or the server's settings do not allow them.
        needs_triggers = database.kind == "mysql" and name in ("rename", "type")
        kind, words = (UnsafeOperation, "needs triggers") if needs_triggers else (ServerRefused, "lacks a right")
        with stranger.connect() as connection, pytest.raises(kind) as caught:
            migrate(database, change, connection=connection)
        message = str(caught.value)
        assert words in message, name
        assert "Nothing was changed" in message, name
        assert "another runner" not in message, name
    assert database.query("SELECT * FROM t ORDER BY id") == [(1, 1, "1"), (2, 0, "two"), (3, 3, "3")]


# --- what a kind of server, table or expression does not take -----------------------------------------------

INTO_T = ("CREATE TABLE other (id int PRIMARY KEY)", TABLE, ROWS)


@pytest.mark.only("pg18")
@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (lambda: safeops.create_index_if_missing("ix", "t", [sa.text("(now() || b)")]), InvalidArgument, "IMMUTABLE"),
        (
            lambda: safeops.create_index_if_missing("ix", "t", ["b"], postgresql_ops={"b": "no_ops"}),
            InvalidArgument,
            "no_ops",
        ),
        (lambda: safeops.create_index_if_missing("ix", "far", ["a"]), UnsupportedOnDatabase, "foreign table"),
        (lambda: safeops.create_index_if_missing("ix", "v", ["g"]), UnsupportedOnDatabase, "virtual"),
        (
            lambda: safeops.create_foreign_key_if_missing("fk", "other", "quick", ["id"], ["id"]),
            UnsupportedOnDatabase,
            "permanent",
        ),
        (lambda: safeops.create_index_if_missing("ix", "long", ["b"]), UnsupportedOnDatabase, "index row"),
        (lambda: safeops.set_server_default("t", "a", "per%cent"), ViolatingRows, "per%cent"),
        (lambda: safeops.create_check_constraint_if_missing("ck", "t", "1 / a > 0"), ViolatingRows, "division by zero"),
        (lambda: safeops.alter_column_type("t", "a", sa.types.NullType()), InvalidArgument, "NullType"),
    ],
)
def test_what_it_does_not_take(database, body, kind, words):
    database.execute(
        *INTO_T,
        "CREATE EXTENSION IF NOT EXISTS file_fdw",
        "CREATE SERVER files FOREIGN DATA WRAPPER file_fdw",
        "CREATE FOREIGN TABLE far (a int) SERVER files OPTIONS (filename '/dev/null')",
        "CREATE TABLE v (id int PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a + 1) VIRTUAL)",
        "CREATE UNLOGGED TABLE quick (id int PRIMARY KEY)",
        "CREATE TABLE long AS SELECT string_agg(md5(i::text), '') AS b FROM generate_series(1, 1000) i",
    )
    message = refuse(database, body, kind)
    assert words in message
    assert database.query("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]


# --- rows ------------------------------------------------------------------------------------------------


def too_long(database):
    database.execute("ALTER TABLE t ADD COLUMN c varchar(2)")
    return lambda: safeops.backfill("t", {"c": sa.text("b")}, name="it's")


RAISES = {
    "postgresql": (
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 2 THEN"
        " RAISE EXCEPTION 'not two'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER no_two BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION no()",
    ),
    "mysql": (
        "CREATE TRIGGER no_two BEFORE UPDATE ON t FOR EACH ROW IF NEW.id = 2 THEN"
        " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not two'; END IF",
    ),
    "sqlite": ("CREATE TRIGGER no_two BEFORE UPDATE ON t WHEN NEW.id = 2 BEGIN SELECT RAISE(ABORT, 'not two'); END",),
}


def forbidden(database):
    database.execute(*RAISES[database.kind])
    return lambda: safeops.backfill("t", {"a": 7}, where=True, name="it's")


def allowed(database):
    database.execute("DROP TRIGGER no_two" + (" ON t" if database.kind == "postgresql" else ""))


@pytest.mark.parametrize(
    ("making", "mending"), [(too_long, lambda database: database.execute("UPDATE t SET b = '2'")), (forbidden, allowed)]
)
def test_a_backfill_names_the_row_and_keeps_the_others(database, making, mending):
    if database.kind == "sqlite" and making is too_long:
        pytest.skip("SQLite stores texts of any length")
    database.execute(TABLE, ROWS)
    body = making(database)
    with pytest.raises(ViolatingRows) as caught:
        migrate(database, body)
    message = str(caught.value)
    assert "with id = 2: " in message
    assert "1 rows are done and kept" in message
    assert 'forget_backfill("it\'s")' in message
    mending(database)
    assert migrate(database, body).rows == 2


@pytest.mark.only("pg18")
def test_a_division_by_zero_names_its_row(database):
    database.execute(TABLE, ROWS)
    with pytest.raises(ViolatingRows, match=r"with id = 2: division by zero"):
        migrate(database, lambda: safeops.backfill("t", {"a": sa.text("10 / a")}, where=True))
    assert database.query("SELECT a FROM t ORDER BY id") == [(10,), (0,), (3,)]


@pytest.mark.only("pg18", "mysql")
def test_a_change_of_type_names_the_row(database):
    database.execute(TABLE, ROWS)
    with pytest.raises(ViolatingRows, match="cannot be converted") as caught:
        migrate(database, lambda: safeops.TypeChange("t", "b", sa.Integer()).expand())
    assert "with id = 2: " in str(caught.value)


# --- connections -----------------------------------------------------------------------------------------


@pytest.mark.only("pg18", "mysql")
def test_a_lost_connection_reports_what_is_kept(database):
    database.execute(TABLE)

    def end(_connection, _cursor, statement, *_):
        if "d int" in statement.lower() or " d integer" in statement.lower():
            database.end_sessions()

    def body():
        safeops.add_column_if_missing("t", column(sa.Integer))
        safeops.add_column_if_missing("t", column(sa.Integer, "d"))

    with listening({"before_cursor_execute": end}), pytest.raises(Unreachable) as caught:
        migrate(database, body)
    message = str(caught.value)
    assert "cannot be determined" in message
    assert "added column t.c" in message
    assert "The step in progress: add column t.d" in message
    migrate(database, body)


# --- arguments -------------------------------------------------------------------------------------------

SQL = sa.text("true")


@pytest.mark.only("sqlite")
@pytest.mark.parametrize(
    "body",
    [
        lambda: safeops.create_index_if_missing("ix", "t", ["a"], unique=SQL),
        lambda: safeops.create_check_constraint_if_missing("ck", "t", "a > 0", validate=SQL),
        lambda: safeops.create_foreign_key_if_missing("fk", "t", "t", ["a"], ["id"], validate=SQL),
        lambda: safeops.create_foreign_key_if_missing("fk", "t", "t", ["a"], ["id"], index=SQL),
        lambda: safeops.create_foreign_key_if_missing("fk", "t", "t", ["a"], ["id"], ondelete=SQL),
        lambda: safeops.create_unique_constraint_if_missing("uq", "t", ["a"], deferrable=SQL),
        lambda: safeops.drop_column_if_exists("t", "a", archive=SQL),
        lambda: safeops.drop_table_if_exists("t", archive=SQL),
        lambda: safeops.add_required_column("t", column(sa.Integer), populate=sa.Integer()),
    ],
)
def test_sql_is_not_a_flag(database, body):
    database.execute(TABLE)
    refuse(database, body, InvalidArgument)


@pytest.mark.only("sqlite")
def test_a_schema_that_is_not_attached(database):
    database.execute(TABLE)
    for body in (
        lambda: safeops.add_column_if_missing("t", column(sa.Integer), schema="bogus"),
        lambda: safeops.create_index_if_missing("ix", "t", ["a"], schema="bogus"),
        lambda: safeops.enforce_not_null("t", "a", schema="bogus"),
        lambda: safeops.backfill("t", {"a": 1}, schema="bogus"),
    ):
        refuse(database, body, UnknownTable)
    refuse(database, lambda: safeops.create_table_if_missing("n", column(sa.Integer), schema="bogus"), InvalidArgument)


@pytest.mark.only("sqlite")
def test_a_full_disk(database):
    database.execute(TABLE, ROWS)
    with database.engine().connect() as connection, pytest.raises(ServerRefused, match="ran out of disk space"):
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        connection.commit()
        migrate(database, lambda: safeops.create_table_if_missing("n", column(sa.Integer)), connection=connection)
    assert migrate(database, lambda: safeops.create_table_if_missing("n", column(sa.Integer))) is True
