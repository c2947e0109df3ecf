"""backfill scans along any key, each row once, by ranges of its index, while the application writes."""

import contextlib
import itertools
import re

import pytest
import sqlalchemy as sa
from alembic import op
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from tests.projects import is_watched, listening, log_lines, migrate, statements_of
from tests.servers import numbers
from tests.whole import one_in

from safeops import BackfillIncomplete, UnsafeOperation, ViolatingRows, backfill, reads

ONCE = {"n": sa.column("n") + 1}


@reads("n", writes=("v",))
def seen(rows):
    return [{"v": f"seen {row['n']}"} for row in rows]


def walked(database, *, table="t", **options):
    """Adds 1 to n of each row."""
    return migrate(database, lambda: backfill(table, ONCE, where=True, **options))


def made(database, columns, key, rows):
    """A table with the key, and with what is filled."""
    # Not by the default key: its collations are in `columns`.
    database.execute(f"CREATE TABLE t ({columns}, n integer NOT NULL DEFAULT 0, v varchar(30), PRIMARY KEY ({key}))")
    database.execute(*(f"INSERT INTO t ({key}) VALUES ({row})" for row in rows))


def assert_walks(database, count, what="it", **options):
    """Each row is met once by an expression, and once by a function, in batches of a few rows."""
    report = walked(database, batch_size=2, name=what, **options)
    assert database.query("SELECT n, count(*) FROM t GROUP BY n") == [(1, count)]
    assert (report.rows, report.remaining, report.resumed) == (count, 0, False)
    filled = migrate(database, lambda: backfill("t", seen, batch_size=3, name=f"{what} by a function", **options))
    assert database.query("SELECT v, count(*) FROM t GROUP BY v") == [("seen 1", count)]
    assert filled.rows == count


# --- keys ------------------------------------------------------------------------------------------------

