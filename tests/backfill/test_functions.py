"""backfill by a Python function: what it gets, what it may return, and what happens if it fails."""

import dataclasses
import datetime
import decimal
import ipaddress
import json
import threading
import types
import uuid

import pytest
import sqlalchemy as sa
from alembic import op
from tests.projects import migrate, statements_of

from safeops import (
    BackfillFunctionFailed,
    BackfillIncomplete,
    InvalidArgument,
    UnknownColumn,
    UnsupportedOnDatabase,
    ViolatingRows,
    backfill,
    reads,
)

pytestmark = pytest.mark.only("pg18", "mysql", "sqlite")

PEOPLE = (
    "CREATE TABLE people (id integer PRIMARY KEY, name varchar(50), age integer, v varchar(200))",
    *(f"INSERT INTO people VALUES ({i}, 'name {i}', {i % 9}, NULL)" for i in range(10, 0, -1)),
)
NASTY = ["it's", 'say "x"', "back\\slash", "100% %s %(a)s", ":a ::b", "a\nb\tc", "😀 ñ", "", "null", "{}", "\x01\u2028"]


def fill(database, function, **options):
    return migrate(database, lambda: backfill("people", function, **options))


def values(database):
    return database.query("SELECT id, v FROM people ORDER BY id")


@pytest.mark.smoke
def test_rows_come_by_key_with_the_columns_that_are_read(database):
    database.execute(*PEOPLE)
    got = []

    @reads("name", "age", writes=("v",))
    def noted(rows):
        got.extend(rows)
        return [{"v": row["name"].upper()} for row in rows]

    report = fill(database, noted, batch_size=3)
    assert got == [{"name": f"name {i}", "age": i % 9} for i in range(1, 11)]
    assert values(database) == [(i, f"NAME {i}") for i in range(1, 11)]
    assert (report.rows, report.batches, report.remaining) == (10, 4, 0)


def test_without_reads_a_row_has_all_columns(database):
    database.execute(*PEOPLE)
    got = []

    def noted(rows):
        got.extend(rows)
        return [{"v": "x", "age": 1} for _ in rows]

    fill(database, noted, where=sa.column("id") < 3)
    assert got == [{"id": i, "name": f"name {i}", "age": i, "v": None} for i in (1, 2)]
    assert database.query("SELECT id, age FROM people WHERE v = 'x' ORDER BY id") == [(1, 1), (2, 1)]


def test_without_writes_a_condition_must_be_given(database):
    database.execute(*PEOPLE)

    @reads("name")
    def noted(rows):
        return [{"v": "x"} for _ in rows]

    with pytest.raises(InvalidArgument, match="does not declare which columns it writes"):
        fill(database, noted)


def test_one_statement_writes_a_batch(database):
    database.execute(*PEOPLE)

    @reads("name", writes=("v",))
    def noted(rows):
        return [{"v": row["name"]} for row in rows]

    with statements_of(database) as sent:
        fill(database, noted, batch_size=5)
    writes = [one for one in sent if one.startswith("UPDATE") and "safeops_values" in one]
    assert len(writes) == 2


def test_rows_may_have_their_columns_in_any_order_and_be_any_mapping(database):
    database.execute(*PEOPLE)

    @reads("name", "age", writes=("v", "age"))
    def both(rows):
        made = [{"v": row["name"], "age": row["age"]} for row in rows]
        return [{"age": 1, "v": "first"}, types.MappingProxyType(made[1]), *made[2:]]

    fill(database, both, batch_size=10)
    assert values(database) == [(1, "first"), *((i, f"name {i}") for i in range(2, 11))]


@pytest.mark.only("pg18")
def test_the_types_of_the_columns_are_read_once(database):
    database.execute(*PEOPLE)

    @reads("name", writes=("v",))
    def noted(rows):
        return [{"v": row["name"]} for row in rows]

    with statements_of(database) as sent:
        fill(database, noted, batch_size=2)
    assert len([one for one in sent if "typarray" in one]) == 1


