"""set_server_default"""

import pytest
import sqlalchemy as sa
from tests.operations.shape import WORLD, Expect, Named, OnTable
from tests.projects import migrate

from safeops import UnknownColumn, UnknownTable, set_server_default


class TestSetServerDefault(Named, OnTable):
    unknown = (
        Expect(lambda: set_server_default("userz", "name", "x"), ["no table userz", "users"], UnknownTable),
        Expect(lambda: set_server_default("users", "nam", "x"), ["no column nam", "name"], UnknownColumn),
    )
    bad = (
        Expect(lambda: set_server_default("users", "", "x"), ["column name"]),
        Expect(
            lambda: set_server_default("users", "age", 7), ["default is 7", 'set_server_default("users", "age", "7")']
        ),
        Expect(lambda: set_server_default("users", "age", True), ["default is True"]),
    )
    offline_needs = ("renders_constraints_offline",)

    @staticmethod
    def up(**kw):
        return set_server_default("users", "name", "it's 100 % :x \\ \U0001f642", **kw)

    @staticmethod
    def down(**kw):
        return set_server_default("users", "name", None, **kw)


@pytest.mark.parametrize(
    ("column", "default", "spelled"),
    [
        ("age", sa.text("7"), sa.text("(7)")),
        ("age", "7", sa.text("7")),
        ("name", "x", sa.text("'x'")),
        ("age", sa.text("3 + 4"), sa.text("3+4")),
    ],
)
def test_other_spellings(database, column, default, spelled):
    database.execute(*WORLD)
    assert migrate(database, lambda: set_server_default("users", column, default)) is True
    assert migrate(database, lambda: set_server_default("users", column, default)) is False
    assert migrate(database, lambda: set_server_default("users", column, spelled)) is False


def test_now(database):
    database.execute("CREATE TABLE t (at timestamp NULL)")
    assert migrate(database, lambda: set_server_default("t", "at", sa.text("CURRENT_TIMESTAMP"))) is True
    assert migrate(database, lambda: set_server_default("t", "at", sa.func.now())) is False


def test_a_default_is_changed(database):
    database.execute(*WORLD)
    steps = [set_server_default("users", "name", one) for one in ()]
    for default in ("a", "b", "a", None):
        steps.append(migrate(database, lambda default=default: set_server_default("users", "name", default)))
    assert steps == [True] * 4
    assert database.query("SELECT name FROM users ORDER BY id")[0] == ("Ann",)