TEXTS = [
    "a",
    "B",
    "b2",
    "Z",
    "z",
    "ä",
    "ß",
    "",
    " ",
    "it''s",
    "100%",
    "%s %(x)s",
    ":a ::b",
    '"q"',
    "a\nb",
    "ñ",
    "😀",
    "--",
]
BYTES = ["00", "ff00", "27", "5c", "25", "3a", ""]
UUIDS = [f"'{number:08x}-0000-4000-8000-{number * 7919:012x}'" for number in (0, 5, 9, 77, 4000, 99999, 2**32 - 1)]
INTEGERS = ["-9223372036854775807", "-7", "-1", "0", "1", "2", "50", "9007199254740993", "9223372036854775807"]
EVERYWHERE = {
    "integers with gaps": ("k bigint", "k", INTEGERS),
    "one row": ("k integer", "k", ["5"]),
    "two columns": ("a integer, b varchar(9)", "a, b", [f"{a}, '{b}'" for a in (-1, 3, 4) for b in "xyz"]),
    "a first column of few values": ("a integer, b integer", "a, b", [f"{i % 2}, {i}" for i in range(13)]),
    "three columns": ("a integer, b varchar(9), c integer", "a, b, c", ["1,'a',1", "1,'a',2", "1,'b',0", "2,'a',-5"]),
    "dates": ("k date", "k", ["'0999-12-31'", "'2024-02-29'", "'2024-03-01'", "'9999-12-31'"]),
    "decimals": ("k decimal(30,10)", "k", ["-1.5", "0", "0.0000000001", "12345678901234567890.1234567891", "2"]),
}
POSTGRESQL = {
    "text C": ('k text COLLATE "C"', "k", [f"'{one}'" for one in [*TEXTS, "back\\slash"]]),
    "varchar": ("k varchar(5)", "k", ["'a'", "'ab'", "'abcde'", "''"]),
    "char": ("k char(5)", "k", ["'a'", "'ab'", "'abcde'", "''"]),
    "uuid": ("k uuid", "k", UUIDS),
    "numeric": ("k numeric", "k", ["-1e-20", "0", "1.10", "1e30", "'NaN'", "'Infinity'::numeric"]),
    "timestamptz": (
        "k timestamptz",
        "k",
        ["'-infinity'", "'0044-03-15 12:00 BC'", "'2024-10-27 02:30:00+02'", "'2024-10-27 02:30:00+01'", "'infinity'"],
    ),
    "timestamp": ("k timestamp", "k", ["'-infinity'", "'2024-01-02 03:04:05.000001'", "'2024-02-01'", "'infinity'"]),
    "infinite dates": ("k date", "k", ["'-infinity'", "'0044-03-15 BC'", "'2024-02-01'", "'2024-01-02'", "'infinity'"]),
    "times": ("k timetz", "k", ["'00:00+05'", "'00:00-05'", "'24:00+00'"]),
    "interval": ("k interval", "k", ["'-1 day'", "'1 mon -1 day'", "'30 days'", "'29 days 25 hours'"]),
    "double": ("k float8", "k", ["'-Infinity'", "0.1", "0.30000000000000004", "1e300", "'NaN'", "'Infinity'"]),
    "real": ("k real", "k", ["0.1", "0.2", "16777217"]),
    "bytea": ("k bytea", "k", [rf"'\x{one}'" for one in BYTES]),
    "enum": ("k mood", "k", ["'sad'", "'ok'", "'glad'", "'it''s %'"]),
    "enum then integer": ("k mood, b integer", "k, b", [f"'{k}', {b}" for k in ("sad", "ok", "glad") for b in (1, 2)]),
    "boolean": ("k boolean", "k", ["true", "false"]),
    "inet": ("k inet", "k", ["'10.0.0.1/8'", "'10.0.0.1'", "'::1'"]),
    "array": ("k integer[]", "k", ["'{}'", "'{1,2}'", "'{1,10}'"]),
    "domain": ("k short", "k", ["'a'", "'B'", "'it''s'"]),
}
WITH_ICU = {
    "text ICU": ("k text COLLATE english", "k", [f"'{one}'" for one in [*TEXTS, "back\\slash"]]),
    "text nondeterministic": ("k text COLLATE blind", "k", [f"'{one}'" for one in ("a", "B", "c", "Ä", "d", "E", "ß")]),
    "uuid and text": ("a uuid, b text COLLATE english", "a, b", [f"{a}, '{b}'" for a in UUIDS[:3] for b in "aBc"]),
}
MARIADB = {
    "utf8mb4_general_ci": (
        "k varchar(50) COLLATE utf8mb4_general_ci",
        "k",
        [f"'{one}'" for one in TEXTS if one not in ("Z", " ", "ñ", "ß", "ä")] + [r"'back\\slash'"],
    ),
    "utf8mb4_bin": (
        "k varchar(50) COLLATE utf8mb4_bin",
        "k",
        [f"'{one}'" for one in TEXTS if one != " "] + [r"'back\\slash'"],
    ),
    "latin1": ("k varchar(50) CHARACTER SET latin1", "k", ["'a'", "'Bé'", "'ß'", "'ñ'", "'it''s %'", r"'\\'"]),
    "char(36)": ("k char(36)", "k", UUIDS),
    "binary(16)": ("k binary(16)", "k", [f"UNHEX(REPLACE({one}, '-', ''))" for one in UUIDS]),
    "varbinary": ("k varbinary(16)", "k", [f"X'{one}'" for one in BYTES]),
    "datetime(6)": ("k datetime(6)", "k", ["'2024-01-02 03:04:05.000001'", "'2024-01-02 03:04:05'", "'2025-01-01'"]),
    "timestamp": ("k timestamp", "k", ["'2024-01-02 03:04:05'", "'2024-01-02 03:04:06'", "'2025-01-01'"]),
    "time": ("k time(3)", "k", ["'-838:59:59'", "'00:00:00.001'", "'100:00:00'"]),
    "year": ("k year", "k", ["1901", "2024", "2155"]),
    "unsigned": ("k bigint unsigned", "k", ["0", "9223372036854775808", "18446744073709551615"]),
}
PADDED = ["'a'", "'a '", "'b'", "''", "' '", "'Ö'"]
ONLY_MARIADB = {
    "utf8mb4_unicode_nopad_ci": ("k varchar(50) COLLATE utf8mb4_unicode_nopad_ci", "k", PADDED),
    "uuid": ("k uuid", "k", UUIDS),
    "inet6": ("k inet6", "k", ["'::1'", "'fe80::1'", "'ffff::'"]),
}
ONLY_MYSQL = {
    "utf8mb4_0900_ai_ci": ("k varchar(50) COLLATE utf8mb4_0900_ai_ci", "k", PADDED),
    "utf8mb4_0900_bin": ("k varchar(50) COLLATE utf8mb4_0900_bin", "k", PADDED),
}
SQLITE = {
    "text": ("k text NOT NULL", "k", [f"'{one}'" for one in [*TEXTS, "back\\slash"]]),
    "text NOCASE": ("k text NOT NULL COLLATE NOCASE", "k", ["'a'", "'B'", "'c'", "'_'"]),
    "timestamps": ("k datetime NOT NULL", "k", ["'2024-01-02 03:04:05.000001'", "'2024-01-02 03:04:05'", "'2025'"]),
    "blob": ("k blob NOT NULL", "k", [f"X'{one}'" for one in BYTES]),
    "real": ("k real NOT NULL", "k", ["0.1", "0.30000000000000004", "-1e300", "9e999", "2"]),
    "any type": ("k NOT NULL", "k", ["1", "1.5", "'1'", "X'31'", "'a'", "-3"]),
    "rowid": ("k integer", "k", ["-3", "0", "7"]),
}
KINDS = ("CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad', 'it''s %')", "CREATE DOMAIN short AS varchar(5)")
ICU = (
    "CREATE COLLATION english (provider = icu, locale = 'en')",
    "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
)


