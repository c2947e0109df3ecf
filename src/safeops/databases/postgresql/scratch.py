"""Empty temporary copies on which PostgreSQL itself spells a definition, or shows what a change would do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import sqlalchemy as sa

from safeops.databases.definitions import Table
from safeops.databases.postgresql.row_security import FORBIDDEN
from safeops.databases.postgresql.sealing import sealed
from safeops.databases.postgresql.session import VIOLATIONS, Session
from safeops.databases.postgresql.spelling import sqlstate
from safeops.errors import UnsafeOperation
from safeops.naming import Name

PROBE = "safeops_probe"


class Scratch(Session):
    """A session that may try things out."""

    def rewrites(self, table: Table, *statements: str) -> bool:
        """Have the server tell whether statements on the table would rewrite it or rebuild one of its indexes."""
        files = sealed(f"""SELECT string_agg(pg_relation_filenode(oid)::text, ',' ORDER BY pg_relation_filenode(oid))
            FROM pg_class WHERE oid = to_regclass('{PROBE}') OR oid IN (
            SELECT indexrelid FROM pg_index WHERE indrelid = to_regclass('{PROBE}'))""")
        with self.scratch():
            self.copy_empty(table, Name(PROBE), "INCLUDING INDEXES")
            before = self.scalar(files)
            for statement in statements:
                self.run(statement)
            return bool(self.scalar(files) != before)

    def adds_by_rewriting(self, table: Table, *add: str) -> bool:
        """Have the server tell whether adding a column would rewrite the table."""
        try:
            return self.rewrites(table, *add)
        except sa.exc.DBAPIError as error:
            # Only a rewrite has the NULL of a new column meet the NOT NULL of its domain.
            if sqlstate(error) in VIOLATIONS:
                return True
            raise

    def copy_empty(self, table: Table, probe: Name, *options: str) -> None:
        like = " ".join((self.quoted_table(table.name), *options))
        self.run(f"CREATE TEMPORARY TABLE {self.quoted_table(probe)} (LIKE {like}) ON COMMIT DROP")

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """Run the block in a transaction of its own and roll it back."""
        try:
            # Also on a session that is to read only: no more than an empty temporary copy is written, and rolled back.
            self.run("BEGIN READ WRITE")
        except sa.exc.DBAPIError as error:
            if error.connection_invalidated:
                raise
            raise self.unsupported(
                "Trying a definition out", "a server that can write; this one only replays"
            ) from error
        try:
            yield
        except BaseException as error:
            # On a lost connection there is nothing to roll back, and the first error is the one to see.
            with suppress(sa.exc.SQLAlchemyError):
                self.run("ROLLBACK")
            if sqlstate(error) == FORBIDDEN:
                self._check_may_copy()
            raise
        self.run("ROLLBACK")

    def _check_may_copy(self) -> None:
        sql = "SELECT has_database_privilege(current_database(), 'TEMPORARY'), current_user, current_database()"
        may, role, database = self.read(sql)[0]
        if not may:
            raise UnsafeOperation(
                f"Role {role} may not create temporary tables in database {database}, which safeops needs here.",
                why="It has PostgreSQL itself spell a definition, and tell whether a change would rewrite the table, on an"
                " empty temporary copy.",
                remedy="Let the owner of the database run:",
                code=f"GRANT TEMPORARY ON DATABASE {self.quoted(database)} TO {self.quoted(role)}",
            )
