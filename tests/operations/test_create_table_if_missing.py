"""create_table_if_missing"""

import pytest
import sqlalchemy as sa
from tests.catalogue import snapshot
from tests.operations.shape import Defines, Expect, Named, OnTable
from tests.projects import migrate

from safeops import UnknownType, create_table_if_missing, drop_table_if_exists

PARTS = {
    "id": lambda: sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    "title": lambda: sa.Column("title", sa.String(100), nullable=False, server_default="it's"),
    "user_id": lambda: sa.Column("user_id", sa.Integer, comment="who wrote it"),
    "price": lambda: sa.Column("price", sa.Numeric(10, 2), server_default=sa.text("0")),
    "fk_posts_user": lambda schema=None: sa.ForeignKeyConstraint(
        ["user_id"], [f"{schema}.users.id" if schema else "users.id"], name="fk_posts_user", ondelete="CASCADE"
    ),
    "ck_posts_price": lambda: sa.CheckConstraint("price >= 0", name="ck_posts_price"),
    "uq_posts_title": lambda: sa.UniqueConstraint("title", "user_id", name="uq_posts_title"),
    "ix_posts_user": lambda: sa.Index("ix_posts_user", "user_id"),
}


def create(_instead=None, schema=None, **kw):
    parts = {**PARTS, **(_instead or {})}
    made = [
        part(schema) if name == "fk_posts_user" and part is PARTS[name] else part()
        for name, part in parts.items()
        if part
    ]
    return create_table_if_missing("posts", *made, schema=schema, **{"comment": "what users write", **kw})


def other(name, part):
    return lambda **kw: create({name: part}, **kw)


class TestCreateTable(Defines, Named, OnTable):
    up = staticmethod(create)
    blocked_by = "ROW EXCLUSIVE"

    @staticmethod
    def down(**kw):
        return drop_table_if_exists("posts", **kw)

    @pytest.mark.only("pg18")
    def test_an_idle_transaction_blocks_only_the_helper(self, database):
        # MariaDB's CREATE TABLE does not wait for those who use the table that it refers to.
        super().test_an_idle_transaction_blocks_only_the_helper(database)

    different = (
        Expect(
            other("title", lambda: sa.Column("title", sa.String(99), nullable=False, server_default="it's")),
            ["type of column title", "(100)", "(99)"],
        ),
        Expect(
            other("title", lambda: sa.Column("title", sa.String(100), server_default="it's")),
            ["nullable of column title"],
        ),
        Expect(
            other("title", lambda: sa.Column("title", sa.String(100), nullable=False, server_default="its")),
            ["default of column title"],
        ),
        Expect(
            other("title", lambda: sa.Column("title", sa.Text, server_default="x")),
            ["type of column title", "nullable of column title", "default of column title"],
        ),
        Expect(
            other("user_id", lambda: sa.Column("user_id", sa.Integer, comment="whose")),
            ["comment of column user_id"],
            needs="has_comments",
        ),
        Expect(other("body", lambda: sa.Column("body", sa.Text)), ["column body is missing"]),
        Expect(
            other("fk_posts_user", lambda: sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_posts_user")),
            ["ondelete of foreign key fk_posts_user", "CASCADE"],
        ),
        Expect(
            other("ck_posts_price", lambda: sa.CheckConstraint("price > 0", name="ck_posts_price")),
            ["condition of check ck_posts_price"],
        ),
        Expect(
            other("uq_posts_title", lambda: sa.UniqueConstraint("title", name="uq_posts_title")),
            ["columns of unique uq_posts_title"],
        ),
        Expect(
            other("ix_posts_user", lambda: sa.Index("ix_posts_user", "user_id", unique=True)),
            ["unique is False, not True"],
        ),
        Expect(
            lambda **kw: create(comment="what bots write", **kw),
            ["comment is what users write, not what bots write"],
            needs="has_comments",
        ),
    )
    same = (
        lambda: create(comment=None),
        lambda: create(
            {"title": lambda: sa.Column("title", sa.VARCHAR(100), nullable=False, server_default=sa.text("'it''s'"))}
        ),
        lambda: create({"price": lambda: sa.Column("price", sa.DECIMAL(10, 2), server_default=sa.text("0"))}),
        lambda: create({"user_id": None, "fk_posts_user": None, "uq_posts_title": None, "ix_posts_user": None}),
        lambda: create({"ck_posts_price": lambda: sa.CheckConstraint("(price>=0)", name="ck_posts_price")}),
    )
    bad = (
        Expect(lambda: create_table_if_missing("", sa.Column("id", sa.Integer)), ["table name"]),
        Expect(lambda: create_table_if_missing(None, sa.Column("id", sa.Integer)), ["table name"]),
        Expect(lambda: create_table_if_missing("posts"), ["columns"]),
        Expect(lambda: create_table_if_missing("posts", "id"), ["columns", "'id'", "create_table_if_missing("]),
        Expect(lambda: create(if_different="ignore"), ["if_different", "'raise' or 'keep'"]),
    )


@pytest.mark.only("postgresql")
class TestItsTypes:
    def test_named_types_are_made_along(self, database):
        def up():
            mood = sa.Enum("sad", "ok", name="mood")
            return create_table_if_missing(
                "posts", sa.Column("id", sa.Integer, primary_key=True), sa.Column("mood", mood)
            )

        assert [migrate(database, up), migrate(database, up)] == [True, False]
        assert "CREATE TYPE public.mood AS ENUM" in snapshot(database)

    def test_a_type_that_must_exist(self, database):
        from sqlalchemy.dialects.postgresql import ENUM

        mood = ENUM("sad", name="mood", create_type=False)
        with pytest.raises(UnknownType, match="There is no type mood"):
            migrate(database, lambda: create_table_if_missing("posts", sa.Column("mood", mood)))
        assert "posts" not in snapshot(database)


def test_an_index_that_is_missing_is_built(database):
    def table(*more):
        return create_table_if_missing(
            "t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.Integer), *more
        )

    migrate(database, table)
    assert migrate(database, lambda: table(sa.Index("ix_t_a", "a"))) is True
    assert migrate(database, lambda: table(sa.Index("ix_t_a", "a"))) is False
    assert "ix_t_a" in snapshot(database)