def assert_all_walk(database, cases):
    wrong = []
    for what, (columns, key, rows) in cases.items():
        made(database, columns, key, rows)
        try:
            assert_walks(database, len(rows), what)
        except Exception as error:
            wrong.append(f"key {what}: {error}")
        database.execute("DROP TABLE t")
    assert not wrong, "\n\n".join(wrong)


def test_keys_of_all_databases(database):
    assert_all_walk(database, EVERYWHERE)


@pytest.mark.only("postgresql")
def test_keys_of_postgresql(database):
    database.execute(*KINDS)
    assert_all_walk(database, POSTGRESQL)


@pytest.mark.only("postgresql")
def test_keys_in_the_order_of_icu(database):
    if not database.query("SELECT 1 FROM pg_collation WHERE collname = 'en-x-icu'"):
        pytest.skip("this server is built without ICU")
    database.execute(*ICU)
    assert_all_walk(database, WITH_ICU)


@pytest.mark.only("mysql")
def test_keys_of_mariadb_and_mysql(database):
    own = {"mariadb": ONLY_MARIADB, "mysql": ONLY_MYSQL}[database.server.product]
    assert_all_walk(database, {**MARIADB, **own})


@pytest.mark.only("sqlite")
def test_keys_of_sqlite(database):
    assert_all_walk(database, SQLITE)


@pytest.mark.smoke
def test_every_row_once_and_in_order(database):
    made(database, "k integer", "k", map(str, (5, -3, 0, 12, 7, 99, 100)))
    keys = []

    @reads("k", writes=("v",))
    def noted(rows):
        keys.append([row["k"] for row in rows])
        return [{"v": "x"} for _ in rows]

    report = migrate(database, lambda: backfill("t", noted, batch_size=3))
    assert keys == [[-3, 0, 5], [7, 12, 99], [100]]
    assert (report.rows, report.batches) == (7, 3)


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("style", ["SQL, DMY", "Postgres, MDY", "German"])
def test_sessions_that_write_dates_in_other_ways(database, style):
    made(
        database,
        "a timestamptz, b date",
        "a, b",
        [f"'2024-{m:02}-{m:02} 01:00', '2024-02-{m:02}'" for m in range(1, 13)],
    )
    url = database.url.set(query={"options": f"-c datestyle={style.replace(', ', ',')} -c timezone=Asia/Kolkata"})
    stop_after(database, 2)
    with database.engine().connect() as connection:
        connection.exec_driver_sql("SELECT 1")
    with sa.create_engine(url).connect() as connection:
        migrate(database, lambda: backfill("t", ONCE, where=True, batch_size=5, name="it"), connection=connection)
    assert database.query("SELECT n, count(*) FROM t GROUP BY n") == [(1, 12)]


class Enough(Exception):
    pass


