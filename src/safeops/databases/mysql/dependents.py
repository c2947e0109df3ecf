"""What depends on a thing, as MariaDB and MySQL tells it."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from safeops.databases import dependents
from safeops.databases.definitions import Constraint, Table
from safeops.databases.mysql.altering import INSTANT, kept_as
from safeops.databases.mysql.showcreate import backticked
from safeops.databases.mysql.spelling import names
from safeops.databases.pairs import is_noted
from safeops.databases.triggers import FILLS
from safeops.errors import UnsafeOperation
from safeops.naming import Name
from safeops.plan_mode import foreseeing


class Dependents(dependents.Dependents):
    """Finds what depends on a table, a column, a schema or a key."""

    def dependents(self, table: Table, column: str | None = None) -> list[str]:
        found = [*self._views(table, column), *self._keys_of_others(table, column)]
        if column is not None:
            found += [*self._triggers(table, column), *_generated(table, column)]
            found += ["the table's partitioning"] if column in self.database.safety.partition_columns(table) else []
        return found

    def _views(self, table: Table, column: str | None) -> list[str]:
        """Look for the table's full name: the server writes views out with it, and with each column's."""
        sql = """SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS
            WHERE LOCATE(:name, VIEW_DEFINITION) > 0"""
        name = f"{backticked(table.name.schema or '')}.{backticked(table.name.name)}"
        rows = self.database.bounded_read(sql, name=name)
        named = [row for row in rows if column is None or f".{backticked(column)}".casefold() in row[2].casefold()]
        return [f"view {schema}.{view}: {text}" for schema, view, text in named]

    def _keys_of_others(self, table: Table, column: str | None) -> list[str]:
        sql = """SELECT DISTINCT CONSTRAINT_NAME, TABLE_SCHEMA, TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE
            WHERE REFERENCED_TABLE_SCHEMA = :schema AND REFERENCED_TABLE_NAME = :name
            AND (:column IS NULL OR REFERENCED_COLUMN_NAME = :column)"""
        rows = self.database.bounded_read(sql, schema=table.name.schema, name=table.name.name, column=column)
        others = [row for row in rows if column is not None or (row[1], row[2]) != (table.name.schema, table.name.name)]
        return [f"foreign key {key} of {schema}.{other}" for key, schema, other in others]

    def _triggers(self, table: Table, column: str) -> list[str]:
        sql = """SELECT TRIGGER_NAME, ACTION_STATEMENT FROM information_schema.TRIGGERS
            WHERE EVENT_OBJECT_SCHEMA = :schema AND EVENT_OBJECT_TABLE = :name"""
        rows = self.database.bounded_read(sql, schema=table.name.schema, name=table.name.name)
        others = [(name, text) for name, text in rows if not name.startswith(FILLS) and not is_noted(text)]
        return [f"trigger {name}: {text}" for name, text in others if names(text, column)]

    def dependents_of_schema(self, schema: str) -> list[str]:
        sql = """SELECT CONCAT(LOWER(TABLE_TYPE), ' ', TABLE_NAME) FROM information_schema.TABLES
            WHERE TABLE_SCHEMA = :schema
            UNION ALL SELECT CONCAT(LOWER(ROUTINE_TYPE), ' ', ROUTINE_NAME) FROM information_schema.ROUTINES
            WHERE ROUTINE_SCHEMA = :schema
            UNION ALL SELECT CONCAT('event ', EVENT_NAME) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = :schema
            LIMIT 20"""
        return [row[0] for row in self.database.bounded_read(sql, schema=schema)]

    def dependents_of_key(self, stands: Table, constraint: Constraint) -> list[str]:
        # Here a foreign key stands on any index.
        keys = ("unique", "primary key", "index")
        return (
            self.database.ddl.referring_to(stands, constraint.name, constraint.columns)
            if constraint.kind in keys
            else []
        )

    def check_droppable(self, table: Table, column: str) -> None:
        """Try it on an empty copy: what keeps INSTANT from a table is for no catalogue to tell.

        https://mariadb.com/kb/en/instant-add-column-for-innodb/
        """
        # A plan creates no table, and a temporary one takes no ALGORITHM.
        if foreseeing() is None:
            self._try_to_drop(table, column)
        if self.database.ddl.keeps_words(table):
            said = "a FULLTEXT index that was dropped has left a hidden column"
            raise self._not_in_a_moment(table, column, said, rebuild=True)
        used, most = self.row_versions(table.name)
        if used >= most:
            raise self._not_in_a_moment(
                table, column, f"{used} instant changes have been made since it was built", rebuild=True
            )

    def _try_to_drop(self, table: Table, column: str) -> None:
        probe = Name("safeops_droppable", table.name.schema)
        drop = f"DROP TABLE IF EXISTS {self.quoted_table(probe)}"
        self.run(drop)
        try:
            self.run(f"CREATE TABLE {self.quoted_table(probe)} LIKE {self.quoted_table(table.name)}")
            *before, _ = self.database.ddl.drop_column(probe, column, self.database.table(probe))
            for step in before:
                self.database.carry_out(step)
            self.run(f"ALTER TABLE {self.quoted_table(probe)} DROP COLUMN {self.quoted(column)}{INSTANT}")
        except DBAPIError as error:
            if not self.database.errors.is_refusal(error):
                raise
            raise self._not_in_a_moment(table, column, str(error.orig)) from error
        finally:
            self.run(drop)

    def _not_in_a_moment(self, table: Table, column: str, said: str, *, rebuild: bool = False) -> UnsafeOperation:
        return UnsafeOperation(
            f"{table.name}.{column} cannot be dropped with archive=True: {self.database.describe()} does not drop a column"
            f" of {table.name} in a moment.",
            why=f"It says: {said}. Writes would wait while the table is rebuilt, since none may fall between the archive"
            " and the drop.",
            remedy="Rebuild the table first, which writes do not wait for:"
            if rebuild
            else "Drop what stands in the way first; or copy what you want to keep, and drop the column without an archive:",
            code=self.database.ddl.rebuilding(table)
            if rebuild
            else self.database.ddl.called("drop_column_if_exists", table.name, column),
        )

    def row_versions(self, table: Name) -> tuple[int, int]:
        """Return how many instant changes the server counts on a table, and how many it takes.

        https://dev.mysql.com/doc/refman/en/innodb-online-ddl-operations.html
        """
        sql = """SELECT TOTAL_ROW_VERSIONS FROM information_schema.INNODB_TABLES
            WHERE NAME LIKE :kept"""
        try:
            used = self.scalar(sql, kept=kept_as(Name(table.name, table.schema or self.database.current_schema)))
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            used = None  # It takes the right PROCESS, or an older server does not count.
        return int(used or 0), 64 if self.database.version < (9, 1) else 255


class MariaDBDependents(Dependents):
    """What differs on MariaDB."""

    def row_versions(self, table: Name) -> tuple[int, int]:
        # It counts none: each instant change is noted in the table itself.
        return 0, 1


def _generated(table: Table, column: str) -> list[str]:
    others = (one for one in table.columns.values() if one.name != column and one.computed)
    return [f"generated column {one.name}: {one.computed}" for one in others if names(one.computed or "", column)]