@pytest.mark.only("pg18")
def test_a_type_that_the_migration_changes_is_read_again(database):
    database.execute(*PEOPLE)
    numbered = reads("id", writes=("v",))(lambda rows: [{"v": row["id"] * 10**12} for row in rows])

    def change_between():
        backfill("people", reads("id", writes=("v",))(lambda rows: [{"v": "x"} for _ in rows]), name="first")
        op.execute("ALTER TABLE people ALTER v TYPE bigint USING NULL")
        backfill("people", numbered, name="second")

    migrate(database, change_between)
    assert values(database) == [(i, i * 10**12) for i in range(1, 11)]


def test_an_existing_value_is_kept_and_the_other_columns_are_filled(database):
    database.execute(*PEOPLE, "UPDATE people SET v = 'mine' WHERE id = 3", "UPDATE people SET age = NULL WHERE id < 5")

    @reads("name", writes=("v", "age"))
    def both(rows):
        return [{"age": 99, "v": "x"} for _ in rows]

    fill(database, both)
    assert database.query("SELECT id, v, age FROM people WHERE id IN (3, 4, 6) ORDER BY id") == [
        (3, "mine", 99),
        (4, "x", 99),
        (6, "x", 6),
    ]


# --- values ----------------------------------------------------------------------------------------------

MOMENT = datetime.datetime(2024, 2, 29, 13, 14, 15, 123456)
UTC = datetime.timezone.utc
DATA = {"a": [1, None, 'it\'s "x" \\ % : 😀'], "b": {"c": 1.5}}
SHARED = {
    "varchar(200)": NASTY,
    "integer": [0, -7, 2**31 - 1],
    "bigint": [-(2**63), 2**63 - 1],
    "decimal(30,10)": [decimal.Decimal("12345678901234567890.1234567891"), decimal.Decimal("-0.5")],
    "date": [datetime.date(2024, 2, 29), datetime.date(999, 1, 2)],
    "time": [datetime.time(23, 59, 58)],
}
TYPES = {
    "postgresql": {
        **SHARED,
        "text": NASTY,
        "char(3)": ["abc"],
        "boolean": [True, False],
        "float8": [0.1, 1e300, 0.30000000000000004, float("inf"), float("-inf")],
        "real": [0.5],
        "timestamp": [MOMENT],
        "timestamptz": [MOMENT.replace(tzinfo=UTC)],
        "interval": [datetime.timedelta(days=3, seconds=5, microseconds=7), datetime.timedelta(days=-1)],
        "bytea": [b"", b"\x00\xff'\\%:"],
        "uuid": [uuid.UUID(int=5)],
        "json": [DATA, [1, 2], "text", 5, True],
        "jsonb": [DATA, [], {}, "null"],
        "integer[]": [[1, 2], [], [None, 3]],
        "text[]": [NASTY, ["a,b", "{}", None]],
        "mood": ["sad", "it's"],
        "mood[]": [["sad", "it's"]],
        "inet": [ipaddress.ip_address("10.0.0.1")],
    },
    "mysql": {
        **SHARED,
        "text": NASTY,
        "boolean": [True, False],
        "double": [0.1, 1e300, 0.30000000000000004],
        "datetime(6)": [MOMENT],
        "varbinary(20)": [b"", b"\x00\xff'\\%:"],
        "blob": [b"\x00\xff"],
        "binary(2)": [b"\x00\xff"],
        "enum('sad','it''s')": ["sad", "it's"],
        "varchar(20) CHARACTER SET latin1": ["ñ ß"],
        "bit(8)": [5],
        "bit(64)": [2**64 - 1, 1],
        "bigint unsigned": [2**64 - 1, 0],
        "mediumtext": ["x" * 70_000, "ñ" * 20_000, "a\x00'\\"],
        "timestamp(6) NULL": [MOMENT],
        "year": [2024],
        "set('a','b')": [{"a", "b"}, set()],
    },
    "sqlite": {
        **SHARED,
        "decimal(30,10)": [decimal.Decimal("-0.5")],
        "text": NASTY,
        "boolean": [True, False],
        "real": [0.1, 1e300, 0.30000000000000004, float("inf"), float("-inf")],
        "datetime": [MOMENT],
        "blob": [b"", b"\x00\xff'\\%:"],
        "json": [DATA, [1, 2], "text", 5, True],
    },
}