def stop_after(database, batches):
    """Stops a backfill after so many batches."""

    def tell(progress):
        if progress.batches == batches:
            raise Enough

    with pytest.raises(Enough):
        walked(database, batch_size=2, name="it", progress=tell)


def test_another_size_of_batches_continues_from_the_same_key(database):
    made(database, "k integer", "k", map(str, range(0, 40, 3)))
    stop_after(database, 2)
    report = walked(database, batch_size=3, name="it")
    assert database.query("SELECT n, count(*) FROM t GROUP BY n") == [(1, 14)]
    assert (report.rows, report.resumed) == (10, True)


def test_another_unique_key(database):
    database.execute(
        "CREATE TABLE t (id integer PRIMARY KEY, code varchar(9) NOT NULL, team integer NOT NULL, n integer DEFAULT 0,"
        " v varchar(30), nick varchar(9), CONSTRAINT one UNIQUE (team, code))",
        "CREATE UNIQUE INDEX two ON t (code)",
        *(f"INSERT INTO t (id, code, team) VALUES ({i}, 'c{97 * i % 13}', {i % 3})" for i in range(13)),
    )
    assert_walks(database, 13, key="code")
    database.execute("UPDATE t SET n = 0, v = NULL")
    assert_walks(database, 13, "other", key=["code", "team"])


# A zone whose clocks were set back by an hour on 27 October 2024 at 01:00 UTC.
AUTUMN = """REPLACE INTO time_zone VALUES (4711, 'N');
REPLACE INTO time_zone_name VALUES ('Safeops/Autumn', 4711);
REPLACE INTO time_zone_transition_type VALUES (4711, 0, 7200, 1, 'SUM'), (4711, 1, 3600, 0, 'WIN');
REPLACE INTO time_zone_transition VALUES (4711, 0, 0), (4711, 1729990800, 1);"""


class TestNoKey:
    @staticmethod
    def refusal(database, **options):
        with pytest.raises(UnsafeOperation) as raised:
            walked(database, **options)
        assert not any("safeops" in name for name in sa.inspect(database.observer()).get_table_names())
        return str(raised.value)

    def test_the_candidates_are_named(self, database):
        database.execute(
            "CREATE TABLE t (a integer, code varchar(9) NOT NULL, nick varchar(9), n integer)",
            "CREATE UNIQUE INDEX ux_code ON t (code)",
            "CREATE UNIQUE INDEX ux_nick ON t (nick)",
        )
        message = self.refusal(database)
        assert "t has no primary key" in message
        assert "Its unique keys that allow NULL or cannot be scanned: (nick)." in message
        assert 'backfill("t", {...}, key=["code"])' in message

    def test_no_candidate(self, database):
        database.execute("CREATE TABLE t (a integer, n integer)")
        assert 'create_primary_key_if_missing("t_pkey", "t", ["column of t"])' in self.refusal(database)

    def test_a_key_that_takes_null(self, database):
        database.execute("CREATE TABLE t (id integer PRIMARY KEY, nick varchar(9) UNIQUE, n integer)")
        message = self.refusal(database, key="nick")
        assert "nick allows NULL" in message
        assert 'key=["id"]' in message

    def test_columns_that_are_not_a_key(self, database):
        database.execute("CREATE TABLE t (id integer PRIMARY KEY, nick varchar(9) NOT NULL, n integer)")
        assert "no unique index on (nick)" in self.refusal(database, key="nick")

    def test_a_key_that_is_filled(self, database):
        database.execute("CREATE TABLE t (n integer NOT NULL PRIMARY KEY, a integer)")
        assert "the backfill fills n, so rows would move" in self.refusal(database)

    @pytest.mark.only("postgresql", "sqlite")
    def test_a_partial_index_is_none(self, database):
        database.execute(
            "CREATE TABLE t (a integer NOT NULL, n integer)", "CREATE UNIQUE INDEX ux ON t (a) WHERE a > 0"
        )
        assert 'key=["a"]' not in self.refusal(database)

    @pytest.mark.only("mysql")
    @pytest.mark.parametrize("type_", ["enum('b','a')", "set('b','a')", "double", "float", "bit(3)"])
    def test_keys_that_cannot_be_walked(self, database, type_):
        database.execute(f"CREATE TABLE t (k {type_} NOT NULL PRIMARY KEY, n integer)")
        message = self.refusal(database)
        assert "cannot use the key" in message
        assert 'create_unique_constraint_if_missing("t_key", "t", ["column of t"])' in message

    @pytest.mark.only("mysql")
    def test_timestamps_if_clocks_are_set_back(self, database):
        """Two moments have one text there: rows would be passed over."""
        database.server.run_client("mysql", AUTUMN)
        database.execute("CREATE TABLE t (k timestamp NOT NULL PRIMARY KEY, n integer NOT NULL DEFAULT 0)")
        database.execute(
            "SET time_zone = '+00:00'",
            f"INSERT INTO t (k) SELECT FROM_UNIXTIME(1729986000 + 600 * seq) FROM {numbers(0, 19)}",
        )
        in_paris = database.engine(connect_args={"init_command": "SET time_zone = 'Safeops/Autumn'"})
        with in_paris.connect() as connection, pytest.raises(UnsafeOperation, match="clocks are set back"):
            migrate(database, lambda: backfill("t", ONCE, where=True, batch_size=2), connection=connection)
        assert walked(database, batch_size=2).rows == 20

    @pytest.mark.only("mysql")
    def test_an_index_on_a_prefix_is_none(self, database):
        database.execute("CREATE TABLE t (k varchar(50) NOT NULL, n integer, UNIQUE ux (k(3)))")
        assert 'key=["k"]' not in self.refusal(database)

    @pytest.mark.only("sqlite")
    def test_a_primary_key_with_null_in_it(self, database):
        database.execute("CREATE TABLE t (k text PRIMARY KEY, n integer DEFAULT 0)", "INSERT INTO t VALUES (NULL, 0)")
        assert "k allows NULL" in self.refusal(database)
        database.execute("UPDATE t SET k = 'a'")
        assert walked(database).rows == 1


