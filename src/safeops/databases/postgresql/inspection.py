"""Inspects tables of PostgreSQL by the query of its catalogue."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from safeops.databases.definitions import Table
from safeops.databases.postgresql import catalogue, prepared
from safeops.databases.postgresql.bounds import learn
from safeops.databases.postgresql.catalogue import Surroundings
from safeops.observation import is_observed

if TYPE_CHECKING:
    from safeops.databases.postgresql import PostgreSQL

INSPECTIONS = 10
"""How often a table is inspected while another session is changing it."""


def shown_tables(database: PostgreSQL, query: str, **parameters: str) -> list[str]:
    """Return what the query shows of each table, and note what it shows of the session."""
    bound = f"{int(database.lock_wait * 1000)}ms"
    for _ in range(INSPECTIONS):
        rows = prepared.look(database, query, lambda row: Surroundings.read(row[1]).session, bound=bound, **parameters)
        found = [raw for raw, _ in rows if raw is not None]
        if not any(map(catalogue.is_torn, found)):
            break
    database.surroundings = Surroundings.read(rows[0][1])
    learn(database, database.surroundings.session, *database.surroundings.timeouts)
    return found


def read_table(
    database: PostgreSQL,
    raw: str,
    things: Collection[str] | None = None,
    read_all: Callable[[], Table | None] = lambda: None,
) -> Table:
    """Read a table as the query has shown it; see ``catalogue.table_of``."""
    unpublished = not database.surroundings.publications
    found = catalogue.table_of(raw, unpublished=unpublished, things=things, read_all=read_all)
    return replace(found, is_empty=False) if is_observed() else found
