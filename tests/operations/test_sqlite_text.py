"""SQLite's definitions as text: read as SQLite reads them, edited character by character."""

import sqlite3

import pytest
import sqlalchemy as sa

from safeops.databases.sqlite import SQLite, rebuild, spelling
from safeops.databases.sqlite.catalogue import by_name, clauses_of, columns_of, parse

TABLES = [
    "CREATE TABLE t (a)",
    "CREATE TABLE t(a,b , c)",
    "CREATE TABLE 't' ('a' int, \"b\"\"c\" text, [d e] blob, `f``g` real)",
    "CREATE TABLE t (a INTEGER PRIMARY KEY ASC ON CONFLICT REPLACE AUTOINCREMENT NOT NULL)",
    "CREATE TABLE t (a INTEGER PRIMARY KEY DESC)",
    "CREATE TABLE t (a INT PRIMARY KEY, b NULL, c double precision NOT NULL ON CONFLICT IGNORE)",
    "CREATE TABLE t (a int DEFAULT -1, b DEFAULT +2.5e3, c DEFAULT (1 + (2)), d DEFAULT x'00ff', "
    "e DEFAULT TRUE, f DEFAULT 'it''s')",
    'CREATE TABLE t (a text default current_timestamp collate nocase, b text COLLATE "binary" UNIQUE ON CONFLICT FAIL)',
    'CREATE TABLE t (a int CHECK (a > 0) CONSTRAINT x CHECK (a IN (1, 2)) CONSTRAINT "y z" NOT NULL CONSTRAINT lone)',
    "CREATE TABLE t (a REFERENCES p, b REFERENCES p(id) ON DELETE SET NULL ON UPDATE NO ACTION MATCH SIMPLE NOT NULL)",
    "CREATE TABLE t (a REFERENCES p DEFERRABLE INITIALLY DEFERRED, "
    "b REFERENCES p NOT DEFERRABLE NOT NULL, c REFERENCES p NOT NULL DEFERRABLE)",
    "CREATE TABLE t (a int, b int AS (a + 1), c int GENERATED ALWAYS AS (a * (2)) STORED NOT NULL, d AS (1) VIRTUAL)",
    "CREATE TABLE t (a int, b int, PRIMARY KEY (a, b DESC) ON CONFLICT ABORT, "
    "UNIQUE (b COLLATE nocase ASC)) WITHOUT ROWID, STRICT",
    "CREATE TABLE t (a int, b int, "
    "CONSTRAINT c CHECK (a > ')' || \"b\") UNIQUE (a) "
    "CONSTRAINT f FOREIGN KEY (a, b) REFERENCES p (x, y) ON DELETE CASCADE)",
    "CREATE TABLE t (id integer, PRIMARY KEY (id AUTOINCREMENT)) -- done (or not",
    "CREATE TABLE t -- (no\n (/* a, */ a int /* ) */ -- b int,\n, 🐘 varchar ( 10 , 2 ) NOT NULL, "
    'generated int, key text, "check" int\n\n)',
    "CREATE TABLE t (a 'quoted type' , b long list of words (3), c \"int\")",
]


