"""Forgetting the backfills of what goes away, so that a column of that name is filled again when it comes back."""

from __future__ import annotations

import json
import logging
from functools import partial

from safeops.backfilling.parts import Part
from safeops.backfilling.port import Batches
from safeops.backfilling.state import State
from safeops.execution.lock_retry import patiently
from safeops.execution.migration import Migration
from safeops.naming import Name
from safeops.plan_mode import foreseeing
from safeops.planned import Deed

log = logging.getLogger("safeops")


def forget_backfills_of(migration: Migration, table: Name, column: str | None = None) -> None:
    """Forget the backfills of a table, or of one of its columns, that goes away."""
    forget_backfills(migration, backfills_of(migration, table, column))


def backfills_of(migration: Migration, table: Name, column: str | None = None) -> list[str]:
    """Return the names of the backfills of a table, or of one of its columns."""
    if not Batches.serves(migration.database):
        return []
    state = State(migration.database, migration.settings.schema_for_state)
    tables = (table, table.at(migration.database.home))
    return [one.name for one in state.parts() if _is_of(one, tables, column)] if state.exists() else []


def forget_backfills(migration: Migration, names: list[str]) -> None:
    """Forget the backfills of these names."""
    for name in names:
        if (forecast := foreseeing()) is not None:
            forecast.deed(Deed(f"forgot backfill {name}"))
            continue
        patiently(
            migration,
            f"forgot backfill {name}",
            partial(State(migration.database, migration.settings.schema_for_state).forget, name),
        )
        log.info("forgot backfill %s, as what it filled goes away", name)


def _is_of(part: Part, tables: tuple[Name, ...], column: str | None) -> bool:
    work = json.loads(part.work or "{}")
    return Name(work.get("table", ""), work.get("schema")) in tables and (
        column is None or column in work.get("columns", ())
    )
