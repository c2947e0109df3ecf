"""Guarded SQL for ``--sql``: MariaDB has IF [NOT] EXISTS, MySQL asks its catalogue in a prepared statement."""

from __future__ import annotations

from safeops.databases import ddl
from safeops.errors import OnlineOnly
from safeops.naming import Name

GUARD = "/*guard*/ "
"""Stands in a statement where MariaDB takes IF EXISTS or IF NOT EXISTS."""

_LOOKS = {
    "column": ("COLUMNS", "COLUMN_NAME"),
    "index": ("STATISTICS", "INDEX_NAME"),
    "constraint": ("TABLE_CONSTRAINTS", "CONSTRAINT_NAME"),
}


class Guards(ddl.DDL):
    """What guards a statement where nobody can look."""

    def unless(self, kind: str, name: Name, thing: str, sql: str) -> str:
        """Run the statement where the column, index or constraint is missing."""
        if self.database.abilities.guards_natively:
            return sql.replace(GUARD, "IF NOT EXISTS ")
        return self.when(f"{self._count(kind, name, thing)} = 0", sql)

    def if_there(self, kind: str, name: Name, thing: str, sql: str) -> str:
        """Run the statement where the column, index or constraint stands."""
        if self.database.abilities.guards_natively:
            return sql.replace(GUARD, "IF EXISTS ")
        return self.when(f"{self._count(kind, name, thing)} > 0", sql)

    def when(self, condition: str, sql: str, otherwise: str = "DO 0") -> str:
        """Run the one statement or the other. https://dev.mysql.com/doc/refman/8.0/en/prepare.html"""
        chosen = f"IF({condition}, {self.literal(plain(sql))}, {self.literal(otherwise)})"
        return self.prepared(chosen)

    def prepared(self, text: str) -> str:
        """Run the statement that an expression makes."""
        steps = [f"SET @safeops = {text}", "PREPARE safeops FROM @safeops", "EXECUTE safeops"]
        return ";\n".join([*steps, "DEALLOCATE PREPARE safeops"])

    def failing(self, condition: str, problem: str) -> str:
        """Stop the script where the condition holds: no table has the name that tells why."""
        return self.when(condition, f"SELECT 1 FROM {self.quoted(problem[:64])}")

    def _count(self, kind: str, name: Name, thing: str) -> str:
        view, column = _LOOKS[kind]
        where = f"{self.of_table(name)} AND {column} = {self.literal(thing)}"
        return f"(SELECT COUNT(*) FROM information_schema.{view} WHERE {where})"

    def of_table(self, name: Name) -> str:
        schema = self.literal(name.schema) if name.schema else "DATABASE()"
        return f"TABLE_SCHEMA = {schema} AND TABLE_NAME = {self.literal(name.name)}"

    def online_only(self, deed: str, why: str) -> OnlineOnly:
        return OnlineOnly(
            f"{deed} cannot be rendered for --sql.",
            why=why,
            remedy="Run this revision against the database, or guard it:",
            code="if not op.get_context().as_sql:\n    ...",
        )


def plain(sql: str) -> str:
    """Return a statement without the mark of its guard."""
    return sql.replace(GUARD, "")
