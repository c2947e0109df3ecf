"""How long an application waits while a column is renamed or gets another type, against one statement for all rows.

From the end of contract() on, the application uses the new name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import alembic.op
import sqlalchemy as sa

import safeops
from tests.benchmarks.backfill import WRITER, fill
from tests.benchmarks.shape import Part, Variant, timed, unchecked
from tests.projects import migrate
from tests.servers import Database

NAMES = "UPDATE users SET name = name || '' WHERE id = %s\nUPDATE users SET full_name = full_name || '' WHERE id = %s"


def _changing(*bodies: Callable[[], object]) -> Callable[[Database], float]:
    return lambda database: timed(lambda: [migrate(database, body) for body in bodies])


def _phases(change: Any, *names: str) -> Callable[[Database], float]:
    return _changing(*(getattr(change, name) for name in names))


def _alter() -> None:
    alembic.op.alter_column("users", "logins", type_=sa.BigInteger())


def _update() -> None:
    alembic.op.execute("UPDATE users SET logins = logins")


_TYPE = safeops.TypeChange("users", "logins", sa.BigInteger())
_RENAME = safeops.ColumnRename("users", "name", "full_name")
_CHANGES = Part(
    "type",
    "Another type for a column, next to an application that writes",
    ("pg18",),
    {
        "update": Variant("one `UPDATE`", _changing(_update)),
        "alter": Variant("`op.alter_column(..., type_=BigInteger)`", _changing(_alter)),
        "type": Variant("`TypeChange`, its three phases", _phases(_TYPE, "expand", "switch", "contract"), ours=True),
    },
    fill,
    unchecked,
    rows=300_000,
    quick=100_000,
    rounds=3,
    writer=WRITER,
)
PARTS = (
    _CHANGES,
    dataclasses.replace(
        _CHANGES,
        name="rename",
        title="Another name for a column, next to an application that writes",
        variants={
            "update": Variant("one `UPDATE`", _changing(_update)),
            "rename": Variant("`ColumnRename`, its two phases", _phases(_RENAME, "expand", "contract"), ours=True),
        },
        writer=NAMES,
    ),
)
