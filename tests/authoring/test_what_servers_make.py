"""Models that declare what the server does not create: autogenerate finds nothing of it, or reports what to fix."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.authoring.authored import Authored, body, comments, models, statements
from tests.servers import Database

from safeops.runner.checks import check

KEY = sa.Column("id", sa.String(36), primary_key=True, unique=True)


@pytest.fixture
def authored(tmp_path: Path, database: Database) -> Authored:
    return Authored(tmp_path, database)


def merged() -> sa.MetaData:
    return models(
        ("first", KEY._copy(), sa.Column("key", sa.String(3), unique=True)),
        ("second", KEY._copy(), sa.Column("u", sa.Integer), *(sa.UniqueConstraint("u", name=one) for one in "ba")),
    )


def test_keys_that_the_server_merges_are_found_once(authored: Authored) -> None:
    authored.there_and_back(merged())
    assert body(authored.write(merged())) == "pass"


@pytest.mark.only("postgresql")
def test_of_several_equal_keys_that_are_missing_one_is_made(authored: Authored) -> None:
    two = (sa.UniqueConstraint("u", name=one) for one in ("a", "b"))
    authored.run(models(("t", sa.Column("u", sa.Integer))))
    text = authored.there_and_back(models(("t", sa.Column("u", sa.Integer), *two)))
    assert statements(text) == ["create_unique_constraint_if_missing('a', 't', ['u'])"]


def test_a_key_column_that_takes_null_in_the_models_gets_a_comment(authored: Authored) -> None:
    def named(length: int) -> sa.MetaData:
        key = sa.Column("id", sa.String(36), nullable=True), sa.Column("name", sa.String(length))
        return models(("t", *key, sa.PrimaryKeyConstraint("id")))

    authored.there_and_back(named(10))
    text = authored.write(named(10))
    if authored.database.kind == "sqlite":
        # Alone here a primary key takes NULL.
        assert statements(text) == ["pass"]
        return
    assert comments(text) == "t.id is of the primary key and accepts no NULL: set nullable=False in the models."
    assert [statements(text), statements(text, "downgrade")] == [["pass"], ["pass"]]
    authored.upgrade()
    authored.check()
    assert [one for one in check(authored.config).findings if one.kind == "models"] == []
