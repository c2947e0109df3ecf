"""What changes under its name is replaced by one call, so that the old definition is in force until the new one is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alembic.operations import ops

from safeops.autogenerate.arranging import Operations, name_of
from safeops.autogenerate.live import Live
from safeops.naming import Name

Pair = tuple[ops.MigrateOperation, ops.MigrateOperation]

_DROPPED_AS: dict[type[Any], str] = {
    ops.CreateIndexOp: "index",
    ops.CreateUniqueConstraintOp: "unique",
    ops.CreateForeignKeyOp: "foreignkey",
}


def exchange_foreign_keys(live: Live, forth: Operations, back: Operations) -> None:
    """Replace the foreign keys that change and that nothing else in the revision has to do with."""
    for table in _tables(forth):
        reverse = next((one for one in _tables(back) if name_of(one) == name_of(table)), None)
        if reverse is not None:
            exchange(live, table, reverse, lambda drop, create: _is_free(forth, drop, create), "foreignkey")


def exchange(
    live: Live,
    table: ops.ModifyTableOps,
    reverse: ops.ModifyTableOps,
    may: Callable[[Any, Any], bool],
    *kinds: str,
) -> None:
    """Make one call of each drop and creation under one name, in both directions."""
    stands = live.table(name_of(table))
    if stands is None or stands.kind != "table":
        return
    for drop, create in _pairs(table, kinds):
        back = next((pair for pair in _pairs(reverse, kinds) if _named(pair[1]) == _named(create)), None)
        if back is not None and may(drop, create):
            for one, (gone, made) in ((table, (drop, create)), (reverse, back)):
                one.ops.remove(gone)
                made.replaces = True  # type: ignore[attr-defined]


def _pairs(table: ops.ModifyTableOps, kinds: tuple[str, ...]) -> list[Pair]:
    made = {(_kind(one), _named(one)): one for one in table.ops if type(one) in _DROPPED_AS}
    drops = [one for one in table.ops if isinstance(one, (ops.DropIndexOp, ops.DropConstraintOp))]
    # Two constraints without a name do not have the same one.
    gone = [one for one in drops if _named(one) is not None]
    return [(one, made[key]) for one in gone if (key := (_kind(one), _named(one))) in made and key[0] in kinds]


def _kind(one: Any) -> str:
    if isinstance(one, ops.DropConstraintOp):
        return str(one.constraint_type)
    return _DROPPED_AS.get(type(one), "index")


def _named(one: Any) -> str | None:
    name = one.index_name if isinstance(one, (ops.CreateIndexOp, ops.DropIndexOp)) else one.constraint_name
    return None if name is None else str(name)


def _tables(found: Operations) -> list[ops.ModifyTableOps]:
    return [one for one in found if isinstance(one, ops.ModifyTableOps)]


def _is_free(forth: Operations, drop: ops.DropConstraintOp, create: ops.CreateForeignKeyOp) -> bool:
    """Tell whether nothing on either side of the key goes or changes its type in the same revision."""
    old: Any = drop._reverse
    if old is None:
        return False
    ends = {name_of(drop), *(_referent(one) for one in (old, create))}
    found = [one for one in forth if isinstance(one, (ops.ModifyTableOps, ops.DropTableOp)) and name_of(one) in ends]
    each = [part for one in found for part in (one.ops if isinstance(one, ops.ModifyTableOps) else [one])]
    return not any(one is not drop and _takes_away(one) for one in each)


def _referent(key: ops.CreateForeignKeyOp) -> Name:
    return Name(str(key.referent_table), key.kw.get("referent_schema") or None)


def _takes_away(one: ops.MigrateOperation) -> bool:
    if isinstance(one, ops.AlterColumnOp):
        return one.modify_type is not None
    is_key = isinstance(one, ops.DropConstraintOp) and one.constraint_type == "foreignkey"
    return isinstance(one, (ops.DropTableOp, ops.DropColumnOp, ops.DropIndexOp, ops.DropConstraintOp)) and not is_key
