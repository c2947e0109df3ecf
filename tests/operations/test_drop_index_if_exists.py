"""drop_index_if_exists"""

from tests.operations.shape import WORLD, Expect, Named, OnTable, assert_refused
from tests.projects import migrate

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


def test_an_index_that_a_foreign_key_refers_to(database):
    """SQLite itself would drop it, and then refuse each change of a row."""
    database.execute(
        "CREATE TABLE p (id int PRIMARY KEY, code int NOT NULL, other int)",
        "CREATE UNIQUE INDEX ux ON p (code)",
        "CREATE INDEX ix ON p (id, other)",
        "CREATE TABLE t (id int PRIMARY KEY, p_id int, code int, CONSTRAINT fk_id FOREIGN KEY (p_id) REFERENCES p (id),"
        " CONSTRAINT fk_code FOREIGN KEY (code) REFERENCES p (code))",
    )
    drop = lambda: drop_index_if_exists("ux", "p")  # noqa: E731
    assert_refused(database, [Expect(drop, ["index ux of p", "fk_code"], DependentObjects)])
    # The primary key serves as well as this one.
    assert migrate(database, lambda: drop_index_if_exists("ix", "p")) is True
    if database.kind != "postgresql":
        assert migrate(database, lambda: create_index_if_missing("ux2", "p", ["code"], unique=True)) is True
        assert migrate(database, drop) is True
