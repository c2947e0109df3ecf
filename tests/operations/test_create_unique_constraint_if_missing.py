"""create_unique_constraint_if_missing"""

import pytest
from tests.catalogue import snapshot
from tests.operations.shape import SQLALCHEMY, WORLD, Defines, Expect, Named, OnTable, assert_refused
from tests.projects import migrate

from safeops import (
    DefinitionMismatch,
    DuplicateRows,
    UnknownColumn,
    UnknownTable,
    create_unique_constraint_if_missing,
    drop_constraint_if_exists,
)


def create(columns=("email", "age"), table="users", **kw):
    return create_unique_constraint_if_missing("uq_users_email", table, columns, **kw)


class TestCreateUnique(Defines, Named, OnTable):
    up = staticmethod(create)
    blocked_by = "ROW EXCLUSIVE"
    offline_needs = ("renders_constraints_offline",)

    @staticmethod
    def down(**kw):
        return drop_constraint_if_exists("uq_users_email", "users", type_="unique", **kw)

    different = (
        Expect(lambda **kw: create(["email"], **kw), ["columns is (email, age), not (email)"]),
        Expect(lambda **kw: create(["age", "email"], **kw), ["columns is (email, age), not (age, email)"]),
        Expect(
            lambda **kw: create(deferrable=True, **kw), ["deferrable is False, not True"], needs="has_deferrable_keys"
        ),
        Expect(
            lambda **kw: create(initially="DEFERRED", deferrable=True, **kw),
            ["initially is none, not DEFERRED"],
            needs="has_deferrable_keys",
        ),
    )
    same = (
        lambda: create(("email", "age")),
        lambda: create(deferrable=False),
    )
    unknown = (
        Expect(lambda: create(table="user"), ["no table user", "users"], UnknownTable),
        Expect(lambda: create(["emai"]), ["no column emai", "email"], UnknownColumn),
    )
    bad = (
        Expect(
            lambda: create_unique_constraint_if_missing("uq", "users", "email"), ["columns is 'email'", '["email"]']
        ),
        Expect(lambda: create([]), ["columns is []"]),
        Expect(lambda: create(["email", "email"]), ["twice"]),
        Expect(lambda: create([5]), ["columns is 5"]),
        Expect(lambda: create(initially="SOON"), ["initially is 'SOON'", "'DEFERRED'"]),
        Expect(lambda: create(if_different=""), ["if_different"]),
    )


def test_rows_that_share_the_values(database):
    database.execute(
        *WORLD,
        "INSERT INTO users VALUES (7, 1, 'a@x', 20, 'n'), (8, NULL, NULL, NULL, NULL), (9, NULL, NULL, NULL, NULL)",
    )
    words = ["1 value of", "more than once", "uq_users_email", "('a@x', 20)"]
    assert_refused(database, [Expect(create, words, DuplicateRows)])
    database.execute("DELETE FROM users WHERE id = 7")
    assert migrate(database, create) is True


@pytest.mark.only("postgresql")
class TestOnPostgreSQL:
    def test_a_finished_index_becomes_the_constraint(self, database):
        database.execute(*WORLD, "CREATE UNIQUE INDEX uq_users_email ON users (email, age)")
        number = "SELECT relfilenode FROM pg_class WHERE relname = 'uq_users_email'"
        before = database.query(number)
        assert [migrate(database, create), migrate(database, create)] == [True, False]
        assert database.query(number) == before

    def test_an_index_of_another_definition_has_the_name(self, database):
        database.execute(*WORLD, "CREATE INDEX uq_users_email ON users (email)")
        words = ["index uq_users_email", "columns", "unique"]
        assert_refused(database, [Expect(create, [], DefinitionMismatch)])
        with pytest.raises(DefinitionMismatch) as error:
            migrate(database, create)
        assert all(word.lower() in str(error.value).lower() for word in words)

    @pytest.mark.skipif(SQLALCHEMY < (2, 0, 41), reason="SQLAlchemy renders INCLUDE of a constraint from 2.0.41 on")
    def test_deferred_with_included_columns(self, database):
        database.execute(*WORLD)
        make = lambda: create(deferrable=True, initially="DEFERRED", postgresql_include=["name"])  # noqa: E731
        assert [migrate(database, make), migrate(database, make)] == [True, False]
        assert "INCLUDE (name) DEFERRABLE INITIALLY DEFERRED" in snapshot(database)
        assert_refused(database, [Expect(create, ["include is (name), not ()", "deferrable"], DefinitionMismatch)])

    @pytest.mark.skipif(SQLALCHEMY < (2, 0, 16), reason="SQLAlchemy renders it from 2.0.16 on")
    @pytest.mark.only("pg18")
    def test_nulls_not_distinct(self, database):
        database.execute(*WORLD)
        make = lambda: create(postgresql_nulls_not_distinct=True)  # noqa: E731
        assert [migrate(database, make), migrate(database, make)] == [True, False]
        assert_refused(database, [Expect(create, ["nulls not distinct is True, not False"], DefinitionMismatch)])
