"""Compares schemas by Alembic's own comparison."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import event

from safeops.databases import database_for
from safeops.hiding import PREFIX


def schema_of(context: MigrationContext) -> sa.MetaData:
    """Reflect what stands in a database, but for what Alembic and safeops keep there."""
    connection = context.connection
    assert connection is not None
    found = sa.MetaData()

    def spelled_as_alembic_does(inspector: Any, table: sa.Table, column: Any) -> None:
        impl: Any = context.impl
        impl.autogen_column_reflect(inspector, table, column)

    event.listen(found, "column_reflect", spelled_as_alembic_does)
    for schema in [None, *_schemas(context)]:
        found.reflect(connection, schema=schema)
    for table in list(found.tables.values()):
        if table.name.startswith(PREFIX) or _is_version_table(table, context):
            found.remove(table)
    return found


def _schemas(context: MigrationContext) -> list[str]:
    connection = context.connection
    assert connection is not None
    return (
        database_for(connection.dialect, lambda: connection).schemas_beside()
        if context.opts.get("include_schemas")
        else []
    )


def _is_version_table(table: sa.Table, context: MigrationContext) -> bool:
    return table.name == context.version_table and table.schema == context.version_table_schema


def differences_from(context: MigrationContext, wanted: sa.MetaData) -> list[str]:
    """Return what would bring a database to a schema, as lines of a revision; none where it has it."""
    options = {
        **context.opts,
        "target_metadata": wanted,
        "compare_type": context.opts.get("compare_type", True),
        "compare_server_default": True,
        "process_revision_directives": None,
    }
    own = MigrationContext.configure(connection=context.connection, opts=options)
    _take_defaults_spelled_alike_for_the_same(own)
    found = produce_migrations(own, wanted)
    assert found.upgrade_ops is not None
    return lines_of(found.upgrade_ops, own)


def _take_defaults_spelled_alike_for_the_same(context: MigrationContext) -> None:
    """Both were read off a server. On MySQL and MariaDB Alembic finds that (uuid()) or '100 %' differs from itself."""
    impl: Any = context.impl
    theirs = impl.compare_server_default

    # A function as compare_server_default would be asked about generated columns too, and Alembic fails on them.
    def differ(shown: Any, wanted: Any, *rendered: Any) -> bool:
        return _spelled(shown) != _spelled(wanted) and bool(theirs(shown, wanted, *rendered))

    impl.compare_server_default = differ


def _spelled(column: Any) -> str | None:
    return None if column.server_default is None else str(column.server_default.arg)


def lines_of(found: ops.UpgradeOps, context: MigrationContext) -> list[str]:
    # Comments are no difference.
    if not found.as_diffs():
        return []
    # One that knows of no env.py: Alembic would ask that for models.
    bare = MigrationContext.configure(connection=context.connection)
    code = render_python_code(found, migration_context=bare)
    # It begins with the comments of Alembic's template.
    return [
        line.removeprefix("    ") for line in code.splitlines() if line.strip() and not line.strip().startswith("# ###")
    ]
