"""Schemas."""

from __future__ import annotations

from safeops.execution.helper import HelperCall, Said, helper
from safeops.execution.lock_retry import execute
from safeops.execution.migration import Migration
from safeops.schema.refusals import explained_dependents, refuse_dependents


@helper(Said("creates schema {0}", "No table is locked.", noun="schema"), "schema {schema_name}")
def create_schema_if_missing(migration: HelperCall, schema_name: str) -> bool:
    """The schema exists; on MariaDB and MySQL that is a database.

    Steps: looks for the schema; creates it.

    Args:
        schema_name: The schema.

    Returns:
        True if it was created, False if it already existed.

    Raises:
        UnsupportedOnDatabase: The server has no schemas (SQLite), and none of that name is attached.

    Locks: none on tables.

    Running it again: does nothing.

    Offline: ``CREATE SCHEMA IF NOT EXISTS``.

    Example:
        create_schema_if_missing("billing")
    """
    if not migration.offline and migration.database.has_schema(schema_name):
        return migration.skip("it already exists")
    _check_support(migration, schema_name)
    return execute(migration, migration.database.ddl.create_schema(schema_name))


@helper(Said("drops schema {0}", "Refused if it is not empty.", noun="schema"), "schema {schema_name}")
def drop_schema_if_exists(migration: HelperCall, schema_name: str) -> bool:
    """The schema does not exist. A schema that is not empty is refused.

    Steps: looks for the schema and its contents; drops it.

    Args:
        schema_name: The schema.

    Returns:
        True if it was dropped, False if it did not exist.

    Raises:
        DependentObjects: The schema is not empty.
        UnsupportedOnDatabase: The server has no schemas (SQLite), and one of that name is attached.

    Locks: none on tables.

    Running it again: does nothing.

    Offline: ``DROP SCHEMA IF EXISTS`` on PostgreSQL, which refuses a schema that is not empty; ``OnlineOnly`` on MariaDB
    and MySQL, which would drop all tables in it.

    Example:
        drop_schema_if_exists("billing")
    """
    database = migration.database
    if migration.offline:
        if not database.abilities.refuses_full_schemas:
            why = f"{database.product} also drops all tables in it."
            raise migration.online_only(f"Dropping schema {schema_name}", why)
    elif not database.has_schema(schema_name):
        return migration.skip("it does not exist")
    else:
        _check_support(migration, schema_name)
        refuse_dependents(migration.about, database.dependents.dependents_of_schema(schema_name))
    explain = explained_dependents(migration, migration.about)
    return execute(migration, database.ddl.drop_schema(schema_name), explain)


def _check_support(migration: Migration, schema: str) -> None:
    if not migration.database.abilities.has_schemas:
        raise migration.database.unsupported(
            f"Schema {schema}", "a server with schemas, or a file attached under that name"
        )
