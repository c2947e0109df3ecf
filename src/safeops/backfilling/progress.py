"""How far a backfill is, and who is told."""

from __future__ import annotations

from dataclasses import dataclass, field

from safeops.databases.base import Database


@dataclass(frozen=True)
class BackfillProgress:
    """How far a backfill is.

    Args:
        name: What its progress is kept under.
        table: The table, in its schema.
        rows: The rows that this run has processed.
        total: About how many rows it has to go through, from the server's statistics; None where nobody knows.
        walked: The rows that it has gone through, also those that needed nothing.
        rows_per_second: The rows gone through a second, over the recent past.
        seconds: How long it has run.
        seconds_left: How long it will go on at that rate; None where nobody knows.
        batches: The batches that were committed.
        batch_size: The rows of the next batch.
        key: The key of the last row of the last batch, as the server writes it; empty before the first.
        waiting: What a throttle waits for; None while it goes on.
        database: The connection of the backfill, for throttles that ask the server.
    """

    name: str
    table: str
    rows: int = 0
    total: int | None = None
    walked: int = 0
    rows_per_second: float = 0.0
    seconds: float = 0.0
    seconds_left: float | None = None
    batches: int = 0
    batch_size: int = 0
    key: tuple[str, ...] = ()
    waiting: str | None = None
    database: Database | None = field(default=None, repr=False, compare=False)
