"""Indexes on expressions, which SQLAlchemy reflects without the expressions on MySQL: what it took for them, put right."""

from __future__ import annotations

from alembic.operations import ops

from safeops.autogenerate.arranging import name_of
from safeops.autogenerate.finding import index_back
from safeops.autogenerate.live import Live
from safeops.autogenerate.operations import Differs
from safeops.databases.definitions import Index, Table
from safeops.naming import Name


def correct_misread(live: Live, upgrade: ops.UpgradeOps, downgrade: ops.DowngradeOps) -> None:
    """Leave out changes of indexes that are as the models say, and have the others come back with their expressions."""
    if live.migration.database.reflects_expressions:
        return
    for table in [one for one in upgrade.ops if isinstance(one, ops.ModifyTableOps)]:
        name = name_of(table)
        stands = live.table(name)
        drops = [one for one in table.ops if isinstance(one, ops.DropIndexOp)] if stands else []
        for drop in drops:
            there = stands.indexes.get(str(drop.index_name)) if stands else None
            if stands is not None and there is not None and any(one.startswith("(") for one in there.columns):
                _correct(live, name, stands, there, (upgrade, downgrade))


def _correct(live: Live, name: Name, stands: Table, there: Index, bodies: tuple[ops.OpContainer, ...]) -> None:
    upgrade, downgrade = bodies
    created = [one for one in _of_index(upgrade, name, there.name) if isinstance(one, ops.CreateIndexOp)]
    if any(live.has_index(name, one) for one in created):
        for body in bodies:
            _replace(body, name, there.name, None)
        return
    back = index_back(live, name, stands, there)
    told = f"Index {there.name} of {name} cannot be written as a construct. It was {there.definition}"
    _replace(downgrade, name, there.name, back or Differs(told))


def _of_index(body: ops.OpContainer, name: Name, index: str) -> list[ops.MigrateOperation]:
    tables = [one for one in body.ops if isinstance(one, ops.ModifyTableOps) and name_of(one) == name]
    return [one for table in tables for one in table.ops if getattr(one, "index_name", None) == index]


def _replace(body: ops.OpContainer, name: Name, index: str, back: ops.MigrateOperation | None) -> None:
    """Put ``back`` in the place of what creates an index; None takes out all that is done to it."""
    for table in [one for one in body.ops if isinstance(one, ops.ModifyTableOps) and name_of(one) == name]:
        found: list[ops.MigrateOperation] = []
        for one in table.ops:
            if getattr(one, "index_name", None) != index or (back and isinstance(one, ops.DropIndexOp)):
                found.append(one)
            elif back:
                found.append(back)
        table.ops[:] = found
        if not found:
            body.ops.remove(table)
