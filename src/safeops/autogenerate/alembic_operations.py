"""Alembic's operations: their attributes, and a better order if Alembic's own would fail or do work twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import to_list
from sqlalchemy.sql.elements import conv

from safeops import _alembic
from safeops.databases.definitions import Constraint
from safeops.naming import Name

Operations = list[ops.MigrateOperation]


def name_of(operation: Any) -> Name:
    """Return the table that an operation changes."""
    if isinstance(operation, ops.CreateForeignKeyOp):
        return Name(str(operation.source_table), operation.kw.get("source_schema") or None)
    return Name(str(operation.table_name), operation.schema or None)


def referent_of(key: ops.CreateForeignKeyOp) -> Name:
    """Return the table that a foreign key refers to."""
    return Name(str(key.referent_table), key.kw.get("referent_schema") or None)


def tables_in(operations: Operations) -> list[ops.ModifyTableOps]:
    """Return the changes of tables among operations."""
    return [operation for operation in operations if isinstance(operation, ops.ModifyTableOps)]


def changes_of(name: Name, operations: Operations) -> list[ops.ModifyTableOps]:
    """Return the changes of one table among operations."""
    # Comparing the bare names first is ten times as fast, and each table is searched for among all.
    named = (table for table in tables_in(operations) if table.table_name == name.name)
    return [table for table in named if name_of(table) == name]


def drops_foreign_key(operation: ops.MigrateOperation) -> bool:
    return isinstance(operation, ops.DropConstraintOp) and operation.constraint_type == "foreignkey"


def creates_foreign_key(operation: ops.MigrateOperation) -> bool:
    return isinstance(operation, ops.CreateForeignKeyOp)


def own_name(operation: Any) -> str | None:
    """Return the name of the index or the constraint that an operation creates or drops."""
    is_index = isinstance(operation, (ops.CreateIndexOp, ops.DropIndexOp))
    name = operation.index_name if is_index else operation.constraint_name
    return None if name is None else str(name)


def is_generated(default: Any) -> bool:
    """Return whether a default is an identity or the expression of a computed column."""
    return isinstance(default, (sa.Computed, sa.Identity))


def is_partial(options: Mapping[str, Any]) -> bool:
    """Return whether the options of an index have a condition on the rows that it holds."""
    return any(key.endswith("_where") and value is not None for key, value in options.items())


def leads(columns: Sequence[str], covered: Sequence[str]) -> bool:
    """Return whether an index on the covered columns begins with the columns of a foreign key."""
    return set(covered[: len(columns)]) == set(columns)


def models(context: MigrationContext) -> list[sa.Table]:
    """Return the tables of the models."""
    metadatas: Sequence[sa.MetaData] = to_list(context.opts.get("target_metadata"), [])
    return [table for metadata in metadatas for table in metadata.tables.values()]


def existing_foreign_key(name: Name, key: Constraint, referent: Name) -> ops.CreateForeignKeyOp:
    """Return what creates a foreign key of a table again as it is."""
    options = ("deferrable", "initially", "onupdate", "ondelete", "match")
    return ops.CreateForeignKeyOp(
        conv(key.name),
        name.name,
        referent.name,
        list(key.columns),
        list(key.remote),
        source_schema=name.schema,
        referent_schema=referent.schema,
        **{option: getattr(key, option) for option in options if getattr(key, option)},
    )


# The order ------------------------------------------------------------------------------------------------------


def ordered_upgrade(operations: Operations) -> Operations:
    """Drop tables when nothing refers to them any longer: Alembic drops them first, in any order."""
    dropped = _referring_first(operations, ops.DropTableOp)
    kept, first, changes = _apart_from(dropped, operations)
    return _with_tables_at(max([first, *(place + 1 for place in changes)]), dropped, kept)


def ordered_downgrade(operations: Operations) -> Operations:
    """Create dropped tables again before others refer to them."""
    created = _referring_first(operations, ops.CreateTableOp)[::-1]
    kept, first, changes = _apart_from(created, operations)
    return _with_tables_at(min([first, *changes]), created, kept)


def dropped_constraints(operations: Operations) -> set[tuple[Name, str]]:
    """Return the constraints that are dropped and have no successor on the same columns."""
    each = [operation for table in tables_in(operations) for operation in table.ops]
    created = {
        (str(key.source_table), tuple(key.local_cols)) for key in each if isinstance(key, ops.CreateForeignKeyOp)
    }
    dropped = [drop for drop in each if isinstance(drop, ops.DropConstraintOp) and drop.constraint_name]
    return {(name_of(drop), str(drop.constraint_name)) for drop in dropped if _columns_of_key(drop) not in created}


def _columns_of_key(drop: ops.DropConstraintOp) -> tuple[str, tuple[str, ...]]:
    return str(drop.table_name), tuple(getattr(_alembic.inverse_of(drop), "local_cols", ()))


def _referring_first(operations: Operations, kind: type[ops.MigrateOperation]) -> list[Any]:
    """Sort tables such that each comes before those that it refers to, unless they refer to each other."""
    tables = [operation for operation in operations if isinstance(operation, kind)]
    left, ordered = sorted(tables, key=lambda table: str(name_of(table))), []
    while left:
        free = (table for table in left if not any(_refers(other, table) for other in left if other is not table))
        chosen = next(free, left[0])
        left.remove(chosen)
        ordered.append(chosen)
    return ordered


def _apart_from(tables: list[Any], operations: Operations) -> tuple[Operations, int, list[int]]:
    """Return the other operations, the place of the first of the tables, and the places of the changes of tables."""
    first = next((place for place, operation in enumerate(operations) if operation in tables), len(operations))
    kept = [operation for operation in _without_lost_indexes(operations) if operation not in tables]
    return kept, first, [place for place, operation in enumerate(kept) if isinstance(operation, ops.ModifyTableOps)]


def _without_lost_indexes(operations: Operations) -> Operations:
    """Leave out the drops of indexes that are dropped, and created again, with their tables."""
    dropped = {name_of(operation) for operation in operations if isinstance(operation, ops.DropTableOp)}
    for table in tables_in(operations):
        if name_of(table) in dropped:
            table.ops[:] = [operation for operation in table.ops if not isinstance(operation, ops.DropIndexOp)]
    return without_empty(operations)


def without_empty(operations: Operations) -> Operations:
    """Leave out the changes of tables that change nothing."""
    return [operation for operation in operations if not isinstance(operation, ops.ModifyTableOps) or operation.ops]


def _with_tables_at(place: int, tables: Operations, kept: Operations) -> Operations:
    return _with_keys_apart(_with_keys_outermost([*kept[:place], *tables, *kept[place:]]))


# The order of foreign keys --------------------------------------------------------------------------------------


def _refers(table: Any, other: Any) -> bool:
    return any(_referent(key) == name_of(other) for key in _keys_of(table))


def _keys_of(table: Any) -> list[sa.ForeignKeyConstraint]:
    created = _alembic.inverse_of(table) if isinstance(table, ops.DropTableOp) else table
    return [part for part in getattr(created, "columns", ()) if isinstance(part, sa.ForeignKeyConstraint)]


def _referent(key: sa.ForeignKeyConstraint) -> Name:
    element = key.elements[0]
    try:
        table = element.column.table
    except sa.exc.NoReferenceError:
        # Alembic reflects a table without those that it refers to.
        *schema, name = element.target_fullname.rpartition(".")[0].rsplit(".", 1)
        return Name(name, schema[0] if schema else None)
    return Name(str(table.name), table.schema)


def _with_keys_outermost(operations: Operations) -> Operations:
    """Drop foreign keys before, and create them after, the indexes and unique keys that they need, of any table."""
    tables = tables_in(operations)
    if not tables:
        return operations
    drops = [part for table in tables for part in _split_off(table, drops_foreign_key)]
    created = [part for table in tables for part in _split_off(table, creates_foreign_key)]
    first, last = operations.index(tables[0]), operations.index(tables[-1]) + 1
    return without_empty([*operations[:first], *drops, *operations[first:last], *created, *operations[last:]])


def _split_off(table: ops.ModifyTableOps, belongs: Callable[[ops.MigrateOperation], bool]) -> Operations:
    """Take some of the operations on a table out, into a separate change of it."""
    taken = [operation for operation in table.ops if belongs(operation)]
    table.ops[:] = [operation for operation in table.ops if operation not in taken]
    return [ops.ModifyTableOps(table.table_name, taken, schema=table.schema)] if taken else []


def _with_keys_apart(operations: Operations) -> Operations:
    """Create the foreign keys of tables that refer to each other after the last table; drop them before the first."""
    created, dropped = _places(operations, ops.CreateTableOp), _places(operations, ops.DropTableOp)
    later = _keys_apart(operations, created, lambda own, other: other > own)
    before = _keys_apart(operations, dropped, lambda own, other: other < own)
    result: Operations = []
    for place, operation in enumerate(operations):
        if place == min(dropped.values(), default=-1):
            result += map(ops.DropConstraintOp.from_constraint, before)
        result.append(_without_keys(operation, created, place) if place in created.values() else operation)
        if place == max(created.values(), default=-1):
            result += map(ops.CreateForeignKeyOp.from_constraint, later)
    return result


def _places(operations: Operations, kind: type[ops.MigrateOperation]) -> dict[Name, int]:
    return {name_of(operation): place for place, operation in enumerate(operations) if isinstance(operation, kind)}


def _keys_apart(
    operations: Operations, places: dict[Name, int], too_far: Callable[[int, int], bool]
) -> list[sa.ForeignKeyConstraint]:
    """Return the foreign keys of the tables at these places whose referent has its place too far off."""
    keys = ((own, key) for own in places.values() for key in _keys_of(operations[own]))
    return [key for own, key in keys if too_far(own, places.get(_referent(key), own))]


def _without_keys(table: Any, created: dict[Name, int], own: int) -> Any:
    """Return a table without the foreign keys to tables that are created after it."""

    def is_kept(part: Any) -> bool:
        return not isinstance(part, sa.ForeignKeyConstraint) or created.get(_referent(part), own) <= own

    table.columns = [part for part in table.columns if is_kept(part)]
    return table
