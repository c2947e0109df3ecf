"""drop_table_if_exists"""

import pytest
import sqlalchemy as sa
from tests.operations.shape import WORLD, Expect, Named, OnTable, assert_refused
from tests.projects import migrate

from safeops import DependentObjects, create_table_if_missing, drop_table_if_exists

POSTS = (
    "CREATE TABLE posts (id integer NOT NULL, title varchar(20), user_id integer, PRIMARY KEY (id),"
    " CONSTRAINT fk_posts_user FOREIGN KEY (user_id) REFERENCES users (id))",
    "CREATE INDEX ix_posts_user ON posts (user_id)",
    "INSERT INTO posts VALUES (1, 'x', 1)",
)


class TestDropTable(Named, OnTable):
    prepare = (*WORLD, *POSTS)
    lossless = False
    # A foreign key is dropped along with it, for which the other table is locked too.
    blocked_by = "ACCESS SHARE"
    linted_for = ("ban-drop-table",)
    nothing_there = (
        lambda: drop_table_if_exists("nothing"),
        lambda: drop_table_if_exists("user"),
    )
    bad = (
        Expect(lambda: drop_table_if_exists(""), ["table name"]),
        Expect(lambda: drop_table_if_exists(7), ["table name is 7"]),
        Expect(lambda: drop_table_if_exists("posts", schema=""), ["schema"]),
    )

    @staticmethod
    def up(**kw):
        return drop_table_if_exists("posts", **kw)

    @staticmethod
    def down(schema=None):
        return create_table_if_missing(
            "posts",
            sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("title", sa.String(20)),
            sa.Column("user_id", sa.Integer),
            sa.ForeignKeyConstraint(
                ["user_id"], [f"{schema}.users.id" if schema else "users.id"], name="fk_posts_user"
            ),
            sa.Index("ix_posts_user", "user_id"),
            schema=schema,
        )

    def traffic(self, database):
        database.execute("DELETE FROM posts")
        return super().traffic(database)

    @pytest.mark.only("pg18")
    def test_an_idle_transaction_blocks_only_the_helper(self, database):
        super().test_an_idle_transaction_blocks_only_the_helper(database)


class TestWhatDependsOnIt:
    def test_a_foreign_key(self, database):
        database.execute(*WORLD, *POSTS)
        assert_refused(
            database,
            [Expect(lambda: drop_table_if_exists("users"), ["users", "posts", "fk_posts_user"], DependentObjects)],
        )

    @pytest.mark.only("postgresql")
    def test_a_view_is_named_with_its_definition(self, database):
        database.execute(*WORLD, "CREATE VIEW adults AS SELECT * FROM users WHERE age >= 18")
        words = ["adults", "age >= 18"]
        assert_refused(database, [Expect(lambda: drop_table_if_exists("users"), words, DependentObjects)])
        database.execute("DROP VIEW adults")
        assert migrate(database, lambda: drop_table_if_exists("users")) is True
