"""How many queries autogenerate sends: all tables are read at once, and nothing is read twice."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import produce_migrations
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from tests.authoring.authored import Authored
from tests.projects import statements_of
from tests.servers import Database

from safeops.autogenerate import alembic_operations
from safeops.databases import database_on
from safeops.databases.reflection import Reflection
from safeops.naming import Name


def _models(tables: int) -> sa.MetaData:
    metadata = sa.MetaData()
    for number in range(tables):
        sa.Table(
            f"t{number}",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("before_id", sa.ForeignKey(f"t{number - 1}.id", name=f"fk{number}") if number else sa.Integer),
            sa.Column("code", sa.String(20), nullable=False, index=True),
            sa.Column("state", sa.Enum("a", "b", name=f"state{number % 2}"), nullable=False),
            sa.Column("price", sa.Numeric(8, 2), nullable=False, server_default="0"),
            sa.UniqueConstraint("code", "price", name=f"uq{number}"),
        )
    return metadata


def _sent(folder: Path, database: Database, tables: int, **configure: Any) -> int:
    metadata = _models(tables)
    metadata.create_all(database.observer())
    folder.mkdir()
    authored = Authored(folder, database, **configure)
    with statements_of(database) as sent:
        authored.write(metadata)
    return len(sent.sql)


@pytest.mark.by_default("pg18")
def test_more_tables_add_only_the_queries_of_alembic(new_database: Callable[[], Database], tmp_path: Path) -> None:
    one, other, plain = new_database(), new_database(), {"process_revision_directives": None}
    few, many = (_sent(tmp_path / f"ours{tables}", one, tables) for tables in (3, 9))
    few_plain, many_plain = (_sent(tmp_path / f"plain{tables}", other, tables, **plain) for tables in (3, 9))
    # MariaDB and MySQL show one table at a time; SQLAlchemy does not keep the text.
    own = 9 - 3 if one.kind == "mysql" else 0
    assert many - few == many_plain - few_plain + own


_TABLES = {
    "postgresql": (
        'CREATE TABLE "Odd ""name" (id int PRIMARY KEY, "A b" text DEFAULT \'x\' NOT NULL, CHECK ("A b" <> \'\'))',
        'CREATE TABLE child (id int PRIMARY KEY, odd int REFERENCES "Odd ""name" (id) ON DELETE CASCADE)',
        "CREATE INDEX ix ON child (odd) WHERE odd > 0",
        "CREATE VIEW seen AS SELECT id FROM child",
        "CREATE SCHEMA other",
        "CREATE TABLE other.child (other_id int)",
    ),
    "sqlite": (
        'CREATE TABLE "Odd ""name" (id INTEGER PRIMARY KEY, "A b" text DEFAULT \'x\' NOT NULL, CHECK ("A b" <> \'\'))',
        'CREATE TABLE Child (id INTEGER PRIMARY KEY, odd int REFERENCES "odd ""NAME" ON DELETE CASCADE)',
        "CREATE INDEX ix ON child (ODD) WHERE odd > 0",
        "CREATE VIEW seen AS SELECT id FROM child",
    ),
    "mysql": (
        "CREATE TABLE `Odd ``name` (id int PRIMARY KEY, `A b` varchar(9) DEFAULT '🙂' NOT NULL, CHECK (`A b` <> '')"
        ") DEFAULT CHARSET utf8mb4",
        "CREATE TABLE child (id int PRIMARY KEY, odd int, CONSTRAINT fk FOREIGN KEY (odd) REFERENCES `Odd ``name` (id))",
        "CREATE VIEW seen AS SELECT id FROM child",
    ),
}


@pytest.mark.by_default("pg18")
def test_tables_read_at_once_are_those_read_one_by_one(database: Database) -> None:
    database.execute(*_TABLES[database.kind])
    names = [Name('Odd "name'), Name("Odd `name"), Name("child"), Name("seen"), Name("missing")]
    if database.kind != "mysql":
        names += [Name("child", "other"), Name("missing", "other"), Name("child", "public"), Name("child", "main")]
    with database.engine().connect() as connection:
        live = database_on(connection)
        assert Reflection.of(live).tables(names) == {name: live.table(name) for name in names}


@pytest.mark.only("mysql")
def test_another_spelling_of_a_default_is_not_reported_by_alembic_either(database: Database) -> None:
    """Each would become an operation that is left out again."""
    metadata = sa.MetaData()
    sa.Table(
        "t",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("price", sa.Numeric(8, 2), server_default="0"),
        sa.Column("is_active", sa.Boolean, server_default=sa.true()),
        sa.Column("made", sa.DateTime, server_default=sa.func.now()),
        sa.Column("code", sa.String(9), server_default="1"),
    )
    with database.observer().connect() as connection:
        metadata.create_all(connection)
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert produce_migrations(context, metadata).upgrade_ops.is_empty()
        metadata.tables["t"].c.price.server_default = sa.DefaultClause("0.5")
        metadata.tables["t"].c.code.server_default = sa.DefaultClause("1.0")
        [table] = produce_migrations(context, metadata).upgrade_ops.ops
    assert [change.column_name for change in table.ops] == ["price", "code"]


def test_the_changes_of_one_table_are_found_without_reading_those_of_all(monkeypatch):
    tables = [ops.ModifyTableOps(f"t{number}", []) for number in range(100)]
    asked = []
    monkeypatch.setattr(alembic_operations, "name_of", lambda table: asked.append(table) or Name(table.table_name))
    assert alembic_operations.changes_of(Name("t7"), tables) == [tables[7]]
    assert asked == [tables[7]]