def test_values_come_and_go_as_the_driver_has_them(database):
    """What the function gives is what a read by SQLAlchemy has, and what the function itself gets later."""
    if database.kind == "postgresql":
        database.execute("CREATE TYPE mood AS ENUM ('sad', 'it''s')")
    own = {"uuid": [uuid.UUID(int=5)]} if database.server.product == "mariadb" else {}
    types = {f"c{place}": pair for place, pair in enumerate({**TYPES[database.kind], **own}.items())}
    count = 1 + max(len(given) for _, given in types.values())
    columns = [f"{name} {type_}, {name}_copy {type_}" for name, (type_, _) in types.items()]
    database.execute(f"CREATE TABLE people (id integer PRIMARY KEY, {', '.join(columns)})")
    database.execute(*(f"INSERT INTO people (id) VALUES ({i})" for i in range(count)))

    @reads("id")
    def first(rows):
        return [{name: _at(given, row["id"]) for name, (_, given) in types.items()} for row in rows]

    @reads(*types)
    def copied(rows):
        return [{f"{name}_copy": row[name] for name in types} for row in rows]

    fill(database, first, where=True, name="first")
    fill(database, copied, where=True, name="copied")
    table = sa.Table("people", sa.MetaData(), autoload_with=database.observer())
    for column in table.c:
        if isinstance(column.type, sa.Float):
            # SQLAlchemy makes of MariaDB's double a decimal of 10 digits.
            column.type.asdecimal = False
    with database.observer().connect() as connection:
        rows = connection.execute(sa.select(table).order_by(table.c.id)).mappings().all()
    wrong = [
        (type_, place, wanted, row[name], row[f"{name}_copy"])
        for name, (type_, given) in types.items()
        for place, row in enumerate(rows)
        for wanted in [_at(given, place)]
        if not (_plain(wanted) == _plain(row[name]) == _plain(row[f"{name}_copy"]))
    ]
    assert wrong == []


def _at(values, place):
    """The last value is NULL everywhere."""
    return values[place] if place < len(values) else None


def _plain(value):
    if isinstance(value, str):
        return value
    if isinstance(value, datetime.timedelta):
        # MariaDB's driver has no other type for a time.
        return (datetime.datetime.min + value).time() if 0 <= value.days < 1 else value
    return value if not isinstance(value, memoryview) else bytes(value)


@pytest.mark.only("postgresql")
def test_not_a_number(database):
    database.execute(
        "CREATE TABLE people (id integer PRIMARY KEY, v float8, w numeric)", "INSERT INTO people VALUES (1)"
    )

    @reads("id", writes=("v", "w"))
    def nan(rows):
        return [{"v": float("nan"), "w": decimal.Decimal("NaN")} for _ in rows]

    fill(database, nan)
    assert database.query("SELECT v::text, w::text FROM people") == [("NaN", "NaN")]


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("value", [float("nan"), decimal.Decimal("NaN"), 2**70], ids=["nan", "decimal", "too large"])
def test_what_sqlite_cannot_store_is_refused_and_not_lost(database, value):
    database.execute("CREATE TABLE people (id integer PRIMARY KEY, v real, w)", "INSERT INTO people VALUES (1, 0.5, 7)")

    @reads("id", writes=("w",))
    def made(rows):
        return [{"w": value} for _ in rows]

    with pytest.raises(BackfillFunctionFailed, match="cannot be written"):
        fill(database, made, where=True)
    assert database.query("SELECT v, w FROM people") == [(0.5, 7)]


REJECTS = {
    "postgresql": (
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $$not 7$$; END'",
        "CREATE TRIGGER no BEFORE UPDATE ON people FOR EACH ROW WHEN (NEW.id = 7) EXECUTE FUNCTION no()",
    ),
    "mysql": (
        "CREATE TRIGGER no BEFORE UPDATE ON people FOR EACH ROW"
        " IF NEW.id = 7 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not 7'; END IF",
    ),
    "sqlite": ("CREATE TRIGGER no BEFORE UPDATE ON people WHEN NEW.id = 7 BEGIN SELECT RAISE(ABORT, 'not 7'); END",),
}


