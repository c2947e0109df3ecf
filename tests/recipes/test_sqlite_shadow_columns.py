"""A column and its shadow column on SQLite: writes to either, equal results, and what is refused."""

from __future__ import annotations

import sqlite3

import pytest
import sqlalchemy as sa
from tests.lifecycle.harness import crash_everywhere, prepared, state
from tests.projects import migrate
from tests.whole import one_in

from safeops import (
    ColumnRename,
    DefinitionMismatch,
    DependentObjects,
    DuplicateRows,
    InvalidArgument,
    TypeChange,
    UnsafeOperation,
    UnsupportedOnDatabase,
    ViolatingRows,
)

pytestmark = pytest.mark.only("sqlite")

RENAME = ColumnRename("t", "old", "new")
EXPANDED = (RENAME.expand,)

TABLES = {
    "plain": "CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT, x int)",
    "required": "CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT NOT NULL, x int)",
    "default": "CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT DEFAULT 'd', x int)",
    "required default": "CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT NOT NULL DEFAULT 'd', x int)",
    "number as text": "CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT DEFAULT 5, x int)",
    "bare word": "CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT DEFAULT d, x int)",
    "time": "CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT DEFAULT CURRENT_TIMESTAMP, x int)",
    "random": "CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT NOT NULL DEFAULT (hex(randomblob(8))) UNIQUE, x int)",
    "unique": "CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT CONSTRAINT u UNIQUE, x int)",
    "nocase": "CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT COLLATE NOCASE NOT NULL, x int, UNIQUE (old))",
    "key": "CREATE TABLE t (old TEXT PRIMARY KEY NOT NULL, id int, x int)",
    "checked": """CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT CONSTRAINT nn NOT NULL
        CHECK (length(coalesce(old, '')) > 0 /* ) */), x int CHECK (x < 100 OR old <> 'z'), CHECK (old IS NOT NULL))""",
    "checked default": "CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT DEFAULT 'd' CHECK (old = 'd' OR x > 0), x int)",
    "without rowid": "CREATE TABLE t (id TEXT, old TEXT NOT NULL, x int, PRIMARY KEY (id, x)) WITHOUT ROWID",
    "strict": "CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT NOT NULL UNIQUE, x int) STRICT",
    "untyped": "CREATE TABLE t(id INTEGER PRIMARY KEY,old,x int)",
    "last": "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, x int,\n  `old` VARCHAR(20) NOT NULL -- the name\n)",
    "rowid taken": "CREATE TABLE t (id INTEGER PRIMARY KEY, rowid TEXT, old TEXT NOT NULL, x int)",
    "lifted": "CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT NOT NULL DEFAULT 'd', x int, UNIQUE (old, x))",
    "referring": """CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT NOT NULL
        REFERENCES p (name) ON UPDATE CASCADE ON DELETE CASCADE, x int)""",
}
INDEXES = (
    "CREATE INDEX ix ON t (old, x)",
    "CREATE INDEX upper_ix ON t (upper(old)) WHERE old IS NOT NULL AND x > 0",
    "CREATE TRIGGER noted AFTER UPDATE OF x ON t BEGIN UPDATE t SET x = x + 1 WHERE 0; END",
    "CREATE VIEW v AS SELECT id FROM t",
)
PARENTS = (
    "CREATE TABLE p (name TEXT PRIMARY KEY)",
    "INSERT INTO p VALUES ('a'), ('b'), ('c'), ('d'), ('e'), ('A')",
)
ROWS = ("INSERT INTO t (id, old, x) VALUES (1, 'a', 1), (2, 'b', 2)",)


def fill(kind):
    return (*PARENTS, TABLES[kind], *INDEXES, *ROWS)


def texts(database):
    return database.query("SELECT name, tbl_name, sql FROM sqlite_master ORDER BY name")


def own(found):
    return [one for one in found if not one[1].startswith(("alembic", "safeops_"))]


def expanded(database, kind, rename=RENAME):
    prepared(database, fill(kind))
    migrate(database, rename.expand)
    return database


def pairs(database, where="1"):
    return database.query(f"SELECT old, new FROM t WHERE {where}")


