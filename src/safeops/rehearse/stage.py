"""The traffic next to the revisions, and the phases of a rehearsal."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy.engine import Engine

from safeops.databases import Database, database_on
from safeops.databases.definitions import Table
from safeops.naming import Name
from safeops.rehearse.effects import Statement
from safeops.rehearse.following import OBSERVER
from safeops.rehearse.in_place import with_in_place
from safeops.rehearse.saved_rows import Touched, key_text
from safeops.rehearse.traffic import (
    Comparison,
    Replacements,
    Traffic,
    TrafficPlan,
    TrafficResult,
    plan_of,
)
from safeops.rehearse.traffic.ledger import entries

AUTO, NONE = "auto", "none"
UNRECORDED = (
    "Whether a write of the team's own statements is lost was not checked: two clients may write the same row, and which of"
    " them was the last is not known. None is in the ledger."
)


class Stage:
    """The phases of a rehearsal, and the traffic during them.

    Args:
        engine: Reaches the copy.
        traffic: The traffic; None rehearses without it.
        home: The schema of tables that are named without one.
    """

    def __init__(self, engine: Engine, traffic: Traffic | None, home: str | None = None) -> None:
        self._engine, self._traffic, self._home = engine, traffic, home
        self.phases: list[tuple[str, float, float]] = []
        self.compared: dict[str, Comparison] = {}
        self.result: TrafficResult | None = None
        """What the traffic met, once it has ended."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the traffic leaves out, and why."""
        if self._traffic is None:
            return ()
        return (*self._traffic.notes, *([UNRECORDED] if self._traffic.plan.scripts else []))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Run the block as a phase."""
        if self._traffic is not None and self.result is None:
            self._traffic.mark(name)
        began = time.monotonic()
        try:
            yield
        finally:
            self.phases.append((name, began, time.monotonic()))

    def wait(self, name: str, seconds: float) -> None:
        """Let the traffic run alone for a phase; without traffic there is nothing to wait for."""
        if self._traffic is not None:
            with self.phase(name):
                time.sleep(seconds)

    def compare(self, when: str, replacements: Replacements, statements: Iterable[Statement]) -> None:
        """Pause the traffic, and compare the writes that it was acknowledged with the tables.

        Args:
            when: Names the comparison.
            replacements: What the revisions rename, or give another type.
            statements: What they have sent.
        """
        if self._traffic is not None:
            self._traffic.pause()
            tables = self._traffic.plan.tables
            replaced = with_in_place(_in_schema(replacements, self._home), statements, tables)
            self.compared[when] = self._traffic.compare(self._engine, replaced)

    def resume(self) -> None:
        """Continue the traffic after a comparison."""
        if self._traffic is not None:
            self._traffic.resume()

    def touched(self) -> Touched | None:
        """Return the keys of the rows that the traffic has written, by their tables; None if that is not recorded."""
        if self._traffic is None:
            return {}
        if self._traffic.plan.scripts:
            return None
        ledger = self._traffic.ledger
        named = {
            one.table: {key_text(entry.key) for some in entries(ledger, place) for entry in some}
            for place, one in enumerate(self._traffic.plan.tables)
        }
        return {**named, **dict.fromkeys(self._traffic.elsewhere)}

    def stop(self) -> None:
        """End the traffic."""
        if self._traffic is not None:
            self.result = self._traffic.stop()


@contextmanager
def staged(
    engine: Engine,
    tables: Iterable[Name],
    kind: str | TrafficPlan,
    writers: int,
    later: Mapping[Name, Table] | None = None,
) -> Iterator[Stage]:
    """Start the traffic on some tables, for the block.

    Args:
        engine: Reaches the copy.
        tables: The tables that the revisions work on.
        kind: "auto", "none", or a plan.
        writers: The clients that write each table.
        later: The tables with the constraints that the revisions add, which new rows meet too.
    """
    if kind == NONE:
        yield Stage(engine, None)
        return
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT", **OBSERVER)
        home = _home(database_on(connection))
    plan = kind if isinstance(kind, TrafficPlan) else plan_of(engine, tables, later)
    with Traffic(engine.url, plan, writers) as traffic:
        yield Stage(engine, traffic, home)


def _home(database: Database) -> str | None:
    """Return the schema of a table that is named without one."""
    tables = (database.table(Name(name)) for name in database.table_names(None))
    return next((table.name.schema for table in tables if table is not None), None)


def _in_schema(replacements: Replacements, home: str | None) -> Replacements:
    """Return replacements whose tables have their schema, as those of the traffic have."""

    def at(name: Name) -> Name:
        return name if name.schema else Name(name.name, home)

    return Replacements(
        [replace(one, table=at(one.table)) for one in replacements.columns],
        {at(old): at(new) for old, new in replacements.tables.items()},
        {(at(table), column) for table, column in replacements.rewritten},
    )
