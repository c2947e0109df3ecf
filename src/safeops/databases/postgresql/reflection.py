"""Reads many tables of PostgreSQL with one query."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from safeops.databases import reflection
from safeops.databases.definitions import Table
from safeops.databases.postgresql import catalogue
from safeops.databases.postgresql.inspection import read_table, shown_tables
from safeops.naming import Name

if TYPE_CHECKING:
    from safeops.databases.postgresql import PostgreSQL


class Reflection(reflection.Reflection):
    """By the query for one table."""

    database: PostgreSQL

    def tables(self, names: Sequence[Name]) -> dict[Name, Table | None]:
        # Names with a schema are different tables, and so are names without one.
        plain, qualified = ([name for name in names if bool(name.schema) is given] for given in (False, True))
        return {name: table for part in (plain, qualified) if part for name, table in self._tables(part).items()}

    def tables_of_key(self, name: Name, referent: Name, key: str) -> tuple[Table | None, Table | None]:
        database = self.database
        if name.name == referent.name:
            # Names of one table perhaps, or of one each in two schemas.
            return super().tables_of_key(name, referent, key)
        quoted, whole = self.quoted_table(name), self.quoted_table(referent)
        query, things = catalogue.pair_query(database.version), [key]
        shown = shown_tables(database, query, quoted=quoted, whole=whole, things=catalogue.things_text(things))
        found = {read_table(database, raw).name.name: raw for raw in shown}
        source, other = found.get(name.name), found.get(referent.name)
        return (
            read_table(database, source, things, partial(database.table, name)) if source else None,
            read_table(database, other) if other else None,
        )

    def _tables(self, names: Sequence[Name]) -> dict[Name, Table | None]:
        bound = f"{int(self.database.lock_wait * 1000)}ms"
        quoted = json.dumps([self.quoted_table(name) for name in names])
        query = catalogue.table_query(catalogue.ALL, self.database.version)
        asked = {"bound": bound, "quoted": quoted, "things": catalogue.ALL_THINGS}
        rows = [row for row in self.read(query, **asked) if row[0] is not None]
        if any(catalogue.is_torn(raw) for raw, _ in rows):
            return super().tables(names)
        unpublished = bool(rows) and not catalogue.Surroundings.read(rows[0][1]).publications
        tables = [catalogue.table_of(raw, unpublished=unpublished) for raw, _ in rows]
        found = {Name(table.name.name, names[0].schema and table.name.schema): table for table in tables}
        return {name: found.get(name) for name in names}
