"""Renames and type changes on MariaDB: what both applications write, what a stop leaves, and the final schema."""

import decimal
import threading
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql
from tests.catalogue import snapshot
from tests.lifecycle.harness import crash_everywhere
from tests.projects import migrate
from tests.servers import numbers
from tests.whole import one_in

import safeops
from safeops import (
    ColumnRename,
    DefinitionMismatch,
    DependentObjects,
    PhaseMissing,
    TypeChange,
    UnsafeOperation,
    UnsupportedOnDatabase,
    ViolatingRows,
    assured,
)

pytestmark = pytest.mark.only("mysql")

RENAME = ColumnRename("t", "old", "new")
PAIRED = "SELECT count(*) FROM t WHERE NOT (old <=> new)"


def expanded(database, *prepare):
    database.execute(*prepare)
    assert migrate(database, RENAME.expand) is True
    return database


def schema(database):
    """The schema without the tables that safeops keeps for itself."""
    own = ", ".join(f"`{name}`" for (name,) in database.query("SHOW TABLES LIKE 'safeops%'"))
    database.execute(*([f"DROP TABLE {own}"] if own else []))
    return snapshot(database)


def pairs(database):
    return database.query("SELECT old, new FROM t ORDER BY id")


TEXT = "CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, old varchar(20), n int)"
KEPT = "CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, old varchar(20) NOT NULL, n int)"
GIVEN = "CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, old varchar(20) DEFAULT 'd', n int)"


def test_the_changed_one_wins_and_null_is_a_value(database):
    expanded(database, TEXT, "INSERT INTO t (old) VALUES ('a'), ('b'), (NULL)")
    assert pairs(database) == [("a", "a"), ("b", "b"), (None, None)]
    database.execute("UPDATE t SET new = 'A' WHERE id = 1", "UPDATE t SET old = NULL WHERE id = 2")
    assert pairs(database) == [("A", "A"), (None, None), (None, None)]
    database.execute("UPDATE t SET new = NULL WHERE id = 1", "UPDATE t SET old = 'o', new = 'n' WHERE id = 2")
    database.execute("UPDATE t SET n = 1", "UPDATE t SET old = 'A ' WHERE id = 3")
    assert pairs(database) == [(None, None), ("n", "n"), ("A ", "A ")]


@pytest.mark.parametrize("mode", ["", "STRICT_ALL_TABLES", "TRADITIONAL"])
@pytest.mark.parametrize("column", ["old", "new"])
def test_inserts_of_all_sorts_by_either_name(database, column, mode):
    expanded(database, KEPT)
    database.execute(
        f"SET SESSION sql_mode = '{mode}'",
        f"INSERT INTO t ({column}) VALUES ('a'), ('b')",
        f"INSERT INTO t (id, {column}) SELECT 3, 'c'",
        f"INSERT INTO t (id, {column}) VALUES (1, 'x') ON DUPLICATE KEY UPDATE {column} = VALUES({column})",
        f"REPLACE INTO t (id, {column}) VALUES (2, 'r')",
        f"REPLACE INTO t (id, {column}) SELECT 4, 's'",
        f"INSERT IGNORE INTO t (id, {column}) VALUES (5, 'i')",
        f"UPDATE t SET {column} = CONCAT({column}, '!')",
    )
    assert pairs(database) == [(one, one) for one in ("x!", "r!", "c!", "s!", "i!")]


@pytest.mark.parametrize("insert", ["VALUES (1)", "SELECT 1", "VALUES (1), (2)"])
@pytest.mark.parametrize("column", ["n", "old", "new"])
def test_a_column_that_is_not_null_refuses_null_under_either_name(database, insert, column):
    expanded(database, KEPT)
    insert = insert if column == "n" else insert.replace("1", "NULL")
    with pytest.raises(sa.exc.DBAPIError):
        database.execute(f"INSERT INTO t ({column}) {insert}")
    assert pairs(database) == []


def test_defaults(database):
    expanded(database, GIVEN)
    database.execute(
        "INSERT INTO t (n) VALUES (1)",
        "INSERT INTO t (new) VALUES (NULL)",
        "INSERT INTO t (old) VALUES (NULL)",
        "INSERT INTO t (new) VALUES ('x')",
        "INSERT INTO t (old) VALUES ('y')",
        "INSERT INTO t (new) SELECT 'z'",
        "INSERT INTO t (old) VALUES ('D')",
    )
    assert pairs(database) == [(one, one) for one in ("d", None, None, "x", "y", "z", "D")]


