"""drop_schema_if_exists"""

import pytest
from tests.operations.shape import Expect, Reversible, assert_refused

from safeops import DependentObjects, create_schema_if_missing, drop_schema_if_exists


@pytest.mark.only("postgresql")
class TestDropSchema(Reversible):
    prepare = ("CREATE SCHEMA billing",)
    needs = ("has_schemas",)
    linted_for = ("ban-drop-schema",)
    nothing_there = (lambda: drop_schema_if_exists("billings"),)
    bad = (
        Expect(lambda: drop_schema_if_exists(""), ["schema name"]),
        Expect(lambda: drop_schema_if_exists(1), ["schema name"]),
    )

    @staticmethod
    def up():
        return drop_schema_if_exists("billing")

    @staticmethod
    def down():
        return create_schema_if_missing("billing")


@pytest.mark.only("postgresql")
@pytest.mark.parametrize(
    "thing", ["TABLE billing.bills (id integer)", "TYPE billing.kind AS ENUM ('a')", "SEQUENCE billing.numbers"]
)
def test_one_that_is_not_empty(database, thing):
    database.execute("CREATE SCHEMA billing", f"CREATE {thing}")
    words = ["schema billing", thing.split()[1]]
    assert_refused(database, [Expect(lambda: drop_schema_if_exists("billing"), words, DependentObjects)])
