"""Reads many tables of SQLite at once: with a hundredth of the queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from safeops.databases import reflection
from safeops.databases.definitions import Constraint, Index, Table
from safeops.databases.sqlite import SQLite, catalogue
from safeops.databases.sqlite.spelling import folded
from safeops.naming import Name


class Reflection(reflection.Reflection):
    """By the definitions of each attached file."""

    database: SQLite

    def tables(self, names: Sequence[Name]) -> dict[Name, Table | None]:
        with self.database.waiting(self.database.lock_wait):
            snapshot = _Snapshot(self.database)
            return {name: snapshot.table(name) for name in names}

    def wanted_constraint(self, existing: Constraint, constraint: sa.Constraint) -> Constraint:
        spec = self.database.ddl.constraint_spec(constraint)
        meant = catalogue.constraint_of(catalogue.constraint(spec), spec, Name(""), str(constraint.name))
        if meant.referent is None:
            return meant
        current = existing.referent
        is_same = meant.remote and [*map(folded, meant.remote)] == [*map(folded, existing.remote)]
        if not is_same or current is None or folded(current.name) != folded(meant.referent.name):
            return super().wanted_constraint(existing, constraint)
        return replace(meant, remote=existing.remote, referent=current)


class _Snapshot(SQLite):
    """The same database, whose definitions are read once for each attached file."""

    def __init__(self, database: SQLite) -> None:
        super().__init__(database.dialect, lambda: database.connection)
        self._bounded = True
        self._listed = super()._schemas()
        self._files: dict[str, _File] = {}

    def _schemas(self) -> list[str]:
        return self._listed

    def _entry(self, name: Name, to_create: bool) -> tuple[str, str, str, str, Sequence[Any]] | None:
        schemas = [schema for schema in self._listed if name.schema is None or folded(schema) == folded(name.schema)]
        entries = ((schema, self._file(schema).tables.get(folded(name.name))) for schema in schemas)
        return next(((schema, *entry) for schema, entry in entries if entry), None)

    def _names(self, schema: str, kind: str) -> list[str]:
        return [name for each, name, *_ in self._file(schema).tables.values() if each == kind]

    def _indexes(self, schema: str, table: str, spelled: Callable[[str], str]) -> Iterator[tuple[str, Index]]:
        for name, sql in self._file(schema).indexes.get(folded(table), ()):
            yield name, catalogue.index_of(sql, name, table, spelled)

    def infos(self, table: Name) -> Sequence[Any]:
        found = self._file(table.schema or "main").tables.get(folded(table.name))
        return found[3] if found else ()

    def _file(self, schema: str) -> _File:
        if schema not in self._files:
            self._files[schema] = self._read_file(schema)
        return self._files[schema]

    def _read_file(self, schema: str) -> _File:
        file = _File()
        for kind, name, table, sql, infos in self._described(schema, "TRUE"):
            if kind in ("table", "view"):
                file.tables[folded(name)] = kind, name, sql, infos
            elif kind == "index" and sql:
                file.indexes.setdefault(folded(table), []).append((name, sql))
        return file


@dataclass
class _File:
    """The definitions in one file; the keys are names without their case."""

    tables: dict[str, tuple[str, str, str, Sequence[Any]]] = field(default_factory=dict)
    indexes: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