TYPES = {
    "float DEFAULT 0.1": ["0.1", "0.2", "NULL"],
    "double DEFAULT 1e100": ["1e100", "0.30000000000000004", "0.3"],
    "decimal(8,3) NOT NULL DEFAULT 1.50": ["1.5", "2", "-0.001"],
    "bit(3) DEFAULT b'101'": ["b'1'", "b'101'", "NULL"],
    "enum('a','b''c') DEFAULT 'b''c'": ["'a'", "'b''c'", "NULL"],
    "set('a','b') DEFAULT 'a,b'": ["'a'", "''", "NULL"],
    "datetime(3) DEFAULT current_timestamp(3)": ["'2020-01-01 00:00:00.123'", "NULL"],
    "timestamp NULL DEFAULT '2020-01-01'": ["'2020-01-01'", "'2021-01-01'", "NULL"],
    "timestamp NOT NULL DEFAULT current_timestamp()": ["'2020-01-01'", "'2021-01-01'"],
    "text": ["'é'", "''", "NULL"],
    "blob": ["X'00FF'", "NULL"],
    "json DEFAULT ('{}')": ["'[1]'", "'{}'", "NULL"],
    "varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci DEFAULT 'é\\\\'": ["'E'", "'e'", "'é'", "NULL"],
    "char(4) CHARACTER SET latin1 DEFAULT 'é'": ["'E'", "'e '", "'é'", "NULL"],
    "binary(3)": ["X'010203'", "NULL"],
    "int unsigned NOT NULL": ["0", "4294967295"],
    "point": ["POINT(1, 2)", "NULL"],
    "uuid": ["'123e4567-e89b-12d3-a456-426655440000'", "NULL"],
    "time": ["'-10:00:00'", "NULL"],
    "year": ["2020", "NULL"],
    "tinyint(1) DEFAULT 1": ["1", "0", "NULL"],
    "varchar(36) DEFAULT (uuid())": ["'x'"],
}


@pytest.mark.parametrize("type_", one_in(3, [*TYPES]))
def test_every_type_by_either_name(database, type_):
    if type_ == "uuid" and database.server.product == "mysql":
        pytest.skip("MySQL has no type of that name")
    values = TYPES[type_]
    database.execute(f"CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, old {type_}, n int)")
    plain = schema(database).replace("`old`", "`new`")
    database.execute(*(f"INSERT INTO t (old) VALUES ({one})" for one in values))
    migrate(database, RENAME.expand)
    count = len(values)
    for name in ("old", "new"):
        database.execute(*(f"INSERT INTO t ({name}) VALUES ({one})" for one in values))
        for place, one in enumerate(values, 1):
            database.execute(f"UPDATE t SET {name} = {one} WHERE id = {count - place + 1}")
    assert database.query(PAIRED) == [(0,)]
    expected = database.query("SELECT id, HEX(CAST(old AS BINARY)) FROM t ORDER BY id")
    assert len(expected) == 3 * count
    for place, one in enumerate(values * 3, 1):
        if place > count:
            match = f"old <=> CAST({one} AS FLOAT)" if type_.startswith("float") and one != "NULL" else f"old <=> {one}"
            if type_.startswith("json") and database.server.product == "mysql":
                match = f"old <=> CAST({one} AS JSON)"
            assert database.query(f"SELECT {match} FROM t WHERE id = {place}") == [(1,)], one
    assert migrate(database, RENAME.contract) is True
    assert database.query("SELECT id, HEX(CAST(new AS BINARY)) FROM t ORDER BY id") == expected
    assert schema(database) == plain


RICH = [
    """CREATE TABLE parent (code varchar(20) PRIMARY KEY) DEFAULT CHARSET=utf8mb4""",
    """CREATE TABLE t (
      id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
      old varchar(20) NOT NULL COMMENT 'the ''name''',
      n int DEFAULT 3,
      twice varchar(40) GENERATED ALWAYS AS (concat(old, old)) VIRTUAL,
      CONSTRAINT ck CHECK (old <> 'bad'),
      CONSTRAINT fk FOREIGN KEY (old) REFERENCES parent (code),
      UNIQUE KEY ux (old), KEY ix (n, old(5) DESC) COMMENT 'c'
    ) AUTO_INCREMENT=50 DEFAULT CHARSET=utf8mb4 COMMENT 'table'""",
    "CREATE TABLE child (id int, t_old varchar(20), CONSTRAINT fk_child FOREIGN KEY (t_old) REFERENCES t (old))"
    " DEFAULT CHARSET=utf8mb4",
    "INSERT INTO parent VALUES ('a'), ('b'), ('c')",
    "INSERT INTO t (old) VALUES ('a'), ('b')",
    "INSERT INTO child VALUES (1, 'a')",
]


def rich(database):
    """RICH, without what MySQL renames no column for: a check, and a generated column."""
    left_out = ("CONSTRAINT ck", "twice") if database.server.product == "mysql" else ("nothing",)
    return ["\n".join(line for line in one.splitlines() if not line.strip().startswith(left_out)) for one in RICH]


def renamed(new_database):
    """What renaming in place makes."""
    database = new_database()
    database.execute(*rich(database), "ALTER TABLE t RENAME COLUMN old TO new")
    return snapshot(database)


