"""add_enum_value_if_missing"""

import pytest
import sqlalchemy as sa
from alembic import op
from tests.operations.shape import Expect, Shape
from tests.projects import log_lines, migrate

from safeops import InvalidArgument, UnknownType, add_enum_value_if_missing

MOOD = ("CREATE TYPE mood AS ENUM ('sad', 'ok')", "CREATE TABLE t (id integer, mood mood)")
VALUES = "SELECT enumlabel FROM pg_enum ORDER BY enumtypid, enumsortorder"


class TestAddEnumValue(Shape):
    prepare = MOOD
    needs = ("has_named_types",)
    linted_for = ("require-enum-value-ordering",)
    unknown = (
        Expect(
            lambda: add_enum_value_if_missing("moods", "x"),
            ["no type moods", "mood", "create_enum_if_missing("],
            UnknownType,
        ),
        Expect(
            lambda: add_enum_value_if_missing("mood", "x", after="okay"), ["no value 'okay'", "ok"], InvalidArgument
        ),
        Expect(lambda: add_enum_value_if_missing("t", "x"), ["no type t"], UnknownType),
    )
    bad = (
        Expect(lambda: add_enum_value_if_missing("mood", ""), ["value is ''"]),
        Expect(lambda: add_enum_value_if_missing("mood", None), ["value is None"]),
        Expect(lambda: add_enum_value_if_missing("mood", "x", before="ok", after="sad"), ["at most one"]),
        Expect(lambda: add_enum_value_if_missing("mood", "x" * 64), ["64 bytes"]),
    )

    @staticmethod
    def up(**kw):
        return add_enum_value_if_missing("mood", "it's 100 % :x", **kw)


@pytest.mark.only("postgresql")
class TestItsPlace:
    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            ({"before": "sad"}, ["new", "sad", "ok"]),
            ({"after": "sad"}, ["sad", "new", "ok"]),
            ({}, ["sad", "ok", "new"]),
        ],
    )
    def test_place(self, database, where, expected):
        database.execute(*MOOD)
        add = lambda: add_enum_value_if_missing("mood", "new", **where)  # noqa: E731
        assert [migrate(database, add), migrate(database, add)] == [True, False]
        assert [value for (value,) in database.query(VALUES)] == expected

    def test_it_can_be_used_at_once(self, database):
        database.execute(*MOOD)

        def body():
            op.execute("INSERT INTO t VALUES (1, 'ok')")
            add_enum_value_if_missing("mood", "great")
            op.execute("UPDATE t SET mood = 'great'")
            return op.get_bind().scalar(sa.text("SELECT mood FROM t"))

        assert migrate(database, body) == "great"

    def test_another_schema(self, database):
        database.execute(*MOOD, "CREATE SCHEMA second", "CREATE TYPE second.mood AS ENUM ('x')")
        add = lambda: add_enum_value_if_missing("mood", "y", schema="second")  # noqa: E731
        assert [migrate(database, add), migrate(database, add)] == [True, False]
        assert [value for (value,) in database.query(VALUES)] == ["sad", "ok", "x", "y"]


@pytest.mark.only("mysql", "sqlite")
def test_without_named_types(database):
    with log_lines() as said:
        assert migrate(database, lambda: add_enum_value_if_missing("mood", "x")) is False
    assert "has no named types" in said[0]
