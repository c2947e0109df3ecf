"""The progress of backfills, in one small table: a row for each backfill, and one for each range of its keys.

A checkpoint is written in the transaction of its batch. A runner claims a row under a token, by a lease that it renews. The
claim of a dead runner expires even if forked children keep its session open. A checkpoint is written only while the claim
is valid, so two runners cannot write the same batch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from safeops.backfilling.port import Batches, Bound
from safeops.databases.base import Database
from safeops.databases.state_table import StateTable
from safeops.execution.migration import Terms

TABLE = "safeops_backfill"
LONGEST_NAME = 190
"""Bytes of a name at most."""
WHOLE = 0
"""The part for the backfill itself; its ranges are numbered from 1."""
BY_PAGES = json.dumps({"along": "pages"})
"""The ``work`` of a range whose positions are places in the table; that of a range of keys is empty."""
COUNTERS = ("processed", "unfilled", "walked", "batches", "seconds")


class _Key(sa.types.TypeDecorator[Bound]):
    """A key as the JSON of its texts."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Bound | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Bound | None:
        return None if value is None else tuple(json.loads(value))


def _column(type_: sa.types.TypeEngine[Any], name: str | None = None) -> Any:
    return field(metadata={"type": type_, "name": name})


@dataclass(frozen=True)
class Part:
    """A row of the table: a range, or with ``part`` 0 the backfill itself; ``after`` is the last committed key.

    A range of keys begins above ``after``, or with ``first``, and ends with ``upto``. A range of pages begins at the place
    ``after``, or at ``first``, and ends before the place ``upto``.
    """

    name: str
    part: int = _column(sa.Integer())
    status: str = _column(sa.String(20))
    fingerprint: str | None = _column(sa.String(64))
    work: str | None = _column(sa.Text())
    first: Bound | None = _column(_Key(), "first_key")
    after: Bound | None = _column(_Key(), "after_key")
    upto: Bound | None = _column(_Key(), "upto_key")
    sweep: int = _column(sa.Integer())
    processed: int = _column(sa.BigInteger())
    unfilled: int = _column(sa.BigInteger())
    walked: int = _column(sa.BigInteger())
    batches: int = _column(sa.BigInteger())
    seconds: float = _column(sa.Double())
    runner: str | None = _column(sa.String(64))
    session: str | None = _column(sa.String(255))
    lease_until: float | None = _column(sa.Double())
    started_at: float | None = _column(sa.Double())
    updated_at: float | None = _column(sa.Double())

    @property
    def is_finished(self) -> bool:
        return self.status == "finished"

    @property
    def spec(self) -> Mapping[str, Any]:
        """What the row of the backfill stores of its ``BackfillSpec``."""
        spec: Mapping[str, Any] = json.loads(self.work or "{}")
        return spec

    @property
    def is_by_pages(self) -> bool:
        """Whether the positions of this range are places in the table, not keys."""
        return self.work == BY_PAGES

    def after_batch(self, last: Bound | None, finished: bool) -> Part:
        return replace(self, after=last, status="finished" if finished else "running")

    def with_totals(self, ranges: Sequence[Part]) -> Part:
        """Return the backfill with the counters of all its ranges."""
        return replace(self, **{name: sum(getattr(part, name) for part in ranges) for name in COUNTERS})


@dataclass(frozen=True)
class Ranges:
    """New ranges: the start of the first, the end of each, and the ``work`` that they have."""

    first: Bound
    ends: Sequence[Bound]
    work: str | None = None


def table_for(database: Database, schema: str | None) -> sa.Table:
    """Return the table of the progress."""
    _, *others = fields(Part)
    return sa.Table(
        TABLE,
        sa.MetaData(),
        sa.Column("name", Batches.of(database).exact_text(LONGEST_NAME)),
        *(sa.Column(column.metadata["name"] or column.name, column.metadata["type"]) for column in others),
        sa.PrimaryKeyConstraint("name", "part"),
        schema=schema,
    )


LEASE = 8.0
"""Seconds after which the claim of a runner that does not renew it expires."""
UNCLAIMED: Mapping[str, None] = {"runner": None, "session": None, "lease_until": None}


class ClaimLost(Exception):
    """The lease expired and another runner took over; nothing of the current batch was committed."""