made_so_far = itertools.count()
few = examples(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
sizes = st.integers(1, 7)
letters = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=9)


def assert_random_keys_walk(database, columns, rows, size):
    """One database for all examples: each has its own table."""
    name, key = f"b{next(made_so_far)}", [column.partition(" ")[0] for column in columns]
    database.execute(f"CREATE TABLE {name} ({', '.join(columns)}, n integer DEFAULT 0, PRIMARY KEY ({', '.join(key)}))")
    with database.observer().begin() as connection:
        table = sa.table(name, *map(sa.column, key))
        connection.execute(table.insert(), [dict(zip(key, row, strict=True)) for row in rows])
    report = walked(database, table=name, batch_size=size)
    assert database.query(f"SELECT n, count(*) FROM {name} GROUP BY n") == [(1, len(rows))]
    assert report.rows == len(rows)
    assert report.batches <= len(rows) // size + 1


@pytest.mark.only("pg18", "mysql", "sqlite")
@few
@given(st.sets(st.tuples(st.integers(-(2**63) + 1, 2**63 - 1)), min_size=1, max_size=20), sizes)
def test_random_integers(database, keys, size):
    assert_random_keys_walk(database, ["k bigint"], keys, size)


@pytest.mark.only("pg18", "mysql", "sqlite")
@few
@given(
    st.sets(st.tuples(st.integers(0, 2), st.integers(-5, 5), st.sampled_from("abc")), min_size=1, max_size=20), sizes
)
def test_random_composite_keys(database, keys, size):
    assert_random_keys_walk(database, ["a integer", "b integer", "c varchar(3)"], keys, size)


@pytest.mark.only("pg18", "mysql", "sqlite")
@few
@given(st.sets(st.tuples(letters), min_size=1, max_size=20), sizes)
def test_random_texts(database, keys, size):
    without_padding = {"mariadb": "utf8mb4_nopad_bin", "mysql": "utf8mb4_0900_bin"}
    collation = without_padding.get(database.server.product)
    type_ = f"varchar(20) COLLATE {collation}" if collation else "text"
    assert_random_keys_walk(database, [f"k {type_} NOT NULL"], keys, size)


# --- concurrent inserts and deletes -----------------------------------------------------------------------


def after(batches, action):
    """A progress= that acts once, between two batches."""
    done = []

    def tell(progress):
        if progress.batches == batches and not done:
            done.append(action())

    return tell


