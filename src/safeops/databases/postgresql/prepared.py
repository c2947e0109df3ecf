"""The catalogue query, prepared and planned once a session: to plan it takes longer than to run it.

Psycopg 3 prepares what is sent several times, but discards all of it after each ALTER and DROP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops._sqlalchemy import is_autocommit
from safeops.databases.postgresql.along import takes_along
from safeops.databases.postgresql.session import Session, announced_session
from safeops.databases.postgresql.types import sqlstate
from safeops.databases.postgresql.values import parameters_of, with_places
from safeops.plan_mode import current_dry_run

KEY = "safeops.prepared"
PLANNED_ONCE = "SET LOCAL plan_cache_mode = force_generic_plan"
"""Else the server plans it again for each of the first five runs."""
UNKNOWN_STATEMENT = "26000"


@dataclass
class Prepared:
    """What is prepared on one session; kept with the driver's connection."""

    names: dict[str, str] = field(default_factory=dict)
    made: int = 0
    is_direct: bool = False
    """The first run has shown that no pooler could give the session, and what is prepared on it, to others."""


def prepared_on(connection: Connection) -> Prepared:
    """Return what is prepared on a connection."""
    found: Prepared = connection.info.setdefault(KEY, Prepared())
    return found


def look(
    database: Session, sql: str, session_of: Callable[[Sequence[Any]], int], **parameters: str
) -> Sequence[Sequence[Any]]:
    """Run a query that helpers run again and again; ``session_of`` gives the id of the session in a row."""
    connection = database.raw_connection
    kept = prepared_on(connection)
    # In a transaction, a statement that the session has lost would end it. A dry run lets plain queries through only.
    if current_dry_run() is not None or not is_autocommit(connection) or not kept.is_direct:
        rows = database.look(sql, **parameters)
        kept.is_direct = announced_session(connection.connection.driver_connection) == session_of(rows[0])
        return rows
    values = ", ".join(database.literal(parameters[name]) for name in parameters_of(sql))
    try:
        return _execute(database, kept, sql, values)
    except DBAPIError as error:
        if sqlstate(error) != UNKNOWN_STATEMENT:
            raise
        # DISCARD ALL or DEALLOCATE ALL, of the revision or of its driver.
        kept.names.clear()
        return _execute(database, kept, sql, values)


def _execute(database: Session, kept: Prepared, sql: str, values: str) -> Sequence[Sequence[Any]]:
    connection = database.raw_connection
    before = PLANNED_ONCE if takes_along(connection) else ""
    if sql not in kept.names:
        kept.made += 1
        kept.names[sql] = name = f"safeops_{kept.made}"
        before = _prepare(connection, _preparing(name, sql), before)
    return database.look_behind(before, f"EXECUTE {kept.names[sql]}({values})")


def _prepare(connection: Connection, preparing: str, before: str) -> str:
    """Prepare a query together with its first run if the driver can; return what to send before that run."""
    if before:
        return f"{preparing};\n{before}"
    connection.exec_driver_sql(preparing, execution_options={"no_parameters": True})
    return before


def _preparing(name: str, sql: str) -> str:
    places = {parameter: f"${place}" for place, parameter in enumerate(parameters_of(sql), 1)}
    return f"PREPARE {name} AS {with_places(sql, places.__getitem__)}"
