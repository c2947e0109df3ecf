"""create_check_constraint_if_missing"""

import pytest
import sqlalchemy as sa
from tests.operations.shape import WORLD, Defines, Expect, Named, OnTable, assert_refused
from tests.projects import migrate
from tests.servers import has_ability

from safeops import (
    UnknownTable,
    UnsafeOperation,
    UnsupportedOnDatabase,
    ViolatingRows,
    assured,
    create_check_constraint_if_missing,
    drop_constraint_if_exists,
    validate_constraint,
)


def create(condition="age >= 0 AND name <> 'a''b:c % \\'", table="users", **kw):
    # MariaDB copies the table for a check.
    with assured("few rows"):
        return create_check_constraint_if_missing("ck_users_age", table, condition, **kw)


class TestCreateCheck(Defines, Named, OnTable):
    offline_needs = ("renders_constraints_offline",)

    @staticmethod
    def up(**kw):
        return create("age >= 0", **kw)

    @staticmethod
    def down(**kw):
        return drop_constraint_if_exists("ck_users_age", "users", type_="check", **kw)

    @pytest.mark.only("pg18")
    def test_reads_and_writes_are_not_blocked(self, database):
        super().test_reads_and_writes_are_not_blocked(database)

    different = (
        Expect(
            lambda **kw: create("age > 0", **kw),
            ["check ck_users_age", "condition is", "> 0", "drop_constraint_if_exists("],
        ),
        Expect(lambda **kw: create("age >= 0 AND name IS NOT NULL", **kw), ["condition is"]),
        Expect(lambda **kw: create(sa.column("age") < 0, **kw), ["condition is"]),
    )
    same = (
        lambda: create("(AGE>=0)"),
        lambda: create(sa.column("age") >= 0),
        lambda: create(sa.text("age >= 0")),
    )
    unknown = (Expect(lambda: create("age >= 0", table="user"), ["no table user", "users"], UnknownTable),)
    bad = (
        Expect(lambda: create_check_constraint_if_missing("", "users", "age > 0"), ["constraint name"]),
        Expect(lambda: create(""), ["condition is ''", '"ck_users_age", "users", "SQL over columns of users"']),
        Expect(lambda: create(None), ["condition is None"]),
        Expect(lambda: create(True), ["condition is True"]),
        Expect(lambda: create("age >= 0", if_different=None), ["if_different"]),
    )


@pytest.mark.parametrize(
    "condition",
    [
        "name IN ('a', 'Ann', 'Bob', 'Cy%:c')",
        "name NOT LIKE '%\\%%' OR age IS NULL OR id BETWEEN 1 AND 100",
        "(team_id IS NULL) = (age IS NULL)",
        "length(name) < 20 AND NOT (age < 0)",
        "email LIKE '%@%'",
        "name <> ':age' AND coalesce(age, 0) < 1e3",
        "(CASE WHEN age > 100 THEN name IS NOT NULL ELSE id > 0 END) IS NOT FALSE",
    ],
)
def test_conditions_of_all_sorts(database, condition):
    database.execute(*WORLD)
    assert [migrate(database, lambda: create(condition)) for _ in range(2)] == [True, False]
    assert_refused(database, [Expect(lambda: create("age < 1000"), ["condition is"])])


def test_rows_that_break_it(database):
    database.execute(*WORLD, *(f"INSERT INTO users VALUES ({i}, 1, 'x', -1, 'n')" for i in range(10, 17)))
    words = ["7 rows break the check ck_users_age", "10, 11, 12, 13, 14, ...", "WHERE NOT (age >= 0)"]
    assert_refused(database, [Expect(lambda: create("age >= 0"), words, ViolatingRows)])
    database.execute("UPDATE users SET age = 0 WHERE age < 0")
    assert migrate(database, lambda: create("age >= 0")) is True


def test_later_validation(database, server):
    database.execute(*WORLD, "INSERT INTO users VALUES (10, 1, 'x', -1, 'n')")
    later = lambda: create("age >= 0", validate=False)  # noqa: E731
    if not has_ability(server, "validates_constraints_later"):
        assert_refused(database, [Expect(later, ["validate=False", "this server is"], UnsupportedOnDatabase)])
        return
    assert [migrate(database, later), migrate(database, later)] == [True, False]
    validate = lambda: validate_constraint("ck_users_age", "users")  # noqa: E731
    assert_refused(database, [Expect(call, ["1 row breaks", "10"], ViolatingRows) for call in (validate,)])
    database.execute("DELETE FROM users WHERE age < 0")
    assert [migrate(database, lambda: create("age >= 0")), migrate(database, validate)] == [True, False]


@pytest.mark.only("mysql")
def test_a_copy_of_the_table_is_refused_unless_assured(database):
    database.execute(*WORLD)
    call = lambda: create_check_constraint_if_missing("ck", "users", "age >= 0")  # noqa: E731
    assert_refused(database, [Expect(call, ["cannot do this online", "with assured("], UnsafeOperation)])
