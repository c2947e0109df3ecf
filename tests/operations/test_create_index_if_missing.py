"""create_index_if_missing"""

import pytest
import sqlalchemy as sa
from tests.operations.shape import SQLALCHEMY, WORLD, Defines, Expect, Named, OnTable, assert_refused
from tests.projects import migrate, render

from safeops import (
    DefinitionMismatch,
    DuplicateRows,
    OnlineOnly,
    UnknownColumn,
    UnknownTable,
    UnsafeOperation,
    create_index_if_missing,
    drop_index_if_exists,
)


def create(columns=("name", "age"), table="users", **kw):
    return create_index_if_missing("ix_users_name", table, list(columns), **kw)


class TestCreateIndex(Defines, Named, OnTable):
    up = staticmethod(create)
    blocked_by = "ROW EXCLUSIVE"

    @staticmethod
    def down(**kw):
        return drop_index_if_exists("ix_users_name", "users", **kw)

    different = (
        Expect(lambda **kw: create(["name"], **kw), ["columns is (name, age), not (name)", "drop_index_if_exists("]),
        Expect(lambda **kw: create(["age", "name"], **kw), ["columns is (name, age), not (age, name)"]),
        Expect(lambda **kw: create(unique=True, **kw), ["unique is False, not True"]),
        Expect(lambda **kw: create(["name", sa.text("age DESC")], **kw), ["columns"]),
        Expect(
            lambda **kw: create([sa.text("lower(name)"), "age"], **kw),
            ["columns", "lower("],
            needs="has_expression_indexes",
        ),
        Expect(
            lambda **kw: create(postgresql_where=sa.text("age > 5"), sqlite_where=sa.text("age > 5"), **kw),
            ["predicate is none, not"],
            needs="has_partial_indexes",
        ),
        Expect(lambda **kw: create(unique=True, columns=["email"], **kw), ["unique is", "columns is"]),
    )
    same = (
        lambda: create([sa.text("name ASC"), "age"]),
        lambda: create([sa.column("name"), sa.column("age").asc()]),
    )
    unknown = (
        Expect(lambda: create(table="user"), ["no table user", "users"], UnknownTable),
        Expect(lambda: create(["nam"]), ["no column nam", "name"], UnknownColumn),
    )
    bad = (
        Expect(lambda: create_index_if_missing("", "users", ["name"]), ["index name"]),
        Expect(lambda: create_index_if_missing("ix", "users", "name"), ["columns is 'name'", '["name"]']),
        Expect(lambda: create_index_if_missing("ix", "users", []), ["columns is []"]),
        Expect(lambda: create_index_if_missing("ix", None, ["name"]), ["table name"]),
        Expect(lambda: create(if_different="drop"), ["if_different"]),
    )


def test_rows_that_share_a_value(database):
    database.execute(*WORLD, "INSERT INTO users VALUES (7, 1, 'a@x', 1, 'n'), (8, 1, 'b@x', 1, 'n')")
    unique = lambda: create_index_if_missing("ix_email", "users", ["email"], unique=True)  # noqa: E731
    words = ["2 values of", "more than once", "a@x", "b@x", "HAVING count(*) > 1"]
    assert_refused(database, [Expect(unique, words, DuplicateRows)])
    database.execute("DELETE FROM users WHERE id > 6")
    assert migrate(database, unique) is True


def test_on_another_table(database):
    database.execute(*WORLD, "CREATE INDEX ix_users_name ON teams (title)")
    if database.kind == "mysql":
        assert migrate(database, create) is True  # there an index name belongs to its table
    else:
        assert_refused(database, [Expect(create, ["ix_users_name", "teams"], DefinitionMismatch)])


VARIANTS = {
    "expression": ([sa.text("lower(name)")], {}, "has_expression_indexes"),
    "desc": ([sa.text("name DESC"), "age"], {}, ""),
    "partial": (
        ["name"],
        {
            "postgresql_where": sa.text("age > 5 AND email IS NOT NULL"),
            "sqlite_where": sa.text("age > 5 AND email IS NOT NULL"),
        },
        "has_partial_indexes",
    ),
    "partial in": (
        ["name"],
        {"postgresql_where": sa.text("name IN ('a', 'b')"), "sqlite_where": sa.text("name IN ('a', 'b')")},
        "has_partial_indexes",
    ),
    "column expression": ([sa.func.lower(sa.column("name"))], {}, "has_expression_indexes"),
    "two expressions": (
        [sa.text("coalesce(name, 'x')"), sa.text("(age + 1)")],
        {},
        "has_expression_indexes",
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants(database, server, variant):
    from tests.servers import has_ability

    columns, options, needs = VARIANTS[variant]
    if needs and not has_ability(server, needs):
        pytest.skip(f"{server.kind} lacks {needs}")
    database.execute(*WORLD)
    make = lambda: create_index_if_missing("ix", "users", columns, **options)  # noqa: E731
    if server.product == "mysql" and needs == "has_expression_indexes":
        virtual = ['sa.Column("ix_value_1"', "persisted=False", 'create_index_if_missing("ix", "users", ["ix_value_1"']
        assert_refused(database, [Expect(make, ["expression", *virtual], UnsafeOperation)])
        with pytest.raises(OnlineOnly):
            render(database, make)
        database.execute("DELETE FROM users")
    assert [migrate(database, make), migrate(database, make)] == [True, False]
    plain = Expect(lambda: create_index_if_missing("ix", "users", ["email"]), ["columns is"], DefinitionMismatch)
    assert_refused(database, [plain])


POSTGRESQL = {
    "hash": (["name"], {"postgresql_using": "hash"}, "method is hash, not btree"),
    "include": (["name"], {"postgresql_include": ["age"]}, "include is (age), not ()"),
    "ops": (["name"], {"postgresql_ops": {"name": "varchar_pattern_ops"}}, "varchar_pattern_ops"),
    "with": (["name"], {"postgresql_with": {"fillfactor": 50}}, "fillfactor"),
    "nulls first": ([sa.text("name DESC NULLS LAST")], {}, "columns"),
    "collation": ([sa.text('name COLLATE "C"')], {}, "columns"),
    "cast": ([sa.text("(name::text)")], {}, "columns"),
    "json": ([sa.text("(email || '%' || name)")], {}, "columns"),
}


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("variant", POSTGRESQL)
def test_variants_of_postgresql(database, variant):
    columns, options, words = POSTGRESQL[variant]
    database.execute(*WORLD)
    make = lambda: create_index_if_missing("ix", "users", columns, **options)  # noqa: E731
    assert [migrate(database, make), migrate(database, make)] == [True, False]
    assert_refused(
        database, [Expect(lambda: create_index_if_missing("ix", "users", ["name"]), [words], DefinitionMismatch)]
    )


@pytest.mark.skipif(SQLALCHEMY < (2, 0, 16), reason="SQLAlchemy renders it from 2.0.16 on")
@pytest.mark.only("pg18")
def test_nulls_not_distinct(database):
    database.execute(*WORLD)

    def make():
        return create_index_if_missing(
            "ix", "users", ["team_id", "name"], unique=True, postgresql_nulls_not_distinct=True
        )

    assert [migrate(database, make), migrate(database, make)] == [True, False]
    plain = lambda: create_index_if_missing("ix", "users", ["team_id", "name"], unique=True)  # noqa: E731
    assert_refused(database, [Expect(plain, ["nulls not distinct is True, not False"], DefinitionMismatch)])