def test_contract_leaves_what_renaming_in_place_makes(database, new_database):
    database.execute(*rich(database))
    before = snapshot(database)
    migrate(database, RENAME.expand)
    assert migrate(database, RENAME.expand) is False
    assert migrate(database, RENAME.contract) is True
    assert migrate(database, RENAME.contract) is False
    assert schema(database) == renamed(new_database)
    assert migrate(database, RENAME.undo_contract, down=True) is True
    assert migrate(database, RENAME.undo_contract, down=True) is False
    assert migrate(database, RENAME.undo_expand, down=True) is True
    assert migrate(database, RENAME.undo_expand, down=True) is False
    assert schema(database) == before
    database.execute("INSERT INTO t (old) VALUES ('c')")
    assert database.query("SELECT id FROM t WHERE old = 'c'") == [(52,)]


def test_an_interrupted_contract_can_be_reverted_instead(database):
    database.execute(*rich(database))
    before = schema(database)
    migrate(database, RENAME.expand)
    database.execute("ALTER TABLE t RENAME COLUMN old TO new, RENAME COLUMN new TO old")
    assert migrate(database, RENAME.undo_expand) is True
    assert schema(database) == before


def test_the_actions_of_foreign_keys_change_both(database, new_database):
    child = "CREATE TABLE t (id int PRIMARY KEY, old int, CONSTRAINT fk FOREIGN KEY (old) REFERENCES p (k)"
    prepare = ["CREATE TABLE p (k int PRIMARY KEY)", f"{child} ON UPDATE CASCADE ON DELETE SET NULL)"]
    expanded(database, *prepare, "INSERT INTO p VALUES (1), (2)", "INSERT INTO t VALUES (1, 1), (2, 2)")
    database.execute("UPDATE p SET k = 3 WHERE k = 1", "DELETE FROM p WHERE k = 2")
    assert pairs(database) == [(3, 3), (None, None)]
    migrate(database, RENAME.contract)
    plain = new_database()
    plain.execute(*prepare, "ALTER TABLE t RENAME COLUMN old TO new")
    assert schema(database) == schema(plain)


INTS = TypeChange("t", "c", sa.BigInteger())
TENS = TypeChange("t", "c", sa.BigInteger(), using="c * 10", reverse_using="c DIV 10")
INT = [
    "CREATE TABLE t (id int PRIMARY KEY, c int NOT NULL DEFAULT 5 COMMENT 'cc', n int, UNIQUE KEY ux (c),"
    " KEY ix (n, c DESC))",
    "INSERT INTO t (id, c) VALUES (1, 10), (2, 20)",
]


def test_a_type_changes_and_changes_back(database, new_database):
    database.execute(*INT)
    before = schema(database)
    assert migrate(database, INTS.expand) is True
    assert migrate(database, INTS.expand) is False
    database.execute(
        "UPDATE t SET c = 11 WHERE id = 1", "INSERT INTO t (id) VALUES (3)", "REPLACE INTO t (id) SELECT 3"
    )
    assert database.query("SELECT c, safeops_c FROM t ORDER BY id") == [(11, 11), (20, 20), (5, 5)]
    assert migrate(database, INTS.switch) is True
    assert migrate(database, INTS.switch) is False
    database.execute("UPDATE t SET c = 3000000000 WHERE id = 1", "UPDATE t SET c = 6 WHERE id = 2")
    assert database.query("SELECT c, safeops_c FROM t ORDER BY id") == [(3000000000, None), (6, 6), (5, 5)]
    with pytest.raises((ViolatingRows, PhaseMissing)):
        migrate(database, INTS.undo_switch)
    database.execute("UPDATE t SET c = 7 WHERE id = 1")
    assert migrate(database, INTS.undo_switch) is True
    assert migrate(database, INTS.undo_switch) is False
    assert migrate(database, INTS.undo_expand) is True
    assert schema(database) == before
    migrate(database, INTS.expand)
    migrate(database, INTS.switch)
    assert migrate(database, INTS.contract) is True
    assert migrate(database, INTS.contract) is False
    wanted = before.replace("`c` int(11)", "`c` bigint(20)").replace("`c` int ", "`c` bigint ").splitlines()
    assert sorted(line.strip(",") for line in schema(database).splitlines()) == sorted(one.strip(",") for one in wanted)


CHANGES = {
    "text to int": ("varchar(20)", sa.Integer(), ["'5'", "NULL", "'07'"], "'x'", {}),
    "int to text": ("int DEFAULT 3", sa.String(5), ["1", "NULL"], "1234567", {}),
    "text to enum": ("varchar(9) NOT NULL", sa.Enum("a", "b"), ["'a'", "'B'"], "'c'", {}),
    "datetime to timestamp": ("datetime(3)", mysql.TIMESTAMP(fsp=3), ["'2020-01-01 00:00:00.5'"], "'1000-01-01'", {}),
    "text to json": ("text", sa.JSON(), ["'[1]'", "NULL"], "'x'", {}),
    "double to decimal": ("double", sa.Numeric(8, 2), ["1.239", "NULL", "-0.005"], "1e20", {}),
    "json to text": ("json NOT NULL", sa.Text(), ["'[1]'"], None, {}),
    "using": (
        "varchar(20)",
        sa.Integer(),
        ["'a5'", "NULL"],
        "'a'",
        {"using": "SUBSTRING(c, 2)", "reverse_using": "CONCAT('a', t.c)"},
    ),
}


