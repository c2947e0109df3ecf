"""The catalogue query, prepared once a session: to plan it takes longer than to run it.

Psycopg 3 prepares what is sent several times, but discards all of it after each ALTER and DROP.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops._sqlalchemy import is_autocommit
from safeops.databases.postgresql.catalogue import sealed
from safeops.databases.postgresql.session import SESSION, Session, announced_session
from safeops.databases.postgresql.types import sqlstate
from safeops.plan_mode import current_dry_run

KEY = "safeops.prepared"
OFTEN = 3
"""How often a query runs on a session before it is prepared."""
UNKNOWN_STATEMENT = "26000"
_PARAMETER = re.compile(r"(?<!:):(\w+)")


@dataclass
class Prepared:
    """What is prepared on one session; kept with the driver's connection."""

    runs: Counter[str] = field(default_factory=Counter)
    names: dict[str, str] = field(default_factory=dict)
    made: int = 0
    is_direct: bool | None = None
    """No pooler is between the driver and the server; None if that is not known yet."""


def prepared_on(connection: Connection) -> Prepared:
    """Return what is prepared on a connection."""
    found: Prepared = connection.info.setdefault(KEY, Prepared())
    return found


def look(database: Session, sql: str, **parameters: str) -> Sequence[Sequence[Any]]:
    """Run a query that helpers run again and again."""
    connection = database.raw_connection
    kept = prepared_on(connection)
    kept.runs[sql] += 1
    # In a transaction, a statement that the session has lost would end it. A dry run lets plain queries through only.
    rarely = kept.runs[sql] <= OFTEN or current_dry_run() is not None
    if rarely or not is_autocommit(connection) or not _is_direct(database, kept):
        return database.look(sql, **parameters)
    if sql not in kept.names:
        kept.made += 1
        name = f"safeops_{kept.made}"
        connection.exec_driver_sql(_preparing(name, sql), execution_options={"no_parameters": True})
        kept.names[sql] = name
    values = ", ".join(database.literal(parameters[name]) for name in _parameters(sql))
    try:
        return database.look(f"EXECUTE {kept.names[sql]}({values})")
    except DBAPIError as error:
        if sqlstate(error) != UNKNOWN_STATEMENT:
            raise
        # DISCARD ALL or DEALLOCATE ALL, of the revision or of its driver.
        del kept.names[sql]
        return database.look(sql, **parameters)


def _is_direct(database: Session, kept: Prepared) -> bool:
    """Return whether no pooler could give the session, and what is prepared on it, to others."""
    if kept.is_direct is None:
        announced = announced_session(database.raw_connection.connection.driver_connection)
        kept.is_direct = announced is not None and announced == database.look(SESSION)[0][0]
    return kept.is_direct


def _preparing(name: str, sql: str) -> str:
    places = {parameter: f"${place}" for place, parameter in enumerate(_parameters(sql), 1)}
    return f"PREPARE {name} AS {_PARAMETER.sub(lambda found: places[found[1]], sealed(sql))}"


def _parameters(sql: str) -> list[str]:
    return list(dict.fromkeys(_PARAMETER.findall(sql)))
