"""A table renamed while its old name stays in use: an updatable view stands under the old name for as long as it takes."""

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
        old: Its name before.
        new: Its name afterwards.
        has_view: Whether the view is under the old name; None where nobody can look (--sql).
        is_new: Whether the table has its new name; None where nobody can look.
    """

    old: Name
    new: Name
    has_view: bool | None = None
    is_new: bool | None = None

    @property
    def is_contracted(self) -> bool:
        """The table has its new name alone."""
        return self.is_new is True and not self.has_view


class TableRenames(Port):
    """What each database does to rename a table over several deploys.

    Each method plans what is left to do; where nothing is, it plans what an interrupted run has left over.

    SQLite has none. Writes to a view go to INSTEAD OF triggers: in them an omitted column cannot be told from NULL, so
    defaults are lost; afterwards last_insert_rowid() is what it was before, changes() is 0, RETURNING gives no generated
    key, and there is no upsert. https://www.sqlite.org/lang_createtrigger.html#instead_of_triggers
    """

    place = "safeops.table_rename.{family}:TableRenames"
    asked = "A rename of a table over two deploys"

    renders_offline: ClassVar[bool] = True

    def check_rename(self, table: Table) -> None:
        """Raise where a view could not stand for this table."""

    @abstractmethod
    def shows(self, view: Table, table: Table) -> bool:
        """Tell whether the view is one that a rename has left under the old name of the table."""

    def is_placeholder(self, found: Table) -> bool:
        """Tell whether a table is none of the author's, but left by a rename that was interrupted before it happened."""
        return False

    def explain(self, error: DBAPIError) -> SafeOpsError | None:
        """Turn the server's refusal of a step of a rename into an error that teaches."""
        return None

    def locked_names(self, names: RenamedTable, seconds: float) -> AbstractContextManager[None]:
        """Keep other runners from the names for the block, waiting so long for them; one transaction needs no such thing."""
        return nullcontext()

    @abstractmethod
    def rename_table(self, names: RenamedTable) -> Plan:
        """Rename the table and put the view under its old name, in one moment."""

    @abstractmethod
    def drop_old_name(self, names: RenamedTable) -> Plan:
        """Drop the view."""

    @abstractmethod
    def rename_back(self, names: RenamedTable) -> Plan:
        """Drop the view and give the table its old name, in one moment."""

    @abstractmethod
    def restore_old_name(self, names: RenamedTable) -> Plan:
        """Put the view under the old name again."""