@pytest.mark.parametrize("change", one_in(3, [*CHANGES]))
def test_conversions_of_all_sorts(database, change, request):
    type_, wanted, values, bad, options = CHANGES[change]
    change = TypeChange("t", "c", wanted, **options)
    prefix = "(5)" if type_ in ("text", "json NOT NULL") else ""
    # MySQL indexes no JSON.
    no_index = database.server.product == "mysql" and "json" in request.node.callspec.params["change"]
    index = "" if no_index else f", KEY ix (c{prefix})"
    database.execute(f"CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, c {type_}{index})")
    database.execute(*(f"INSERT INTO t (c) VALUES ({one})" for one in values))
    migrate(database, change.expand)
    database.execute(*(f"INSERT INTO t (c) VALUES ({one})" for one in values))
    if bad:
        database.execute(f"INSERT INTO t (c) VALUES ({bad})")
        assert database.query("SELECT safeops_c FROM t ORDER BY id DESC LIMIT 1") == [(None,)]
        with pytest.raises((ViolatingRows, PhaseMissing)):
            migrate(database, change.switch)
        database.execute("DELETE FROM t ORDER BY id DESC LIMIT 1")
    before = database.query("SELECT c FROM t ORDER BY id")
    migrate(database, change.switch)
    assert database.query("SELECT safeops_c FROM t ORDER BY id") == before
    first, second = (
        database.query(f"SELECT c FROM t ORDER BY id LIMIT {len(values)} OFFSET {n}") for n in (0, len(values))
    )
    assert first == second
    database.execute("UPDATE t SET id = id + 100 ORDER BY id DESC")
    assert database.query("SELECT safeops_c FROM t ORDER BY id") == before
    migrate(database, change.contract)
    assert database.query("SELECT count(*) FROM t") == [(2 * len(values),)]


def test_a_foreign_key_that_comes_before_the_switch_is_not_lost(database):
    database.execute("CREATE TABLE p (id int PRIMARY KEY)", "CREATE TABLE t (id int PRIMARY KEY, c int)")
    migrate(database, INTS.expand)
    database.execute("ALTER TABLE t ADD CONSTRAINT to_p FOREIGN KEY (c) REFERENCES p (id)")
    with pytest.raises(UnsupportedOnDatabase, match="to_p"):
        migrate(database, INTS.switch)
    database.execute("ALTER TABLE t DROP FOREIGN KEY to_p", "ALTER TABLE p MODIFY id bigint")
    migrate(database, INTS.switch)
    database.execute("ALTER TABLE t ADD CONSTRAINT to_p FOREIGN KEY (c) REFERENCES p (id)")
    migrate(database, INTS.contract)
    assert "to_p" in snapshot(database)
    migrate(database, INTS.undo_contract)
    with pytest.raises(UnsupportedOnDatabase, match="to_p"):
        migrate(database, INTS.undo_switch)


def test_a_constraint_in_the_way_comes_with_the_call_that_drops_it(database):
    others = "CREATE TABLE other (id int PRIMARY KEY, c int, CONSTRAINT to_t FOREIGN KEY (c) REFERENCES t (c))"
    database.execute("CREATE TABLE t (id int PRIMARY KEY, c int UNIQUE, CONSTRAINT positive CHECK (c > 0))", others)
    for _ in ("positive", "to_t"):
        with pytest.raises(UnsupportedOnDatabase) as raised:
            migrate(database, INTS.expand)
        migrate(
            database, lambda code=raised.value.code: eval(code, {one: getattr(safeops, one) for one in safeops.__all__})
        )
    assert migrate(database, INTS.expand)
    database.execute("DROP TABLE other, t", "CREATE TABLE t (id int PRIMARY KEY, c int CHECK (c > 0))")
    # Only MySQL gives such a check a name, by which it can be dropped.
    is_named = database.server.product == "mysql"
    with pytest.raises(
        UnsupportedOnDatabase, match="together with t_chk_1" if is_named else "together with CHECK"
    ) as raised:
        migrate(database, INTS.expand)
    assert bool(raised.value.code) is is_named


@pytest.mark.parametrize("phase", ["expand", "switch", "contract", "undo_contract", "undo_switch", "undo_expand"])
def test_a_phase_of_a_type_change_can_stop_anywhere(new_database, phase):
    order = ["expand", "switch", "contract", "undo_contract", "undo_switch", "undo_expand"]

    def prepare(database):
        database.execute(*INT)
        done = ["expand", "switch", "undo_switch"] if phase == "switch" else order[: order.index(phase)]
        for earlier in done:
            migrate(database, getattr(TENS, earlier))

    def written_meanwhile(database):
        # The hidden column must follow, however the two are called then.
        database.execute("UPDATE t SET c = c + 3", "UPDATE t SET c = c - 3")

    crash_everywhere(new_database, getattr(TENS, phase), prepare, kills=1, after_crash=written_meanwhile)


