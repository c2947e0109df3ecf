"""create_schema_if_missing"""

import pytest
from tests.operations.shape import Expect, Reversible, assert_refused

from safeops import UnsupportedOnDatabase, create_schema_if_missing, drop_schema_if_exists


@pytest.mark.only("postgresql")
class TestCreateSchema(Reversible):
    prepare = ("CREATE TABLE t (id integer)",)
    needs = ("has_schemas",)
    bad = (
        Expect(lambda: create_schema_if_missing(""), ["schema name"]),
        Expect(lambda: create_schema_if_missing(None), ["schema name"]),
        Expect(lambda: create_schema_if_missing("x" * 64), ["64 bytes"]),
    )

    @staticmethod
    def up():
        return create_schema_if_missing("billing")

    @staticmethod
    def down():
        return drop_schema_if_exists("billing")


@pytest.mark.only("sqlite")
def test_without_schemas(database):
    words = ["billing", "this server is", "would need"]
    assert_refused(database, [Expect(lambda: create_schema_if_missing("billing"), words, UnsupportedOnDatabase)])
