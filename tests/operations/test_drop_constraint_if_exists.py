"""drop_constraint_if_exists"""

import pytest
import sqlalchemy as sa
from tests.catalogue import assert_same, definitions
from tests.operations.shape import WORLD, Expect, Named, OnTable, assert_refused
from tests.projects import migrate

from safeops import DependentObjects, assured, create_check_constraint_if_missing, drop_constraint_if_exists

CHECKED = (
    *WORLD[:2],
    WORLD[2].replace("name varchar(50)", "name varchar(50), CONSTRAINT ck_users_age CHECK (age >= 0)"),
    WORLD[3],
)


class TestDropConstraint(Named, OnTable):
    prepare = CHECKED
    offline_needs = ("renders_constraints_offline",)
    linted_for = ("ban-drop-constraint",)
    nothing_there = (
        lambda: drop_constraint_if_exists("ck_users", "users"),
        lambda: drop_constraint_if_exists("ck_users_age", "nothing"),
        lambda: drop_constraint_if_exists("ck_users_age", "teams", type_="check"),
    )
    bad = (
        Expect(lambda: drop_constraint_if_exists("", "users"), ["constraint name"]),
        Expect(lambda: drop_constraint_if_exists("ck", "users", type_="index"), ["type_ is 'index'", "'foreignkey'"]),
        Expect(lambda: drop_constraint_if_exists("ck", 1), ["table name"]),
    )

    @staticmethod
    def up(**kw):
        return drop_constraint_if_exists("ck_users_age", "users", type_="check", **kw)

    @staticmethod
    def down(**kw):
        with assured("few rows, which MariaDB copies"):
            return create_check_constraint_if_missing("ck_users_age", "users", "age >= 0", **kw)


@pytest.mark.only("postgresql")
def test_a_key_that_a_foreign_key_depends_on(database):
    database.execute(*WORLD, "ALTER TABLE users ADD CONSTRAINT fk FOREIGN KEY (team_id) REFERENCES teams")
    drop = lambda: drop_constraint_if_exists("teams_pkey", "teams")  # noqa: E731
    assert_refused(database, [Expect(drop, ["primary key teams_pkey", "fk on table users"], DependentObjects)])
    assert migrate(database, lambda: drop_constraint_if_exists("fk", "users")) is True
    assert migrate(database, drop) is True


def test_a_check_is_dropped_by_the_name_that_it_was_created_by(database):
    convention = sa.MetaData(naming_convention={"ck": "ck_%(table_name)s_%(constraint_name)s"})
    database.execute("CREATE TABLE users (id integer PRIMARY KEY, age integer)")
    before = definitions(database)
    for type_ in ("check", None):
        make = lambda: create_check_constraint_if_missing("adult", "users", "age > 17 -- years")  # noqa: E731
        drop = lambda given=type_: drop_constraint_if_exists("adult", "users", type_=given)  # noqa: E731
        assert [migrate(database, one, target_metadata=convention) for one in (make, make, drop, drop)] == [
            True,
            False,
            True,
            False,
        ]
        assert_same(before, definitions(database), "dropped")
