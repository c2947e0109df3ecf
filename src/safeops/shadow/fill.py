"""The fill of a shadow column, as a backfill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from safeops.arguments import Keywords
from safeops.backfilling.backfill import backfill
from safeops.backfilling.batch import CANCELLED
from safeops.backfilling.run import BackfillReport
from safeops.backfilling.state import Part, State
from safeops.backfilling.status import forget_backfill
from safeops.databases.definitions import Table
from safeops.databases.triggers import Pair, changed_since_inspection
from safeops.errors import BackfillIncomplete, ViolatingRows
from safeops.execution.inspect import existing, look_into
from safeops.execution.migration import Migration, running
from safeops.naming import Name, fitting
from safeops.shadow.port import ShadowColumns

ROUNDS = 4
"""How often rows without a value are filled again: their keys moved during the scan."""
OPTIONS = Keywords(("key", "batch_size", "target_seconds", "pause", "throttles", "executor", "connect", "progress"))


@dataclass(frozen=True)
class Fill:
    """The backfill of a shadow column.

    Args:
        pair: The pair.
        table: The table, as its author calls it.
        name: The name of its progress.
        value: The value of a row's shadow column, as SQL.
        unfilled: The condition of the rows that have no value yet.
        options: The other options of ``backfill``.
        is_finished: It was finished before.
    """

    pair: Pair
    table: Name
    name: str
    value: str
    unfilled: str
    options: dict[str, Any]
    is_finished: bool

    @classmethod
    def of(cls, migration: Migration, pair: Pair, table: Name, options: dict[str, Any]) -> Fill:
        columns = ShadowColumns.of(migration.database)
        progress = progress_of(migration, pair)
        texts = fill_name(pair, migration.database.home), columns.shadow_value(pair), columns.unfilled(pair)
        return cls(pair, table, *texts, options, progress is not None and progress.is_finished)

    def run(self) -> bool:
        """Fill, then fill rows that were missed: their keys moved, or their partition was attached since.

        Returns whether there was work left: it had not finished before, or had missed rows.
        """
        left = None
        for count in range(ROUNDS):
            report = self._run_once()
            if not report.remaining:
                return count > 0 or not self.is_finished
            # Otherwise the missed rows would count as finished.
            forget_backfill(self.name)
            if report.batches and report.remaining == left:
                break
            left = report.remaining
        with running("backfill") as migration:
            raise self._cancelled(migration, report.remaining)

    def _run_once(self) -> BackfillReport:
        try:
            with running("backfill") as migration, ShadowColumns.of(migration.database).converting(self.pair):
                return backfill(
                    self.table.name,
                    {self.pair.shadow: sa.literal_column(self.value)},
                    where=sa.literal_column(self.unfilled, sa.Boolean()),
                    name=self.name,
                    schema=self.table.schema,
                    **self.options,
                )
        except ViolatingRows as error:
            cause = error.__cause__
            if not isinstance(cause, DBAPIError):
                raise
            with running("backfill") as migration:
                unchanged(migration, self.pair)
                if migration.database.errors.kind_of(cause) == "violation":
                    raise
            raise unconvertible(self.pair, cause, error.problem) from cause

    def _cancelled(self, migration: Migration, left: int) -> BackfillIncomplete:
        """Return the error of rows that have no value although it was written repeatedly."""
        pair, database = self.pair, migration.database
        triggers = look_into(migration, pair.table, lambda: database.triggers.update_triggers(pair.table))
        unknown = (
            "Something reverts the value, or bypasses the triggers that keep the two in sync. Find the cause first."
        )
        return BackfillIncomplete(
            f"{left:,} rows of {pair.table} have no value in {pair.shadow} although it was written.",
            remedy=f"{CANCELLED.format(', '.join(triggers)) if triggers else unknown} This query finds all of them:",
            code=f"SELECT * FROM {database.quoted_table(pair.table)} WHERE {self.unfilled}",
            state=f"{pair.source} has all values. {pair.shadow} exists, and running again continues from there.",
        )


def fill_name(pair: Pair, home: str | None) -> str:
    """Return the name of the progress of the fill."""
    way = "back to" if pair.switched else "to"
    return fitting(f"{pair.table.at(home)}.{pair.source} {way} {pair.shadow}", max_bytes=180)


def progress_of(migration: Migration, pair: Pair) -> Part | None:
    """Return the progress of the fill; earlier releases included the schema in its name."""
    state = State.of(migration)
    homes = dict.fromkeys((state.database.home, None))
    found = (state.part(fill_name(pair, home)) for home in homes) if state.exists() else ()
    return next(filter(None, found), None)


def unconvertible(pair: Pair, error: DBAPIError, where: str = "") -> ViolatingRows:
    """Return the error of values that cannot be converted."""
    converts = pair.winner is None
    return ViolatingRows(
        f"Values of {pair.table}.{pair.source} cannot be converted for {pair.shadow}: {said(error)}",
        why=where or "The server rejects the new value of a row.",
        remedy="Fix those rows, or pass a conversion that accepts them:"
        if converts
        else "Fix those rows, and run again.",
        code='TypeChange(..., using="...", reverse_using="...")' if converts else "",
        state="The column itself was not changed. Finished batches are kept; running again continues from there.",
    )


def said(error: DBAPIError) -> str:
    return " ".join(str(error.orig).split())


def unchanged(migration: Migration, pair: Pair) -> Table:
    """Return the current table, or raise if another runner has swapped or dropped the pair since."""
    table = existing(migration, pair.table)
    columns = ShadowColumns.of(migration.database)
    if look_into(migration, pair.table, lambda: columns.find_pair(table, pair.name)) != pair:
        raise changed_since_inspection(pair)
    return table
