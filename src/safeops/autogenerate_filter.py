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


def hide(_context: Any, upgrade_ops: ops.UpgradeOps, _schemas: Any) -> None:
    """Take out what would drop the tables and columns of safeops, as no model has them."""
    upgrade_ops.ops[:] = list(_others(upgrade_ops.ops))


def _others(found: list[ops.MigrateOperation]) -> Iterator[ops.MigrateOperation]:
    for operation in found:
        if isinstance(operation, ops.ModifyTableOps):
            operation.ops[:] = list(_others(operation.ops))
            if operation.ops:
                yield operation
        elif not _is_ours(operation):
            yield operation


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


def _is_of_others(record: logging.LogRecord) -> bool:
    names = [part for argument in record.args or () for part in str(argument).split(".")]
    return not any(name.strip("'\"").startswith(PREFIX) for name in names)


def hide_from_autogenerate() -> None:
    """Register with Alembic."""
    # They report a removed table before a comparator can take it out.
    for name in _alembic.COMPARISON_LOGGERS:
        logging.getLogger(name).addFilter(_is_of_others)
    _alembic.compare_last(hide)
