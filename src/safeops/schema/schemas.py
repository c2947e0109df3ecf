"""Schemas."""

from __future__ import annotations

from safeops.execution.inspect import check_names, skipped
from safeops.execution.lock_retry import execute
from safeops.execution.migration import Migration, running
from safeops.naming import call
from safeops.schema.refusals import explained_dependents, refuse_dependents


def create_schema_if_missing(schema_name: str) -> bool:
    """The schema exists; on MariaDB and MySQL that is a database.

    Steps: looks for it; creates it.

    Args:
        schema_name: The schema.

    Returns:
        True if it was created, False if it was there.

    Raises:
        UnsupportedOnDatabase: The server has no schemas (SQLite), and none of that name is attached.

    Locks: none on tables.

    Running it again: nothing is left to do.

    Offline: ``CREATE SCHEMA IF NOT EXISTS``.

    Example:
        create_schema_if_missing("billing")
    """
    with running("create_schema_if_missing") as migration:
        check_names(migration, call("create_schema_if_missing", schema_name), schema_name=schema_name)
        if not migration.offline and migration.database.has_schema(schema_name):
            return skipped(f"schema {schema_name}", "it is there")
        _check_support(migration, schema_name)
        return execute(migration, migration.database.ddl.create_schema(schema_name))


def drop_schema_if_exists(schema_name: str) -> bool:
    """The schema does not exist. One that is not empty is refused.

    Steps: looks for it and what is in it; drops it.

    Args:
        schema_name: The schema.

    Returns:
        True if it was dropped, False if it was not there.

    Raises:
        DependentObjects: It is not empty.
        UnsupportedOnDatabase: The server has no schemas (SQLite), and one of that name is attached.

    Locks: none on tables.

    Running it again: nothing is left to do.

    Offline: ``DROP SCHEMA IF EXISTS`` on PostgreSQL, which refuses one that is not empty; ``OnlineOnly`` on MariaDB and
    MySQL, where it would drop all tables in it.

    Example:
        drop_schema_if_exists("billing")
    """
    with running("drop_schema_if_exists") as migration:
        check_names(migration, call("drop_schema_if_exists", schema_name), schema_name=schema_name)
        if not migration.offline:
            if not migration.database.has_schema(schema_name):
                return skipped(f"schema {schema_name}", "it is not there")
            _check_support(migration, schema_name)
            refuse_dependents(f"schema {schema_name}", migration.database.dependents.dependents_of_schema(schema_name))
        elif not migration.database.abilities.refuses_full_schemas:
            raise migration.online_only(
                f"Dropping schema {schema_name}",
                f"{migration.database.product} drops all tables in it along with it.",
            )
        explain = explained_dependents(migration, f"schema {schema_name}")
        return execute(migration, migration.database.ddl.drop_schema(schema_name), explain)


def _check_support(migration: Migration, schema: str) -> None:
    if not migration.database.abilities.has_schemas:
        raise migration.database.unsupported(
            f"Schema {schema}", "a server with schemas, or a file attached by that name"
        )