def numbered(database, count=10, step=10):
    database.execute("CREATE TABLE t (k integer PRIMARY KEY, n integer NOT NULL DEFAULT 0, v varchar(30))")
    database.execute(*(f"INSERT INTO t (k) VALUES ({i * step})" for i in range(1, count + 1)))


def filled(database, **options):
    return migrate(database, lambda: backfill("t", {"v": sa.literal("x")}, **options))


class TestConcurrentWrites:
    def test_a_batch_that_is_deleted_is_not_the_end(self, database):
        numbered(database)
        gone = after(1, lambda: database.execute("DELETE FROM t WHERE k BETWEEN 21 AND 45"))
        report = filled(database, batch_size=2, progress=gone)
        assert database.query("SELECT v, count(*) FROM t GROUP BY v") == [("x", 8)]
        assert report.rows == 8

    def test_the_last_key_is_deleted(self, database):
        numbered(database)
        gone = after(2, lambda: database.execute("DELETE FROM t WHERE k > 70"))
        assert walked(database, batch_size=2, progress=gone).rows == 7
        assert database.query("SELECT n, count(*) FROM t GROUP BY n") == [(1, 7)]

    def test_all_rows_are_deleted(self, database):
        numbered(database)
        assert filled(database, batch_size=2, progress=after(1, lambda: database.execute("DELETE FROM t"))).rows == 2

    @pytest.mark.smoke
    def test_rows_inserted_anywhere_are_filled(self, database):
        numbered(database)
        new = after(3, lambda: database.execute("INSERT INTO t (k) VALUES (-5), (15), (55), (65), (1000)"))
        report = filled(database, batch_size=2, progress=new)
        assert database.query("SELECT v, count(*) FROM t GROUP BY v") == [("x", 15)]
        assert (report.rows, report.remaining) == (15, 0)

    def test_rows_inserted_anywhere_are_given_to_a_function(self, database):
        numbered(database)
        new = after(3, lambda: database.execute("INSERT INTO t (k) VALUES (-5), (15), (65), (1000)"))
        report = migrate(database, lambda: backfill("t", seen, batch_size=2, progress=new))
        assert database.query("SELECT v, count(*) FROM t GROUP BY v") == [("seen 0", 14)]
        assert (report.rows, report.remaining) == (14, 0)

    def test_rows_above_the_first_end_are_left_if_each_row_is_due_once(self, database):
        numbered(database)
        report = walked(
            database, batch_size=2, progress=after(1, lambda: database.execute("INSERT INTO t (k) VALUES (1000), (-5)"))
        )
        assert database.query("SELECT k FROM t WHERE n = 0 ORDER BY k") == [(-5,), (1000,)]
        assert report.rows == 10

    def test_what_still_meets_a_condition_is_counted(self, database):
        numbered(database)
        new = after(1, lambda: database.execute("INSERT INTO t (k) VALUES (1000), (1001)"))
        report = migrate(database, lambda: backfill("t", ONCE, where="n = 0", batch_size=3, progress=new))
        assert (report.rows, report.remaining) == (10, 2)
        assert migrate(database, lambda: backfill("t", ONCE, where="n = 0")).remaining == 2

    def test_a_condition_is_checked_when_the_batch_runs(self, database):
        numbered(database)
        changed = after(1, lambda: database.execute("UPDATE t SET v = 'no' WHERE k > 50"))
        migrate(database, lambda: backfill("t", ONCE, where=sa.column("v").is_(None), batch_size=2, progress=changed))
        assert database.query("SELECT n, count(*) FROM t GROUP BY n ORDER BY n") == [(0, 5), (1, 5)]

    def test_an_application_that_keeps_writing_unfilled_rows(self, database):
        numbered(database, 4)
        keys = itertools.count(1000)
        with log_lines() as log, pytest.raises(BackfillIncomplete) as raised:
            filled(
                database, batch_size=2, progress=lambda _: database.execute(f"INSERT INTO t (k) VALUES ({next(keys)})")
            )
        message = str(raised.value)
        assert len([line for line in log if "sweeping up" in line]) == 3
        assert re.search(r"The application wrote \d of them without a value \(keys 10\d\d, ", message)
        assert "3 sweeps" in message
        assert "the new value is NULL" not in message
        assert filled(database).remaining == 0
        assert database.query("SELECT count(*) FROM t WHERE v IS NULL") == [(0,)]

    def test_values_that_came_out_null(self, database):
        numbered(database)
        with pytest.raises(BackfillIncomplete) as raised:
            migrate(database, lambda: backfill("t", {"v": sa.case((sa.column("k") > 30, "x"))}))
        message = str(raised.value)
        assert "For 3 of them the new value is NULL (keys 10, 20, 30)" in message
        assert "application wrote" not in message
        assert "SELECT * FROM" in message
        assert database.query("SELECT count(*) FROM t WHERE v IS NULL") == [(3,)]

    def test_an_empty_table(self, database):
        numbered(database, 0)
        assert (filled(database).rows, walked(database, name="n").rows) == (0, 0)
        database.execute("INSERT INTO t (k) VALUES (1)")
        assert filled(database).rows == 1


