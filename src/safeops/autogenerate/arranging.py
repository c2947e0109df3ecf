"""The order of operations, where Alembic's own would fail or would do things twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from safeops.naming import Name

Operations = list[ops.MigrateOperation]


def name_of(operation: Any) -> Name:
    """Return the table that an operation is about."""
    return Name(str(operation.table_name), operation.schema or None)


def arranged_upgrade(found: Sequence[ops.MigrateOperation]) -> Operations:
    """Drop tables when nothing refers to them any more: Alembic drops them first, in any order."""
    dropped = _referring_first([one for one in found if isinstance(one, ops.DropTableOp)])
    kept = [one for one in _without_lost_indexes(found) if one not in dropped]
    place = 1 + max((place for place, one in enumerate(kept) if isinstance(one, ops.ModifyTableOps)), default=-1)
    first = next((place for place, one in enumerate(found) if one in dropped), len(found))
    place = max(place, min(first, len(kept)))
    return _arranged_keys([*kept[:place], *dropped, *kept[place:]])


def arranged_downgrade(found: Sequence[ops.MigrateOperation]) -> Operations:
    """Have dropped tables come back before others refer to them."""
    made = _referring_first([one for one in found if isinstance(one, ops.CreateTableOp)])[::-1]
    kept = [one for one in _without_lost_indexes(found) if one not in made]
    place = next((place for place, one in enumerate(kept) if isinstance(one, ops.ModifyTableOps)), len(kept))
    first = next((place for place, one in enumerate(found) if one in made), len(found))
    place = min(place, first)
    return _arranged_keys([*kept[:place], *made, *kept[place:]])


def constraints_gone(found: Sequence[ops.MigrateOperation]) -> set[tuple[Name, str]]:
    """Return the constraints that are dropped and have no successor on the same columns."""
    each = [one for table in found if isinstance(table, ops.ModifyTableOps) for one in table.ops]
    made = {(str(one.source_table), tuple(one.local_cols)) for one in each if isinstance(one, ops.CreateForeignKeyOp)}
    dropped = [one for one in each if isinstance(one, ops.DropConstraintOp) and one.constraint_name]
    return {(name_of(one), str(one.constraint_name)) for one in dropped if _on(one) not in made}


def _on(dropped: ops.DropConstraintOp) -> tuple[str, tuple[str, ...]]:
    key: Any = dropped._reverse
    return str(dropped.table_name), tuple(getattr(key, "local_cols", ()))


def _arranged_keys(found: Operations) -> Operations:
    return _with_keys_apart(_with_keys_outermost(found))


def _without_lost_indexes(found: Sequence[ops.MigrateOperation]) -> Operations:
    """Leave out the drops of indexes that go with their tables, and come back with them."""
    dropped = {name_of(one) for one in found if isinstance(one, ops.DropTableOp)}
    for one in found:
        if isinstance(one, ops.ModifyTableOps) and name_of(one) in dropped:
            one.ops[:] = [each for each in one.ops if not isinstance(each, ops.DropIndexOp)]
    return [one for one in found if not isinstance(one, ops.ModifyTableOps) or one.ops]


def _referring_first(tables: list[Any]) -> list[Any]:
    """Sort tables so that each stands before those that it refers to, where they do not refer to each other."""
    left, ordered = sorted(tables, key=lambda one: str(name_of(one))), []
    while left:
        free = (one for one in left if not any(_refers(other, one) for other in left if other is not one))
        chosen = next(free, left[0])
        left.remove(chosen)
        ordered.append(chosen)
    return ordered


def _refers(table: Any, other: Any) -> bool:
    return any(_referent(key) == name_of(other) for key in _keys_of(table))


def _keys_of(table: Any) -> list[sa.ForeignKeyConstraint]:
    created = getattr(table, "_reverse", table)
    return [one for one in getattr(created, "columns", ()) if isinstance(one, sa.ForeignKeyConstraint)]


def _referent(key: sa.ForeignKeyConstraint) -> Name:
    element = key.elements[0]
    try:
        table = element.column.table
    except sa.exc.NoReferenceError:
        # Alembic reflects a table without those that it refers to.
        *schema, name = element.target_fullname.rpartition(".")[0].rsplit(".", 1)
        return Name(name, schema[0] if schema else None)
    return Name(str(table.name), table.schema)


def _with_keys_outermost(found: Operations) -> Operations:
    """Drop foreign keys before, and create them after, the indexes and unique keys that they need, of any table."""
    tables = [one for one in found if isinstance(one, ops.ModifyTableOps)]
    drops = [one for table in tables for one in _split_off(table, _drops_key)]
    made = [one for table in tables for one in _split_off(table, lambda one: isinstance(one, ops.CreateForeignKeyOp))]
    result: Operations = []
    for one in found:
        result += drops if tables and one is tables[0] else []
        result += [one] if not isinstance(one, ops.ModifyTableOps) or one.ops else []
        result += made if tables and one is tables[-1] else []
    return result


def _drops_key(one: ops.MigrateOperation) -> bool:
    return isinstance(one, ops.DropConstraintOp) and one.constraint_type == "foreignkey"


def _split_off(table: ops.ModifyTableOps, belongs: Callable[[ops.MigrateOperation], bool]) -> Operations:
    """Take some of the operations on a table out, into operations of their own on it."""
    taken = [one for one in table.ops if belongs(one)]
    table.ops[:] = [one for one in table.ops if not belongs(one)]
    return [ops.ModifyTableOps(table.table_name, taken, schema=table.schema)] if taken else []


def _with_keys_apart(found: Operations) -> Operations:
    """Create the foreign keys of tables that refer to each other after the last table; drop them before the first."""
    made, gone = _places(found, ops.CreateTableOp), _places(found, ops.DropTableOp)
    later = [ops.CreateForeignKeyOp.from_constraint(key) for key in _apart(found, made, lambda own, other: other > own)]
    ties = [ops.DropConstraintOp.from_constraint(key) for key in _apart(found, gone, lambda own, other: other < own)]
    result: Operations = []
    for place, one in enumerate(found):
        result += ties if place == min(gone.values(), default=-1) else []
        result.append(_without_keys(one, made, place) if place in made.values() else one)
        result += later if place == max(made.values(), default=-1) else []
    return result


def _places(found: Operations, kind: type[ops.MigrateOperation]) -> dict[Name, int]:
    return {name_of(one): place for place, one in enumerate(found) if isinstance(one, kind)}


def _apart(
    found: Operations, places: dict[Name, int], too_far: Callable[[int, int], bool]
) -> Iterator[sa.ForeignKeyConstraint]:
    for own in places.values():
        yield from (key for key in _keys_of(found[own]) if too_far(own, places.get(_referent(key), own)))


def _without_keys(table: Any, made: dict[Name, int], own: int) -> ops.CreateTableOp:
    """Return a table without the foreign keys that refer to one that is created after it."""

    def stays(one: Any) -> bool:
        return not isinstance(one, sa.ForeignKeyConstraint) or made.get(_referent(one), own) <= own

    columns: Iterable[Any] = table.columns
    table.columns = [one for one in columns if stays(one)]
    made_table: ops.CreateTableOp = table
    return made_table