def in_step(database):
    return database.query("SELECT id, quote(old), quote(new) FROM t WHERE quote(old) IS NOT quote(new)") == []


# --- the schema ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", one_in(3, [*TABLES]))
def test_the_end_is_that_of_a_plain_rename(new_database, kind):
    plain, changed = new_database(), prepared(new_database(), fill(kind))
    before = own(texts(changed))
    prepared(plain, (*fill(kind), "ALTER TABLE t RENAME COLUMN old TO new"))
    for body, expected in ((RENAME.expand, None), (RENAME.contract, plain), (RENAME.undo_contract, None)):
        assert migrate(changed, body) is True
        assert migrate(changed, body) is False
        if expected is not None:
            assert own(texts(changed)) == own(texts(expected))
            assert changed.query("SELECT * FROM t") == expected.query("SELECT * FROM t")
    assert migrate(changed, RENAME.undo_expand) is True
    if "CHECK" not in TABLES[kind]:
        # RENAME COLUMN puts quotes around what it renames.
        assert [one[:2] for one in own(texts(changed))] == [one[:2] for one in before]
    assert changed.query("SELECT old FROM t ORDER BY 1") == [("a",), ("b",)]


@pytest.mark.parametrize("kind", one_in(3, [*TABLES]))
def test_undoing_expand_leaves_no_trace(database, kind):
    prepared(database, fill(kind))
    before, rows = own(texts(database)), database.query("SELECT * FROM t")
    migrate(database, RENAME.expand)
    migrate(database, RENAME.undo_expand)
    assert own(texts(database)) == before
    assert database.query("SELECT * FROM t") == rows
    assert not [one for one in texts(database) if one[0].startswith("safeops_t")]


@pytest.mark.parametrize("kind", ["lifted"])
@pytest.mark.parametrize(
    ("phase", "before"),
    [
        (RENAME.expand, ()),
        (RENAME.contract, EXPANDED),
        (RENAME.undo_contract, (*EXPANDED, RENAME.contract)),
        (RENAME.undo_expand, EXPANDED),
    ],
)
def test_stopped_anywhere_it_continues(new_database, kind, phase, before):
    def prepare(database):
        prepared(database, fill(kind))
        for body in before:
            migrate(database, body)

    crash_everywhere(new_database, phase, prepare, kills=1, compare=lambda one: state(one, exact=True))


# --- who writes which ------------------------------------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["", "recursive"])
def recursive(request):
    return request.param


def connected(database, recursive=False):
    connection = sqlite3.connect(database.name, isolation_level=None)
    connection.execute(f"PRAGMA recursive_triggers={int(recursive)}")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


@pytest.mark.parametrize("undone", [False, True], ids=["", "undone"])
@pytest.mark.parametrize("kind", one_in(3, [*TABLES]))
def test_writes_to_either_column(database, kind, undone, recursive):
    expanded(database, kind)
    if undone:
        migrate(database, RENAME.contract)
        migrate(database, RENAME.undo_contract)
    connection = connected(database, recursive)
    for own_, other in (("old", "new"), ("new", "old")):
        sql = f"INSERT INTO t (id, {own_}, x) VALUES (?, 'c', 3) RETURNING {own_}"
        assert connection.execute(sql, (3,)).fetchall() == [("c",)]
        assert connection.execute(f"SELECT {other} FROM t WHERE id = 3").fetchall() == [("c",)]
        connection.execute(f"UPDATE t SET {own_} = 'd' WHERE id = 3")
        assert connection.execute(f"SELECT {other} FROM t WHERE id = 3").fetchall() == [("d",)]
        connection.execute(f"UPDATE t SET {own_} = upper(substr({own_}, 1, 1)) WHERE id = 1")
        assert connection.execute(f"SELECT {other} FROM t WHERE id = 1").fetchall() == [("A",)]
        connection.execute(f"UPDATE t SET {own_} = 'a' WHERE id = 1")
        connection.execute("UPDATE t SET old = 'c', new = 'e' WHERE id = 3")
        assert connection.execute("SELECT old, new FROM t WHERE id = 3").fetchall() == [("e", "e")]
        connection.execute("DELETE FROM t WHERE id = 3")
        assert in_step(database)
    connection.close()
    assert migrate(database, RENAME.contract) is True
    assert database.query("SELECT id, new FROM t ORDER BY id") in ([(1, "a"), (2, "b")], [("1", "a"), ("2", "b")])


