"""Tables whose keys the server merges, and keys that follow CREATE TABLE: created once, then found as requested."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from tests.projects import migrate, render
from tests.servers import Database

from safeops import (
    DefinitionMismatch,
    UnknownTable,
    create_foreign_key_if_missing,
    create_table_if_missing,
    create_unique_constraint_if_missing,
)

NAME = 'Two "Keys"'


def key(**options: Any) -> sa.Column[Any]:
    return sa.Column("id", sa.String(36), primary_key=True, **options)


def text() -> sa.Column[Any]:
    return sa.Column("u u", sa.String(36))


MERGED: dict[str, Callable[[], list[Any]]] = {
    "a key that is unique": lambda: [key(unique=True)],
    "beside another unique column": lambda: [key(unique=True), sa.Column("key", sa.String(3), unique=True)],
    "two of the same columns": lambda: [key(), text(), *(sa.UniqueConstraint("u u", name=one) for one in ("b", "a"))],
    "one without a name": lambda: [
        key(),
        sa.Column("u", sa.Integer, unique=True),
        sa.UniqueConstraint("u", name=f"uq {NAME}"),
    ],
    "one that names the key": lambda: [key(), sa.UniqueConstraint("id", name="k" * 63)],
    "in two orders": lambda: [
        sa.Column("a", sa.Integer),
        sa.Column("b", sa.Integer),
        sa.PrimaryKeyConstraint("a", "b"),
        sa.UniqueConstraint("b", "a", name="z"),
        sa.UniqueConstraint("a", "b", name="y"),
    ],
    "with an index": lambda: [key(), sa.Column("u", sa.Integer, index=True, unique=True), sa.UniqueConstraint("u")],
    "a key that says it takes NULL": lambda: [
        sa.Column("id", sa.String(36), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    ],
}


@pytest.mark.parametrize("columns", MERGED.values(), ids=MERGED)
def test_a_table_is_as_requested_when_it_is_created_again(database: Database, columns: Any) -> None:
    runs = [migrate(database, lambda: create_table_if_missing(NAME, *columns())) for _ in range(2)]
    assert runs == [True, False]


@pytest.mark.only("postgresql")
def test_exclusion_constraints_and_keys_of_other_options_are_distinguished(database: Database) -> None:
    def up(*more: Any) -> bool:
        excluded = (postgresql.ExcludeConstraint(("a", "="), using="btree", name=one) for one in ("e1", "e2"))
        late = sa.UniqueConstraint("a", name="late", deferrable=True)
        return create_table_if_missing("t", sa.Column("a", sa.Integer, unique=True), late, *excluded, *more)

    assert [migrate(database, up), migrate(database, up)] == [True, False]
    assert {one["name"] for one in sa.inspect(database.observer()).get_unique_constraints("t")} == {"t_a_key", "late"}
    with pytest.raises(DefinitionMismatch, match=r"unique x is missing, not \(a\)"):
        migrate(database, lambda: up(sa.UniqueConstraint("a", name="x", deferrable=True, initially="DEFERRED")))


@pytest.mark.only("postgresql")
def test_a_key_that_is_missing_is_not_taken_for_another(database: Database) -> None:
    migrate(database, lambda: create_table_if_missing("t", key(), sa.Column("key", sa.Integer, unique=True)))
    more = sa.Column("more", sa.Integer, unique=True)
    database.execute("ALTER TABLE t ADD COLUMN more integer")
    with pytest.raises(DefinitionMismatch, match=r"but unique t_more_key is missing, not \(more\)\."):
        migrate(database, lambda: create_table_if_missing("t", key(), more))


def test_a_second_key_of_the_same_columns_can_be_added_by_its_helper(database: Database) -> None:
    migrate(database, lambda: create_table_if_missing("t", key(), sa.Column("u", sa.Integer, unique=True)))

    def up() -> bool:
        return create_unique_constraint_if_missing("second", "t", ["u"])

    assert [migrate(database, up), migrate(database, up)] == [True, False]


# Keys that SQLAlchemy leaves out of CREATE TABLE --------------------------------------------------------------------


def tree(name: str) -> bool:
    up = sa.Column("up", sa.Integer, sa.ForeignKey(f"{name}.id", use_alter=True))
    other = sa.Column("other", sa.Integer)
    key = sa.ForeignKeyConstraint(["other"], [f"{name}.id"], name="fk other", use_alter=True)
    return create_table_if_missing(name, sa.Column("id", sa.Integer, primary_key=True), up, other, key)


def test_a_key_to_its_own_table_is_made_with_it(database: Database) -> None:
    assert [migrate(database, lambda: tree("tree")), migrate(database, lambda: tree("tree"))] == [True, False]
    keys = sa.inspect(database.observer()).get_foreign_keys("tree")
    assert sorted(one["constrained_columns"][0] for one in keys) == ["other", "up"]


def test_a_key_to_its_own_table_is_rendered_with_it(database: Database) -> None:
    assert len(re.findall("REFERENCES", render(database, lambda: tree("tree")))) == 2


def hen() -> bool:
    egg = sa.ForeignKeyConstraint(["egg_id"], ["egg.id"], name="fk_hen_egg", use_alter=True)
    return create_table_if_missing(
        "hen", sa.Column("id", sa.Integer, primary_key=True), sa.Column("egg_id", sa.Integer), egg
    )


def egg() -> bool:
    return create_table_if_missing(
        "egg",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("hen_id", sa.Integer, sa.ForeignKey("hen.id")),
    )


@pytest.mark.only("postgresql", "mysql")
def test_a_key_to_a_table_that_nothing_adds_later_is_refused(database: Database) -> None:
    with pytest.raises(UnknownTable) as refusal:
        migrate(database, hen)
    assert 'create_foreign_key_if_missing("fk_hen_egg", "hen", "egg", ["egg_id"], ["id"])' in str(refusal.value)
    assert sa.inspect(database.observer()).get_table_names() == ["alembic_version"]


def test_a_key_between_tables_that_refer_to_each_other_follows_them(database: Database) -> None:
    stops = [True, False, False]

    def up() -> list[bool]:
        made = [hen(), egg()]
        if stops.pop(0):
            raise KeyboardInterrupt
        return [*made, create_foreign_key_if_missing("fk_hen_egg", "hen", "egg", ["egg_id"], ["id"])]

    with pytest.raises(KeyboardInterrupt):
        migrate(database, up)
    # SQLite takes a key to a table that comes later.
    assert migrate(database, up) == [False, False, database.kind != "sqlite"]
    assert migrate(database, up) == [False, False, False]
    assert len(sa.inspect(database.observer()).get_foreign_keys("hen")) == 1


@pytest.mark.only("postgresql", "mysql")
def test_a_key_to_a_table_that_exists_is_made_at_once(database: Database) -> None:
    migrate(database, lambda: create_table_if_missing("egg", sa.Column("id", sa.Integer, primary_key=True)))
    assert [migrate(database, hen), migrate(database, hen)] == [True, False]
    assert len(sa.inspect(database.observer()).get_foreign_keys("hen")) == 1
