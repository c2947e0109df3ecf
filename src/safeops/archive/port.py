"""What an archive needs of a database: describe a column or table, copy writes to it, drop it and create it again."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from safeops.backfilling.port import Batches
from safeops.backfilling.state import LONGEST_NAME
from safeops.databases.base import Database
from safeops.databases.definitions import Column, Table
from safeops.databases.ports import Port
from safeops.databases.state_table import StateTable
from safeops.databases.steps import Step
from safeops.errors import DefinitionMismatch
from safeops.naming import Name
from safeops.plan_mode import current_dry_run

Definition: TypeAlias = dict[str, Any]
"""A definition as JSON, written and read by one database family."""


class Archives(Port):
    """The operations of an archive that differ between databases.

    The archive of a column is a table of the key and the column, under the names that they have in the table.
    """

    place = "safeops.archive.{family}:Archives"
    asked = "Keeping what a drop would lose"

    def schema_of_new(self, schema: str | None) -> str | None:
        """Return the schema of a table that would be created, in the spelling of ``table``."""
        return schema

    def archive_refusal(self, table: Table, column: str | None) -> str | None:
        """Return why a table, or a column of it, cannot be archived; None if it can."""
        return None

    # Columns ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def describe_column(self, table: Table, column: str) -> Definition:
        """Describe a column with all that belongs to it, for creating it again.

        Three parts are the same everywhere: ``required`` (NOT NULL), ``computed`` (the server computes its values), and
        ``fill`` (the default as SQL, or None).
        """

    @abstractmethod
    def column_of_archive(self, definition: Definition) -> Column:
        """Return the column that was described."""

    @abstractmethod
    def create_archive(self, table: Table, column: str, key: Sequence[Column], archive: Name) -> Iterator[Step]:
        """Plan the empty table of the key and the column, and the triggers that copy the application's writes to it."""

    @abstractmethod
    def is_followed(self, table: Name, archive: Name) -> bool:
        """Return whether all triggers exist."""

    @abstractmethod
    def stop_following(self, table: Name, archive: Name) -> Iterator[Step]:
        """Plan to drop the triggers."""

    @abstractmethod
    def drop_archived_column(
        self, table: Table, column: str, key: Sequence[Column], archive: Name, definition: Definition
    ) -> Iterator[Step]:
        """Plan to drop the column and the triggers together, so no write is missed."""

    def before_copy(self, table: Table, column: str) -> Iterator[Step]:
        """Plan what must be dropped before the copy, because it changes the column without firing triggers."""
        return iter(())

    def copy(self, table: Name, index: str, key: Sequence[Column], column: str, archive: Name, condition: str) -> str:
        """Return the INSERT of the rows that meet a condition; an existing row is the newer one."""
        names = self.quoted(*(one.name for one in key), column)
        select = f"SELECT {names} FROM {self.quoted_table(table)} WHERE {condition}"
        return f"INSERT INTO {self.quoted_table(archive)} ({names}) {select} ON CONFLICT DO NOTHING"

    def restore_values(
        self, table: Table, key: Sequence[str], column: str, archive: Name, default: str | None, condition: str
    ) -> str:
        """Return the UPDATE that fills rows without a value: with the archived value, else with the default."""
        own, value = self.quoted_table(table.name), self.quoted(column)
        kept = f"FROM {self.quoted_table(archive)} AS safeops_kept WHERE {self._matched(own, key)}"
        found, is_archived = f"(SELECT safeops_kept.{value} {kept})", f"EXISTS (SELECT 1 {kept})"
        new = found if default is None else f"CASE WHEN {is_archived} THEN {found} ELSE {default} END"
        only = f" AND {is_archived}" if default is None else ""
        assigned = "".join(f", {self.quoted(one)} = {self.quoted(one)}" for one in self.touched(table, column))
        return f"UPDATE {own} SET {value} = {new}{assigned} WHERE {condition} AND {value} IS NULL{only}"

    def touched(self, table: Table, column: str) -> list[str]:
        """Return the columns that an UPDATE changes automatically if it does not assign them."""
        return []

    def count_lost(self, table: Name, key: Sequence[str], column: str, archive: Name) -> int:
        """Count the rows that have no value although the archive has one for them."""
        own, value = self.quoted_table(table), self.quoted(column)
        matched = f"{self._matched(own, key)} AND safeops_kept.{value} IS NOT NULL"
        kept = f"EXISTS (SELECT 1 FROM {self.quoted_table(archive)} AS safeops_kept WHERE {matched})"
        return int(self.scalar(f"SELECT count(*) FROM {own} WHERE {value} IS NULL AND {kept}"))

    def count_gone(self, table: Name, key: Sequence[str], archive: Name) -> int:
        """Count the archived values whose row is no longer in the table."""
        own = self.quoted_table(table)
        missing = f"NOT EXISTS (SELECT 1 FROM {own} WHERE {self._matched(own, key)})"
        return int(self.scalar(f"SELECT count(*) FROM {self.quoted_table(archive)} AS safeops_kept WHERE {missing}"))

    def _matched(self, own: str, key: Sequence[str]) -> str:
        quoted = [self.quoted(one) for one in key]
        return " AND ".join(f"safeops_kept.{one} = {own}.{one}" for one in quoted)

    @abstractmethod
    def restore_column(self, table: Table, column: str, definition: Definition) -> Iterator[Step]:
        """Plan the column without a value in existing rows; new rows have its default."""

    def default_is_late(self, definition: Definition) -> bool:
        """Return whether a restored column has its default only once it is complete."""
        return False

    def restore_default(self, table: Table, column: str, definition: Definition) -> Iterator[Step]:
        """Plan the default of new rows, if ``add_again`` could not give it."""
        return iter(())

    @abstractmethod
    def restore_constraints(
        self, table: Table, column: str, definition: Definition, *, filled: bool
    ) -> Iterator[Iterator[Step]]:
        """Plan each missing index and constraint of the column separately: rows may break one and not another.

        Args:
            table: The table, with the column.
            column: The column.
            definition: As it was described.
            filled: Every row has a value, so the column can be NOT NULL.
        """

    def finish_restore(self, table: Table, column: str, definition: Definition) -> Iterator[Step]:
        """Plan what only a column that is NOT NULL can have."""
        return iter(())

    def drop_archive(self, archive: Name, definition: Definition) -> Iterator[Step]:
        """Plan to drop an archive with all that belongs to it."""
        yield Step(f"DROP TABLE IF EXISTS {self.quoted_table(archive)}", f"dropped archive {archive}", (archive,))

    # Tables -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def describe_table(self, table: Table, archive: Name) -> Definition:
        """Describe what a table loses when it is archived."""

    @abstractmethod
    def move_to_archive(self, table: Table, archive: Name, definition: Definition) -> Iterator[Step]:
        """Plan to rename a table into an archive: its names become free, and no foreign key ties it to others."""

    @abstractmethod
    def move_back(self, name: Name, archive: Name, definition: Definition) -> Iterator[Step]:
        """Plan to rename an archive back into the table."""

    @abstractmethod
    def restore_keys(self, table: Table, definition: Definition) -> Iterator[Iterator[Step]]:
        """Plan each missing foreign key and name separately."""


