"""What models ask for and no server makes: taken out of what autogenerate finds, or it would be found again for ever."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import util
from alembic.autogenerate import comparators
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import to_list

from safeops.autogenerate.arranging import name_of
from safeops.autogenerate.operations import Note
from safeops.databases import database_for
from safeops.databases.base import Database
from safeops.errors import UnsupportedOnDatabase
from safeops.naming import Name

COMPARED = "safeops_compared"
"""Where the operations keep the tables of the models that are to be compared."""

log = logging.getLogger("safeops.autogenerate")


def register() -> None:
    """Register with Alembic, to run when it has compared the tables."""
    ranks: Any = getattr(util, "DispatchPriority", None)
    comparators.dispatch_for("schema", **({"priority": ranks.LAST} if ranks else {}))(settle)


def settle(context: AutogenContext, upgrade_ops: ops.UpgradeOps, _schemas: Any) -> None:
    """Take out NULL for columns that never take it, and keys of which the server makes one with another."""
    connection = context.connection
    if connection is None:
        return
    try:
        database = database_for(context.dialect, lambda: connection)
    except UnsupportedOnDatabase:
        return
    upgrade_ops.info[COMPARED] = [one for one in _models(context) if _is_compared(context, one)]
    models = {_name(context, one): one for one in _models(context)}
    for table in [one for one in upgrade_ops.ops if isinstance(one, ops.ModifyTableOps)]:
        model = models.get(name_of(table))
        if model is not None:
            found = [kept for one in table.ops for kept in _settled(database, model, one)]
            table.ops[:] = _without_merged(database, model, found)
    upgrade_ops.ops[:] = [one for one in upgrade_ops.ops if not isinstance(one, ops.ModifyTableOps) or one.ops]


def _models(context: AutogenContext) -> Iterator[sa.Table]:
    for metadata in to_list(context.metadata, []):
        yield from metadata.tables.values()


def _is_compared(context: AutogenContext, table: sa.Table) -> bool:
    schema = None if table.schema == context.dialect.default_schema_name else table.schema
    by_name = context.run_name_filters(table.name, "table", {"schema_name": schema})
    return by_name and context.run_object_filters(table, table.name, "table", False, None)


def _name(context: AutogenContext, table: sa.Table) -> Name:
    return Name(table.name, None if table.schema == context.dialect.default_schema_name else table.schema)


def _settled(database: Database, model: sa.Table, operation: ops.MigrateOperation) -> Iterator[ops.MigrateOperation]:
    column = model.columns.get(operation.column_name) if isinstance(operation, ops.AlterColumnOp) else None
    if not isinstance(operation, ops.AlterColumnOp) or column is None:
        yield operation
        return
    domain = database.domain_that_stands(column.type)
    if domain and domain.required and operation.modify_nullable:
        # SQLAlchemy reflects the NOT NULL and the default of a domain as those of the column.
        operation.modify_nullable = None
    if domain and domain.has_default and operation.modify_server_default is None:
        operation.modify_server_default = False
    if operation.modify_nullable and _refuses_null(database, column):
        operation.modify_nullable = None
        why = "of the primary key" if column.primary_key else "an identity"
        yield Note(f"{name_of(operation)}.{column.name} is {why} and takes no NULL: say nullable=False in the models.")
    if operation.has_changes():
        yield operation


def _refuses_null(database: Database, column: sa.Column[Any]) -> bool:
    return column.primary_key or not database.wanted_column(column).nullable


def _without_merged(
    database: Database, model: sa.Table, found: list[ops.MigrateOperation]
) -> list[ops.MigrateOperation]:
    """Leave out the constraints that a table has already by the name of an equal one."""
    new = {str(one.constraint_name): one for one in found if isinstance(one, ops.CreateUniqueConstraintOp)}
    for group in database.equal_keys(model) if new else ():
        missing = [new[str(one.name)] for one in group if str(one.name) in new]
        # Where all are missing, the first of them is to be made.
        for one in missing if len(missing) < len(group) else missing[1:]:
            log.info("left out %s of %s: the server makes one key of it and an equal one", one.constraint_name, model)
            found.remove(one)
    return found