def test_the_row_that_a_trigger_rejects_is_named(database):
    """The function is not to blame, and the rows before it are kept."""
    database.execute(*PEOPLE, *REJECTS[database.kind])

    @reads("name", writes=("v",))
    def named(rows):
        return [{"v": row["name"]} for row in rows]

    with pytest.raises(ViolatingRows, match=r"cannot write the row of .*people with id = 7: .*not 7"):
        fill(database, named)
    assert values(database)[:6] == [(i, f"name {i}") for i in range(1, 7)]


KEYS = {
    "text": ("id varchar(40) COLLATE utf8mb4_bin", "id", ["'a'", "'A'", "'it''s'", "'\\\\'", "'ñ'", "''"]),
    "a collation": ("id varchar(40) COLLATE utf8mb4_unicode_ci", "id", ["'a'", "'B '", "'ñ'", "'it''s'"]),
    "latin1": ("id varchar(40) CHARACTER SET latin1", "id", ["'a'", "'ñ'", "'ß'"]),
    "binary": ("id varbinary(9)", "id", ["'a'", "'\\\\'", "X'00FF'"]),
    "several": ("id varchar(9), part decimal(9,3)", "id, part", ["'a', 1.5", "'a', 2.125", "'b', 1"]),
    "a time": ("id datetime(6)", "id", ["'2024-02-29 13:14:15.123456'", "'2024-02-29 13:14:15.123457'"]),
    "unsigned": ("id bigint unsigned", "id", ["18446744073709551615", "18446744073709551614", "1"]),
}


@pytest.mark.only("mysql")
@pytest.mark.parametrize("charset", ["utf8mb4", "latin1"])
@pytest.mark.parametrize("what", KEYS)
def test_each_row_gets_its_own_value_by_any_key(database, what, charset):
    """The connection's character set decides nothing, and a trigger sees each row once."""
    columns, key, keys = KEYS[what]
    database.execute(
        f"CREATE TABLE people ({columns}, n integer, v varchar(200), seen integer, PRIMARY KEY ({key}))",
        *(f"INSERT INTO people VALUES ({one}, {n}, NULL, 0)" for n, one in enumerate(keys)),
        "CREATE TRIGGER noted BEFORE UPDATE ON people FOR EACH ROW SET NEW.seen = OLD.seen + 1",
    )

    @reads("n", writes=("v",))
    def named(rows):
        return [{"v": f"{row['n']} 😀 ñ"} for row in rows]

    connected = dataclasses.replace(database, url=database.url.update_query_dict({"charset": charset}))
    migrate(connected, lambda: backfill("people", named, batch_size=2))
    wanted = [(n, f"{n} 😀 ñ", 1) for n in range(len(keys))]
    assert database.query("SELECT n, v, seen FROM people ORDER BY n") == wanted


JOINED = {
    "no nulls": ["", "\x01", "it's", "ñ 😀"],
    "nulls": [None, "", "null", None],
    "nulls and what replaces them": [None, "\x01"],
    "what separates them": ["a\0b", "\0"],
    "only nulls": [None],
}


@pytest.mark.only("mysql")
@pytest.mark.parametrize("what", JOINED)
def test_values_that_are_read_as_one_text_are_kept_apart(database, what):
    texts = JOINED[what]
    rows = [(n, text, None if text is None else -n) for n, text in enumerate(texts)]
    database.execute("CREATE TABLE people (id integer PRIMARY KEY, name varchar(50), age integer, v varchar(200))")
    with database.observer().begin() as connection:
        for row in rows:
            connection.execute(
                sa.text("INSERT INTO people VALUES (:a, :b, :c, 'x')"), dict(zip("abc", row, strict=True))
            )
    got = []

    @reads("id", "name", "age", writes=("v",))
    def noted(given):
        got.extend(tuple(row.values()) for row in given)
        return [{"v": row["name"]} for row in given]

    fill(database, noted, where=True)
    assert got == rows
    assert values(database) == list(enumerate(texts))


