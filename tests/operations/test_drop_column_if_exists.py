"""drop_column_if_exists"""

import pytest
import sqlalchemy as sa
from tests.catalogue import snapshot
from tests.operations.shape import WORLD, Expect, Named, OnTable, assert_refused
from tests.projects import migrate

from safeops import (
    DependentObjects,
    add_column_if_missing,
    create_index_if_missing,
    drop_column_if_exists,
    drop_index_if_exists,
)


class TestDropColumn(Named, OnTable):
    prepare = (*WORLD, "CREATE INDEX ix_users_name ON users (name)")
    lossless = False
    offline_needs = ("renders_constraints_offline",)
    columns = ("age", "email")
    linted_for = ("ban-drop-column",)
    nothing_there = (
        lambda: drop_column_if_exists("users", "nam"),
        lambda: drop_column_if_exists("nothing", "name"),
    )
    bad = (
        Expect(lambda: drop_column_if_exists("users", ""), ["column name"]),
        Expect(lambda: drop_column_if_exists("users", ["name"]), ["column name"]),
        Expect(lambda: drop_column_if_exists(None, "name"), ["table name"]),
    )

    @staticmethod
    def up(**kw):
        return drop_column_if_exists("users", "name", **kw)

    @staticmethod
    def down(**kw):
        # Not index=True: SQLAlchemy makes up a name with the schema in it.
        added = add_column_if_missing("users", sa.Column("name", sa.String(50)), **kw)
        return create_index_if_missing("ix_users_name", "users", ["name"], **kw) | added


class TestWhatDependsOnIt:
    def test_what_has_other_columns_too(self, database):
        database.execute(*WORLD, "CREATE INDEX ix_users_both ON users (name, age)")
        assert_refused(
            database,
            [Expect(lambda: drop_column_if_exists("users", "name"), ["users.name", "ix_users_both"], DependentObjects)],
        )

    def test_what_a_recipe_created_is_not_listed(self, database):
        database.execute(*WORLD, "CREATE INDEX ix_both ON users (name, age)")
        database.execute("CREATE INDEX safeops_safeops_age_ix_both ON users (name, age)")
        drop = lambda: drop_column_if_exists("users", "name")  # noqa: E731
        with pytest.raises(DependentObjects, match="ix_both") as caught:
            migrate(database, drop)
        assert "safeops_" not in str(caught.value)
        migrate(database, lambda: drop_index_if_exists("ix_both", "users"))
        words = [
            "safeops_safeops_age_ix_both",
            "created by an unfinished ColumnRename or TypeChange: finish or undo that first",
        ]
        assert_refused(database, [Expect(drop, words, DependentObjects)])

    @pytest.mark.only("postgresql")
    @pytest.mark.parametrize(
        ("statement", "word"),
        [
            ("CREATE VIEW names AS SELECT name FROM users", "names"),
            ("ALTER TABLE users ADD up varchar(50) GENERATED ALWAYS AS (upper(name)) STORED", "up"),
            ("ALTER TABLE users ADD CONSTRAINT ck_both CHECK (name <> email)", "ck_both"),
            ("CREATE POLICY own ON users USING (name = current_user)", "own"),
            ("CREATE INDEX ix_part ON users (age) WHERE name IS NULL", "ix_part"),
            ("CREATE INDEX ix_expr ON users (lower(name), age)", "ix_expr"),
        ],
    )
    def test_others(self, database, statement, word):
        database.execute(*WORLD, statement)
        assert_refused(database, [Expect(lambda: drop_column_if_exists("users", "name"), [word], DependentObjects)])

    def test_its_indexes_and_constraints_are_dropped_too(self, database):
        database.execute(*WORLD)
        before = snapshot(database)
        database.execute("ALTER TABLE users ADD x integer CHECK (x > 0)", "CREATE INDEX ix_users_x ON users (x)")
        assert migrate(database, lambda: drop_column_if_exists("users", "x")) is True
        assert snapshot(database) == before
