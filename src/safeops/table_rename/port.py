"""A table that is renamed while its old name stays in use, as an updatable view."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy.exc import DBAPIError

from safeops.databases.definitions import Table
from safeops.databases.ports import Port
from safeops.databases.steps import Plan
from safeops.errors import SafeOpsError
from safeops.naming import Name


@dataclass(frozen=True)
class RenamedTable:
    """A table and its two names.

    Args:
        old: Its old name.
        new: Its new name.
        has_view: Whether the view with the old name exists; None if that cannot be inspected (``--sql``).
        is_new: Whether the table has its new name; None if that cannot be inspected.
    """

    old: Name
    new: Name
    has_view: bool | None = None
    is_new: bool | None = None

    @property
    def is_contracted(self) -> bool:
        """The table has only its new name."""
        return self.is_new is True and not self.has_view


class TableRenames(Port):
    """What each database does to rename a table over several deploys.

    Each method plans what is left to do; if the phase is complete, it plans to remove what an interrupted run left.

    SQLite has no implementation. Writes to a view run INSTEAD OF triggers, in which an omitted column looks like NULL, so
    defaults are lost. Afterwards last_insert_rowid() is unchanged, changes() is 0, RETURNING returns no generated key, and
    there is no upsert. https://www.sqlite.org/lang_createtrigger.html#instead_of_triggers
    """

    place = "safeops.table_rename.{family}:TableRenames"
    asked = "A rename of a table over two deploys"

    renders_offline: ClassVar[bool] = True

    def check_rename(self, table: Table) -> None:
        """Raise UnsupportedOnDatabase if a view cannot replace this table."""

    @abstractmethod
    def shows(self, view: Table, table: Table) -> bool:
        """Return whether a rename created the view for the old name of the table."""

    def is_placeholder(self, found: Table) -> bool:
        """Return whether a table is a placeholder that an interrupted rename left."""
        return False

    def explain(self, error: DBAPIError) -> SafeOpsError | None:
        """Turn the server's refusal of a step of a rename into an error with a remedy."""
        return None

    def locked_names(self, names: RenamedTable, seconds: float) -> AbstractContextManager[None]:
        """Lock the names against other runners for the block, waiting at most so long; not needed in one transaction."""
        return nullcontext()

    @abstractmethod
    def rename_table(self, names: RenamedTable) -> Plan:
        """Rename the table and create the view with its old name, atomically."""

    @abstractmethod
    def drop_old_name(self, names: RenamedTable) -> Plan:
        """Drop the view."""

    @abstractmethod
    def rename_back(self, names: RenamedTable) -> Plan:
        """Drop the view and rename the table back, atomically."""

    @abstractmethod
    def restore_old_name(self, names: RenamedTable) -> Plan:
        """Create the view with the old name again."""
