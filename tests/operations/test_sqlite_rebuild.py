"""The rebuild of a table on SQLite: everything else is kept unchanged, character by character."""

import pytest
import sqlalchemy as sa
from alembic import op
from tests.lifecycle.harness import crash_everywhere, prepared, state, up_up_down_down_up
from tests.projects import migrate

from safeops import (
    DependentObjects,
    DuplicateRows,
    OrphanedRows,
    UnsafeOperation,
    UnsupportedOnDatabase,
    ViolatingRows,
    add_column_if_missing,
    alter_column_type,
    create_check_constraint_if_missing,
    create_foreign_key_if_missing,
    create_primary_key_if_missing,
    create_unique_constraint_if_missing,
    drop_column_if_exists,
    drop_constraint_if_exists,
    enforce_not_null,
    relax_not_null,
    set_server_default,
)

pytestmark = pytest.mark.only("sqlite")

LIVED_IN = (
    """CREATE TABLE "teams" (id INTEGER PRIMARY KEY AUTOINCREMENT, title varchar(50) NOT NULL COLLATE NOCASE UNIQUE)""",
    "INSERT INTO teams (title) VALUES ('red'), ('blue'), ('gone')",
    "DELETE FROM teams WHERE title = 'gone'",
    """CREATE TABLE users (
        id INTEGER PRIMARY KEY AUTOINCREMENT,   -- the row id; "quoted" and (bracketed, too
        team_id integer REFERENCES teams ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
        boss integer DEFAULT NULL REFERENCES users(id),
        email varchar ( 100 ) COLLATE NOCASE CHECK (email <> 'a,b)' /* no ) here */),
        age integer DEFAULT (1 + 1), price decimal(10, 2),
        "full name" TEXT AS (email || ' ' || age) VIRTUAL,
        doubled integer GENERATED ALWAYS AS (age * 2) STORED,
        CHECK (age < 200),
        CONSTRAINT "both"" of 'them" UNIQUE (team_id, email) ON CONFLICT IGNORE
        CONSTRAINT [no comma] CHECK (age > -5)
    )""",
    "INSERT INTO users (id, team_id, boss, email, age, price) VALUES"
    " (1, 1, NULL, 'Ann%:x', 20, 1.5), (5, 2, 1, 'bob', 30, NULL), (6, 2, 5, NULL, NULL, 2)",
    "INSERT INTO users (id) VALUES (90)",
    "DELETE FROM users WHERE id = 90",
    "CREATE TABLE orders (id integer primary key, user_id integer not null references users on delete cascade)",
    "INSERT INTO orders VALUES (1, 1), (2, 5), (3, 5)",
    "CREATE TABLE log (what text)",
    "CREATE INDEX by_expression ON users (lower(email), age DESC)",
    "CREATE UNIQUE INDEX partial_one ON users (email COLLATE BINARY) WHERE age > 10",
    "CREATE VIEW adults AS SELECT id, email FROM users WHERE age > 17",
    "CREATE VIEW broken AS SELECT nope FROM nowhere",
    "CREATE TRIGGER noted AFTER UPDATE OF price ON users WHEN new.price > 1 BEGIN INSERT INTO log VALUES ('x'); END",
    "CREATE TRIGGER through INSTEAD OF INSERT ON adults BEGIN INSERT INTO users (email) VALUES (new.email); END",
    "CREATE TRIGGER elsewhere AFTER INSERT ON orders BEGIN UPDATE users SET price = 9 WHERE id = new.user_id; END",
    "ANALYZE",
)

PAIRS = {
    "check": (
        lambda: create_check_constraint_if_missing("ck", "users", "price >= 0 AND email <> ':x %'"),
        lambda: drop_constraint_if_exists("ck", "users"),
    ),
    "unique": (
        lambda: create_unique_constraint_if_missing("uq", "users", ["price", "age"]),
        lambda: drop_constraint_if_exists("uq", "users"),
    ),
    "foreign key": (
        lambda: create_foreign_key_if_missing("fk", "users", "users", ["age"], ["id"], ondelete="SET NULL"),
        lambda: drop_constraint_if_exists("fk", "users"),
    ),
    "not null": (lambda: enforce_not_null("users", "boss"), lambda: relax_not_null("users", "boss")),
    "default": (lambda: set_server_default("users", "price", "7"), lambda: set_server_default("users", "price", None)),
    "expression": (
        lambda: set_server_default("users", "email", sa.text(r"lower('X') || '\:y'")),
        lambda: set_server_default("users", "email", None),
    ),
    "type": (
        lambda: alter_column_type("users", "price", sa.Numeric(12, 2)),
        lambda: alter_column_type("users", "price", _Spelled("decimal(10, 2)")),
    ),
    "stored column": (
        lambda: add_column_if_missing("users", sa.Column("tripled", sa.Integer, sa.Computed("age * 3", True))),
        lambda: drop_column_if_exists("users", "tripled"),
    ),
    "column with all": (
        lambda: add_column_if_missing(
            "users",
            sa.Column(
                "nick", sa.Integer, sa.ForeignKey("teams.id"), sa.CheckConstraint("nick > 0"), unique=True, index=True
            ),
        ),
        lambda: drop_column_if_exists("users", "nick"),
    ),
    "column by expression": (
        lambda: add_column_if_missing(
            "users", sa.Column("at", sa.DateTime, server_default=sa.text("date('2000-01-01')"))
        ),
        lambda: drop_column_if_exists("users", "at"),
    ),
}


