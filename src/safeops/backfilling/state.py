"""The progress of backfills, in one small table: a row for each backfill, and one for each range of its keys.

A checkpoint is written by the transaction of its batch. A row is claimed by a runner under a token: by a lease that the
runner renews, so that the claim of a dead one ends by itself, also when forked children keep its session open. A checkpoint
counts only while the claim stands, so that a runner that was taken for dead cannot do a batch twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from safeops.backfilling.port import Batches, Bound
from safeops.databases.base import Database
from safeops.databases.state_table import StateTable

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


LEASE = 8.0
"""Seconds after which the claim of a runner that does not renew it ends."""


class ClaimLost(Exception):
    """Another runner took this one for dead and goes on in its place; nothing of what was in hand was committed."""


class State(StateTable):
    """The state of all backfills of a database.

    Args:
        database: The session that reads and writes it.
        schema: The schema of its table; None is the default one.
    """

    def __init__(self, database: Database, schema: str | None) -> None:
        super().__init__(database, table_for(database, schema))

    # Reading ----------------------------------------------------------------------------------------------------

    def parts(self, name: str | None = None) -> list[Part]:
        """Return the parts of a backfill, or of all, in order."""
        query = sa.select(*self.table.c).order_by(self.table.c.name, self.table.c.part)
        if name is not None:
            query = query.where(self.table.c.name == name)
        return [_part(row) for row in self.execute(query)]

    def part(self, name: str, part: int = WHOLE) -> Part | None:
        query = sa.select(*self.table.c).where(self._at(name, part))
        row = self.execute(query).first()
        return _part(row) if row else None

    # Writing ----------------------------------------------------------------------------------------------------

    def add(self, name: str, fingerprint: str, work: str, status: str = "running") -> None:
        """Make a backfill known; where it is known already, by whomever, nothing changes."""
        now = self._now()
        values: dict[str, Any] = {
            "fingerprint": fingerprint,
            "work": work,
            "status": status,
            "started_at": now,
            "updated_at": now,
        }
        try:
            self._insert(name, WHOLE, values)
        except IntegrityError:
            if self.part(name) is None:
                raise

    def add_ranges(self, name: str, first_number: int, cuts: Sequence[Bound], first: Bound, sweep: int) -> None:
        """Make the ranges known that end at each of the cuts; the first of them begins with ``first``."""
        after: Bound | None = None
        for number, cut in enumerate(cuts, first_number):
            values = {
                "status": "running",
                "first_key": written(first) if after is None else None,
                "after_key": written(after),
                "upto_key": written(cut),
                "sweep": sweep,
            }
            self._insert(name, number, values)
            after = cut

    def narrow(self, part: Part, token: str, cuts: Sequence[Bound], first_number: int) -> None:
        """Cut what is left of a claimed range, and let go of it: it keeps what comes before the first cut."""
        free: dict[str, Any] = dict.fromkeys(("runner", "session", "lease_until"))
        with self.database.transaction():
            self.hold(part.name, token)
            claimed = self.table.c.runner == token
            if self._change(part.name, part.part, claimed, upto_key=written(cuts[0]), **free) != 1:
                raise ClaimLost
            for number, (after, upto) in enumerate(pairwise(cuts), first_number):
                bounds = {"after_key": written(after), "upto_key": written(upto), "sweep": part.sweep}
                self._insert(part.name, number, {"status": "running", **bounds})

    def hold(self, name: str, token: str) -> None:
        """Lock the backfill itself for the transaction that asks, or raise ClaimLost where it is another runner's."""
        if self._change(name, WHOLE, self.table.c.runner == token, lease_until=self._lease()) != 1:
            raise ClaimLost

    def set_status(self, name: str, status: str, part: int = WHOLE, **changes: Any) -> None:
        self._change(name, part, status=status, updated_at=self._now(), **changes)

    def checkpoint(self, part: Part, token: str, reached: Bound, *, finished: bool, **added: float) -> bool:
        """Write how far a range has come, in the transaction of its batch; False where the claim was lost."""
        columns = self.table.c
        changes: dict[str, Any] = {
            "after_key": written(reached),
            "status": "finished" if finished else "running",
            "updated_at": self._now(),
            "lease_until": self._lease(),
            "batches": columns.batches + 1,
            **{name: columns[name] + value for name, value in added.items()},
        }
        return self._change(part.name, part.part, columns.runner == token, **changes) == 1

    def forget(self, name: str) -> bool:
        return self.execute(self.deletion(name)).rowcount > 0

    def deletion(self, name: str) -> sa.Delete:
        return sa.delete(self.table).where(self.table.c.name == name)

    # Claims -----------------------------------------------------------------------------------------------------

    def claim(self, stands: Part, token: str) -> bool:
        """Claim a part: one that is free, whose lease has ended, or whose session is gone."""
        columns = self.table.c
        free = [columns.runner.is_(None), columns.runner == token, columns.lease_until < self._now()]
        if stands.runner and stands.session and self.database.is_gone(stands.session):
            free.append(columns.runner == stands.runner)
        open_ = columns.status != "finished"
        claimed = {"runner": token, "session": self._session, "lease_until": self._lease(), "status": "running"}
        return self._change(stands.name, stands.part, open_, sa.or_(*free), **claimed) == 1

    @cached_property
    def _session(self) -> str:
        return self.database.session_id()

    def renew(self, token: str) -> None:
        """Prolong the lease of all that is claimed under the token."""
        update = sa.update(self.table).where(self.table.c.runner == token).values(lease_until=self._lease())
        self.execute(update)

    def release(self, token: str) -> None:
        """Let go of all that is claimed under the token."""
        columns = self.table.c
        open_ = columns.status.in_(("running", "stopping"))
        values = {"runner": None, "session": None, "lease_until": None}
        status = sa.case((open_, "stopped"), else_=columns.status)
        update = sa.update(self.table).where(columns.runner == token).values(status=status, **values)
        self.execute(update)

    def release_if_connected(self, token: str) -> None:
        """Let go where the connection still stands; else the lease ends by itself."""
        with suppress(SQLAlchemyError):
            self.release(token)

    def claimed_for(self, stands: Part) -> float:
        """Return the seconds for which a claim still stands without being renewed; 0 where there is none."""
        if stands.runner is None or (stands.session and self.database.is_gone(stands.session)):
            return 0.0
        return max((stands.lease_until or 0.0) - float(self.database.scalar(f"SELECT {self.database.now}")), 0.0)

    def _now(self) -> sa.ColumnElement[Any]:
        return sa.literal_column(self.database.now)

    def _lease(self) -> sa.ColumnElement[Any]:
        return sa.literal_column(f"{self.database.now} + {LEASE}")

    def _at(self, name: str, part: int) -> sa.ColumnElement[bool]:
        return sa.and_(self.table.c.name == name, self.table.c.part == part)

    def _insert(self, name: str, part: int, values: Mapping[str, Any]) -> None:
        counters = dict.fromkeys(("sweep", "processed", "unfilled", "walked", "batches", "seconds"), 0)
        row = {"name": name, "part": part, **counters, **values}
        self.execute(sa.insert(self.table).values(row))

    def _change(self, name: str, part: int, *conditions: sa.ColumnElement[bool], **changes: Any) -> int:
        update = sa.update(self.table).where(self._at(name, part), *conditions).values(changes)
        return self.execute(update).rowcount


def _part(row: Any) -> Part:
    return Part(*row)
