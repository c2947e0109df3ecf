"""A connection with a schema_translate_map: refused at the first helper, before anything is changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.authoring.authored import Authored, models, users
from tests.catalogue import snapshot
from tests.projects import migrate
from tests.servers import Database

from safeops import (
    UnsafeOperation,
    add_column_if_missing,
    backfill,
    create_index_if_missing,
    drop_column_if_exists,
)
from safeops.autogenerate import safe_operations

CALLS: list[Callable[[], Any]] = [
    lambda: create_index_if_missing("ix", "t", ["a"]),
    lambda: add_column_if_missing("t", sa.Column("c", sa.Integer)),
    lambda: backfill("t", {"b": sa.text("a")}),
    lambda: drop_column_if_exists("t", "a", archive=True),
]
WAYS = {"postgresql": 'SET search_path TO "Ten ant"', "mysql": "USE `Ten ant`", "sqlite": "schema='Ten ant'"}


def run(database: Database, call: Callable[[], Any], mapping: dict[str | None, str | None]) -> Any:
    with database.engine().connect() as connection:
        translated = connection.execution_options(schema_translate_map=mapping)
        schema = "public" if database.kind == "postgresql" else None
        return migrate(database, call, connection=translated, version_table_schema=schema)


@pytest.fixture
def table(database: Database) -> Database:
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, a integer, b integer)")
    return database


@pytest.mark.parametrize("call", CALLS)
def test_every_helper_refuses_and_shows_what_to_write(table: Database, call: Callable[[], Any]) -> None:
    migrate(table, lambda: None)
    before = snapshot(table)
    with pytest.raises(UnsafeOperation, match="schema_translate_map=") as refusal:
        run(table, call, {None if table.kind == "postgresql" else "crm": "Ten ant"})
    assert WAYS[table.kind] in str(refusal.value)
    assert snapshot(table) == before


def test_a_map_that_translates_nothing_is_none(table: Database) -> None:
    assert run(table, CALLS[0], {None: None, "a": "a"}) is True
    assert run(table, CALLS[0], {}) is False


@pytest.mark.only("postgresql")
def test_the_lines_that_it_shows_do_it(table: Database) -> None:
    table.execute('CREATE SCHEMA "Ten ant"', 'CREATE TABLE "Ten ant".t (id integer PRIMARY KEY, a integer)')
    with pytest.raises(UnsafeOperation) as refusal:
        run(table, CALLS[0], {None: "Ten ant"})
    with table.engine().connect() as connection:
        exec(refusal.value.code, {"connection": connection})
        assert migrate(table, CALLS[0], connection=connection, version_table_schema="public") is True
    assert table.query("SELECT schemaname FROM pg_indexes WHERE indexname = 'ix'") == [("Ten ant",)]


def test_autogenerate_refuses(database: Database, tmp_path: Path) -> None:
    authored = Authored(tmp_path, database)
    with database.engine().connect() as connection:
        context = _context(connection.execution_options(schema_translate_map={"a": "b"}), models(users()))
        with pytest.raises(UnsafeOperation, match="schema_translate_map"):
            safe_operations.process_revision_directives(context, (), [])
    assert not list(authored.project.folder.glob("migrations/versions/*.py"))


def _context(connection: sa.Connection, metadata: sa.MetaData) -> Any:
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(connection, opts={"target_metadata": metadata})
