"""A backfill or a range of it, as it stands in the table of the state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from safeops.backfilling.port import Batches, Bound
from safeops.databases.base import Database

TABLE = "safeops_backfill"
LONGEST_NAME = 190
"""Bytes of a name at most."""
WHOLE = 0
"""The part that stands for the backfill itself; its ranges are numbered from 1."""

_COLUMNS: Mapping[str, sa.types.TypeEngine[Any]] = {
    "status": sa.String(20),
    "fingerprint": sa.String(64),
    "work": sa.Text(),
    "first_key": sa.Text(),
    "after_key": sa.Text(),
    "upto_key": sa.Text(),
    "sweep": sa.Integer(),
    "processed": sa.BigInteger(),
    "unfilled": sa.BigInteger(),
    "walked": sa.BigInteger(),
    "batches": sa.BigInteger(),
    "seconds": sa.Double(),
    "runner": sa.String(64),
    "session": sa.String(255),
    "lease_until": sa.Double(),
    "started_at": sa.Double(),
    "updated_at": sa.Double(),
}


def table_for(database: Database, schema: str | None) -> sa.Table:
    """Return the table of the state."""
    return sa.Table(
        TABLE,
        sa.MetaData(),
        sa.Column("name", Batches.of(database).exact_text(LONGEST_NAME)),
        sa.Column("part", sa.Integer()),
        *(sa.Column(name, type_) for name, type_ in _COLUMNS.items()),
        sa.PrimaryKeyConstraint("name", "part"),
        schema=schema,
    )


@dataclass(frozen=True)
class Part:
    """A range of keys, or with ``part`` 0 the backfill itself; ``after_key`` is the last key that was committed."""

    name: str
    part: int
    status: str
    fingerprint: str | None = None
    work: str | None = None
    first_key: str | None = None
    after_key: str | None = None
    upto_key: str | None = None
    sweep: int = 0
    processed: int = 0
    unfilled: int = 0
    walked: int = 0
    batches: int = 0
    seconds: float = 0.0
    runner: str | None = None
    session: str | None = None
    lease_until: float | None = None
    started_at: float | None = None
    updated_at: float | None = None

    @property
    def first(self) -> Bound | None:
        return _read(self.first_key)

    @property
    def after(self) -> Bound | None:
        return _read(self.after_key)

    @property
    def upto(self) -> Bound | None:
        return _read(self.upto_key)

    @property
    def is_finished(self) -> bool:
        return self.status == "finished"

    def after_batch(self, reached: Bound, finished: bool) -> Part:
        return replace(self, after_key=written(reached), status="finished" if finished else "running")


def written(bound: Bound | None) -> str | None:
    return None if bound is None else json.dumps(bound)


def _read(text: str | None) -> Bound | None:
    return None if text is None else tuple(json.loads(text))