# --- plans -----------------------------------------------------------------------------------------------

COUNT = 10_000
BATCH = 100
SHAPES = {
    "one column": ("id integer", "id", "i"),
    "two columns": ("a integer, b integer", "a, b", "i / 1000, i"),
    "a first column of few values": ("a integer, b integer", "a, b", "i % 2, i"),
    "text": ("k varchar(20)", "k", "'k' || i"),
}


@reads("w", writes=("u",))
def shorter(rows):
    return [{"u": "x"} for _ in rows]


def large(database, shape):
    columns, key, values = SHAPES[shape]
    off = " WITH (autovacuum_enabled = off)" if database.kind == "postgresql" else ""
    database.execute(
        f"CREATE TABLE t ({columns}, u varchar(9), v varchar(9), w integer, n integer DEFAULT 0,"
        f" PRIMARY KEY ({key})){off}",
        "CREATE INDEX ix_v ON t (v)",
    )
    series = (
        f"generate_series(1, {COUNT}) i"
        if database.kind == "postgresql"
        else f"(SELECT seq i FROM {numbers(1, COUNT)}) s"
    )
    if database.kind == "mysql":
        values = values.replace("'k' || i", "concat('k', i)").replace("/", "DIV")
    database.execute(f"INSERT INTO t ({key}) SELECT {values} FROM {series}")


