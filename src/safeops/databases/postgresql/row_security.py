"""Row security: a session sees all rows of a table, or it is refused. It never takes a part of them for all.

A policy that hides rows makes them count as if they did not exist: for a fill, for a comparison of two columns, and even for
VALIDATE CONSTRAINT of a foreign key. https://www.postgresql.org/docs/current/ddl-rowsecurity.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.exc import DBAPIError

from safeops.databases import sqltext
from safeops.databases.base import Database
from safeops.databases.postgresql.sealing import sealed
from safeops.databases.postgresql.spelling import sqlstate
from safeops.errors import SafeOpsError, UnsafeOperation
from safeops.naming import Name

FORBIDDEN = "42501"
SEES_ALL = {"row_security": "off"}
"""With this setting the server raises ``FORBIDDEN`` instead of hiding rows; roles that see all rows do not notice it."""
_HIDING = """
SELECT n.nspname, c.relname, pg_catalog.pg_has_role(c.relowner, 'USAGE'), current_user
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relrowsecurity AND pg_catalog.row_security_active(c.oid) ORDER BY 1, 2
"""


class RowSecurity(Database):
    """Whether policies hide rows from the role of the session."""

    has_row_security = True

    def read(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        # A query with parameters is one of the catalogue: what an author wrote has colons of its own.
        return super().read(sealed(sql) if parameters else sql, **parameters)

    def refuse_hidden_rows(self, tables: Sequence[Name]) -> None:
        wanted = {
            self.scalar("SELECT to_regclass(:name)::oid::bigint", name=self.quoted_table(name)) for name in tables
        }
        hiding = _HIDING.replace("WHERE", "WHERE c.oid::bigint = ANY (:wanted) AND")
        rows = self.read(hiding, wanted=[one for one in wanted if one is not None])
        if rows:
            raise self._hidden(rows)

    def hidden_rows(self, error: DBAPIError) -> SafeOpsError | None:
        if sqlstate(error) != FORBIDDEN:
            return None
        # Of the tables that the statement names, be it in an expression of the author's.
        named = {sqltext.unquoted(text) for _, text in sqltext.tokens(error.statement or "")}
        rows = [row for row in self.read(_HIDING) if row[1] in named]
        return self._hidden(rows) if rows else None

    def _hidden(self, rows: Sequence[Sequence[object]]) -> UnsafeOperation:
        schema, table, is_owner, role = rows[0]
        name = Name(str(table), str(schema))
        quoted, owner = self.quoted_table(name), self.quoted(str(role))
        grant = f"ALTER ROLE {owner} BYPASSRLS;  -- in psql, by a superuser"
        unforced = f"op.execute('ALTER TABLE {quoted} NO FORCE ROW LEVEL SECURITY')  # before; FORCE again after it"
        return UnsafeOperation(
            f"Row security of {name} applies to role {role}, so this migration may not see all of its rows.",
            why="Hidden rows would not be filled, compared or checked, and their values would be lost. PostgreSQL applies"
            " the policies to each role that has no BYPASSRLS, and with FORCE ROW LEVEL SECURITY to the owner too.",
            remedy="Run the migration with a role that sees all rows. "
            + (
                "If the application does not connect as the owner, the owner can see all rows in the meantime:"
                if is_owner
                else "Use the owner of the table, or:"
            ),
            code=f"{grant}\n{unforced}" if is_owner else grant,
        )
