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
  FROM information_schema.{prefix}TABLES t JOIN information_schema.{prefix}INDEXES i ON i.TABLE_ID = t.TABLE_ID
  WHERE SUBSTRING_INDEX(t.NAME, '/', 1) = DATABASE()"""
    for prefix in ("INNODB_", "INNODB_SYS_")
)


@dataclass(frozen=True)
class Files:
    """The identifiers of the tables and the indexes of a database at one moment."""

    tables: dict[str, int] = field(default_factory=dict)
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
        indexes: dict[str, set[int]] = {}
        for name, _, index in rows:
            indexes.setdefault(name, set()).add(index)
        return cls({name: table for name, table, _ in rows}, {name: frozenset(ids) for name, ids in indexes.items()})

    def work(self, table: str, after: Files) -> str:
        """Return what has been done to a table since."""
        if table not in self.tables or table not in after.tables:
            return CATALOGUE
        if self.tables[table] != after.tables[table]:
            return REWRITE
        return BUILD if after.indexes[table] - self.indexes[table] else CATALOGUE
