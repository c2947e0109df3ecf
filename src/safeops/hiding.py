"""Keeps the tables of safeops itself out of ``alembic revision --autogenerate`` and ``alembic check``.

Any revision or env.py that imports a helper brings this along, so that nobody has to write an ``include_name``.
"""

from __future__ import annotations

from typing import Any

from alembic import util
from alembic.autogenerate import comparators
from alembic.operations import ops

PREFIX = "safeops_"


def hide(_context: Any, upgrade_ops: ops.UpgradeOps, _schemas: Any) -> None:
    """Take out the operations that would drop what no model has, because it is ours."""
    upgrade_ops.ops[:] = [one for one in upgrade_ops.ops if not _is_ours(one)]


def _is_ours(operation: ops.MigrateOperation) -> bool:
    drops = isinstance(operation, (ops.DropTableOp, ops.DropIndexOp))
    return drops and str(operation.table_name).startswith(PREFIX)  # type: ignore[attr-defined]


def hide_from_autogenerate() -> None:
    """Register with Alembic."""
    # From 1.18 on there are priorities; before, what is registered later runs later.
    last: dict[str, Any] = {"priority": util.DispatchPriority.LAST} if hasattr(util, "DispatchPriority") else {}
    comparators.dispatch_for("schema", **last)(hide)
