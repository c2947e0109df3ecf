"""Reads many tables of MariaDB and MySQL, which show one at a time, under one bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from safeops.databases import reflection
from safeops.databases.definitions import Table
from safeops.databases.mysql import spelling
from safeops.databases.mysql.catalogue import table_of
from safeops.databases.mysql.errors import UNKNOWN_TABLE, number_of
from safeops.naming import Name

if TYPE_CHECKING:
    from safeops.databases.mysql import MySQL


class Reflection(reflection.Reflection):
    """By SHOW CREATE TABLE."""

    database: MySQL

    def tables(self, names: Sequence[Name]) -> dict[Name, Table | None]:
        with self.database.bounded():
            shown = {name: self._shown(name) for name in names}
        schema = self.database.current_schema
        return {name: self._table(name, sql, name.schema or schema) for name, sql in shown.items()}

    def is_same_default(self, existing: str, wanted: str) -> bool:
        one, other = spelling.default(existing), spelling.default(wanted)
        return one == other or spelling.same_value(one, other)

    def _shown(self, name: Name) -> str | None:
        try:
            return str(self.read(f"SHOW CREATE TABLE {self.quoted_table(name)}")[0][1])
        except DBAPIError as error:
            if number_of(error) in UNKNOWN_TABLE:
                return None
            raise

    def _table(self, name: Name, sql: str | None, schema: str | None) -> Table | None:
        if sql is None:
            return None
        # The server may show an emoji as a question mark.
        return self.database.table(name) if "?" in sql else table_of(sql, Name(name.name, schema))
