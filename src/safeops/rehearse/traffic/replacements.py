"""What replaces a table or a column: noted from the recipes that the revisions call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from safeops.execution.recording import helpers_recorded_by
from safeops.naming import Name


@dataclass(frozen=True)
class Replacement:
    """A column that another one replaces, or that gets another type.

    Args:
        table: The table.
        column: The column.
        replaced_by: The column that has its values; for a change of the type, the shadow column.
        using: SQL over ``column`` that converts its values; empty for a CAST.
    """

    table: Name
    column: str
    replaced_by: str
    using: str = ""


@dataclass
class Replacements:
    """What the revisions replace.

    Args:
        columns: The columns.
        tables: The new name of each table that is renamed.
        rewritten: Columns whose values a backfill changes on purpose: table and column.
        in_place: Columns that other statements change in place: their values are not compared.
        emptied: Tables from which statements delete rows, as they are then.
    """

    columns: list[Replacement] = field(default_factory=list)
    tables: dict[Name, Name] = field(default_factory=dict)
    rewritten: set[tuple[Name, str]] = field(default_factory=set)
    in_place: set[tuple[Name, str]] = field(default_factory=set)
    emptied: set[Name] = field(default_factory=set)

    def note(self, name: str, given: Mapping[str, Any]) -> bool:
        """Note the call of a helper; return False, which lets it run."""
        recipe = name.partition(".")[0]
        table = Name(str(given.get("table_name")), given.get("schema"))
        if recipe == "ColumnRename":
            old, new = given["old_name"], given["new_name"]
            self._add(Replacement(table, old, new), Replacement(table, new, old))
        elif recipe == "TypeChange":
            self._add(self._type_change(table, given))
        elif recipe == "TableRename":
            old, new = (Name(given[key], given.get("schema")) for key in ("old_name", "new_name"))
            self.tables.update({old: new, new: old})
        elif name == "backfill":
            self.rewritten.update((table, str(column)) for column in _targets(given))
        return False

    def _type_change(self, table: Name, given: Mapping[str, Any]) -> Replacement:
        column = given["column_name"]
        return Replacement(table, column, f"safeops_{column}", given.get("using") or "")

    def _add(self, *found: Replacement) -> None:
        self.columns += [one for one in found if one not in self.columns]

    def names_of(self, table: Name) -> list[Name]:
        """Return the names that a table may have now."""
        return [table, *([self.tables[table]] if table in self.tables else [])]

    def columns_of(self, table: Name, column: str) -> list[Replacement]:
        """Return what may hold the values of a column in addition to itself."""
        names = self.names_of(table)
        return [one for one in self.columns if one.column == column and one.table in names]

    def is_rewritten(self, table: Name, column: str) -> bool:
        return any((name, column) in self.rewritten for name in self.names_of(table))


@contextmanager
def following_recipes() -> Iterator[Replacements]:
    """Note what the revisions that run in the block replace.

    Example:
        with following_recipes() as replacements:
            command.upgrade(config, "head")
    """
    replacements = Replacements()
    with helpers_recorded_by(replacements.note):
        yield replacements


def _targets(given: Mapping[str, Any]) -> list[str]:
    values = given.get("values")
    if isinstance(values, Mapping):
        return [str(getattr(name, "name", name)) for name in values]
    return list(getattr(values, "writes", None) or ())