REQUIRED = ("required", "nocase", "key", "checked", "without rowid", "strict", "last", "required default", "lifted")


@pytest.mark.parametrize("kind", one_in(3, [*TABLES]))
@pytest.mark.parametrize("name", ["old", "new"])
def test_null_is_a_value(database, kind, name, recursive):
    connection = connected(expanded(database, kind), recursive)
    required = "NOT NULL" in TABLES[kind]
    for sql in (f"UPDATE t SET {name} = NULL WHERE id = 2", f"INSERT INTO t (id, {name}, x) VALUES (7, NULL, 7)"):
        try:
            connection.execute(sql)
        except sqlite3.IntegrityError:
            assert required
        else:
            assert not required or (kind in ("lifted", "random") and "INSERT" in sql)
    if not required:
        assert connection.execute("SELECT old, new FROM t WHERE id IN (2, 7)").fetchall() == [(None, None)] * 2
    assert in_step(database)


@pytest.mark.parametrize("kind", one_in(3, [*TABLES]))
def test_a_row_without_either(database, kind):
    connection = connected(expanded(database, kind))
    default = {"number as text": "5"}.get(kind, "d") if "DEFAULT" in TABLES[kind] else None
    try:
        connection.execute("INSERT INTO t (id, x) VALUES (7, 7)")
    except sqlite3.IntegrityError as error:
        assert "NOT NULL" in TABLES[kind] and default is None, error
        return
    ((found,),) = connection.execute("SELECT old FROM t WHERE id = 7").fetchall()
    assert found == default or kind in ("time", "random")
    assert in_step(database)


@pytest.mark.parametrize("kind", ["checked", "checked default"])
@pytest.mark.parametrize("name", ["old", "new"])
@pytest.mark.parametrize("way", ["", "OR IGNORE ", "OR REPLACE "])
def test_a_check_holds_under_both_names(database, kind, name, way):
    connection = connected(expanded(database, kind))
    value = "" if kind == "checked" else "other"
    for sql in (
        f"INSERT {way}INTO t (id, {name}, x) VALUES (7, '{value}', 0)",
        f"UPDATE {way}t SET {name} = '{value}', x = 0 WHERE id = 2",
    ):
        try:
            connection.execute(sql)
        except sqlite3.IntegrityError:
            continue
        assert way == "OR IGNORE "
    assert connection.execute("SELECT id, old, new FROM t").fetchall() == [(1, "a", "a"), (2, "b", "b")]


@pytest.mark.parametrize("kind", ["unique", "nocase", "strict", "random", "key"])
@pytest.mark.parametrize("name", ["old", "new"])
def test_upserts(database, kind, name, recursive):
    connection = connected(expanded(database, kind), recursive)
    sql = f"INSERT INTO t (id, {name}, x) VALUES (9, 'a', 7) ON CONFLICT ({name}) DO UPDATE SET {name} = 'z', x = 8"
    connection.execute(sql)
    assert connection.execute("SELECT id, old, new, x FROM t WHERE x = 8").fetchall() == [(1, "z", "z", 8)]
    connection.execute(f"INSERT OR REPLACE INTO t (id, {name}, x) VALUES (9, 'b', 7)")
    assert connection.execute("SELECT id, old, new FROM t ORDER BY id").fetchall() == [(1, "z", "z"), (9, "b", "b")]
    connection.execute(f"INSERT OR IGNORE INTO t (id, {name}, x) VALUES (10, 'b', 7)")
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(f"INSERT INTO t (id, {name}, x) VALUES (10, 'b', 7)")
    assert len(connection.execute("SELECT id FROM t").fetchall()) == 2


