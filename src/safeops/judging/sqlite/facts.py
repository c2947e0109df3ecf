"""Facts about the tables of a live SQLite database."""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import DBAPIError

from safeops.judging.existing import Facts as Port
from safeops.judging.existing import KnownColumn, KnownConstraint, KnownIndex, KnownTable
from safeops.judging.row_statements import reading
from safeops.naming import Name

MOST = 1_000_000
"""Rows beyond which a table is not counted on: the count itself reads them."""


class Facts(Port):
    """Reads PRAGMAs, counts rows, and looks for an index in EXPLAIN QUERY PLAN."""

    def table(self, name: Name) -> KnownTable | None:
        kinds = self.read(
            "SELECT type FROM sqlite_master WHERE type IN ('table', 'view') AND name = :name", name=name.name
        )
        if not kinds:
            return None
        table = KnownTable(name, kind=kinds[0][0], complete=True)
        if table.kind == "table":
            table.rows = self._count(f"SELECT 1 FROM {self.quoted(name.name)}")
            table.empty = table.rows == 0
        self._read_columns(table)
        self._read_indexes(table)
        return table

    def settings(self) -> dict[str, str]:
        """Return the settings of the session that change what statements do."""
        return {name: str(self._run(f"PRAGMA {name}")[0][0]) for name in ("journal_mode", "foreign_keys")}

    def table_of_index(self, index: Name) -> Name | None:
        found = self.scalar("SELECT tbl_name FROM sqlite_master WHERE type = 'index' AND name = :name", name=index.name)
        return Name(found) if found else None

    def rows_of(self, sql: str) -> int | None:
        """Return how many rows a statement reads: all of the table unless an index finds its rows."""
        query = reading(sql, "sqlite")
        try:
            return None if query is None else self._read_by(query)
        except DBAPIError:
            # A table that the revision creates does not exist yet.
            return None

    def _read_by(self, query: str) -> int:
        scanned = [words[1] for words in map(_words, self._run(f"EXPLAIN QUERY PLAN {query}")) if words[0] == "SCAN"]
        tables = [table for name in scanned if (table := self.table(Name(name))) is not None]
        return max([self._count(query), *(table.rows or 0 for table in tables)])

    def _count(self, sql: str) -> int:
        return int(self._run(f"SELECT count(*) FROM (SELECT 1 FROM ({sql.rstrip('; ')}) LIMIT {MOST})")[0][0])

    def _run(self, sql: str) -> list[Any]:
        return list(self.database.connection.exec_driver_sql(sql))

    def _read_columns(self, table: KnownTable) -> None:
        keys: dict[int, str] = {}
        for _, name, type_, not_null, default, key, hidden in self._pragma("table_xinfo", table.name):
            generated = {2: "virtual", 3: "stored"}.get(hidden)
            table.columns[name] = KnownColumn(name, str(type_).lower(), not not_null, default, generated=generated)
            if key:
                keys[key] = name
        if keys:
            columns = tuple(keys[place] for place in sorted(keys))
            table.constraints["primary key"] = KnownConstraint("primary key", "primary key", columns)
        for number, _, referent, column, *_ in self._pragma("foreign_key_list", table.name):
            named = f"foreign key {number}"
            before = table.constraints[named].columns if named in table.constraints else ()
            table.constraints[named] = KnownConstraint(named, "foreign key", (*before, column), referent=Name(referent))

    def _read_indexes(self, table: KnownTable) -> None:
        for _, name, unique, *_ in self._pragma("index_list", table.name):
            columns = tuple(row[2] for row in self._pragma("index_info", Name(name)) if row[2] is not None)
            table.indexes[name] = KnownIndex(name, columns, bool(unique))

    def _pragma(self, pragma: str, name: Name) -> list[Any]:
        return self._run(f"PRAGMA {pragma}({self.quoted(name.name)})")


def _words(row: Any) -> list[str]:
    return [*str(row[-1]).split(), ""]
