"""Renames tables on SQLite: no view can stand for a table that an application writes to.

Writes to a view go to INSTEAD OF triggers. In them an omitted column cannot be told from NULL, so that defaults are lost;
afterwards last_insert_rowid() is what it was before, changes() is 0, RETURNING gives no generated key, and there is no
upsert: an application would take one row for another. https://www.sqlite.org/lang_createtrigger.html#instead_of_triggers
"""

from __future__ import annotations

from safeops.databases.definitions import Table
from safeops.table_rename import port
from safeops.table_rename.port import Plan, RenamedTable


class TableRenames(port.TableRenames):
    """Refuses: the recipe asks ``has_updatable_views`` first."""

    renders_offline = False

    def shows(self, view: Table, table: Table) -> bool:
        return False

    def rename_table(self, names: RenamedTable) -> Plan:
        return iter(())

    drop_old_name = rename_back = restore_old_name = rename_table