def test_values_to_the_last_bit(database):
    connection = connected(expanded(database, "untyped"))
    for value in ("1", "1.0", "'1'", "x'31'", "NULL", "''", "'a '", "9e999", "0.1"):
        for name in ("old", "new"):
            connection.execute(f"UPDATE t SET {name} = {value} WHERE id = 1")
            assert in_step(database), (name, value)


def test_a_change_of_case_counts_under_nocase(database):
    connection = connected(expanded(database, "nocase"))
    connection.execute("UPDATE t SET new = 'A' WHERE id = 1")
    assert connection.execute("SELECT old, new FROM t WHERE id = 1").fetchall() == [("A", "A")]


def test_the_row_id_has_a_second_name_too(database):
    table = "CREATE TABLE t (old INTEGER PRIMARY KEY AUTOINCREMENT, x int)"
    child = "CREATE TABLE c (t_id int REFERENCES t (old) ON UPDATE CASCADE)"
    prepared(database, (table, child, "INSERT INTO t VALUES (4, 1), (9, 2)", "INSERT INTO c VALUES (9)"))
    migrate(database, RENAME.expand)
    connection = connected(database)
    assert connection.execute("INSERT INTO t (x) VALUES (3)").lastrowid == 10
    connection.execute("INSERT INTO t (new, x) VALUES (20, 4)")
    connection.execute("INSERT INTO t (old, x) VALUES (30, 5)")
    connection.execute("UPDATE t SET new = 11 WHERE new = 9")
    connection.execute("INSERT INTO t (new, x) VALUES (4, 7) ON CONFLICT (new) DO UPDATE SET x = 8")
    assert connection.execute("SELECT old, new FROM t").fetchall() == [(n, n) for n in (4, 10, 11, 20, 30)]
    connection.close()
    migrate(database, RENAME.contract)
    assert database.query("SELECT sql FROM sqlite_master WHERE name IN ('t', 'c') ORDER BY name DESC") == [
        ("CREATE TABLE t (new INTEGER PRIMARY KEY AUTOINCREMENT, x int)",),
        ("CREATE TABLE c (t_id int REFERENCES t (new) ON UPDATE CASCADE)",),
    ]
    assert database.query("SELECT new FROM t") == [(4,), (10,), (11,), (20,), (30,)]
    assert database.query("SELECT * FROM c") == [(11,)]


def test_a_cascade_from_another_table_is_carried_over(database):
    connection = connected(expanded(database, "referring"))
    connection.execute("UPDATE p SET name = 'bb' WHERE name = 'b'")
    assert connection.execute("SELECT old, new FROM t WHERE id = 2").fetchall() == [("bb", "bb")]
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("UPDATE t SET new = 'none' WHERE id = 2")
    connection.execute("DELETE FROM p WHERE name = 'a'")
    assert connection.execute("SELECT id FROM t").fetchall() == [(2,)]


def test_a_trigger_of_the_application_has_the_last_word(database, recursive):
    lower = """CREATE TRIGGER low AFTER UPDATE OF old ON t WHEN NEW.old <> lower(NEW.old)
        BEGIN UPDATE t SET old = lower(old) WHERE id = NEW.id; END"""
    prepared(database, (TABLES["plain"], lower, *ROWS))
    migrate(database, RENAME.expand)
    connection = connected(database, recursive)
    for name in ("old", "new"):
        connection.execute(f"UPDATE t SET {name} = 'XY' WHERE id = 1")
        assert connection.execute("SELECT old, new FROM t WHERE id = 1").fetchall() == [("xy", "xy")]
        connection.execute("UPDATE t SET old = 'a'")


@pytest.mark.parametrize("kind", ["plain", "required"])
def test_what_uses_the_new_name_stays(database, kind):
    theirs = {
        "theirs": "CREATE INDEX theirs ON t (new, x)",
        "w": "CREATE VIEW w AS SELECT id, new FROM t",
        "ww": "CREATE VIEW ww AS SELECT id FROM w",
        "wt": "CREATE TRIGGER wt INSTEAD OF INSERT ON w BEGIN INSERT INTO t (new) VALUES (NEW.new); END",
        "tt": "CREATE TRIGGER tt AFTER UPDATE OF new ON t BEGIN UPDATE t SET x = x + 1 WHERE id = NEW.id; END",
    }
    expanded(database, kind)
    database.execute(*theirs.values())
    migrate(database, RENAME.contract)
    assert {name: sql for name, _, sql in texts(database) if name in theirs} == theirs
    database.execute("INSERT INTO w (new) VALUES ('c')", "UPDATE t SET new = 'd' WHERE id = 1")
    assert database.query("SELECT * FROM w") == [(1, "d"), (2, "b"), (3, "c")]
    assert database.query("SELECT x FROM t WHERE id = 1") == [(2,)]


