"""Reads many tables of PostgreSQL with one query."""

from __future__ import annotations

import json
from collections.abc import Sequence

from safeops.databases import reflection
from safeops.databases.definitions import Table
from safeops.databases.postgresql import catalogue
from safeops.naming import Name


class Reflection(reflection.Reflection):
    """By the query for one table."""

    def tables(self, names: Sequence[Name]) -> dict[Name, Table | None]:
        # Names with a schema are different tables, and so are names without one.
        plain, qualified = ([name for name in names if bool(name.schema) is given] for given in (False, True))
        return {name: table for part in (plain, qualified) if part for name, table in self._tables(part).items()}

    def _tables(self, names: Sequence[Name]) -> dict[Name, Table | None]:
        bound = f"{int(self.database.lock_wait * 1000)}ms"
        quoted = json.dumps([self.quoted_table(name) for name in names])
        query = catalogue.table_query(catalogue.ALL, self.database.version)
        rows = self.read(query, bound=bound, quoted=quoted)
        if any(catalogue.is_torn(raw) for (raw,) in rows):
            return super().tables(names)
        tables = [catalogue.table_of(raw) for (raw,) in rows]
        found = {Name(table.name.name, names[0].schema and table.name.schema): table for table in tables}
        return {name: found.get(name) for name in names}
