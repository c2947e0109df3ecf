"""Facts about the tables of a live MariaDB or MySQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy.exc import DBAPIError

from safeops.judging.existing import Facts as Port
from safeops.judging.existing import KnownColumn, KnownConstraint, KnownIndex, KnownTable
from safeops.judging.row_statements import reading
from safeops.naming import Name

_TABLE = """SELECT TABLE_TYPE, TABLE_ROWS, DATA_LENGTH + INDEX_LENGTH, CREATE_OPTIONS, ROW_FORMAT
    FROM information_schema.TABLES WHERE TABLE_SCHEMA = COALESCE(:schema, DATABASE()) AND TABLE_NAME = :name"""
_COLUMNS = """SELECT COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, COLLATION_NAME, EXTRA
    FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = COALESCE(:schema, DATABASE()) AND TABLE_NAME = :name
    ORDER BY ORDINAL_POSITION"""
_INDEXES = """SELECT INDEX_NAME, COLUMN_NAME, NON_UNIQUE, INDEX_TYPE
    FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = COALESCE(:schema, DATABASE()) AND TABLE_NAME = :name
    ORDER BY INDEX_NAME, SEQ_IN_INDEX"""
_CONSTRAINTS = """SELECT CONSTRAINT_NAME, CONSTRAINT_TYPE
    FROM information_schema.TABLE_CONSTRAINTS WHERE TABLE_SCHEMA = COALESCE(:schema, DATABASE()) AND TABLE_NAME = :name"""
_REFERENCES = """SELECT CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME
    FROM information_schema.KEY_COLUMN_USAGE
    WHERE TABLE_SCHEMA = COALESCE(:schema, DATABASE()) AND TABLE_NAME = :name AND REFERENCED_TABLE_NAME IS NOT NULL
    ORDER BY CONSTRAINT_NAME, ORDINAL_POSITION"""
SETTINGS = ("sql_mode", "foreign_key_checks", "lock_wait_timeout", "innodb_lock_wait_timeout")
_OF_INDEX = """SELECT DISTINCT TABLE_NAME FROM information_schema.STATISTICS
    WHERE TABLE_SCHEMA = COALESCE(:schema, DATABASE()) AND INDEX_NAME = :name"""


class Facts(Port):
    """Reads information_schema, and estimates the rows of a statement with EXPLAIN."""

    def table(self, name: Name) -> KnownTable | None:
        found = self._rows(_TABLE, name)
        if not found:
            return None
        kind, rows, size, options, row_format = found[0]
        table = KnownTable(name, rows=rows, bytes=size, complete=True)
        table.kind = "view" if kind == "VIEW" else "table"
        table.partitioned = "partitioned" in (options or "").lower()
        table.empty = table.kind == "table" and not self.read(f"SELECT 1 FROM {self.quoted_table(name)} LIMIT 1")
        table.traits = frozenset({"compressed table"} if (row_format or "").lower() == "compressed" else ())
        self._read_columns(table)
        self._read_indexes(table)
        self._read_constraints(table)
        return table

    def settings(self) -> dict[str, str]:
        """Return the settings of the session that change what statements do."""
        names = ", ".join(f"'{name}'" for name in SETTINGS)
        return {
            name.lower(): str(value) for name, value in self.read(f"SHOW VARIABLES WHERE Variable_name IN ({names})")
        }

    def table_of_index(self, index: Name) -> Name | None:
        found = self._rows(_OF_INDEX, index)
        return Name(found[0][0], index.schema) if len(found) == 1 else None

    def rows_of(self, sql: str) -> int | None:
        """Return how many rows the server expects to go through; each of them is locked by a statement that changes some.

        It explains an equivalent query: in a READ ONLY transaction both servers refuse to explain other statements.
        """
        query = reading(sql, "mysql")
        if query is None:
            return None
        # By default MySQL returns a tree, which does not separate its numbers.
        how = "FORMAT=TRADITIONAL " if self.product == "MySQL" else ""
        try:
            read = self.database.connection.exec_driver_sql(f"EXPLAIN {how}{query}".replace("%", "%%"))
        except DBAPIError:
            # A table that the revision creates does not exist yet.
            return None
        places = [place for place, name in enumerate(read.keys()) if name.lower() == "rows"]
        numbers = [row[places[0]] for row in read if places and row[places[0]] is not None]
        return max(map(int, numbers)) if numbers else 0

    def _rows(self, sql: str, name: Name) -> list[Any]:
        return list(self.read(sql, schema=name.schema, name=name.name))

    def _read_columns(self, table: KnownTable) -> None:
        for column, type_, nullable, default, collation, extra in self._rows(_COLUMNS, table.name):
            kept = "auto_increment" if "auto_increment" in (extra or "").lower() else default
            generated = next(
                (word for word in ("virtual", "stored") if f"{word} generated" in (extra or "").lower()), None
            )
            known = KnownColumn(column, _text(type_), nullable == "YES", _text(kept), collation, generated)
            table.columns[column] = known

    def _read_indexes(self, table: KnownTable) -> None:
        columns: dict[str, list[str]] = {}
        for name, column, not_unique, kind in self._rows(_INDEXES, table.name):
            columns.setdefault(name, []).extend([column] if column is not None else [])
            table.indexes[name] = KnownIndex(name, tuple(columns[name]), unique=not int(not_unique))
            if kind == "FULLTEXT":
                table.traits |= {"fulltext table"}

    def _read_constraints(self, table: KnownTable) -> None:
        keys = {name: (tuple(columns), referent) for name, columns, referent in self._foreign_keys(table.name)}
        for name, kind in self._rows(_CONSTRAINTS, table.name):
            columns, referent = keys.get(name, ((), None)) if kind == "FOREIGN KEY" else ((), None)
            if kind in ("PRIMARY KEY", "UNIQUE") and name in table.indexes:
                columns = table.indexes[name].columns
            table.constraints[name] = KnownConstraint(name, kind.lower(), columns, referent=referent)

    def _foreign_keys(self, name: Name) -> Iterator[tuple[str, list[str], Name]]:
        found: dict[str, tuple[list[str], Name]] = {}
        for key, column, schema, table in self._rows(_REFERENCES, name):
            found.setdefault(key, ([], Name(table, schema)))[0].append(column)
        yield from ((key, columns, referent) for key, (columns, referent) in found.items())


def _text(value: Any) -> str | None:
    """Return what some drivers give as bytes as a text."""
    return value.decode() if isinstance(value, bytes) else value
