"""Keeps the tables and columns of safeops itself out of ``alembic revision --autogenerate`` and ``alembic check``.

A revision or an env.py that imports a helper loads it: no project needs an ``include_name``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from alembic.operations import ops

from safeops import _alembic

PREFIX = "safeops_"


def remove_own(_context: Any, upgrade_ops: ops.UpgradeOps, _schemas: Any) -> None:
    """Remove the operations that would drop tables and columns of safeops, because no model has them."""
    upgrade_ops.ops[:] = list(_without_own(upgrade_ops.ops))


def _without_own(operations: list[ops.MigrateOperation]) -> Iterator[ops.MigrateOperation]:
    for operation in operations:
        if isinstance(operation, ops.ModifyTableOps):
            operation.ops[:] = list(_without_own(operation.ops))
            if operation.ops:
                yield operation
        elif not _is_own(operation):
            yield operation


def _is_own(operation: ops.MigrateOperation) -> bool:
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


def _is_about_others(record: logging.LogRecord) -> bool:
    names = [part for argument in record.args or () for part in str(argument).split(".")]
    return not any(name.strip("'\"").startswith(PREFIX) for name in names)


def hide_from_autogenerate() -> None:
    """Register the filter with Alembic."""
    # Alembic logs a removed table before a comparator can remove the operation.
    for name in _alembic.COMPARISON_LOGGERS:
        logging.getLogger(name).addFilter(_is_about_others)
    _alembic.compare_last(remove_own)
