"""What depends on a table, a column, a type, a schema or a key."""

from __future__ import annotations

from collections.abc import Sequence

from safeops.databases.definitions import Constraint, Published, Table
from safeops.databases.ports import Port
from safeops.naming import Name


class Dependents(Port):
    """What depends on a table, a column, a type, a schema or a key."""

    place = "safeops.databases.{family}.dependents:Dependents"

    def dependents(self, table: Table, column: str | None = None) -> list[str]:
        """Describe the views, policies, foreign keys and so on that stand on a table or on one of its columns."""
        return []

    def dependents_on_type(self, table: Table, column: str) -> list[str]:
        """Describe what keeps the server from changing the type of a column."""
        return self.dependents(table, column)

    def check_droppable(self, table: Table, column: str) -> None:
        """Have the server raise its refusal to drop a column, where it can try and take it back."""

    def dependents_of_schema(self, schema: str) -> list[str]:
        return []

    def dependents_of_enum(self, name: Name) -> list[str]:
        return []

    def dependents_of_key(self, stands: Table, constraint: Constraint) -> list[str]:
        """Describe the foreign keys of other tables that stand on a unique or primary key, or on an index alike."""
        return []

    def keys_to_partitions(self, stands: Table) -> set[str]:
        """Return the foreign keys that the server itself keeps to each partition of a table that the author's refers to."""
        return set()

    def left_on_partitions(self, stands: Table, name: str) -> bool:
        """Tell whether partitions have a part of an index or constraint that the whole table lacks."""
        return False

    def check_identity(self, stands: Table, indexes: Sequence[str]) -> None:
        """Raise DependentObjects where replication finds the rows of a table by one of the indexes, which are to go."""

    def published(self, stands: Table) -> Published:
        """Return who publishes the table with the columns that it will have."""
        return Published()

    def published_when_new(self, name: Name) -> Published:
        """Return who publishes a table as soon as it is created."""
        return Published()

    def check_takes_null(self, stands: Table, column: str) -> None:
        """Raise DependentObjects where something that stands on the column takes no NULL in it."""
