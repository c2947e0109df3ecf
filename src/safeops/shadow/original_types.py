"""The columns as they were before a type change, kept so that it can be undone after it was
contracted."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from safeops.backfilling.port import Batches
from safeops.databases.base import Database
from safeops.databases.kept import KeptTable
from safeops.plan_mode import foreseeing

TABLE = "safeops_former_types"


class FormerTypes(KeptTable):
    """One small table: a row for each type change that was contracted.

    Args:
        database: The session that reads and writes it.
        schema: The schema of the table; None is the default one.
    """

    def __init__(self, database: Database, schema: str | None) -> None:
        table = sa.Table(
            TABLE,
            sa.MetaData(),
            sa.Column("name", Batches.of(database).exact_text(190), primary_key=True),
            sa.Column("type", sa.Text(), nullable=False),
            sa.Column("default_text", sa.Text()),
            schema=schema,
        )
        super().__init__(database, table)

    def keep(self, name: str, type_: str, default: str | None) -> None:
        """Note a type and a default; what was noted first stays."""
        if foreseeing() is not None:
            return
        self.create()
        try:
            self.execute(sa.insert(self.table).values(name=name, type=type_, default_text=default))
        except IntegrityError:
            if self.of(name) is None:
                raise

    def of(self, name: str) -> tuple[str, str | None] | None:
        """Return the type and the default that were noted; None where none were."""
        if not self.exists():
            return None
        columns = self.table.c
        row = self.execute(sa.select(columns.type, columns.default_text).where(columns.name == name)).first()
        return (row.type, row.default_text) if row else None

    def forget(self, name: str) -> None:
        if foreseeing() is None and self.exists():
            self.execute(sa.delete(self.table).where(self.table.c.name == name))
