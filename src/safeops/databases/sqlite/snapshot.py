"""A SQLite database that is read at once: for many tables that takes a hundredth of the queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from safeops.databases.definitions import Index
from safeops.databases.sqlite import SQLite, catalogue
from safeops.databases.sqlite.spelling import folded, literal
from safeops.naming import Name


class Snapshot(SQLite):
    """The same database, whose definitions are read once for each attached file."""

    def __init__(self, database: SQLite) -> None:
        super().__init__(database.dialect, lambda: database.connection)
        self._bounded = True
        self._listed = super()._schemas()
        self._definitions: dict[str, list[tuple[str, str, str, str]]] = {}
        self._infos: dict[str, dict[str, list[Any]]] = {}

    def _schemas(self) -> list[str]:
        return self._listed

    def _entry(self, name: Name, to_create: bool) -> tuple[str, str, str, str] | None:
        wanted, schema = folded(name.name), name.schema and folded(name.schema)
        entries = (
            (each, kind, stored, sql)
            for each in self._listed
            if schema in (None, folded(each))
            for kind, stored, _, sql in self._in(each)
            if kind in ("table", "view") and folded(stored) == wanted
        )
        return next(entries, None)

    def _names(self, schema: str, kind: str) -> list[str]:
        return [name for each, name, _, _ in self._in(schema) if each == kind]

    def _indexes(self, schema: str, table: str, spelled: Callable[[str], str]) -> Iterator[tuple[str, Index]]:
        for kind, name, of, sql in self._in(schema):
            if kind == "index" and sql and folded(of) == folded(table):
                yield name, catalogue.index_of(sql, name, table, spelled)

    def infos(self, table: Name) -> Sequence[Any]:
        schema = table.schema or "main"
        if schema not in self._infos:
            found = self._infos[schema] = {}
            sql = f"""SELECT m.name, x.* FROM {self.master(schema)} m, pragma_table_xinfo(m.name, {literal(schema)}) x
                WHERE m.type = 'table'"""
            for name, *info in self.read(sql):
                found.setdefault(name, []).append(info)
        return self._infos[schema].get(table.name) or super().infos(table)

    def _in(self, schema: str) -> list[tuple[str, str, str, str]]:
        if schema not in self._definitions:
            rows = self.read(f"SELECT type, name, tbl_name, sql FROM {self.master(schema)} ORDER BY name")
            self._definitions[schema] = [(kind, name, table, sql or "") for kind, name, table, sql in rows]
        return self._definitions[schema]