@pytest.mark.parametrize("first", [0, 1])
def test_two_columns_of_a_table_at_once(new_database, first):
    table = (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b TEXT NOT NULL DEFAULT 'd' UNIQUE, CHECK (a <> b))"
    )
    row = "INSERT INTO t (a, b) VALUES ('1', '2')"
    database, plain = prepared(new_database(), (table, row)), new_database()
    prepared(plain, (table, row, "ALTER TABLE t RENAME COLUMN a TO aa", "ALTER TABLE t RENAME COLUMN b TO bb"))
    before = own(texts(database))
    renames = [ColumnRename("t", "a", "aa"), ColumnRename("t", "b", "bb")]
    for one in renames:
        migrate(database, one.expand)
    connection = connected(database)
    connection.execute("INSERT INTO t (aa, bb) VALUES ('x', 'y')")
    connection.execute("UPDATE t SET a = 'z', bb = 'w' WHERE aa = 'x'")
    assert connection.execute("SELECT a, aa, b, bb FROM t").fetchall() == [("1", "1", "2", "2"), ("z", "z", "w", "w")]
    for wrong in ("INSERT INTO t (aa, bb) VALUES ('q', 'q')", "UPDATE t SET aa = 'w' WHERE a = 'z'"):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(wrong)
    connection.execute("DELETE FROM t WHERE a = 'z'")
    connection.close()
    for one in (renames[first], renames[1 - first]):
        migrate(database, one.contract)
    assert own(texts(database)) == own(texts(plain))
    for one in (renames[first], renames[1 - first]):
        migrate(database, one.undo_contract)
    for one in (renames[first], renames[1 - first]):
        migrate(database, one.undo_expand)
    assert own(texts(database)) == before


def test_hostile_names_in_an_attached_file(new_database, tmp_path):
    database, file = new_database(), tmp_path / "other.db"
    rename = ColumnRename('a "t*/', 'o"ld', "n'ew %s :x*/", schema="att")
    sqlite3.connect(file).executescript(
        """CREATE TABLE "a ""t*/" (id INTEGER PRIMARY KEY, "o""ld" TEXT NOT NULL CHECK ("o""ld" <> ''));
        INSERT INTO "a ""t*/" VALUES (1, 'a');"""
    )
    engine = database.engine()
    sa.event.listen(engine, "connect", lambda raw, _: raw.execute(f"ATTACH '{file}' AS att"))
    with engine.connect() as connection:
        migrate(database, rename.expand, connection=connection)
    other = sqlite3.connect(file)
    other.execute("""INSERT INTO "a ""t*/" ("n'ew %s :x*/") VALUES ('b')""")
    other.commit()
    assert other.execute('SELECT "o""ld" FROM "a ""t*/"').fetchall() == [("a",), ("b",)]
    other.close()
    with engine.connect() as connection:
        migrate(database, rename.contract, connection=connection)
    ((sql,),) = sqlite3.connect(file).execute("SELECT sql FROM sqlite_master WHERE type = 'table'").fetchall()
    new = '''"n'ew %s :x*/"'''
    assert sql == f'CREATE TABLE "a ""t*/" (id INTEGER PRIMARY KEY, {new} TEXT NOT NULL CHECK ({new} <> \'\'))'


