"""A schema as lines of text, to compare two of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import sqlalchemy as sa

from safeops.databases.ports import Port


class Catalogue(Port):
    """Describes a database as the open transaction sees it, without the objects of safeops."""

    place = "safeops.review.{family}:Catalogue"
    asked = "A trial of what to write instead"

    def lines(self) -> list[str]:
        """Return the schema as lines, in an order that does not depend on its history."""
        inspector = sa.inspect(self.database.connection)
        tables = [name for name in inspector.get_table_names() if not name.startswith("safeops_")]
        return sorted(line for name in tables for line in self._table(inspector, name))

    def _table(self, inspector: Any, table: str) -> Iterator[str]:
        parts = {
            "columns": inspector.get_columns(table),
            "key": [inspector.get_pk_constraint(table)],
            "foreign keys": inspector.get_foreign_keys(table),
            "unique constraints": inspector.get_unique_constraints(table),
            "checks": inspector.get_check_constraints(table),
            "indexes": inspector.get_indexes(table),
        }
        for kind, found in parts.items():
            yield from (f"{table} {kind}: {_shown(one)}" for one in found)

    def fetched(self, sql: str) -> Sequence[Sequence[Any]]:
        """Return rows without SQLAlchemy, whose listeners would count the query as one of the revision."""
        with closing(self.database.connection.connection.cursor()) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())


def _shown(thing: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!s}" for name, value in sorted(thing.items()))