def batches_of(database, name, work, **options):
    """The statements of the first and the fourth batch: which key it uses, what it reads, what it writes."""
    sent = []

    def record(connection, _cursor, text, parameters, *_):
        if is_watched(connection, database):
            sent.append((text, parameters))

    with listening({"before_cursor_execute": record}), pytest.raises(Enough):
        migrate(database, lambda: backfill("t", work, batch_size=BATCH, name=name, progress=enough, **options))
    asked = [one for one in sent if "safeops_key" in one[0] and "OFFSET" in one[0]]
    done = [one for one in sent if re.match(r"UPDATE (?!safeops_b|.safeops_b)|SELECT .*safeops_0", one[0], re.S)]
    assert len(asked) == 4
    return asked[:1] + asked[-1:], done[: len(done) // 4] + done[-(len(done) // 4) :]


def enough(progress):
    if progress.batches == 4:
        raise Enough


WORKS = {
    "an expression": ({"v": sa.literal("x")}, {}),
    "each row": (ONCE, {"where": True}),
    "a condition": (ONCE, {"where": sa.column("v").is_(None)}),
    "a function": (shorter, {"where": True}),
}


@pytest.mark.parametrize("shape", one_in(2, [*SHAPES]))
class TestPlans:
    """A batch reads one range of the key, on a table that was never analyzed as on one that was, from the first on."""

    @pytest.mark.only("postgresql")
    def test_on_postgresql(self, database, shape):
        large(database, shape)
        self.check(database, "never analyzed", assert_plan_touches_few)
        database.execute("ANALYZE t")
        self.check(database, "analyzed", assert_plan_touches_few)

    @pytest.mark.only("mysql")
    def test_on_mariadb_and_mysql(self, database, shape):
        large(database, shape)
        self.check(database, "never analyzed", assert_few_are_read)
        database.execute("ANALYZE TABLE t")
        self.check(database, "analyzed", assert_few_are_read)

    @staticmethod
    def check(database, when, assert_reads_few):
        for what, (work, options) in WORKS.items():
            asked, done = batches_of(database, f"{what}, {when}", work, **options)
            assert len(done) == (4 if what == "a function" else 2)
            for statement, parameters in [*asked, *done]:
                assert_reads_few(database, statement, parameters, f"{what}, {when}: {statement}")


def run_again(connection, statement, parameters, before=""):
    """Send a statement as it was sent, with what is put before it."""
    driven = connection if parameters else connection.execution_options(no_parameters=True)
    return driven.exec_driver_sql(before + statement, parameters or None)


def assert_plan_touches_few(database, statement, parameters, message):
    with database.observer().connect() as connection:
        if "safeops_key" not in statement:
            # As in the transaction of a batch.
            connection.exec_driver_sql("SET enable_seqscan = off")
        rows = run_again(connection, statement, parameters, "EXPLAIN (ANALYZE, TIMING OFF) ").scalars().all()
    plan = "\n".join(rows)
    nodes = re.findall(r"actual rows=([\d.]+) loops=(\d+)\)", plan)
    removed = sum(int(one) for one in re.findall(r"Rows Removed by [\w ]+: (\d+)", plan))
    assert nodes
    assert "Seq Scan" not in plan, f"{message}\n{plan}"
    assert removed + sum(float(one) * int(loops) for one, loops in nodes) <= 10 * BATCH, f"{message}\n{plan}"


def assert_few_are_read(database, statement, parameters, message):
    with database.observer().connect() as connection:
        connection.exec_driver_sql("FLUSH STATUS")
        run_again(connection, statement, parameters)
        counters = (
            connection.execution_options(no_parameters=True)
            .exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%'")
            .all()
        )
    read = sum(int(value) for name, value in counters if name != "Handler_read_rnd_deleted")
    assert 0 < read <= 5 * BATCH + 5, f"{read} rows: {message}"


@pytest.mark.only("mysql")
def test_values_of_a_function_are_written_as_rows_are_read(database):
    """MariaDB does not collect the places of the rows first, to look each of them up again."""
    large(database, "one column")
    _, done = batches_of(database, "a function", shorter, where=True)
    update = done[-1][0]
    with database.observer().connect() as connection:
        plan = run_again(connection, update, None, "EXPLAIN ").all()
        if "WITH safeops_values" not in update:
            pytest.skip("MySQL finds the rows by their keys")
        connection.exec_driver_sql("FLUSH STATUS")
        run_again(connection, update, None)
        read = dict(connection.exec_driver_sql("SHOW SESSION STATUS").all())
    # The rows that it reads first, by their range; then the new values of each, by an index.
    assert [one.table == "t" for one in plan[:2]] == [True, False]
    assert (plan[0].type, plan[1].type, plan[1].key) == ("range", "ref", "key0")
    assert read["Handler_update"] == str(BATCH)
    assert read["Handler_read_rnd"] == "0"


@pytest.mark.only("mysql")
@pytest.mark.parametrize("fails", [False, True], ids=["finished", "failed"])
def test_the_session_is_set_once_for_all_batches_and_restored(database, fails):
    database.execute(
        "CREATE TABLE t (id integer PRIMARY KEY, v varchar(9))",
        *(f"INSERT INTO t VALUES ({i}, NULL)" for i in range(30)),
    )
    value = sa.text(f"IF(id = 25, REPEAT('x', {20 if fails else 9}), 'x')")
    variables = "SELECT @@SESSION.lock_wait_timeout, @@SESSION.innodb_lock_wait_timeout, @@SESSION.sql_mode"
    seen = []

    def filled():
        connection = op.get_bind()
        connection.exec_driver_sql("SET SESSION innodb_lock_wait_timeout = 37, lock_wait_timeout = 41")
        seen.append(connection.exec_driver_sql(variables).one())
        with contextlib.suppress(ViolatingRows):
            backfill("t", {"v": value}, batch_size=3)
        seen.append(op.get_bind().exec_driver_sql(variables).one())

    with statements_of(database) as sent:
        migrate(database, filled)
    assert seen[0] == seen[1]
    assert seen[0][:2] == (41, 37)
    batches = [place for place, one in enumerate(sent) if one == "START TRANSACTION"]
    assert not [one for one in sent[batches[1] : batches[7]] if one.startswith("SET ") or "@@SESSION" in one]
