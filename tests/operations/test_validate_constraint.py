"""validate_constraint"""

import pytest
from tests.operations.shape import WORLD, Expect, OnTable
from tests.projects import migrate

from safeops import OrphanedRows, UnknownConstraint, UnknownTable, validate_constraint

LATER = (
    "ALTER TABLE users ADD CONSTRAINT ck_users_age CHECK (age >= 0) NOT VALID",
    "ALTER TABLE users ADD CONSTRAINT fk_users_team FOREIGN KEY (team_id) REFERENCES teams (id) NOT VALID",
)


class TestValidateCheck(OnTable):
    prepare = (*WORLD, *LATER)
    needs = ("validates_constraints_later",)
    blocked_by = "SHARE UPDATE EXCLUSIVE"
    unknown = (
        Expect(lambda: validate_constraint("ck_users_age", "user"), ["no table user", "users"], UnknownTable),
        Expect(
            lambda: validate_constraint("ck_users", "users"),
            ["no constraint ck_users", "ck_users_age"],
            UnknownConstraint,
        ),
    )
    bad = (
        Expect(lambda: validate_constraint("", "users"), ["constraint name"]),
        Expect(lambda: validate_constraint("ck", None), ["table name"]),
    )

    @staticmethod
    def up(**kw):
        return validate_constraint("ck_users_age", "users", **kw)


class TestValidateForeignKey(TestValidateCheck):
    @staticmethod
    def up(**kw):
        return validate_constraint("fk_users_team", "users", **kw)


def test_without_unvalidated_constraints(database):
    database.execute(
        "CREATE TABLE t (a integer, CONSTRAINT ck_a CHECK (a > 0))",
    )
    assert migrate(database, lambda: validate_constraint("ck_a", "t")) is False


@pytest.mark.only("postgresql")
def test_in_another_schema(database):
    database.execute(*WORLD, *LATER, "CREATE SCHEMA second", "SET LOCAL search_path TO second", *WORLD, *LATER)
    validate = lambda: validate_constraint("ck_users_age", "users", schema="second")  # noqa: E731
    assert [migrate(database, validate), migrate(database, validate)] == [True, False]
    assert database.query(
        "SELECT conrelid::regclass::text FROM pg_constraint WHERE convalidated AND conname = 'ck_users_age'"
    ) == [("second.users",)]


@pytest.mark.only("pg18")
def test_a_key_of_a_table_to_itself(database):
    database.execute(
        "CREATE TABLE parts (id integer PRIMARY KEY, whole integer)",
        "INSERT INTO parts VALUES (1, 2)",
        "ALTER TABLE parts ADD CONSTRAINT fk_whole FOREIGN KEY (whole) REFERENCES parts (id) NOT VALID",
    )
    with pytest.raises(OrphanedRows, match=r"1 row of public\.parts"):
        migrate(database, lambda: validate_constraint("fk_whole", "parts"))
    database.execute("INSERT INTO parts VALUES (2, NULL)")
    assert [migrate(database, lambda: validate_constraint("fk_whole", "parts")) for _ in range(2)] == [True, False]
