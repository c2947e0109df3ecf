"""What an insert of many rows needs on PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Sequence

from safeops.databases.definitions import Table
from safeops.naming import Name
from safeops.rehearse import inserting
from safeops.rehearse.postgresql import exclusions

PARTITIONS = """
SELECT pg_get_partition_constraintdef(t.relid) FROM pg_partition_tree({id}) t WHERE t.isleaf AND t.relid <> {id}
"""
TRIGGERS = """
SELECT tgname FROM pg_trigger WHERE tgrelid = {id} AND NOT tgisinternal AND tgenabled IN ('O', 'A') AND tgtype & 4 <> 0
ORDER BY 1
"""
DEFERRED = """
SELECT k.condeferrable, k.condeferred FROM pg_constraint k WHERE k.conrelid = {id} AND k.conname = {name} AND k.contype = 'f'
"""
SEQUENCE = re.compile(r"nextval\((.+::regclass)\)")


class Inserts(inserting.Inserts):
    """Foreign keys that refer to later rows are checked at the end of the transaction."""

    def with_keys(self, table: Table) -> Table:
        return exclusions.with_keys(table)

    def refused(self, table: Table) -> str | None:
        keys = [one for one in table.constraints.values() if one.periods and one.kind != "foreign key"]
        if found := [*table.of_kind("exclude"), *(one for one in keys if not exclusions.is_met_by_ranges(one, table))]:
            return f"the constraint {found[0].name} compares each row with all others, and excludes those that overlap"
        return None

    def checks(self, table: Table) -> dict[str, str]:
        if not table.is_partitioned:
            return {}
        bounds = [row[0] for row in self.read(PARTITIONS.format(id=table.id))]
        either = " OR ".join(f"({bound})" for bound in bounds if bound)
        return {"the bounds of a partition": either} if either and all(bounds) else {}

    def firing(self, table: Name) -> list[str]:
        return [row[0] for row in self.read(TRIGGERS.format(id=f"{self.literal(self.quoted_table(table))}::regclass"))]

    def defer(self, table: Table, key: str) -> None:
        deferrable, deferred = self._timing(table, key)
        if not (deferrable and deferred):
            self._alter(table, key, "DEFERRABLE INITIALLY DEFERRED")

    def restore(self, table: Table, key: str) -> None:
        self.run("SET CONSTRAINTS ALL IMMEDIATE")
        existing = table.constraints[key]
        timing = "DEFERRABLE" if existing.deferrable else "NOT DEFERRABLE"
        initially = " INITIALLY DEFERRED" if (existing.initially or "").upper() == "DEFERRED" else ""
        self._alter(table, key, f"{timing}{initially}")

    def _timing(self, table: Table, key: str) -> Sequence[bool]:
        return self.read(DEFERRED.format(id=table.id, name=self.literal(key)))[0]

    def _alter(self, table: Table, key: str, timing: str) -> None:
        self.run(f"ALTER TABLE {self.quoted_table(table.name)} ALTER CONSTRAINT {self.quoted(key)} {timing}")

    def end(self, tables: Sequence[Table]) -> None:
        for table in tables:
            self._move_sequences(table)

    def analyze(self, tables: Sequence[Table]) -> None:
        for table in tables:
            # As autovacuum would do later, in the middle of what is rehearsed.
            self.run(f"VACUUM (ANALYZE) {self.quoted_table(table.name)}")

    def _move_sequences(self, table: Table) -> None:
        for column in table.columns.values():
            named = SEQUENCE.search(column.default or "")
            owned = (
                f"pg_get_serial_sequence({self.literal(self.quoted_table(table.name))}, {self.literal(column.name)})"
            )
            sequence = named[1] if named else owned if column.identity else None
            if sequence is not None:
                most = f"(SELECT max({self.quoted(column.name)}) FROM {self.quoted_table(table.name)})"
                self.run(f"SELECT setval({sequence}, {most}) WHERE {most} > 0")
