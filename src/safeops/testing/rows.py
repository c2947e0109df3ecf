"""Rows of the tests of a team, by the names that the tables and the columns have at that revision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from safeops.testing.kit import Trial


class Rows:
    """Reads and inserts rows: the fixture ``rows``."""

    def __call__(self, database: Trial, table: str, *, schema: str | None = None) -> list[dict[str, Any]]:
        """Return the rows of a table, in the order of its primary key."""
        known = _table(database, table, schema)
        query = sa.select(known).order_by(*known.primary_key.columns)
        with database.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def insert(self, database: Trial, table: str, *rows: Mapping[str, Any], schema: str | None = None) -> None:
        """Insert rows; a column that is left out gets its default."""
        known = _table(database, table, schema)
        with database.engine.begin() as connection:
            for row in rows:
                connection.execute(sa.insert(known).values(**row))


def _table(database: Trial, table: str, schema: str | None) -> sa.Table:
    """Return a table as it is now: a revision may have changed it since."""
    return sa.Table(table, sa.MetaData(), schema=schema, autoload_with=database.engine)
