"""backfill by a Python function on PostgreSQL: values through each driver, keys and names of all sorts."""

import datetime
import decimal
import enum

import pytest
from tests.backfill import test_functions
from tests.projects import migrate, statements_of

from safeops import BackfillFunctionFailed, backfill, forget_backfill, reads

pytestmark = pytest.mark.only("pg18")


@pytest.mark.parametrize("driver", ["psycopg2", "asyncpg"])
def test_values_come_and_go_through_each_driver(database, driver):
    test_functions.test_values_come_and_go_as_the_driver_has_them(database.with_driver(driver))


KEYS = {
    "text": [name.replace("\x00", "") for name in test_functions.NASTY],
    "varchar(5)": ["a", "a ", 'b"', "c\\"],
    "char(4)": ["a", "ab", "abc"],
    "uuid": ["00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"],
    "timestamptz": ["infinity", "-infinity", "2024-02-29 13:14:15.123456+00", "20240-01-01 00:00:00+00"],
    "numeric": ["12345678901234567890.12345678901", "NaN", "-0.5"],
    "float8": ["0.1", "Infinity", "1e300"],
    "mood": ["sad", "it''s"],
    "positive": ["1", "2"],
    "bytea": ["\\x00ff", "\\x"],
}


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
@pytest.mark.parametrize("type_", KEYS)
def test_keys_of_each_type_under_odd_names(database, type_, driver):
    database.execute(
        "CREATE TYPE mood AS ENUM ('sad', 'it''s')",
        "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
        f'CREATE TABLE "o:x %(a)s ""t""" ("k:1 %s" {type_}, "k""2" integer, "v :w" text, PRIMARY KEY ("k:1 %s", "k""2"))',
        *(
            f"""INSERT INTO "o:x %(a)s ""t\""" VALUES ('{key if "''" in key else key.replace("'", "''")}', {i})"""
            for i, key in enumerate(KEYS[type_])
        ),
    )

    @reads('k"2', writes=("v :w",))
    def numbered(rows):
        return [{"v :w": f"n{row['k' + chr(34) + '2']}"} for row in rows]

    given = database if driver == "psycopg" else database.with_driver(driver)
    report = migrate(given, lambda: backfill('o:x %(a)s "t"', numbered, batch_size=3))
    assert report.rows == len(KEYS[type_])
    rows = database.query('SELECT "k""2", "v :w" FROM "o:x %(a)s ""t""" ORDER BY 1')
    assert rows == [(i, f"n{i}") for i in range(len(KEYS[type_]))]


class Mood(enum.IntEnum):
    SAD = 7


class Word(str, enum.Enum):
    YES = 'y"\\'


GIVEN = {
    "text": [{"a": 1}, ["b", 'c"'], 5, 1.5, True, decimal.Decimal("1.50"), Word.YES],
    "integer": ["5", Mood.SAD, 6],
    "numeric(6,2)": [1.005, "2.345", decimal.Decimal("3.999")],
    "timestamp(0)": [datetime.datetime(2024, 1, 1, 0, 0, 0, 600000)],
    "bit(3)": ["101"],
    "jsonb": [10**30, [1, {"a": None}], Word.YES, decimal.Decimal("0.1"), "text", False],
    "positive": [3],
    "int4range": ["[1,5)"],
    "name": ["n"],
}


@pytest.mark.parametrize("type_", GIVEN)
def test_values_of_other_types_are_read_as_in_json(database, type_):
    """What arrives is what the server makes of the value as a part of a JSON document."""
    database.execute(
        "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
        f"CREATE TABLE people (id integer PRIMARY KEY, v {type_}, other integer[])",
        *(f"INSERT INTO people VALUES ({i})" for i in range(len(GIVEN[type_]))),
    )

    @reads("id", writes=("v",))
    def alone(rows):
        return [{"v": GIVEN[type_][row["id"]]} for row in rows]

    @reads("id")
    def with_an_array(rows):
        return [{"v": GIVEN[type_][row["id"]], "other": [1, None]} for row in rows]

    found = []
    for function in (alone, with_an_array):
        database.execute("UPDATE people SET v = NULL")
        with statements_of(database) as sent:
            migrate(database, lambda function=function: backfill("people", function, where="v IS NULL", name="n"))
        found.append(database.query("SELECT id, v::text FROM people ORDER BY id"))
        assert any("json_to_recordset" in one for one in sent) == (function is with_an_array or type_ in UNUSUAL)
        migrate(database, lambda: forget_backfill("n"))
    assert found[0] == found[1]


UNUSUAL = ("positive", "int4range")


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
@pytest.mark.parametrize("value", ["a\x00b", "\ud800"], ids=["NUL", "a surrogate"])
def test_a_text_that_no_server_can_keep(database, driver, value):
    database.execute(*test_functions.PEOPLE)

    @reads("id", writes=("v",))
    def wrong(rows):
        return [{"v": value} for _ in rows]

    given = database if driver == "psycopg" else database.with_driver(driver)
    with statements_of(database) as sent, pytest.raises(BackfillFunctionFailed, match="from 1 to 3"):
        migrate(given, lambda: backfill("people", wrong, batch_size=3))
    # pg8000 writes half of a message, after which its connection is of no use.
    assert value != "\ud800" or not any(one.startswith("UPDATE") and "people" in one for one in sent)