class _Spelled(sa.types.UserDefinedType):
    cache_ok = True

    def __init__(self, spelling):
        self.spelling = spelling

    def get_col_spec(self, **kw):
        return self.spelling


def prepared_for(database, what):
    statements = [*LIVED_IN]
    if what == "not null":
        statements.append("UPDATE users SET boss = 1")
    if what == "foreign key":
        statements.append("UPDATE users SET age = 5")
    return prepared(database, statements)


@pytest.mark.parametrize("what", PAIRS)
def test_a_table_that_is_lived_in(database, what):
    database = prepared_for(database.with_foreign_keys(), what)
    if what in ("not null", "foreign key"):
        database.execute("DROP TRIGGER noted")  # it would have written to the log
    before = kept(database)
    results = up_up_down_down_up(database, *PAIRS[what], exact=True)
    assert results == [True, False, True, False, True]
    assert kept(database) == before
    assert database.query("PRAGMA integrity_check") == [("ok",)]
    assert database.query("PRAGMA foreign_key_check") == []


def kept(database):
    """What the text of a definition does not contain."""
    return [
        database.query("SELECT * FROM sqlite_sequence ORDER BY 1"),
        database.query("SELECT * FROM sqlite_stat1 WHERE tbl = 'users' ORDER BY idx"),
        database.query('SELECT id, boss, team_id, email, age, price, doubled, "full name" FROM users ORDER BY id'),
        database.query("SELECT * FROM orders"),
    ]


@pytest.mark.parametrize("what", PAIRS)
def test_interrupted_anywhere_the_old_table_or_the_new_one_exists(new_database, what):
    crash_everywhere(new_database, PAIRS[what][0], lambda database: prepared_for(database, what), kills=2)


def test_alembic_deletes_the_rows_of_cascading_children_and_safeops_does_not(new_database):
    def alembic():
        with op.batch_alter_table("users", recreate="always") as batch:
            batch.create_check_constraint("ck", "age < 150")

    statements = (
        "CREATE TABLE users (id integer primary key, age integer)",
        "CREATE TABLE orders (id integer primary key, user_id integer REFERENCES users ON DELETE CASCADE)",
        "INSERT INTO users VALUES (1, 20)",
        "INSERT INTO orders VALUES (1, 1), (2, 1)",
    )
    ours, theirs = (prepared(new_database().with_foreign_keys(), statements) for _ in range(2))
    migrate(theirs, alembic)
    assert theirs.query("SELECT count(*) FROM orders") == [(0,)]
    migrate(ours, lambda: create_check_constraint_if_missing("ck", "users", "age < 150"))
    assert ours.query("SELECT count(*) FROM orders") == [(2,)]


def test_leftovers_of_alembic_do_not_disturb(database):
    prepared(database, [*LIVED_IN, "CREATE TABLE _alembic_tmp_users (id integer)"])
    assert migrate(database, PAIRS["check"][0]) is True


@pytest.mark.parametrize("foreign_keys", [False, True])
def test_the_connection_is_as_it_was(database, foreign_keys):
    database = prepared(database.with_foreign_keys() if foreign_keys else database, LIVED_IN)
    names = ("foreign_keys", "legacy_alter_table", "busy_timeout")

    def pragmas(connection):
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    def body(deed):
        def run():
            before = pragmas(op.get_bind())
            try:
                deed()
            finally:
                assert pragmas(op.get_bind()) == before
                assert before[0] == int(foreign_keys)

        return run

    migrate(database, body(PAIRS["check"][0]))
    with pytest.raises(ViolatingRows):
        migrate(database, body(lambda: create_check_constraint_if_missing("ck2", "users", "age > 25")))


@pytest.mark.parametrize("options", ["", "WITHOUT ROWID", "STRICT", "STRICT, WITHOUT ROWID"])
def test_table_options(database, options):
    statements = (
        f'CREATE TABLE t (a TEXT NOT NULL, b INTEGER, "c d" ANY, PRIMARY KEY (a, b DESC)) {options}',
        "INSERT INTO t VALUES ('x', 1, 'y'), ('x', 2, 4), ('w', 3, NULL)",
    )

    def up():
        return create_check_constraint_if_missing("ck", "t", "b < 10")

    up_up_down_down_up(database, up, lambda: drop_constraint_if_exists("ck", "t"), statements, exact=True)