@pytest.mark.only("mysql")
def test_json_on_mariadb_is_text(database):
    database.execute("CREATE TABLE people (id integer PRIMARY KEY, v json)", "INSERT INTO people VALUES (1, NULL)")

    @reads("id", writes=("v",))
    def data(rows):
        return [{"v": DATA} for _ in rows]

    fill(database, data)
    assert json.loads(database.query("SELECT v FROM people")[0][0]) == DATA


OTHER = {
    "digits of bytes": ("varbinary(20)", "cafe", b"cafe"),
    "text for bytes": ("blob", "it's ñ", "it's ñ".encode()),
    "an identifier for bytes": ("binary(16)", uuid.UUID(int=5), uuid.UUID(int=5).bytes),
    "bytes for text": ("varchar(20)", "it's ñ".encode(), "it's ñ"),
    "bytes for JSON": ("json", b"[1]", "[1]"),
    "a truth value for JSON": ("json", True, "true"),
    "text for bits": ("bit(8)", "16", b"\x10"),
    "more than a day": ("time(6)", datetime.timedelta(days=34, hours=22, microseconds=1), None),
    "less than no time": ("time(6)", datetime.timedelta(seconds=-5), None),
    "another character set": ("varchar(20) CHARACTER SET latin1", "ñ ß", None),
    "another collation": ("varchar(20) COLLATE utf8mb4_unicode_ci", "ñ 😀", None),
    "a double-byte character set": ("varchar(20) CHARACTER SET sjis", "表示", None),
    "a choice in another character set": ("enum('ñ','b') CHARACTER SET latin1", "ñ", None),
}


@pytest.mark.only("mysql")
@pytest.mark.parametrize("keeping", [True, False], ids=["fills", "replaces"])
@pytest.mark.parametrize("what", OTHER)
def test_a_value_of_another_type_becomes_what_the_driver_would_write(database, what, keeping):
    type_, given, wanted = OTHER[what]
    database.execute(f"CREATE TABLE people (id integer PRIMARY KEY, v {type_})", "INSERT INTO people (id) VALUES (1)")

    @reads("id", writes=("v",))
    def other(rows):
        return [{"v": given} for _ in rows]

    assert fill(database, other, where=None if keeping else True).remaining == 0
    assert values(database) == [(1, given if wanted is None else wanted)]


@pytest.mark.only("pg18")
@pytest.mark.parametrize(
    ("type_", "given"), [("text", b"cafe"), ("varchar(20)[]", [b"cafe"]), ("jsonb", {"a": [b"cafe"]}), ("json", b"1")]
)
def test_bytes_are_not_a_text(database, type_, given):
    database.execute(f"CREATE TABLE people (id integer PRIMARY KEY, v {type_})", "INSERT INTO people (id) VALUES (1)")

    @reads("id", writes=("v",))
    def digits(rows):
        return [{"v": given} for _ in rows]

    with pytest.raises(BackfillFunctionFailed, match="cannot be written: bytes for v, which is"):
        fill(database, digits)
    assert values(database) == [(1, None)]


# --- failures --------------------------------------------------------------------------------------------


def raises(rows):
    if any(row["id"] == 8 for row in rows):
        raise ValueError("no such letter")
    return [{"v": "x"} for _ in rows]


def changed(change):
    return lambda rows: change([{"v": "x"} for _ in rows]) if rows[0]["id"] > 6 else [{"v": "x"} for _ in rows]


FAILURES = {
    "raises": (raises, ["raised ValueError: no such letter", "from 7 to 9"]),
    "too few": (changed(lambda made: made[:-1]), ["returned 2 values for 3 rows", "from 7 to 9"]),
    "too many": (changed(lambda made: [*made, {"v": 1}]), ["returned 4 values for 3 rows"]),
    "none": (changed(lambda made: None), ["NoneType", "for 3 rows"]),
    "a generator": (changed(lambda made: (one for one in made)), ["generator"]),
    "text": (changed(lambda made: "abc"), ["str", "for 3 rows"]),
    "wrong columns": (changed(lambda made: [{"v": "x"}, {"w": "x"}, {"v": "x"}]), ["columns w", "key 8, not v"]),
    "a column too many": (changed(lambda made: [*made[:2], {"v": "x", "age": 1}]), ["key 9, not v"]),
    "no mapping": (changed(lambda made: [*made[:2], "x"]), ["'x'", "key 9"]),
    "no columns": (changed(lambda made: [{}, *made[1:]]), ["key 7"]),
}