# --- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "error"),
    [
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, old AS (id + 1))", UnsafeOperation),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, old AS (id + 1) STORED)", UnsafeOperation),
        ("CREATE TABLE t (old TEXT PRIMARY KEY, x int) WITHOUT ROWID", UnsupportedOnDatabase),
        ("CREATE TABLE t (old TEXT PRIMARY KEY, x int) STRICT", UnsupportedOnDatabase),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT DEFAULT 'd' UNIQUE)", UnsafeOperation),
        ("CREATE TABLE t (rowid int, _rowid_ int, oid int, old TEXT)", UnsupportedOnDatabase),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT, new TEXT)", DefinitionMismatch),
        ("CREATE VIRTUAL TABLE t USING fts5 (old)", UnsupportedOnDatabase),
    ],
)
def test_what_cannot_be_is_refused_untouched(database, table, error):
    prepared(database, [table])
    before = own(texts(database))
    with pytest.raises(error):
        migrate(database, RENAME.expand)
    assert own(texts(database)) == before


def test_a_change_of_case_alone_is_refused(database):
    prepared(database, [TABLES["plain"]])
    with pytest.raises(UnsafeOperation, match="are one name: SQLite"):
        migrate(database, ColumnRename("t", "old", "Old").expand)


@pytest.mark.parametrize("sql", ["CREATE VIEW w AS SELECT old FROM t", "CREATE VIEW w AS SELECT * FROM t"])
def test_a_view_on_the_old_name_is_a_dependent(database, sql):
    expanded(database, "plain")
    database.execute(sql)
    with pytest.raises(DependentObjects, match="view w"):
        migrate(database, RENAME.contract)
    database.execute("DROP VIEW w")
    assert migrate(database, RENAME.contract) is True


# --- types -----------------------------------------------------------------------------------------------


def change(to, **options):
    return TypeChange("t", "c", to, **options)


TYPED = """CREATE TABLE t (id INTEGER PRIMARY KEY, c VARCHAR( 20 ) COLLATE NOCASE CONSTRAINT nn NOT NULL DEFAULT '0'
    CHECK (c <> 'z'), x int, CONSTRAINT u UNIQUE (c, x))"""


PLAIN = {"using": "c", "reverse_using": "c"}


def typed(database, *values, table=TYPED):
    listed = ", ".join(f"({number}, {value}, 1)" for number, value in enumerate(values, 1))
    index = "CREATE INDEX ix ON t (c)"
    return prepared(database, (table, index, f"INSERT INTO t (id, c, x) VALUES {listed}"))


def test_a_type_there_and_back(database):
    typed(database, "'5'", "'06'", "'x'")
    one = change(sa.Integer(), **PLAIN)
    before, rows = own(texts(database)), database.query("SELECT * FROM t")
    for body in (one.expand, one.switch):
        assert migrate(database, body) is True
        assert migrate(database, body) is False
    assert database.query("SELECT id, c, safeops_c FROM t ORDER BY id") == [(1, 5, "5"), (2, 6, "06"), (3, "x", "x")]
    connection = connected(database)
    connection.execute("INSERT INTO t (id, c, x) VALUES (4, 77, 2)")
    connection.execute("UPDATE t SET c = 8 WHERE id = 1")
    assert connection.execute("SELECT c, safeops_c FROM t WHERE id IN (1, 4)").fetchall() == [(8, "8"), (77, "77")]
    connection.execute("DELETE FROM t WHERE id = 4")
    connection.execute("UPDATE t SET c = 5 WHERE id = 1")
    connection.close()
    assert migrate(database, one.undo_switch) is True
    assert migrate(database, one.undo_switch) is False
    assert database.query("SELECT id, c FROM t ORDER BY id") == [row[:2] for row in rows]
    assert migrate(database, one.undo_expand) is True
    assert own(texts(database)) == before
    assert database.query("SELECT * FROM t") == rows


def test_the_end_is_that_of_a_change_in_place(new_database):
    changed = typed(new_database(), "'5'", "'6'")
    one = change(sa.Integer(), **PLAIN)
    for body in (one.expand, one.switch, one.contract):
        assert migrate(changed, body) is True
    table = TYPED.replace("VARCHAR( 20 ) COLLATE NOCASE", "INTEGER")
    assert own(texts(changed)) == own(texts(typed(new_database(), 5, 6, table=table)))
    assert changed.query("SELECT * FROM t") == [(1, 5, 1), (2, 6, 1)]
    assert migrate(changed, one.undo_contract) is True
    assert migrate(changed, one.undo_switch) is True
    assert migrate(changed, one.undo_expand) is True
    assert changed.query("SELECT * FROM t") == [(1, "5", 1), (2, "6", 1)]


