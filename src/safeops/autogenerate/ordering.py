"""The order of operations, if Alembic's own order would fail or do work twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from safeops import _alembic
from safeops.autogenerate.operations import Operations, drops_foreign_key, name_of, tables_in
from safeops.naming import Name


def ordered_upgrade(found: Sequence[ops.MigrateOperation]) -> Operations:
    """Drop tables when nothing refers to them any longer: Alembic drops them first, in any order."""
    dropped = _referring_first([operation for operation in found if isinstance(operation, ops.DropTableOp)])
    kept = [operation for operation in _without_lost_indexes(found) if operation not in dropped]
    after = 1 + max((i for i, operation in enumerate(kept) if isinstance(operation, ops.ModifyTableOps)), default=-1)
    first = next((i for i, operation in enumerate(found) if operation in dropped), len(found))
    place = max(after, min(first, len(kept)))
    return _with_keys_in_order([*kept[:place], *dropped, *kept[place:]])


def ordered_downgrade(found: Sequence[ops.MigrateOperation]) -> Operations:
    """Create dropped tables again before others refer to them."""
    made = _referring_first([operation for operation in found if isinstance(operation, ops.CreateTableOp)])[::-1]
    kept = [operation for operation in _without_lost_indexes(found) if operation not in made]
    before = next((i for i, operation in enumerate(kept) if isinstance(operation, ops.ModifyTableOps)), len(kept))
    first = next((i for i, operation in enumerate(found) if operation in made), len(found))
    place = min(before, first)
    return _with_keys_in_order([*kept[:place], *made, *kept[place:]])


def dropped_constraints(found: Operations) -> set[tuple[Name, str]]:
    """Return the constraints that are dropped and have no successor on the same columns."""
    each = [operation for table in tables_in(found) for operation in table.ops]
    made = {(str(key.source_table), tuple(key.local_cols)) for key in each if isinstance(key, ops.CreateForeignKeyOp)}
    dropped = [drop for drop in each if isinstance(drop, ops.DropConstraintOp) and drop.constraint_name]
    return {(name_of(drop), str(drop.constraint_name)) for drop in dropped if _on(drop) not in made}


def _on(drop: ops.DropConstraintOp) -> tuple[str, tuple[str, ...]]:
    return str(drop.table_name), tuple(getattr(_alembic.inverse_of(drop), "local_cols", ()))


def _without_lost_indexes(found: Sequence[ops.MigrateOperation]) -> Operations:
    """Leave out the drops of indexes that are dropped, and created again, with their tables."""
    dropped = {name_of(operation) for operation in found if isinstance(operation, ops.DropTableOp)}
    for table in tables_in(list(found)):
        if name_of(table) in dropped:
            table.ops[:] = [operation for operation in table.ops if not isinstance(operation, ops.DropIndexOp)]
    return [operation for operation in found if not isinstance(operation, ops.ModifyTableOps) or operation.ops]


def _referring_first(tables: list[Any]) -> list[Any]:
    """Sort tables such that each comes before those that it refers to, unless they refer to each other."""
    left, ordered = sorted(tables, key=lambda table: str(name_of(table))), []
    while left:
        free = (table for table in left if not any(_refers(other, table) for other in left if other is not table))
        chosen = next(free, left[0])
        left.remove(chosen)
        ordered.append(chosen)
    return ordered


# Foreign keys ---------------------------------------------------------------------------------------------------


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


def _with_keys_in_order(found: Operations) -> Operations:
    return _with_keys_apart(_with_keys_outermost(found))


def _with_keys_outermost(found: Operations) -> Operations:
    """Drop foreign keys before, and create them after, the indexes and unique keys that they need, of any table."""
    tables = tables_in(found)
    drops = [part for table in tables for part in _split_off(table, drops_foreign_key)]
    made = [part for table in tables for part in _split_off(table, _creates_foreign_key)]
    result: Operations = []
    for operation in found:
        result += drops if tables and operation is tables[0] else []
        result += [operation] if not isinstance(operation, ops.ModifyTableOps) or operation.ops else []
        result += made if tables and operation is tables[-1] else []
    return result


def _creates_foreign_key(operation: ops.MigrateOperation) -> bool:
    return isinstance(operation, ops.CreateForeignKeyOp)


def _split_off(table: ops.ModifyTableOps, belongs: Callable[[ops.MigrateOperation], bool]) -> Operations:
    """Take some of the operations on a table out, into a separate change of it."""
    taken = [operation for operation in table.ops if belongs(operation)]
    table.ops[:] = [operation for operation in table.ops if not belongs(operation)]
    return [ops.ModifyTableOps(table.table_name, taken, schema=table.schema)] if taken else []


def _with_keys_apart(found: Operations) -> Operations:
    """Create the foreign keys of tables that refer to each other after the last table; drop them before the first."""
    made, dropped = _places(found, ops.CreateTableOp), _places(found, ops.DropTableOp)
    later = [ops.CreateForeignKeyOp.from_constraint(key) for key in _apart(found, made, lambda own, other: other > own)]
    drops = [
        ops.DropConstraintOp.from_constraint(key) for key in _apart(found, dropped, lambda own, other: other < own)
    ]
    result: Operations = []
    for place, operation in enumerate(found):
        result += drops if place == min(dropped.values(), default=-1) else []
        result.append(_without_keys(operation, made, place) if place in made.values() else operation)
        result += later if place == max(made.values(), default=-1) else []
    return result


def _places(found: Operations, kind: type[ops.MigrateOperation]) -> dict[Name, int]:
    return {name_of(operation): place for place, operation in enumerate(found) if isinstance(operation, kind)}


def _apart(
    found: Operations, places: dict[Name, int], too_far: Callable[[int, int], bool]
) -> Iterator[sa.ForeignKeyConstraint]:
    for own in places.values():
        yield from (key for key in _keys_of(found[own]) if too_far(own, places.get(_referent(key), own)))


def _without_keys(table: Any, made: dict[Name, int], own: int) -> ops.CreateTableOp:
    """Return a table without the foreign keys to tables that are created after it."""

    def is_kept(part: Any) -> bool:
        return not isinstance(part, sa.ForeignKeyConstraint) or made.get(_referent(part), own) <= own

    columns: Iterable[Any] = table.columns
    table.columns = [part for part in columns if is_kept(part)]
    made_table: ops.CreateTableOp = table
    return made_table