@pytest.mark.parametrize("phase", ["expand", "contract", "undo_contract", "undo_expand"])
def test_a_phase_of_a_rename_can_stop_anywhere(new_database, phase):
    order = ["expand", "contract", "undo_contract", "undo_expand"]

    def prepare(database):
        database.execute(*rich(database))
        for earlier in order[: order.index(phase)]:
            migrate(database, getattr(RENAME, earlier))

    def written_meanwhile(database):
        # No write to the dropped name is lost: each fails until the triggers are dropped too.
        stays = "new" if phase in ("contract", "undo_contract") else "old"
        try:
            database.execute(
                f"UPDATE t SET {stays} = 'c' WHERE {stays} = 'b'", f"UPDATE t SET {stays} = 'b' WHERE id = 51"
            )
        except sa.exc.OperationalError as error:
            assert error.orig.args[0] == 1054 and phase in ("contract", "undo_expand")

    crash_everywhere(new_database, getattr(RENAME, phase), prepare, kills=1, after_crash=written_meanwhile)


@pytest.mark.only("mysql97")
@pytest.mark.parametrize("dropped", [["update"], ["insert"], ["update", "insert"]], ids="+".join)
def test_a_switch_that_an_earlier_version_left_half_done_is_finished(database, dropped):
    """It exchanged the names first, and then dropped and re-created each trigger."""
    change = TypeChange("t", "v", sa.Integer(), using="CAST(v AS SIGNED)")
    database.execute("CREATE TABLE t (id int PRIMARY KEY, v decimal(10,2))", "INSERT INTO t VALUES (1, 1.25)")
    migrate(database, change.expand)
    expanded = [database.query(f"SHOW CREATE TRIGGER safeops_t_v_type_{event}")[0][2] for event in ("update", "insert")]
    migrate(database, change.switch)
    finished = schema(database)
    triggers = [f"safeops_t_v_type_{event}" for event in dropped]
    database.execute(*(f"DROP TRIGGER {one}" for one in triggers))
    if len(dropped) > 1:
        database.execute(*expanded)
    assert migrate(database, change.switch) is True
    assert migrate(database, change.switch) is False
    assert database.query("SELECT v, safeops_v FROM t") == [(1, decimal.Decimal("1.25"))]
    assert schema(database) == finished
    database.execute("UPDATE t SET v = 7", "INSERT INTO t (id, v) VALUES (2, 8)")
    assert database.query("SELECT safeops_v FROM t ORDER BY id") == [(7,), (8,)]


@pytest.mark.only("mysql97")
@pytest.mark.parametrize("phase", ["contract", "undo_expand"])
def test_a_default_that_an_earlier_version_gave_is_dropped(database, phase):
    database.execute(KEPT)
    before = schema(database)
    migrate(database, RENAME.expand)
    database.execute("ALTER TABLE t ALTER COLUMN old SET DEFAULT (new)")
    assert migrate(database, getattr(RENAME, phase)) is True
    assert schema(database) == (before if phase == "undo_expand" else before.replace("`old`", "`new`"))
    with pytest.raises(sa.exc.OperationalError, match="1364"):
        database.execute("INSERT INTO t (n) VALUES (1)")


def test_on_update_counts_for_both(database):
    stamp = "timestamp(3) NOT NULL DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3)"
    database.execute(f"CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, old {stamp}, n int)")
    before = schema(database)
    database.execute("INSERT INTO t (old) VALUES ('2020-01-01'), ('2020-01-02')")
    migrate(database, RENAME.expand)
    assert database.query("SELECT count(*) FROM t WHERE old < '2021-01-01' AND old = new") == [(2,)]
    database.execute("UPDATE t SET n = 1 WHERE id = 1", "UPDATE t SET n = 1, new = '2019-01-01' WHERE id = 2")
    database.execute("INSERT INTO t (n) VALUES (1)", "INSERT INTO t (old) VALUES ('2018-01-01')")
    assert database.query(PAIRED) == [(0,)]
    assert database.query("SELECT count(*) FROM t WHERE old > '2021-01-01'") == [(2,)]
    migrate(database, RENAME.contract)
    assert schema(database) == before.replace("`old`", "`new`")


@pytest.mark.only("mariadb")
def test_an_auto_increment_column_is_readable_under_both_names_if_assured(database):
    database.execute("CREATE TABLE t (old int AUTO_INCREMENT PRIMARY KEY, n int)", "INSERT INTO t (n) VALUES (1), (2)")
    before = schema(database)
    with pytest.raises(UnsafeOperation, match="AUTO_INCREMENT"):
        migrate(database, RENAME.expand)
    assert schema(database) == before

    def expand():
        with assured("nobody looks for rows by it"):
            return RENAME.expand()

    assert migrate(database, expand) is True
    database.execute("INSERT INTO t (n) VALUES (3)")
    assert database.query("SELECT old, new, n FROM t ORDER BY n") == [(1, 1, 1), (2, 2, 2), (3, 3, 3)]
    assert migrate(database, RENAME.contract) is True
    assert schema(database) == before.replace("`old`", "`new`")
    database.execute("INSERT INTO t (n) VALUES (4)")
    assert database.query("SELECT new FROM t WHERE n = 4") == [(4,)]