@pytest.mark.parametrize("number", range(6))
def test_a_type_change_stopped_anywhere_continues(new_database, number):
    one = change(sa.Integer(), **PLAIN)
    phases = (one.expand, one.switch, one.contract, one.undo_contract, one.undo_switch, one.undo_expand)

    def prepare(database):
        typed(database, "'5'", "'6'")
        for body in phases[:number]:
            migrate(database, body)

    crash_everywhere(new_database, phases[number], prepare, kills=1, compare=lambda found: state(found, exact=True))


@pytest.mark.parametrize(
    ("declared", "to", "values", "become", "return_"),
    [
        ("TEXT", sa.Integer(), ["'1'", "'x'", "NULL"], [1, "x", None], ["1", "x", None]),
        ("INTEGER", sa.Text(), ["1", "-5", "NULL"], ["1", "-5", None], [1, -5, None]),
        ("REAL", sa.Integer(), ["1.0", "2.7"], [1, 2.7], [1.0, 2.7]),
        ("INTEGER", sa.Float(), ["1", "2"], [1.0, 2.0], [1, 2]),
        ("TEXT", sa.DateTime(), ["'2024-01-01 10:00:00'"], ["2024-01-01 10:00:00"], ["2024-01-01 10:00:00"]),
        ("", sa.Text(), ["1", "x'00'"], ["1", b"\0"], [1, b"\0"]),
    ],
)
def test_values_of_all_types(database, declared, to, values, become, return_):
    typed(database, *values, table=f"CREATE TABLE t (id INTEGER PRIMARY KEY, c {declared}, x int)")
    one = change(to, **PLAIN)
    migrate(database, one.expand)
    migrate(database, one.switch)
    assert [row[0] for row in database.query("SELECT c FROM t ORDER BY id")] == become
    migrate(database, one.undo_switch)
    assert [row[0] for row in database.query("SELECT c FROM t ORDER BY id")] == return_


def test_a_number_is_cut_and_a_text_is_kept(database):
    typed(database, "'2.7'", "2.7", "'x'", table="CREATE TABLE t (id INTEGER PRIMARY KEY, c, x int)")
    one = change(sa.Integer())
    migrate(database, one.expand)
    migrate(database, one.switch)
    assert database.query("SELECT c FROM t ORDER BY id") == [(2.7,), (2,), ("x",)]
    migrate(database, one.undo_switch)
    assert database.query("SELECT c FROM t ORDER BY id") == [("2.7",), (2.7,), ("x",)]


def test_a_lossy_conversion_leaves_the_old_values(database):
    typed(database, "'abc'", "'de'", table="CREATE TABLE t (id INTEGER PRIMARY KEY, c TEXT, x int)")
    one = change(sa.Integer(), using="length(c)", reverse_using="printf('%d!', c)")
    migrate(database, one.expand)
    assert database.query("SELECT c, safeops_c FROM t ORDER BY id") == [("abc", 3), ("de", 2)]
    connection = connected(database)
    connection.execute("UPDATE t SET c = 'longer' WHERE id = 2")
    connection.execute("INSERT INTO t (c) VALUES ('x'), (NULL)")
    connection.close()
    migrate(database, one.switch)
    assert database.query("SELECT c, safeops_c FROM t ORDER BY id") == [
        (3, "abc"),
        (6, "longer"),
        (1, "x"),
        (None, None),
    ]
    database.execute("UPDATE t SET c = 4 WHERE id = 1")
    assert database.query("SELECT c, safeops_c FROM t WHERE id = 1") == [(4, "4!")]


def test_a_conversion_that_breaks_a_key_is_found_before_the_switch(database):
    typed(database, "'1'", "'01'")
    with pytest.raises(DuplicateRows, match="is unique: 1, 1 2 times"):
        migrate(database, change(sa.Integer(), using="c").expand)
    assert database.query("SELECT c FROM t ORDER BY id") == [("1",), ("01",)]


