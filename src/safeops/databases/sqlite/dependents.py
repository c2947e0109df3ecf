"""What depends on a thing, as SQLite tells it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from safeops.databases import dependents
from safeops.databases.definitions import Constraint, Table
from safeops.databases.sqlite.spelling import Token, folded, literal, tokens
from safeops.databases.triggers import FILLS
from safeops.naming import Name


class Dependents(dependents.Dependents):
    """Finds what depends on a table, a column, a schema or a key."""

    def dependents(self, table: Table, column: str | None = None) -> list[str]:
        found = [f"foreign key of {name}: {sql}" for name, sql in self.keys_to(table, column)]
        return [*found, *self._texts_on(table, column)]

    def dependents_of_key(self, stands: Table, constraint: Constraint) -> list[str]:
        if constraint.kind not in ("unique", "primary key"):
            return []
        key = set(map(folded, constraint.columns))
        indexes = [one for one in stands.indexes.values() if one.name != constraint.name]
        others = [one.columns for one in indexes if one.unique and one.where is None]
        keys = [one for one in stands.constraints.values() if one.kind in ("unique", "primary key")]
        others += [one.columns for one in keys if one.name != constraint.name]
        if any(set(map(folded, columns)) == key for columns in others):
            return []
        found = self._referring(stands)
        return [
            f"foreign key of {name}: {one.definition}" for name, one in found if set(map(folded, one.remote)) == key
        ]

    def referring_tables(self, table: Table) -> list[str]:
        return sorted({name for name, _ in self._referring(table) if folded(name) != folded(table.name.name)})

    def keys_to(self, table: Table, column: str | None) -> Iterator[tuple[str, str]]:
        for name, key in self._referring(table):
            if folded(name) != folded(table.name.name) and (
                column is None or folded(column) in map(folded, key.remote)
            ):
                yield name, key.definition

    def _referring(self, table: Table) -> Iterator[tuple[str, Constraint]]:
        """Go through the foreign keys that refer to a table, its own included."""
        schema = table.name.schema or "main"
        sql = f"""SELECT DISTINCT m.name FROM {self.database.master(schema)} m,
            pragma_foreign_key_list(m.name, {literal(schema)}) k
            WHERE m.type = 'table' AND k."table" = {literal(table.name.name)} COLLATE NOCASE"""
        for (name,) in self.read(sql):
            other = self.database.table(Name(name, schema))
            for key in other.constraints.values() if other else ():
                if key.referent is not None and folded(key.referent.name) == folded(table.name.name):
                    yield name, key

    def _texts_on(self, table: Table, column: str | None) -> Iterator[str]:
        """Go through the views and triggers whose text names the table, and the column or all columns."""
        schema, name = table.name.schema or "main", folded(table.name.name)
        sql = f"""SELECT type, name, tbl_name, sql FROM {self.database.master(schema)}
            WHERE type IN ('view', 'trigger') ORDER BY type, name"""
        for kind, own, of, text in self.read(sql):
            found = tokens(text)
            names = {folded(one.name) for one in found if one.kind in ("word", "quoted")}
            ours = kind == "trigger" and folded(of) == name and (column is None or own.startswith(FILLS))
            if name not in names or ours:
                continue
            if column is None or folded(column) in names or (kind == "view" and _takes_all(found)):
                yield f"{kind} {own}: {text}"


def _takes_all(found: Iterable[Token]) -> bool:
    """Tell whether a view selects ``*`` or ``t.*``; in a product or in ``count(*)`` it follows something else."""
    before = ""
    for token in found:
        if token.text == "*" and before in ("SELECT", "DISTINCT", "ALL", ",", "."):
            return True
        before = token.word
    return False