@pytest.mark.parametrize("change", [RENAME, TypeChange("t", "old", sa.BigInteger())], ids=["rename", "type"])
def test_a_table_that_loses_no_column_online_is_refused_at_once(database, change):
    database.execute("CREATE TABLE t (id int PRIMARY KEY, old int, words text, FULLTEXT KEY ft (words))")
    before = snapshot(database)
    with pytest.raises(UnsafeOperation, match="FULLTEXT index ft") as raised:
        migrate(database, change.expand)
    assert snapshot(database) == before
    assert 'drop_index_if_exists("ft", "t")' in raised.value.code

    def assuredly(phase):
        with assured("the table is small"):
            return phase()

    for phase in (change.expand, change.undo_expand):
        assert migrate(database, lambda phase=phase: assuredly(phase)) is True
    assert schema(database) == before
    database.execute("INSERT INTO t (id, old) VALUES (1, 1)")


@pytest.mark.only("mariadb")
def test_a_type_that_could_not_be_not_null_online_is_refused_at_once(database):
    change = TypeChange("t", "old", sa.BigInteger())
    database.execute("CREATE TABLE t (id int PRIMARY KEY, old int NOT NULL, a int, `g h` int AS (a + 1) STORED)")
    before = snapshot(database)
    with pytest.raises(UnsafeOperation, match="g h is a stored generated column") as raised:
        migrate(database, change.expand)
    assert snapshot(database) == before
    assert 'drop_column_if_exists("t", "g h")' in raised.value.code
    for phase in (change.expand, change.switch, change.contract):
        with assured("the table is small"):
            assert migrate(database, phase) is True


USED = {
    "generated column g": "a int, `g` int AS (old + 1) VIRTUAL",
    "index ix": "a int, KEY ix ((old + 1))",
    "default of a": "a int DEFAULT (old + 1)",
    "AUTO_INCREMENT": "a int, KEY (old)",
}


@pytest.mark.only("mysql97")
@pytest.mark.parametrize("by", USED)
@pytest.mark.parametrize("change", [RENAME, TypeChange("t", "old", sa.BigInteger())], ids=["rename", "type"])
def test_mysql_refuses_at_once_what_it_would_refuse_at_the_exchange(database, by, change):
    counted = " NOT NULL AUTO_INCREMENT" if by == "AUTO_INCREMENT" else ""
    database.execute(
        f"CREATE TABLE t (id int PRIMARY KEY, old int{counted}, {USED[by]})".replace(
            "id int PRIMARY KEY", "id int" if counted else "id int PRIMARY KEY"
        )
    )
    before = snapshot(database)
    with pytest.raises(
        UnsupportedOnDatabase,
        match=by if change is RENAME or not counted else "It is part of a key or of the partitioning",
    ) as raised:
        migrate(database, change.expand)
    assert snapshot(database) == before
    assert "Nothing was changed" in str(raised.value)


@pytest.mark.only("mysql97")
def test_mysql_partitioning_by_the_column_is_refused_at_once(database):
    database.execute("CREATE TABLE t (id int, old int) PARTITION BY HASH (old) PARTITIONS 2")
    with pytest.raises(UnsupportedOnDatabase, match="partitioning"):
        migrate(database, RENAME.expand)


@pytest.mark.only("mysql97")
def test_mysql_copies_the_table_for_a_check_if_assured(database):
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, old int NOT NULL, CONSTRAINT ck CHECK (`old` > 0),"
        " CONSTRAINT later CHECK (old < 9) NOT ENFORCED)",
        "INSERT INTO t VALUES (1, 5)",
    )
    before = schema(database)
    with pytest.raises(UnsafeOperation, match="ck") as raised:
        migrate(database, RENAME.expand)
    assert 'drop_constraint_if_exists("ck", "t")' in raised.value.code
    assert schema(database) == before

    def assuredly(phase):
        with assured("the table is small"):
            return phase()

    migrate(database, lambda: assuredly(RENAME.expand))
    migrate(database, lambda: assuredly(RENAME.contract))
    assert schema(database) == before.replace("`old`", "`new`")
    with pytest.raises(sa.exc.DBAPIError, match="ck"):
        database.execute("INSERT INTO t VALUES (2, -1)")
    migrate(database, lambda: assuredly(RENAME.undo_contract))
    migrate(database, lambda: assuredly(RENAME.undo_expand))
    assert schema(database) == before


