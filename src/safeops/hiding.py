"""Keeps what safeops itself has in a database out of ``alembic revision --autogenerate`` and ``alembic check``.

Any revision or env.py that imports a helper brings this along, so that nobody has to write an ``include_name``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from alembic import util
from alembic.autogenerate import comparators
from alembic.operations import ops

PREFIX = "safeops_"


def hide(_context: Any, upgrade_ops: ops.UpgradeOps, _schemas: Any) -> None:
    """Take out the operations that would drop what no model has, because it is ours."""
    upgrade_ops.ops[:] = list(_others(upgrade_ops.ops))


def _others(found: list[ops.MigrateOperation]) -> Iterator[ops.MigrateOperation]:
    for one in found:
        if isinstance(one, ops.ModifyTableOps):
            one.ops[:] = list(_others(one.ops))
            if one.ops:
                yield one
        elif not _is_ours(one):
            yield one


def _is_ours(operation: ops.MigrateOperation) -> bool:
    match operation:
        case ops.DropTableOp():
            names: list[Any] = [operation.table_name]
        case ops.DropColumnOp():
            names = [operation.column_name]
        case ops.DropIndexOp():
            names = [operation.table_name, operation.index_name]
        case ops.DropConstraintOp():
            names = [operation.constraint_name]
        case _:
            names = []
    return any(str(name).startswith(PREFIX) for name in names)


def hide_from_autogenerate() -> None:
    """Register with Alembic."""
    # From 1.18 on there are priorities; before, what is registered later runs later.
    last: dict[str, Any] = {"priority": util.DispatchPriority.LAST} if hasattr(util, "DispatchPriority") else {}
    comparators.dispatch_for("schema", **last)(hide)