class State(StateTable):
    """The progress of all backfills of a database.

    Args:
        database: The session that reads and writes it.
        schema: The schema of its table; None is the default one.
    """

    def __init__(self, database: Database, schema: str | None) -> None:
        super().__init__(database, table_for(database, schema))

    @classmethod
    def of(cls, terms: Terms) -> State:
        """Return the state of the database of a migration, in the schema that its settings name."""
        return cls(terms.database, terms.settings.schema_for_state)

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
        """Add a backfill; if it exists already, nothing changes."""
        now = self._now()
        try:
            self._insert(name, WHOLE, fingerprint=fingerprint, work=work, status=status, started_at=now, updated_at=now)
        except IntegrityError:
            if self.part(name) is None:
                raise

    def begin_sweep(self, name: str, token: str, sweep: int, ranges: Ranges, number: int) -> None:
        """Add the ranges of a sweep over the table, or raise ClaimLost."""
        with self.database.transaction():
            self.set_claimed_status(name, token, "running", sweep=sweep)
            self._add_ranges(name, number, [None, *ranges.ends], ranges.first, sweep=sweep, work=ranges.work)

    def _add_ranges(
        self, name: str, number: int, cuts: Sequence[Bound | None], first: Bound | None = None, **values: Any
    ) -> None:
        """Add a range between each two cuts, numbered from ``number`` on; the one without a start begins with ``first``."""
        for after, upto in pairwise(cuts):
            start = {"first_key": first if after is None else None, "after_key": after, "upto_key": upto}
            self._insert(name, number, status="running", **start, **values)
            number += 1

    def split(self, part: Part, token: str, cuts: Sequence[Bound], number: int) -> None:
        """Split the rest of a claimed range, and release it: it keeps what is up to the first cut."""
        with self.database.transaction():
            self._change_claimed(part.name, WHOLE, token, lease_until=self._lease())
            self._change_claimed(part.name, part.part, token, upto_key=cuts[0], **UNCLAIMED)
            self._add_ranges(part.name, number, cuts, sweep=part.sweep, work=part.work)

    def set_status(self, name: str, status: str) -> None:
        """Set the status of a backfill, also if another runner has claimed it."""
        self._change(name, WHOLE, status=status, updated_at=self._now())

    def set_claimed_status(self, name: str, token: str, status: str, **changes: Any) -> None:
        """Set the status of a claimed backfill, or raise ClaimLost."""
        self._change_claimed(
            name, WHOLE, token, status=status, updated_at=self._now(), lease_until=self._lease(), **changes
        )

    def checkpoint(self, part: Part, token: str, last: Bound | None, *, finished: bool, **added: float) -> None:
        """Write the checkpoint of a range in the transaction of its batch, or raise ClaimLost."""
        values: dict[str, Any] = {"of": part.name, "at": part.part, "token": token, "last": last, "more_batches": 1}
        values |= {
            "now": "finished" if finished else "running",
            **{f"more_{name}": value for name, value in added.items()},
        }
        if self.execute(self._checkpoint, values).rowcount != 1:
            raise ClaimLost

    @cached_property
    def _checkpoint(self) -> sa.Update:
        # Made once: making it for each batch took longer than the server took to run it.
        columns = self.table.c
        more = {name: columns[name] + sa.bindparam(f"more_{name}", type_=columns[name].type) for name in COUNTERS}
        return (
            sa.update(self.table)
            .where(columns.name == sa.bindparam("of"), columns.part == sa.bindparam("at"))
            .where(columns.runner == sa.bindparam("token"))
            .values(
                after_key=sa.bindparam("last", type_=columns.after_key.type),
                status=sa.bindparam("now", type_=columns.status.type),
                updated_at=self._now(),
                lease_until=self._lease(),
                **more,
            )
        )

    def forget(self, name: str) -> bool:
        return self.execute(self.deletion(name)).rowcount > 0

    def deletion(self, name: str) -> sa.Delete:
        return sa.delete(self.table).where(self.table.c.name == name)

    # Claims -----------------------------------------------------------------------------------------------------

    def claim(self, part: Part, token: str) -> bool:
        """Claim a part that is free, whose lease has expired, or whose session has ended."""
        columns = self.table.c
        free = [columns.runner.is_(None), columns.runner == token, columns.lease_until < self._now()]
        if part.runner and part.session and self.database.is_gone(part.session):
            free.append(columns.runner == part.runner)
        unfinished = columns.status != "finished"
        claimed = {"runner": token, "session": self._session, "lease_until": self._lease(), "status": "running"}
        return self._change(part.name, part.part, unfinished, sa.or_(*free), **claimed) == 1

    @cached_property
    def _session(self) -> str:
        return self.database.session_id()

    def renew(self, token: str) -> None:
        """Extend the lease of all parts that are claimed under the token."""
        update = sa.update(self.table).where(self.table.c.runner == token).values(lease_until=self._lease())
        self.execute(update)

    def release(self, token: str) -> None:
        """Release all parts that are claimed under the token."""
        columns = self.table.c
        running = columns.status.in_(("running", "stopping"))
        status = sa.case((running, "stopped"), else_=columns.status)
        update = sa.update(self.table).where(columns.runner == token).values(status=status, **UNCLAIMED)
        self.execute(update)

    def release_if_connected(self, token: str) -> None:
        """Release them if the connection is not lost; else the lease expires."""
        with suppress(SQLAlchemyError):
            self.release(token)

    def claimed_for(self, part: Part) -> float:
        """Return the seconds until a claim expires unless it is renewed; 0 if there is none."""
        if part.runner is None or (part.session and self.database.is_gone(part.session)):
            return 0.0
        return max((part.lease_until or 0.0) - float(self.database.scalar(f"SELECT {self.database.now}")), 0.0)

    def _now(self) -> sa.ColumnElement[Any]:
        return sa.literal_column(self.database.now)

    def _lease(self) -> sa.ColumnElement[Any]:
        return sa.literal_column(f"{self.database.now} + {LEASE}")

    def _at(self, name: str, part: int) -> sa.ColumnElement[bool]:
        return sa.and_(self.table.c.name == name, self.table.c.part == part)

    def _insert(self, name: str, part: int, **values: Any) -> None:
        row = {"name": name, "part": part, "sweep": 0, **dict.fromkeys(COUNTERS, 0), **values}
        self.execute(sa.insert(self.table).values(row))

    def _change(self, name: str, part: int, *conditions: sa.ColumnElement[bool], **changes: Any) -> int:
        update = sa.update(self.table).where(self._at(name, part), *conditions).values(changes)
        return self.execute(update).rowcount

    def _change_claimed(self, name: str, part: int, token: str, **changes: Any) -> None:
        if self._change(name, part, self.table.c.runner == token, **changes) != 1:
            raise ClaimLost


def _part(row: Any) -> Part:
    return Part(*row)