@pytest.mark.only("pg18", "sqlite")
@pytest.mark.parametrize("what", FAILURES)
def test_a_failure_names_the_keys_keeps_what_is_done_and_continues_after_a_fix(database, what):
    database.execute(*PEOPLE)
    function, words = FAILURES[what]

    def under_one_name(call):
        @reads("id", writes=("v",))
        def letters(rows):
            return call(rows)

        return letters

    with pytest.raises(BackfillFunctionFailed) as raised:
        fill(database, under_one_name(function), batch_size=3)
    message = str(raised.value)
    assert [word for word in [*words, "6 rows are done and kept"] if word not in message] == [], message
    assert [v for _, v in values(database)] == ["x"] * 6 + [None] * 4
    report = fill(database, under_one_name(lambda rows: [{"v": "y"} for _ in rows]), batch_size=3)
    assert [v for _, v in values(database)] == ["x"] * 6 + ["y"] * 4
    assert (report.rows, report.resumed) == (4, True)


def test_an_unknown_column_is_reported_with_the_key(database):
    database.execute(*PEOPLE)

    @reads("id")
    def misspelt(rows):
        return [{"w": 1} for _ in rows]

    with pytest.raises(
        BackfillFunctionFailed, match=r"returned the column w, which .*people does not have, for the row with the key 1"
    ):
        fill(database, misspelt, where=True)


def test_columns_that_the_table_does_not_have(database):
    database.execute(*PEOPLE)
    for needs in (reads("nam", writes=("v",)), reads("name", writes=("w",))):
        with pytest.raises(UnknownColumn, match="no column"):
            fill(database, needs(raises))


@pytest.mark.parametrize("value", ["abc", object(), "x" * 300], ids=["text for a number", "an object", "too long"])
def test_a_value_that_cannot_be_written(database, value):
    database.execute(*PEOPLE, "UPDATE people SET age = NULL")
    column = "v" if value == "x" * 300 else "age"
    if database.kind == "sqlite" and isinstance(value, str):
        return

    @reads("id")
    def wrong(rows):
        return [{column: value} for _ in rows]

    with pytest.raises(BackfillFunctionFailed) as raised:
        fill(database, wrong, where=True, batch_size=3)
    assert "from 1 to 3" in str(raised.value)
    assert values(database)[0] == (1, None)


@pytest.mark.parametrize(
    "value", [MOMENT.replace(tzinfo=UTC), MOMENT.replace(tzinfo=UTC).timetz()], ids=["moment", "time"]
)
@pytest.mark.parametrize("type_", ["timestamp NULL", "time", "date"])
def test_a_zone_that_the_column_cannot_keep_is_not_dropped(database, type_, value):
    """MariaDB refused the text, MySQL converted it to the zone of the session, and the others dropped the offset."""
    database.execute(
        *PEOPLE, f"ALTER TABLE people ADD COLUMN at {type_}", "ALTER TABLE people ADD COLUMN txt varchar(99)"
    )

    @reads("id", writes=("at",))
    def zoned(rows):
        return [{"at": value} for _ in rows]

    @reads("id", writes=("txt",))
    def written(rows):
        return [{"txt": value} for _ in rows]

    with pytest.raises(BackfillFunctionFailed) as raised:
        fill(database, zoned)
    assert "with a time zone for at, which is" in str(raised.value)
    assert "for the row with the key 1." in str(raised.value)
    assert ".replace(tzinfo=None)" in str(raised.value)
    if database.kind != "sqlite":
        fill(database, written)
        assert database.query("SELECT DISTINCT txt FROM people")[0][0].endswith("+00:00")


def test_a_key_must_not_be_written(database):
    database.execute(*PEOPLE)

    @reads("id")
    def moved(rows):
        return [{"id": row["id"] + 1000} for row in rows]

    with pytest.raises(BackfillFunctionFailed, match="key"):
        fill(database, moved, where=True, batch_size=3)
    assert len(values(database)) == 10
    assert max(values(database))[0] == 10