@pytest.mark.only("mysql97")
@pytest.mark.parametrize(
    ("column", "type_", "default"),
    [
        ("varchar(20) DEFAULT 'it''s \\\\ é'", sa.Text(), "it's \\ é"),
        ("varchar(20) DEFAULT '{}'", sa.JSON(), "{}"),
        ("datetime DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP", mysql.DATETIME(fsp=6), None),
        ("timestamp(3) NULL DEFAULT CURRENT_TIMESTAMP(3)", mysql.DATETIME(), None),
        ("text DEFAULT ('x')", sa.String(20), "x"),
    ],
    ids=["text", "json", "digits", "none", "back"],
)
def test_mysql_spells_the_default_for_the_other_type(database, column, type_, default):
    database.execute(f"CREATE TABLE t (id int PRIMARY KEY, c {column})")
    before, change = schema(database), TypeChange("t", "c", type_)
    for phase in (change.expand, change.switch):
        assert migrate(database, phase) is True
    database.execute("INSERT INTO t (id) VALUES (2)")
    [[found]] = database.query("SELECT c FROM t WHERE id = 2")
    assert found == default if default else found is not None
    for phase in (change.undo_switch, change.undo_expand):
        assert migrate(database, phase) is True
    assert schema(database) == before


@pytest.mark.only("mysql97")
def test_mysql_refuses_an_index_on_json_before_anything_is_changed(database):
    database.execute("CREATE TABLE t (id int PRIMARY KEY, c varchar(20), KEY ix (c))")
    before = snapshot(database)
    with pytest.raises(safeops.InvalidArgument, match="3152"):
        migrate(database, TypeChange("t", "c", sa.JSON()).expand)
    assert snapshot(database) == before


def test_a_virtual_column_is_renamed_and_a_stored_one_refused(database):
    database.execute("CREATE TABLE t (id int PRIMARY KEY, n int, old int AS (n * 2) VIRTUAL, KEY ix (old))")
    before = schema(database)
    migrate(database, RENAME.expand)
    database.execute("INSERT INTO t (id, n) VALUES (1, 4)")
    assert pairs(database) == [(8, 8)]
    migrate(database, RENAME.contract)
    assert schema(database) == before.replace("`old`", "`new`")
    database.execute("DROP TABLE t", "CREATE TABLE t (id int PRIMARY KEY, n int, old int AS (n * 2) STORED)")
    with pytest.raises(UnsupportedOnDatabase, match="stored"):
        migrate(database, RENAME.expand)


def test_a_column_of_the_new_name_that_is_not_ours_is_left_alone(database):
    database.execute(TEXT, "ALTER TABLE t ADD COLUMN new varchar(20) COMMENT 'mine'")
    before = snapshot(database)
    with pytest.raises(DefinitionMismatch):
        migrate(database, RENAME.expand)
    assert snapshot(database) == before


def test_the_triggers_come_after_those_of_the_user_and_refuse_to_leave_them_behind(database):
    body = "FOR EACH ROW SET NEW.old = UPPER(NEW.old)"
    database.execute(
        TEXT, f"CREATE TRIGGER mine BEFORE INSERT ON t {body}", "CREATE TRIGGER zz BEFORE UPDATE ON t " + body
    )
    migrate(database, RENAME.expand)
    database.execute("INSERT INTO t (old) VALUES ('a')", "UPDATE t SET old = 'b'")
    assert pairs(database) == [("B", "B")]
    with pytest.raises(DependentObjects, match="mine"):
        migrate(database, RENAME.contract)
    database.execute("DROP TRIGGER mine", "DROP TRIGGER zz", "CREATE INDEX own ON t (new)")
    with pytest.raises(DependentObjects, match="own"):
        migrate(database, RENAME.contract)
    database.execute("DROP INDEX own ON t")
    assert migrate(database, RENAME.contract) is True


@pytest.mark.parametrize(
    "columns",
    [
        "c int PRIMARY KEY",
        "id int PRIMARY KEY, c int, CONSTRAINT ck CHECK (c > 0)",
        "id int PRIMARY KEY, c int CHECK (c > 0)",
        "id int PRIMARY KEY, c int, CONSTRAINT fk FOREIGN KEY (c) REFERENCES t (id)",
        "id int PRIMARY KEY, c int UNIQUE, d int, CONSTRAINT fk FOREIGN KEY (d) REFERENCES t (c)",
        "id int PRIMARY KEY, d int, c int AS (d) VIRTUAL",
    ],
)
def test_a_type_that_cannot_change_online_is_refused_before_anything_is_touched(database, columns):
    database.execute(f"CREATE TABLE t ({columns})")
    before = schema(database)
    with pytest.raises(UnsupportedOnDatabase):
        migrate(database, INTS.expand)
    assert schema(database) == before


