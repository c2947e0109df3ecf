"""Definitions that Alembic takes for the same: autogenerate and `alembic check` find them, and write what changes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.dialects.postgresql import INT4RANGE, JSONB, ExcludeConstraint
from tests.authoring.authored import Authored, body, comments, models
from tests.catalogue import definitions
from tests.servers import Database
from tests.whole import one_in

INDEX = 'Ix "odd"'


@pytest.fixture
def authored(tmp_path: Path, database: Database) -> Authored:
    return Authored(tmp_path, database)


def table(*parts: Any) -> sa.MetaData:
    columns = (
        sa.Column("a b", sa.Integer),
        sa.Column("name", sa.String(20)),
        sa.Column("data", JSONB().with_variant(sa.JSON(), "sqlite", "mysql", "mariadb")),
        sa.Column("during", INT4RANGE().with_variant(sa.String(9), "sqlite", "mysql", "mariadb")),
    )
    key = sa.Column("id", sa.Integer, primary_key=True)
    other = ("other", sa.Column("id", sa.Integer, primary_key=True))
    return models(other, ("T t", key, *columns, *parts))


def index(*elements: Any, **options: Any) -> Callable[[], sa.Index]:
    return lambda: sa.Index(INDEX, *(one() if callable(one) else one for one in elements), **options)


def excluded(*elements: Any, **options: Any) -> Callable[[], Any]:
    return lambda: ExcludeConstraint(*elements, name="No 'overlap'", using="gist", **options)


def where(text: str) -> Any:
    return {"postgresql_where": sa.text(text), "sqlite_where": sa.text(text)}


PAIRS: dict[str, tuple[Callable[[], Any] | None, Callable[[], Any] | None]] = {
    "predicate": (index("name", unique=True), index("name", unique=True, **where("name <> 'x:y'"))),
    "another predicate": (index("name", **where("name > 'a'")), index("name", **where("name > 'b'"))),
    "operator class": (index("name"), index("name", postgresql_ops={"name": "text_pattern_ops"})),
    "operator class of gin": (
        index("data", postgresql_using="gin"),
        index("data", postgresql_using="gin", postgresql_ops={"data": "jsonb_path_ops"}),
    ),
    "storage": (index("a b"), index("a b", postgresql_with={"fillfactor": "70"})),
    "method": (index("a b"), index("a b", postgresql_using="hash")),
    "included": (index("a b"), index("a b", postgresql_include=["name"])),
    "deferrable": (
        lambda: sa.UniqueConstraint("a b", name="Uq"),
        lambda: sa.UniqueConstraint("a b", name="Uq", deferrable=True, initially="DEFERRED"),
    ),
    "deferrable key": (
        lambda: sa.ForeignKeyConstraint(["a b"], ["other.id"], name="Fk"),
        lambda: sa.ForeignKeyConstraint(["a b"], ["other.id"], name="Fk", deferrable=True, initially="DEFERRED"),
    ),
    "new exclusion": (None, excluded(("during", "&&"), deferrable=True)),
    "changed exclusion": (
        excluded(("during", "&&")),
        excluded((sa.column("during"), "&&"), where=sa.text("name = 'a'"), ops={"during": "range_ops"}),
    ),
}
ON_SQLITE = ("predicate", "another predicate")


@pytest.mark.only("postgresql", "sqlite")
@pytest.mark.parametrize("what", one_in(4, [*PAIRS]))
def test_a_change_is_found_and_made_in_both_directions(authored: Authored, what: str) -> None:
    if authored.database.kind == "sqlite" and what not in ON_SQLITE:
        pytest.skip("it has no such thing")
    old, new = PAIRS[what]
    for before, after in ((old, new), (new, old)):
        authored.project.folder.joinpath("kept").mkdir(exist_ok=True)
        first, second = (table(*([one()] if one else [])) for one in (before, after))
        if authored.count == 0:
            authored.run(first)
        schema = definitions(authored.database)
        authored.models = [second]
        with pytest.raises(CommandError):
            authored.check()
        text = authored.there_and_back(second)
        assert "pass" not in body(text)
        changed = definitions(authored.database)
        authored.downgrade()
        assert definitions(authored.database) == schema
        authored.upgrade()
        assert definitions(authored.database) == changed
    assert body(authored.write(table(*([old()] if old else [])))) == "pass"


def test_what_equals_the_models_is_not_found(authored: Authored) -> None:
    def same() -> sa.MetaData:
        plain = authored.database.kind == "mysql"
        return table(
            sa.Index("ix", "name") if plain else sa.Index("ix_lower", sa.text("lower(name)")),
            sa.UniqueConstraint("name", "a b"),
            sa.ForeignKeyConstraint(["a b"], ["other.id"]),
            sa.Column("c", sa.Integer, sa.Computed("length(name) + 1", persisted=True)),
        )

    authored.run(same())
    assert body(authored.write(same())) == "pass"


@pytest.mark.only("postgresql")
def test_a_colon_in_a_text_of_the_models_begins_no_parameter(authored: Authored) -> None:
    # SQLAlchemy takes it for one without a value, and writes NULL.
    def same() -> sa.MetaData:
        return table(
            sa.Column("c", sa.Text, server_default=sa.text("'{\"a\":1}'")),
            sa.Column("d", sa.Text, sa.Computed("c || ':x'", persisted=True)),
            sa.Index("ix_text", sa.text("(c || ':x')")),
            sa.Index("ix_where", "c", postgresql_where=sa.text("c <> ':x'")),
        )

    authored.write(same())
    authored.upgrade()
    made = authored.rows("SELECT indexdef FROM pg_indexes WHERE indexname IN ('ix_text', 'ix_where')")
    assert [":x" in definition for (definition,) in made] == [True, True]
    row = authored.rows("""INSERT INTO "T t" (id, name) VALUES (1, 'n') RETURNING c, d""")
    assert row == [('{"a":1}', '{"a":1}:x')]
    assert body(authored.write(same())) == "pass"


@pytest.mark.only("mysql")
def test_the_server_is_queried_next_to_a_fulltext_index(authored: Authored) -> None:
    def same() -> sa.MetaData:
        text = sa.Index("ft", "name", mysql_prefix="FULLTEXT", mariadb_prefix="FULLTEXT")
        return table(text, sa.Column("c", sa.Integer, sa.Computed("length(name)", persisted=False)))

    authored.run(same())
    assert body(authored.write(same())) == "pass"


@pytest.mark.only("postgresql", "mysql")
def test_another_expression_of_a_computed_column_is_reported(authored: Authored) -> None:
    def computed(text: str) -> sa.MetaData:
        return models(("t", sa.Column("id", sa.Integer), sa.Column("c", sa.Integer, sa.Computed(text, persisted=True))))

    authored.run(computed("id + 1"))
    text = authored.write(computed("id + 2"))
    assert "t.c differs from the models: computed is" in comments(text) or "execute" in text or "alter_column" in text
    authored.upgrade()
    if "alter_column" not in text:
        with pytest.raises(CommandError):
            authored.check()


@pytest.mark.only("postgresql")
def test_filters_of_the_project_are_kept_to(tmp_path: Path, database: Database) -> None:
    authored = Authored(tmp_path, database, include_object=lambda _, name, *__: name != "T t")
    database.execute('CREATE TABLE "T t" (id integer PRIMARY KEY, name varchar)', 'CREATE INDEX ix ON "T t" (id)')
    assert "T t" not in authored.write(table(sa.Index("ix", "name")))