@pytest.mark.only("mysql", "sqlite")
def test_names_in_another_case(database):
    database.execute(*PEOPLE)

    @reads("ID", "NAME", writes=("V",))
    def named(rows):
        return [{"V": f"{row['ID']} {row['NAME']}"} for row in rows]

    @reads("name", writes=("ID",))
    def moved(rows):
        return [{"ID": 7} for _ in rows]

    assert fill(database, named).rows == 10
    assert values(database)[0] == (1, "1 name 1")
    with pytest.raises(BackfillFunctionFailed, match="returned the column id, which is part of the key"):
        fill(database, moved, where=True)


def test_reads_refuses_what_it_cannot_use():
    for arguments in ((), (3,), ("",)):
        with pytest.raises(InvalidArgument, match="names of columns"):
            reads(*arguments)
    with pytest.raises(InvalidArgument, match="5"):
        reads("a", writes=("b", 5))


# --- others at work --------------------------------------------------------------------------------------


@pytest.mark.only("postgresql", "mysql")
def test_a_change_of_the_source_waits_and_is_not_lost(database):
    """The rows are locked while the function runs: a writer that keeps both in sync runs after it."""
    database.execute(*PEOPLE)
    threads = []

    def rename():
        database.execute("UPDATE people SET name = 'new', v = 'NEW' WHERE id = 2")

    @reads("name", writes=("v",))
    def upper(rows):
        if not threads:
            threads.append(threading.Thread(target=rename))
            threads[0].start()
            threads[0].join(0.3)
            assert threads[0].is_alive()
        return [{"v": row["name"].upper()} for row in rows]

    fill(database, upper, batch_size=5)
    threads[0].join(5)
    assert database.query("SELECT name, v FROM people WHERE id = 2") == [("new", "NEW")]


def test_a_function_that_gives_none_for_some(database):
    database.execute(*PEOPLE)

    @reads("id", writes=("v",))
    def some(rows):
        return [{"v": None if row["id"] in (4, 7) else "x"} for row in rows]

    with pytest.raises(BackfillIncomplete) as raised:
        fill(database, some, batch_size=3)
    assert "For 2 of them the new value is NULL (keys 4, 7)" in str(raised.value)
    assert "application wrote" not in str(raised.value)


@pytest.mark.only("postgresql")
def test_a_table_whose_children_repeat_its_keys_is_refused(database):
    # A key is unique within each table only: the rows got each other's values.
    database.execute(
        "CREATE TABLE people (id integer PRIMARY KEY, name text, v text)",
        "CREATE TABLE children (PRIMARY KEY (id)) INHERITS (people)",
        "INSERT INTO people VALUES (1, 'parent')",
        "INSERT INTO children VALUES (1, 'child')",
    )

    @reads("name", writes=("v",))
    def copied(rows):
        return [{"v": row["name"]} for row in rows]

    with pytest.raises(UnsupportedOnDatabase, match="child tables"):
        fill(database, copied)
    assert database.query("SELECT DISTINCT v FROM people") == [(None,)]
    fill(database, {"v": sa.text("name")})
    assert database.query("SELECT name FROM people WHERE v = name ORDER BY 1") == [("child",), ("parent",)]


@pytest.mark.only("postgresql")
@pytest.mark.parametrize(
    ("driver", "value"),
    [("psycopg2", "0044-03-15 BC"), ("psycopg", "0044-03-15 BC"), ("psycopg", "infinity")],
)
def test_a_value_that_the_driver_cannot_read_is_named(database, driver, value):
    # Python has no date before the year 1: psycopg2 raises ValueError, psycopg 3 DataError.
    database.execute("CREATE TABLE people (id integer PRIMARY KEY, at date, v text)")
    database.execute(f"INSERT INTO people VALUES (1, '{value}')")

    @reads("at", writes=("v",))
    def written(rows):
        return [{"v": str(row["at"])} for row in rows]

    with pytest.raises(BackfillFunctionFailed, match="no Python value for one of at in"):
        fill(database if driver == "psycopg" else database.with_driver(driver), written)
    assert values(database) == [(1, None)]
