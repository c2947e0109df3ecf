"""Reads many tables at once, to compare them with models."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from safeops.databases.definitions import Constraint, Table
from safeops.databases.ports import Port
from safeops.naming import Name


class Reflection(Port):
    """The tables of a database, with as few queries as the server needs for all of them."""

    place = "safeops.databases.{family}.reflection:Reflection"

    def tables(self, names: Sequence[Name]) -> dict[Name, Table | None]:
        """Return each of the tables as ``Database.table`` does."""
        return {name: self.database.table(name) for name in names}

    def tables_of_key(self, name: Name, referent: Name, key: str) -> tuple[Table | None, Table | None]:
        """Return the tables of a foreign key, if possible by one inspection: of the first one, only the key is needed."""
        return self.database.table(name, things=[key]), self.database.table(referent)

    def is_same_default(self, existing: str, wanted: str) -> bool:
        """Return whether two defaults of numbers or times differ by their spelling alone, as far as that needs no query."""
        return False

    def wanted_constraint(self, existing: Constraint, constraint: sa.Constraint) -> Constraint:
        """Return a constraint as the server would spell it, without a query if the existing one of its name shows how."""
        found: Constraint = self.database.wanted_constraint(constraint)
        return found