def test_a_table_without_row_ids_keeps_its_key(database):
    prepared(database, ["CREATE TABLE t (a TEXT, CONSTRAINT pk PRIMARY KEY (a)) WITHOUT ROWID"])
    with pytest.raises(UnsafeOperation, match="WITHOUT ROWID"):
        migrate(database, lambda: drop_constraint_if_exists("pk", "t"))


def test_row_ids_stay(database):
    prepared(database, ["CREATE TABLE t (rowid text, a int)", *(f"INSERT INTO t VALUES ('r', {i})" for i in range(9))])
    database.execute("DELETE FROM t WHERE a IN (0, 4)")
    before = database.query("SELECT oid, a FROM t")
    migrate(database, lambda: enforce_not_null("t", "a"))
    assert database.query("SELECT oid, a FROM t") == before


def test_a_primary_key_gives_null_back(database):
    statements = (
        "CREATE TABLE t (a integer, b text COLLATE NOCASE, c int NOT NULL)",
        "INSERT INTO t VALUES (1, 'x', 2)",
    )
    pairs = lambda: create_primary_key_if_missing("pk", "t", ["b", "c"]), lambda: drop_constraint_if_exists("pk", "t")
    up_up_down_down_up(database, *pairs, statements, exact=True)
    with pytest.raises(Exception, match="NOT NULL constraint failed"):
        database.execute("INSERT INTO t VALUES (3, NULL, 3)")


@pytest.mark.parametrize("type_", ["INTEGER", "int", "text"])
def test_a_primary_key_of_one_column(database, type_):
    statements = (f"CREATE TABLE t (a {type_}, b text)", "INSERT INTO t VALUES (30, 'x'), (20, NULL)")
    pair = lambda: create_primary_key_if_missing("pk", "t", ["a"]), lambda: drop_constraint_if_exists("pk", "t")
    up_up_down_down_up(database, *pair, statements, exact=True)


def test_rows_in_the_way(database):
    prepared(database, [*LIVED_IN, "UPDATE users SET price = 3"])
    for error, deed in (
        (ViolatingRows, lambda: enforce_not_null("users", "boss")),
        (DuplicateRows, lambda: create_unique_constraint_if_missing("uq", "users", ["price"])),
        (OrphanedRows, lambda: create_foreign_key_if_missing("fk", "users", "teams", ["age"], ["id"])),
        (DuplicateRows, lambda: create_primary_key_if_missing("pk", "log", ["what"])),
    ):
        if deed.__code__.co_names[0] == "create_primary_key_if_missing":
            database.execute("INSERT INTO log VALUES ('a'), ('a')")
        before = state(database, exact=True)
        with pytest.raises(error):
            migrate(database, deed)
        assert state(database, exact=True) == before


def test_existing_orphans_are_not_reported(database):
    prepared(database, [*LIVED_IN, "UPDATE users SET team_id = 77 WHERE id = 6"])
    assert migrate(database, PAIRS["check"][0]) is True


def test_what_views_and_triggers_name_is_not_dropped(database):
    prepared(database, LIVED_IN)
    before = state(database, exact=True)
    dependents = {"email": ("adults", "both"), "price": ("noted", "elsewhere"), "id": ("foreign key of orders",)}
    for column, words in dependents.items():
        with pytest.raises(DependentObjects) as error:
            migrate(database, lambda column=column: drop_column_if_exists("users", column))
        assert all(word in str(error.value) for word in words), str(error.value)
    assert state(database, exact=True) == before


def test_a_type_that_would_change_values_is_refused(database):
    statements = "CREATE TABLE t (id integer primary key, zip text, n text)", "INSERT INTO t VALUES (1, '007', '7')"
    prepared(database, statements)
    with pytest.raises(UnsafeOperation, match="'007' would not come back"):
        migrate(database, lambda: alter_column_type("t", "zip", sa.Integer))
    with pytest.raises(UnsafeOperation, match="row id"):
        migrate(database, lambda: alter_column_type("t", "id", sa.BigInteger))
    assert migrate(database, lambda: alter_column_type("t", "n", sa.Integer)) is True
    assert database.query("SELECT typeof(n) FROM t") == [("integer",)]


def test_virtual_tables_are_refused(database):
    prepared(database, ["CREATE VIRTUAL TABLE v USING fts5(body)"])
    with pytest.raises(UnsupportedOnDatabase, match="virtual table"):
        migrate(database, lambda: set_server_default("v", "body", "x"))
