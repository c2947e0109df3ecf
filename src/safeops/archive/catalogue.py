"""What is archived, in one small table: a row for each column or table that was dropped and kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from safeops.backfilling.port import Batches
from safeops.backfilling.state import LONGEST_NAME
from safeops.databases.base import Database
from safeops.databases.state_table import KeptTable
from safeops.naming import Name
from safeops.plan_mode import foreseeing

TABLE = "safeops_archives"
COPYING, ARCHIVED, RESTORING, RESTORED = "copying", "archived", "restoring", "restored"
"""On its way into the archive, in it, on its way back, back but for the archive itself."""


@dataclass(frozen=True)
class Record:
    """An archive: of what, where, and how far it has come."""

    number: int
    schema: str | None
    table: str
    column: str | None
    status: str
    definition: Mapping[str, Any]
    rows: int
    created_at: float

    @property
    def of(self) -> Name:
        return Name(self.table, self.schema)

    @property
    def archive(self) -> Name:
        """The table that it is in, beside the one that it was part of."""
        return Name(f"safeops_archive_{self.number}", self.schema)

    def __str__(self) -> str:
        return f"{self.of}.{self.column}" if self.column is not None else str(self.of)


class Catalogue(KeptTable):
    """The archives of a database.

    Args:
        database: The session that reads and writes them.
        schema: The schema of the table of archives; None is the default one.
    """

    def __init__(self, database: Database, schema: str | None) -> None:
        name = Batches.of(database).exact_text(LONGEST_NAME)
        table = sa.Table(
            TABLE,
            sa.MetaData(),
            sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
            sa.Column("of_schema", name),
            sa.Column("of_table", name, nullable=False),
            sa.Column("of_column", name),
            sa.Column("status", sa.String(20), nullable=False),
            sa.Column("definition", sa.Text(), nullable=False),
            sa.Column("kept_rows", sa.BigInteger(), nullable=False),
            sa.Column("created_at", sa.Double(), nullable=False),
            schema=schema,
        )
        super().__init__(database, table)

    def records(self) -> list[Record]:
        """Return all archives, the oldest first."""
        if not self.exists():
            return []
        rows = self.database.connection.execute(sa.select(*self.table.c).order_by(self.table.c.number)).all()
        return [
            Record(
                number, self._schema_of(number, schema), table, column, status, json.loads(definition), rows, created
            )
            for number, schema, table, column, status, definition, rows, created in rows
        ]

    def _schema_of(self, number: int, kept: str | None) -> str | None:
        """Return the schema of an archive; one that was kept by name may be that of the database before it was copied."""
        home = self.database.home
        if home is None or kept == home:
            return kept
        here = kept is None or self.database.table(Record(number, home, "", None, "", {}, 0, 0.0).archive) is not None
        return home if here else kept

    def latest(self, table: Name, column: str | None, *, open_: bool = False) -> Record | None:
        """Return the newest archive of a column or a table; with ``open_`` one whose drop has not finished."""
        found = [one for one in self.records() if (one.of, one.column) == (table, column)]
        found = [one for one in found if one.status == COPYING] if open_ else found
        return found[-1] if found else None

    def add(self, table: Name, column: str | None) -> Record:
        """Make an archive known under the next free number."""
        self.create()
        number = max((one.number for one in self.records()), default=0) + 1
        while self.database.table(Record(number, table.schema, "", None, "", {}, 0, 0.0).archive) is not None:
            number += 1
        values = {
            "number": number,
            "of_schema": table.at(self.database.home).schema,
            "of_table": table.name,
            "of_column": column,
        }
        now: Any = sa.literal_column(self.database.now)
        rest = {"status": COPYING, "definition": "{}", "kept_rows": 0, "created_at": now}
        self.execute(sa.insert(self.table).values({**values, **rest}))
        found = self.latest(table, column, open_=True)
        if found is None:
            raise RuntimeError("an archive that was just made known is not: this is a defect of safeops")
        return found

    def change(self, record: Record, **changes: Any) -> None:
        if foreseeing() is not None:
            return
        if "definition" in changes:
            changes["definition"] = json.dumps(changes["definition"])
        self.execute(sa.update(self.table).where(self.table.c.number == record.number).values(changes))

    def remove(self, record: Record) -> None:
        """Forget an archive, and with the last one the table itself."""
        if foreseeing() is not None:
            return
        self.execute(sa.delete(self.table).where(self.table.c.number == record.number))
        self.drop_if_empty()
