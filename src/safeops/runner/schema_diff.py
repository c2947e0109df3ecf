"""Compares schemas with Alembic's own comparison."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import event

from safeops.autogenerate_filter import PREFIX
from safeops.databases import database_for
from safeops.runner.inspection import TemporaryDatabases


def schema_of(context: MigrationContext) -> sa.MetaData:
    """Reflect a database, except the tables of Alembic and safeops."""
    connection = context.connection
    assert connection is not None
    metadata = sa.MetaData()

    def as_alembic_does(inspector: Any, table: sa.Table, column: Any) -> None:
        impl: Any = context.impl
        impl.autogen_column_reflect(inspector, table, column)

    event.listen(metadata, "column_reflect", as_alembic_does)
    for schema in [None, *_schemas(context)]:
        metadata.reflect(connection, schema=schema)
    for table in list(metadata.tables.values()):
        if table.name.startswith(PREFIX) or _is_version_table(table, context):
            metadata.remove(table)
    return metadata


def _schemas(context: MigrationContext) -> list[str]:
    connection = context.connection
    assert connection is not None
    return (
        TemporaryDatabases.of(database_for(connection.dialect, lambda: connection)).schemas_beside()
        if context.opts.get("include_schemas")
        else []
    )


def _is_version_table(table: sa.Table, context: MigrationContext) -> bool:
    return table.name == context.version_table and table.schema == context.version_table_schema


def differences_from(context: MigrationContext, wanted: sa.MetaData) -> list[str]:
    """Return what would bring a database to a schema, as lines of a revision; none if they are the same."""
    options = {
        **context.opts,
        "target_metadata": wanted,
        "compare_type": context.opts.get("compare_type", True),
        "compare_server_default": True,
        "process_revision_directives": None,
    }
    strict = MigrationContext.configure(connection=context.connection, opts=options)
    _equate_defaults_with_the_same_text(strict)
    found = produce_migrations(strict, wanted)
    assert found.upgrade_ops is not None
    return lines_of(found.upgrade_ops, strict)


def _equate_defaults_with_the_same_text(context: MigrationContext) -> None:
    """On MySQL and MariaDB Alembic finds that a default as (uuid()) or '100 %', reflected twice, differs from itself."""
    impl: Any = context.impl
    original = impl.compare_server_default

    # An option compare_server_default would be called for generated columns too, and Alembic fails on them.
    def differ(shown: Any, wanted: Any, *rendered: Any) -> bool:
        return _default_of(shown) != _default_of(wanted) and bool(original(shown, wanted, *rendered))

    impl.compare_server_default = differ


def _default_of(column: Any) -> str | None:
    return None if column.server_default is None else str(column.server_default.arg)


def lines_of(found: ops.UpgradeOps, context: MigrationContext) -> list[str]:
    """Return operations as lines of a revision."""
    # Differences of comments do not count.
    if not found.as_diffs():
        return []
    # Without env.py, which Alembic would ask for models.
    bare = MigrationContext.configure(connection=context.connection)
    code = render_python_code(found, migration_context=bare)
    # The first and last lines are comments of Alembic's template.
    return [
        line.removeprefix("    ") for line in code.splitlines() if line.strip() and not line.strip().startswith("# ###")
    ]
