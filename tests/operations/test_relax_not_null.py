"""relax_not_null"""

import pytest
from tests.operations.shape import WORLD, Expect, Named, OnTable, assert_refused

from safeops import UnknownColumn, UnknownTable, UnsafeOperation, enforce_not_null, relax_not_null


class TestRelaxNotNull(Named, OnTable):
    prepare = (*WORLD[:2], WORLD[2].replace("name varchar(50)", "name varchar(50) NOT NULL"), WORLD[3])
    offline_needs = ("renders_column_changes_offline",)
    linted_for = ("ban-drop-not-null",)
    unknown = (
        Expect(lambda: relax_not_null("userz", "name"), ["no table userz", "users"], UnknownTable),
        Expect(lambda: relax_not_null("users", "nam"), ["no column nam", "name"], UnknownColumn),
    )
    bad = (
        Expect(lambda: relax_not_null("users", ""), ["column name"]),
        Expect(lambda: relax_not_null("", "name"), ["table name"]),
    )

    @staticmethod
    def up(**kw):
        return relax_not_null("users", "name", **kw)

    @staticmethod
    def down(**kw):
        return enforce_not_null("users", "name", **kw)


def test_the_primary_key_takes_no_null(database):
    database.execute(*WORLD)
    words = ["Could not make users.id nullable: it is part of the primary key", "drop_constraint_if_exists("]
    assert_refused(database, [Expect(lambda: relax_not_null("users", "id"), words, UnsafeOperation)])


@pytest.mark.only("pg14")
def test_half_of_an_enforcement_is_undone(database):
    from tests.catalogue import snapshot
    from tests.projects import migrate

    from safeops import add_column_if_missing  # noqa: F401

    database.execute(*WORLD)
    before = snapshot(database)
    database.execute(
        "ALTER TABLE users ADD CONSTRAINT safeops_not_null_users_email CHECK (email IS NOT NULL) NOT VALID"
    )
    assert migrate(database, lambda: relax_not_null("users", "email")) is True
    assert snapshot(database) == before
