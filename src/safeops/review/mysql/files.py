"""MariaDB and MySQL: whether a change has copied a table or built an index, by the identifiers in InnoDB's dictionary."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from safeops.judging.truths import BUILD, CATALOGUE, REWRITE

# MariaDB has kept the older names.
QUERIES = tuple(
    f"""SELECT SUBSTRING_INDEX(t.NAME, '/', -1), t.TABLE_ID, i.INDEX_ID
  FROM information_schema.{prefix}TABLES t LEFT JOIN information_schema.{prefix}INDEXES i ON i.TABLE_ID = t.TABLE_ID
  WHERE SUBSTRING_INDEX(t.NAME, '/', 1) = DATABASE()"""
    for prefix in ("INNODB_", "INNODB_SYS_")
)


@dataclass(frozen=True)
class Files:
    """The identifiers of the tables and the indexes of a database at one moment."""

    tables: dict[str, frozenset[int]] = field(default_factory=dict)
    indexes: dict[str, frozenset[int]] = field(default_factory=dict)

    @classmethod
    def read(cls, rows: Callable[[str], list[Any]]) -> Files | None:
        """Return those of now; None if the account lacks the privilege PROCESS."""
        for query in QUERIES:
            with suppress(Exception):
                return cls.of(rows(query))
        return None

    @classmethod
    def of(cls, rows: list[Any]) -> Files:
        tables: dict[str, set[int]] = {}
        indexes: dict[str, set[int]] = {}
        for name, table, index in rows:
            # Each partition is a table: t#P#p0.
            whole = name.partition("#")[0] or name
            tables.setdefault(whole, set()).add(table)
            indexes.setdefault(whole, set()).add(index)
        return cls(*({name: frozenset(ids) for name, ids in each.items()} for each in (tables, indexes)))

    def work(self, table: str, after: Files) -> str:
        """Return what has been done to a table since."""
        before, now = self.tables.get(table, frozenset()), after.tables.get(table, frozenset())
        if not before or not now:
            return CATALOGUE
        if before - now and now - before:
            return REWRITE
        return BUILD if before == now and after.indexes[table] - self.indexes[table] else CATALOGUE
