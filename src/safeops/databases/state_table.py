"""A small table that safeops keeps for itself in a database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

from safeops.databases.base import Database
from safeops.naming import Name
from safeops.plan_mode import current_dry_run


class StateTable:
    """One table, created when it is first written to, and dropped with its last row.

    Args:
        database: The session that reads and writes it.
        table: The table.
    """

    def __init__(self, database: Database, table: sa.Table) -> None:
        self.database, self.table = database, table

    @property
    def name(self) -> Name:
        return Name(self.table.name, self.table.schema)

    def creation(self) -> str:
        return self.database.rendered(CreateTable(self.table, if_not_exists=True))

    def exists(self) -> bool:
        return sa.inspect(self.database.connection).has_table(self.table.name, schema=self.table.schema)

    def create(self) -> None:
        """Create the table if it is missing; another session may do so at the same time."""
        if self.exists():
            return
        try:
            self.database.run(self.creation())
        except DBAPIError:
            if not self.exists():
                raise

    def drop_if_empty(self) -> bool:
        """Drop the table if it has no rows left."""
        if current_dry_run() is not None or not self.exists():
            return False
        if self.database.read(f"SELECT 1 FROM {self.database.quoted_table(self.name)} LIMIT 1"):
            return False
        self.database.run(f"DROP TABLE {self.database.quoted_table(self.name)}")
        return True

    def execute(self, statement: Any, values: Mapping[str, Any] | None = None) -> sa.CursorResult[Any]:
        # With parameters, so SQLAlchemy compiles each statement once.
        return self.database.connection.execute(statement, values)
