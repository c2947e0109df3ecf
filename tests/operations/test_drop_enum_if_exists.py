"""drop_enum_if_exists"""

import pytest
from tests.operations.shape import Expect, Named, assert_refused
from tests.projects import migrate

from safeops import DependentObjects, create_enum_if_missing, drop_enum_if_exists


class TestDropEnum(Named):
    prepare = ("CREATE TYPE mood AS ENUM ('sad', 'ok')",)
    needs = ("has_named_types",)
    linted_for = ("ban-drop-type",)
    nothing_there = (
        lambda: drop_enum_if_exists("moods"),
        lambda: drop_enum_if_exists("pg_class"),
    )
    bad = (
        Expect(lambda: drop_enum_if_exists(""), ["enum name"]),
        Expect(lambda: drop_enum_if_exists(["mood"]), ["enum name"]),
    )

    @staticmethod
    def up(**kw):
        return drop_enum_if_exists("mood", **kw)

    @staticmethod
    def down(**kw):
        return create_enum_if_missing("mood", ["sad", "ok"], **kw)


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("type_", ["mood", "mood[]"])
def test_a_column_that_uses_it(database, type_):
    database.execute("CREATE TYPE mood AS ENUM ('sad')", f"CREATE TABLE t (a {type_})")
    assert_refused(
        database, [Expect(lambda: drop_enum_if_exists("mood"), ["type mood", "column a of table t"], DependentObjects)]
    )
    database.execute("DROP TABLE t")
    assert migrate(database, lambda: drop_enum_if_exists("mood")) is True