@pytest.mark.parametrize(
    "name", one_in(3, ["a`b", 'a"b', "a'b", "100%s", ":colon", "naïve-ß", "a\\b", "/*x*/", "select", "x" * 64])
)
def test_hostile_names(database, name):
    quoted = "`" + name.replace("`", "``") + "`"
    database.execute(
        f"CREATE TABLE {quoted} (id int PRIMARY KEY, {quoted} varchar(9) NOT NULL DEFAULT 'x', KEY {quoted} ({quoted}))"
    )
    before = schema(database)
    rename, change = ColumnRename(name, name, "new"), TypeChange(name, name, sa.Text())
    migrate(database, rename.expand)
    database.execute(f"INSERT INTO {quoted} (id, new) VALUES (1, 'a')", f"UPDATE {quoted} SET {quoted} = 'b'")
    assert database.query(f"SELECT {quoted}, new FROM {quoted}") == [("b", "b")]
    migrate(database, rename.contract)
    migrate(database, rename.undo_contract)
    migrate(database, rename.undo_expand)
    assert schema(database) == before
    change = TypeChange(name, name, sa.String(5))
    for phase in (change.expand, change.switch):
        migrate(database, phase)
    database.execute(f"INSERT INTO {quoted} (id, {quoted}) VALUES (2, 'c')")
    for phase in (change.undo_switch, change.undo_expand):
        migrate(database, phase)
    assert sorted(schema(database)) == sorted(before)


def test_a_partitioned_table(database):
    partitions = "PARTITION BY HASH (id) PARTITIONS 3"
    database.execute(f"CREATE TABLE t (id int PRIMARY KEY, old int, KEY ix (old)) {partitions}")
    before = schema(database)
    database.execute("INSERT INTO t VALUES (1, 1), (2, 2)")
    migrate(database, RENAME.expand)
    database.execute("UPDATE t SET new = 5 WHERE id = 1")
    assert pairs(database) == [(5, 5), (2, 2)]
    migrate(database, RENAME.contract)
    assert schema(database) == before.replace("`old`", "`new`")


@contextmanager
def writing(database, *statements):
    """Sends statements again and again from a separate session; counts those that succeed, and raises the others."""
    ended, count, failed = threading.Event(), [0], []

    def work():
        with database.observer().connect() as connection:
            while not ended.is_set():
                try:
                    for sql in statements:
                        connection.exec_driver_sql(sql)
                        connection.commit()
                    count[0] += 1
                except sa.exc.DBAPIError as error:
                    failed.append(error)
                    return

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield count
    finally:
        ended.set()
        thread.join()
    assert not failed, failed
    assert count[0] > 0


def test_no_write_fails_or_is_lost_while_a_column_is_renamed(database):
    database.execute("CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, old int NOT NULL, n int, KEY ix (old))")
    database.execute(
        "INSERT INTO t (old) VALUES (0), (0)", f"INSERT INTO t (old, n) SELECT seq, 1 FROM {numbers(1, 500)}"
    )
    older = ("UPDATE t SET old = old + 1 WHERE id = 1", "INSERT INTO t (old) VALUES (7)")
    newer = ("UPDATE t SET new = new + 1 WHERE id = 2", "INSERT INTO t (new) SELECT 7")
    with writing(database, *older) as by_old:
        migrate(database, RENAME.expand)
        with writing(database, *newer) as by_new:
            for _ in range(50):
                database.execute("UPDATE t SET n = n + 1 WHERE id = 5")
    first = by_new[0]
    with writing(database, *newer) as by_new:
        migrate(database, RENAME.contract)
    counted = by_old[0] + first + by_new[0]
    assert database.query("SELECT new FROM t WHERE id < 3") == [(by_old[0],), (first + by_new[0],)]
    assert database.query("SELECT count(*) FROM t WHERE new = 7 AND n IS NULL") == [(counted,)]


def test_no_write_fails_or_is_lost_while_a_type_changes(database):
    database.execute(*INT, f"INSERT INTO t (id, c) SELECT seq, seq FROM {numbers(100, 600)}")
    done, before = 0, schema(database)
    writes = (
        "UPDATE t SET c = c - 1 WHERE id = 1",
        "INSERT INTO t (id, c) SELECT 1000000 - c, 1000000 + c FROM t WHERE id = 1",
    )
    for phase in (INTS.expand, INTS.switch, INTS.undo_switch, INTS.undo_expand):
        with writing(database, *writes) as count:
            migrate(database, phase)
        done += count[0]
    assert database.query("SELECT c FROM t WHERE id = 1") == [(10 - done,)]
    assert database.query("SELECT count(*) FROM t WHERE c > 900000") == [(done,)]
    assert sorted(one.strip(",") for one in schema(database).splitlines()) == sorted(
        one.strip(",") for one in before.splitlines()
    )


def test_another_case_of_a_name_is_shown_as_one_statement(database):
    database.execute("CREATE TABLE t (id int PRIMARY KEY, `Old` int NOT NULL DEFAULT 3)", "INSERT INTO t VALUES (1, 1)")
    with pytest.raises(UnsafeOperation, match="one name") as raised:
        migrate(database, ColumnRename("t", "Old", "old").expand)
    migrate(database, lambda: exec(raised.value.code, {"op": op}))
    assert "`old` int" in database.query("SHOW CREATE TABLE t")[0][1]
    assert database.query("SELECT id, old FROM t") == [(1, 1)]