def standing(*statements):
    connection = sqlite3.connect(":memory:")
    for statement in statements:
        connection.execute(statement.replace("WITHOUT ROWID, STRICT", "WITHOUT ROWID"))
    (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 't'").fetchone()
    return connection, sql


@pytest.mark.parametrize("sql", TABLES)
def test_it_reads_what_sqlite_reads(sql):
    connection, sql = standing(sql)
    text = parse(sql)
    infos = connection.execute("SELECT * FROM pragma_table_xinfo('t')").fetchall()
    assert [column.name for column in text.columns] == [info[1] for info in infos]
    for column, info in zip(text.columns, infos, strict=True):
        written, told = ("".join(one.upper().split()) for one in (sql[column.type_start : column.type_end], info[2]))
        assert written.strip("'\"") == told
        assert (column.clause("generated") is not None) == (info[6] in (2, 3))
        default = column.clause("default")
        assert (default.expression if default else None) in (info[4], f"({info[4]})")
    keys = connection.execute(
        'SELECT "table", "from" FROM pragma_foreign_key_list(\'t\') ORDER BY id DESC, seq'
    ).fetchall()
    found = [one for one in text.clauses if one.kind == "foreign key"]
    assert sorted((one.referent, column) for one in found for column in one.columns) == sorted(keys)
    uniques = connection.execute("SELECT count(*) FROM pragma_index_list('t') WHERE origin = 'u'").fetchone()
    assert uniques == (sum(one.kind == "unique" for one in text.clauses),)
    nullable = {name: column.nullable for name, column in columns_of(text, infos).items()}
    assert all(not nullable[info[1]] for info in infos if info[3])


@pytest.mark.parametrize("sql", TABLES)
def test_what_an_edit_puts_in_its_inverse_takes_out(sql):
    _, sql = standing(sql)
    first = parse(sql).columns[0].name

    def named(kind):
        return lambda text: next(clause for name, clause in clauses_of(text, "t") if name == kind)

    pairs = [
        (rebuild.adding_column("zz TEXT DEFAULT ')'"), rebuild.dropping_column("zz")),
        (rebuild.adding_constraint("CONSTRAINT zz CHECK (1)"), rebuild.dropping_clause(named("zz"))),
    ]
    if not parse(sql).columns[0].clause("not null"):
        pairs.append((rebuild.setting_not_null(first), rebuild.dropping_not_null(first)))
    if not parse(sql).columns[0].clause("default"):
        pairs.append((rebuild.setting_default(first, "(1)"), rebuild.setting_default(first, None)))
    for there, back in pairs:
        changed = there(sql)
        assert changed != sql
        standing(changed.replace("CREATE TABLE 't'", "CREATE TABLE t"))
        assert back(changed) == sql


def test_the_first_column_is_dropped():
    assert rebuild.dropping_column("A")("CREATE TABLE t (a int, -- a\n b int)") == "CREATE TABLE t (b int)"
    sql = "CREATE TABLE t (a int, b int, CHECK (a > 0), UNIQUE (a), CHECK (a > b))"
    assert rebuild.dropping_column("a")(sql) == "CREATE TABLE t (b int, CHECK (a > b))"


def test_the_case_of_names_does_not_count():
    named = by_name([("Id", 1), ("ÄB", 2)])
    assert (named["iD"], named.get("ID"), "id" in named, named.spelled("ID"), list(named)) == (
        1,
        1,
        True,
        "Id",
        ["Id", "ÄB"],
    )
    # As in SQLite itself, except for ASCII characters.
    assert "äb" not in named
    assert "Äb" in named


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("INT", "integer"),
        ("character varying ( 20 )", "VARCHAR(20)"),
        ("DECIMAL(5, 2)", "numeric(5,2)"),
        ("numeric(5)", "NUMERIC(5, 0)"),
        ("BOOL", "BOOLEAN"),
        ("Double", "DOUBLE  PRECISION"),
    ],
)
def test_types_that_are_the_same(one, other):
    assert spelling.type_name(one) == spelling.type_name(other)


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("1", "1"),
        ("-1", "-1"),
        ("'a b'", "'a b'"),
        ("CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP"),
        ("(1)", "(1)"),
        ("lower('x')", "(lower('x'))"),
        ("(1) + (2)", "((1) + (2))"),
        ("1 + 1", "(1 + 1)"),
    ],
)
def test_defaults(text, clause):
    assert spelling.default_clause(text) == clause


@pytest.mark.parametrize(
    ("message", "code", "is_lock"),
    [
        ("database is locked", None, True),
        ("database table is locked: users", None, True),
        ("database schema is locked: main", None, True),
        ("no such table: database is locked", None, False),
        ("whatever", sqlite3.SQLITE_BUSY_SNAPSHOT if hasattr(sqlite3, "SQLITE_BUSY_SNAPSHOT") else 517, True),
        ("database is locked", 1, False),
    ],
)
def test_lock_failures(message, code, is_lock):
    original = sqlite3.OperationalError(message)
    if code is not None:
        original.sqlite_errorcode = code
    database = SQLite(sa.create_engine("sqlite://").dialect, None)
    assert database.errors.is_lock_failure(sa.exc.OperationalError("SELECT 1", None, original)) is is_lock