TABLE = "safeops_archives"
COPYING, ARCHIVED, RESTORING, RESTORED = "copying", "archived", "restoring", "restored"
"""Being archived, archived, being restored, restored but with the archive not dropped yet."""


@dataclass(frozen=True)
class Record:
    """An archive: its origin, its table, and its state."""

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
        """The table of the archive, in the schema of the original table."""
        return Name(f"safeops_archive_{self.number}", self.schema)

    def __str__(self) -> str:
        return f"{self.of}.{self.column}" if self.column is not None else str(self.of)


class Catalogue(StateTable):
    """The archives of a database.

    Args:
        database: The session that reads and writes them.
        schema: The schema of the table of archives; None is the default schema.
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
        """Return the schema of an archive; a stored name may be that of the database before it was copied."""
        home = self.database.home
        if home is None or kept == home:
            return kept
        here = kept is None or self.database.table(Record(number, home, "", None, "", {}, 0, 0.0).archive) is not None
        return home if here else kept

    def latest(self, table: Name, column: str | None, *, open_: bool = False) -> Record | None:
        """Return the newest archive of a column or a table; with ``open_`` an archive whose drop has not finished."""
        found = [record for record in self.records() if (record.of, record.column) == (table, column)]
        found = [one for one in found if one.status == COPYING] if open_ else found
        return found[-1] if found else None

    def add(self, table: Name, column: str | None) -> Record:
        """Record an archive under the next free number, or raise DefinitionMismatch if another runner was faster."""
        self.create()
        number = max((record.number for record in self.records()), default=0) + 1
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
        try:
            self.execute(sa.insert(self.table).values({**values, **rest}))
        except DBAPIError as error:
            if not self.database.errors.is_violation(error):
                raise
            raise overtaken(table, column) from error
        found = [one for one in self.records() if (one.of, one.column, one.status) == (table, column, COPYING)]
        mine = next((record for record in found if record.number == number), None)
        if mine is not None and mine == found[0] and self._has(table, column):
            return mine
        if mine is not None:
            # It would hide the archive that has the values.
            self.remove(mine)
        raise overtaken(table, column)

    def _has(self, table: Name, column: str | None) -> bool:
        found = self.database.table(table)
        return found is not None and (column is None or column in found.columns)

    def change(self, record: Record, **changes: Any) -> None:
        if current_dry_run() is not None:
            return
        if "definition" in changes:
            changes["definition"] = json.dumps(changes["definition"])
        self.execute(sa.update(self.table).where(self.table.c.number == record.number).values(changes))

    def remove(self, record: Record) -> None:
        """Delete the record of an archive, and with the last record the table."""
        if current_dry_run() is not None:
            return
        self.execute(sa.delete(self.table).where(self.table.c.number == record.number))
        self.drop_if_empty()


def overtaken(table: Name, column: str | None) -> DefinitionMismatch:
    """Return the error of a runner that is not the only one to archive a table or column."""
    what = table if column is None else f"{table}.{column}"
    return DefinitionMismatch(
        f"Could not archive {what}: another runner drops it at the same time.",
        why="It was dropped, or its archive was begun, after the inspection.",
        remedy="Run again, which inspects again. Allow one migration at a time in env.py:",
        code="with engine.connect() as connection, migration_lock(connection):\n    ...",
    )