def test_a_conversion_to_null_of_what_is_required_is_found_before_the_switch(database):
    typed(database, "'1'", "'x'")
    with pytest.raises(ViolatingRows, match="becomes NULL"):
        migrate(database, change(sa.Integer(), using="CASE WHEN c GLOB '[0-9]*' THEN c END").expand)


def test_foreign_keys_to_a_column_whose_type_changes_hold(database):
    table = "CREATE TABLE t (id INTEGER PRIMARY KEY, c TEXT UNIQUE, x int)"
    prepared(
        typed(database, "'1'", "'2'", table=table), ["CREATE TABLE k (c REFERENCES t (c))", "INSERT INTO k VALUES (1)"]
    )
    one = change(sa.Integer(), **PLAIN)
    for body in (one.expand, one.switch, one.contract):
        migrate(database, body)
    connection = connected(database)
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("DELETE FROM t WHERE c = 1")


def test_a_strict_table_takes_what_the_other_type_does_not(database):
    table = "CREATE TABLE t (id INTEGER PRIMARY KEY, c TEXT, x int) STRICT"
    one = change(sa.Integer(), using="c", reverse_using="c")
    migrate(typed(database, "'1'", "'2'", table=table), one.expand)
    database.execute("UPDATE t SET c = 'abc' WHERE id = 1", "INSERT INTO t (c) VALUES ('3')")
    assert database.query("SELECT c, safeops_c FROM t ORDER BY id") == [("abc", None), ("2", 2), ("3", 3)]
    database.execute("UPDATE t SET c = '1' WHERE id = 1")
    assert migrate(database, one.switch) is True
    database.execute("UPDATE t SET c = 5 WHERE id = 1")
    assert database.query("SELECT c, safeops_c FROM t ORDER BY id") == [(5, "5"), (2, "2"), (3, "3")]


def test_a_table_without_row_ids_whose_key_changes_its_type(database):
    prepared(
        database, ["CREATE TABLE t (c TEXT PRIMARY KEY, x int) WITHOUT ROWID", "INSERT INTO t (c) VALUES ('1'), ('02')"]
    )
    one = change(sa.Integer(), **PLAIN)
    migrate(database, one.expand)
    database.execute("INSERT INTO t (c) VALUES ('5')", "UPDATE t SET c = '6' WHERE c = '1'")
    migrate(database, one.switch)
    database.execute("INSERT INTO t (c) VALUES (9)", "UPDATE t SET c = 7 WHERE c = 2")
    migrate(database, one.undo_switch)
    migrate(database, one.undo_expand)
    assert database.query("SELECT c FROM t ORDER BY c") == [("5",), ("6",), ("7",), ("9",)]


def test_the_default_is_converted_with_the_values(database):
    table = "CREATE TABLE t (id INTEGER PRIMARY KEY, c TEXT NOT NULL DEFAULT 'abc', x int)"
    one = change(sa.Integer(), using="length(c)", reverse_using="c || '!'")
    before = own(texts(typed(database, "'de'", table=table)))
    migrate(database, one.expand)
    migrate(database, one.switch)
    database.execute("INSERT INTO t (id) VALUES (7)")
    assert database.query("SELECT c, safeops_c FROM t WHERE id = 7") == [(3, "3!")]
    migrate(database, one.undo_switch)
    migrate(database, one.undo_expand)
    assert own(texts(database)) == before


@pytest.mark.parametrize("wrong", [{"using": "nosuch(c)"}, {"using": "c", "reverse_using": "c +"}])
def test_a_conversion_that_is_not_sql_is_refused_untouched(database, wrong):
    typed(database, "'1'")
    before = own(texts(database))
    with pytest.raises(InvalidArgument, match=list(wrong)[-1]):
        migrate(database, change(sa.Integer(), **wrong).expand)
    assert own(texts(database)) == before


def test_the_row_id_keeps_its_type(database):
    prepared(database, ["CREATE TABLE t (c INTEGER PRIMARY KEY)"])
    with pytest.raises(UnsafeOperation, match="row id"):
        migrate(database, change(sa.Text()).expand)
