"""drop_index_if_exists"""

from tests.operations.shape import WORLD, Expect, Named, OnTable, assert_refused

from safeops import DependentObjects, create_index_if_missing, drop_index_if_exists


class TestDropIndex(Named, OnTable):
    prepare = (*WORLD, "CREATE INDEX ix_users_name ON users (name)")
    nothing_there = (
        lambda: drop_index_if_exists("ix_users", "users"),
        lambda: drop_index_if_exists("ix_users_name", "nothing"),
        lambda: drop_index_if_exists("ix_users_name", "teams"),
    )
    bad = (
        Expect(lambda: drop_index_if_exists("", "users"), ["index name"]),
        Expect(lambda: drop_index_if_exists("ix", ["users"]), ["table name"]),
    )

    @staticmethod
    def up(**kw):
        return drop_index_if_exists("ix_users_name", "users", **kw)

    @staticmethod
    def down(**kw):
        return create_index_if_missing("ix_users_name", "users", ["name"], **kw)


def test_the_index_of_a_constraint_stays(database):
    # MariaDB and SQLite know no difference between a unique index and a constraint, or have no name for it.
    if database.kind != "postgresql":
        return
    database.execute(*WORLD, "ALTER TABLE users ADD CONSTRAINT uq UNIQUE (email)")
    words = ["uq on", "belongs to the constraint", 'drop_constraint_if_exists("uq", "users")']
    assert_refused(database, [Expect(lambda: drop_index_if_exists("uq", "users"), words, DependentObjects)])
