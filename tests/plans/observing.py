"""What a migration does to the tables that existed before it: the locks it takes, what it rewrites and what it loses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import sqlalchemy as sa
from tests.catalogue import KEPT
from tests.plans.observed import Observed
from tests.plans.on_mysql import MySQLObserver
from tests.plans.on_postgresql import PostgreSQLObserver
from tests.servers import Database

OBSERVERS = {"postgresql": PostgreSQLObserver, "mysql": MySQLObserver}


@contextmanager
def observed(database: Database) -> Iterator[Observed]:
    """Observes what migrations do to the tables of a database inside the block."""
    found, before = Observed(), _values(database)
    observer = OBSERVERS.get(database.kind)
    with observer(database, found).observing() if observer else nullcontext():
        yield found
    after = list(_values(database).values())
    found.lost = {column for column, values in before.items() if not any(values <= kept for kept in after)}


def _values(database: Database) -> dict[str, Counter[str]]:
    """How often each value is in each column."""
    found: dict[str, Counter[str]] = {}
    with database.observer().connect() as connection:
        for names in _tables(database, connection):
            for row in connection.exec_driver_sql(f"SELECT * FROM {database.quoted(*names)}").mappings():
                for column, value in row.items():
                    if value is not None:
                        found.setdefault(f"{'.'.join(names)}.{column}", Counter())[str(value)] += 1
    return found


def _tables(database: Database, connection: sa.Connection) -> list[list[str]]:
    inspector = sa.inspect(connection)
    schemas: list[str | None] = [None]
    if database.kind == "postgresql":
        ours = ("information_schema", inspector.default_schema_name)
        schemas += [one for one in inspector.get_schema_names() if one not in ours]
    found = [(schema, table) for schema in schemas for table in inspector.get_table_names(schema)]
    return [[table] if schema is None else [schema, table] for schema, table in found if table not in KEPT]
