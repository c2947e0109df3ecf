"""create_enum_if_missing"""

import pytest
from tests.operations.shape import Defines, Expect, Named
from tests.projects import log_lines, migrate

from safeops import create_enum_if_missing, drop_enum_if_exists


def create(values=("sad", "it's % :x", "happy"), **kw):
    return create_enum_if_missing("mood", list(values), **kw)


class TestCreateEnum(Defines, Named):
    prepare = ("CREATE TABLE moods (id integer)",)
    needs = ("has_named_types",)
    up = staticmethod(create)

    @staticmethod
    def down(**kw):
        return drop_enum_if_exists("mood", **kw)

    different = (
        Expect(
            lambda **kw: create(["sad", "gay"], **kw),
            ["type mood", "values is (sad, it's % :x, happy), not (sad, gay)"],
        ),
        Expect(lambda **kw: create(["happy", "sad"], **kw), ["values is"]),
        Expect(lambda **kw: create(["sad", "it's % :x", "happy", "great"], **kw), ["values is"]),
    )
    # Later revisions add values: additional values do not count as a difference.
    same = (
        lambda: create(("sad", "happy")),
        lambda: create(("sad", "it's % :x")),
    )
    bad = (
        Expect(lambda: create_enum_if_missing("", ["a"]), ["enum name"]),
        Expect(lambda: create([]), ["values are []"]),
        Expect(
            lambda: create_enum_if_missing("mood", "sad"),
            ["values are 'sad'", 'create_enum_if_missing("mood", ["sad"])'],
        ),
        Expect(lambda: create(["a", "a"]), ["different"]),
        Expect(lambda: create(["a", 1]), ["value is 1"]),
        Expect(lambda: create(["a" * 64]), ["64 bytes"]),
        Expect(lambda: create(if_different="x"), ["if_different"]),
    )


@pytest.mark.only("mysql", "sqlite")
def test_without_named_types(database):
    with log_lines() as said:
        assert migrate(database, create) is False
        assert migrate(database, lambda: drop_enum_if_exists("mood")) is False
    assert [line.endswith("has no named types") for line in said] == [True, True]
