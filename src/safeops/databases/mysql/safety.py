"""What MariaDB and MySQL refuse, what makes them copy a table, and what depends on a thing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from safeops.databases import safety
from safeops.databases.definitions import Constraint, Difference, Table
from safeops.databases.mysql import showcreate, spelling
from safeops.databases.mysql.alter_table import INSTANT, innodb_name_pattern
from safeops.databases.mysql.catalogue import (
    FOREIGN_KEYS,
    ForeignKey,
    check_of,
    definition_of,
    foreign_keys,
    is_counted,
)
from safeops.databases.mysql.showcreate import backticked
from safeops.databases.mysql.spelling import names
from safeops.databases.safety import equal_columns, is_key, lacking
from safeops.databases.triggers import FILLS, is_noted
from safeops.errors import DependentObjects, UnsafeOperation
from safeops.naming import Name, call, type_code
from safeops.plan_mode import current_dry_run

if TYPE_CHECKING:
    from safeops.databases.mysql import MySQL

_UNIQUE_KEYS = """SELECT DISTINCT PARTITION_METHOD, PARTITION_EXPRESSION, SUBPARTITION_METHOD, SUBPARTITION_EXPRESSION
    FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA = :schema AND TABLE_NAME = :name"""


class Safety(safety.Safety):
    """Refuses what would copy a table or block its writes, and what the server lacks."""

    database: MySQL

    def kept_name(self, name: Any) -> Any:
        """Return the name of a table as the server keeps it: with ``lower_case_table_names``, in lower case."""
        folds = name and name != name.lower() and self.database.scalar("SELECT @@lower_case_table_names")
        return name.lower() if folds else name

    def is_spelling(self, found: Difference) -> bool:
        kept, ours = self.kept_name, (found.existing, found.wanted)
        if not all(isinstance(one, Name) for one in ours):
            return False
        one, other = ((kept(name.schema), kept(name.name)) for name in ours)
        return bool(one == other)

    def check_partition_keys(self, name: Name, table: Table, wanted: sa.Index | sa.Constraint) -> None:
        if not showcreate.read(table.sql).is_partitioned:
            return
        if isinstance(wanted, sa.ForeignKeyConstraint):
            raise self.database.unsupported(
                f"Foreign key {wanted.name}, while {name} is partitioned,",
                f"PostgreSQL: {self.product} has no foreign keys of or to partitioned tables",
                "Leave the key out, or use tables that are not partitioned.",
            )
        if is_key(wanted):
            columns = equal_columns(wanted)
            has = {column.casefold() for column in columns}
            missing = [column for column in self.partition_columns(table) if column.casefold() not in has]
            if missing:
                raise lacking(self.product, name, wanted, columns, missing)

    def partition_columns(self, table: Table) -> list[str]:
        """Return the columns that decide in which partition a row is kept."""
        if not showcreate.read(table.sql).is_partitioned:
            return []
        rows = self.read(_UNIQUE_KEYS, schema=table.name.schema, name=table.name.name)
        keys = {(method, key or "") for row in rows for method, key in (row[:2], row[2:]) if method}
        # KEY () names no column: it takes the primary key.
        by_primary = any(method.endswith("KEY") and not key for method, key in keys)
        used = [column for column in table.columns if any(names(key, column) for _, key in keys)]
        return [*used, *(column for column in table.primary_key if by_primary and column not in used)]

    def type_in_place(self, column: sa.Column[Any], table: Table) -> str | None:
        own = str(column.name)
        keys = self.keys_tying(table, own)
        tied = self._tied(table, own, keys)
        others = {name: self.database.table(name) for name, _ in tied if name != table.name}
        tables = {table.name: table, **others}
        is_fixed = any((tied_to := tables[place[0]]) and self._is_fixed(tied_to, name) for place, name in tied.items())
        return self.changed_in_place(column, table, keys) if is_fixed else None

    def _is_fixed(self, table: Table, column: str) -> bool:
        """Return whether no second column of another type can replace one."""
        own = column.casefold()
        if own in map(str.casefold, table.primary_key) or is_counted(table, column):
            return True
        return own in map(str.casefold, self.partition_columns(table))

    def _tied(self, table: Table, column: str, keys: list[ForeignKey]) -> dict[tuple[Name, str], str]:
        """Return the names of a column and of all that keys tie to it, by table and name in lower case."""
        found = {(table.name, column.casefold()): column}
        for key in keys:
            for one, other in zip(key.columns, key.remote, strict=True):
                sides = {(key.table, one.casefold()): one, (key.other, other.casefold()): other}
                found.update(sides if found.keys() & sides.keys() else {})
        return found

    def keys_tying(self, table: Table, column: str) -> list[ForeignKey]:
        """Return the foreign keys that tie a column to others, directly or through those."""
        found: dict[ForeignKey, None] = {}
        left, done = [(table.name, column)], set()
        while left:
            place = left.pop()
            done.add((place[0], place[1].casefold()))
            rows = self.read(FOREIGN_KEYS, schema=place[0].schema, name=place[0].name)
            keys = [key for key in foreign_keys(rows) if key.ties(*place)]
            # The table was read before: a key that has been dropped since does not count.
            own = [key for key in keys if key.table != table.name or key.name in table.constraints]
            found.update(dict.fromkeys(own))
            sides = [pair for key in own for pair in key.tied if (place[0], place[1].casefold()) in pair]
            left += [one for pair in sides for one in pair if one not in done and one not in left]
        return list(found)

    def changed_in_place(self, column: sa.Column[Any], table: Table, keys: list[ForeignKey]) -> str:
        """Write the calls that change the type of a column and of all that foreign keys tie to it."""

        def schema(name: Name) -> str | None:
            return column.table.schema if name.schema == table.name.schema else name.schema

        drops = [
            call("drop_constraint_if_exists", key.name, key.table.name, type_="foreignkey", schema=schema(key.table))
            for key in keys
        ]
        changes = [
            call("alter_column_type", owner.name, tied, type_code(column.type), schema=schema(owner))
            for (owner, _), tied in self._tied(table, str(column.name), keys).items()
        ]
        creates = [
            call(
                "create_foreign_key_if_missing",
                *(key.name, key.table.name, key.other.name, key.columns, key.remote),
                onupdate=key.onupdate,
                ondelete=key.ondelete,
                source_schema=schema(key.table),
                referent_schema=schema(key.other),
            )
            for key in keys
        ]
        block = 'with assured("writes can wait while the table is copied"):'
        return "\n".join([*drops, block, *(f"    {line}" for line in changes), *creates])

    def check_type_change(self, column: sa.Column[Any], table: Table) -> None:
        existing, new = table.columns[str(column.name)], self._type_name(column)
        keys = self.keys_tying(table, existing.name)
        if not keys or (new.startswith(self.database.abilities.grow_in_keys) and spelling.widened(existing.type, new)):
            return
        listed = "".join(f"\n  - foreign key {key.name} of {key.table.at(table.name.schema)}" for key in keys)
        raise DependentObjects(
            f"Cannot change the type of {column.table.fullname}.{existing.name}, because foreign keys use it:{listed}",
            why=f"{self.product} requires one type on both sides of a key at any time, and copies tables to change it.",
            remedy="Drop the keys, change both sides, and create the keys again:",
            code=self.changed_in_place(column, table, keys),
        )

    def type_refusal(self, column: sa.Column[Any], table: Table) -> str | None:
        bare, charset, collation = spelling.split_type(self.database.type_text(column.type))
        existing = table.columns[str(column.name)]
        if (charset or collation) and (collation or charset) != existing.collation:
            return f"{self.product} copies the table to convert the character set, and writes wait until it is done"
        return self._copied(table, existing.name, existing.type, spelling.type_name(bare))

    def type_refusal_back(self, column: sa.Column[Any], former: sa.Column[Any], table: Table) -> str | None:
        return self._copied(table, str(column.name), self._type_name(column), self._type_name(former))

    def _type_name(self, column: sa.Column[Any]) -> str:
        return spelling.type_name(spelling.split_type(self.database.type_text(column.type))[0])

    def _copied(self, table: Table, column: str, old: str, new: str) -> str | None:
        if not spelling.widened(old, new):
            return f"{self.product} copies the table, and writes wait until it is done"
        lengths = spelling.lengths(old, new)
        if lengths and lengths[0] <= 255 < lengths[1] * 4:
            before, after = (length * self._bytes_a_character(table, column) for length in lengths)
            if self.database.abilities.grows_from <= before <= 255 < after:
                return f"{self.product} copies the table, because a value may take more than 255 bytes, and writes wait"
        return None

    def _bytes_a_character(self, table: Table, column: str) -> int:
        sql = """SELECT CHARACTER_OCTET_LENGTH DIV CHARACTER_MAXIMUM_LENGTH FROM information_schema.COLUMNS
            WHERE TABLE_SCHEMA = IFNULL(:schema, DATABASE()) AND TABLE_NAME = :table AND COLUMN_NAME = :column"""
        return int(self.scalar(sql, schema=table.name.schema, table=table.name.name, column=column) or 1)

    def check_support(self, constraint: sa.Constraint, validate: bool) -> None:
        super().check_support(constraint, validate)
        if constraint.deferrable or (constraint.initially or "").upper() == "DEFERRED":
            raise self.database.unsupported(
                "A deferrable constraint", "PostgreSQL: here each statement is checked at once"
            )
        if isinstance(constraint, sa.ForeignKeyConstraint):
            if (constraint.match or "").upper() not in ("", "SIMPLE"):
                raise self.database.unsupported(f"MATCH {constraint.match}", "PostgreSQL: InnoDB ignores it")
            if "SET DEFAULT" in {(action or "").upper() for action in (constraint.ondelete, constraint.onupdate)}:
                raise self.database.unsupported(
                    "SET DEFAULT of a foreign key", "PostgreSQL: InnoDB does not carry it out"
                )

    def invalid_name_reason(self, name: str) -> str | None:
        # https://mariadb.com/kb/en/identifier-names/
        if max(map(ord, name)) > 0xFFFF:
            return "a name cannot contain characters beyond U+FFFF, such as emoji"
        return "a name cannot end with a space" if name.endswith(" ") else None

    def check_column_support(self, column: sa.Column[Any]) -> None:
        if column.identity is not None and not column.primary_key:
            raise self.database.unsupported(
                "An identity column outside the primary key", "a server with identity columns"
            )

    def check_index_support(self, index: sa.Index) -> None:
        expressions = self.database.ddl.expressions_of(index)
        if expressions and not self.database.abilities.has_expression_indexes:
            raise self.database.unsupported(
                f"An index on the expression {expressions[0]}",
                "PostgreSQL, MySQL 8.0.13 or SQLite",
                "Index a generated column instead:",
                f'sa.Column("...", sa.String(100), sa.Computed("{expressions[0]}"))',
            )

    def default_is_constant(self, column: sa.Column[Any]) -> bool:
        if column.computed is not None:
            return not column.computed.persisted
        words = spelling.default(self.database.default_text(column)) or ""
        if self.database.ddl.expression_default(column):
            return False
        return not re.search(r"\w\s*\(", re.sub(r"'(?:[^'\\]|''|\\.)*'|current_timestamp(\(\d\))?", "", words))

    def column_refusal(self, column: sa.Column[Any], table: Table) -> str | None:
        if column.computed is not None and column.computed.persisted:
            return f"{self.product} computes it for every row, and copies the table for that"
        if self.default_is_constant(column):
            return None
        if (expression := self.database.ddl.expression_default(column)) and spelling.is_constant(expression):
            return f"{self.product} copies the table for a default that is an expression, DEFAULT {expression}"
        return f"its values differ from row to row; {self.product} copies the table, or gives every row the same one"


class MariaDBSafety(Safety):
    """What differs on MariaDB."""

    def checks_of_columns(self, table: Table) -> list[Constraint]:
        columns = showcreate.read(table.sql).columns.items()
        checks = [(column, definition.get("CHECK")) for column, definition in columns]
        return [check_of(column, text) for column, text in checks if text is not None]

    def copies_for_comment(self, table: Table, column: str) -> bool:
        return "STORED" in (definition_of(table, column).get("GENERATED") or "")


class Dependents(safety.Dependents):
    """Finds what depends on a table, a column, a schema or a key."""

    database: MySQL

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
        triggers = self.database.triggers.definitions(table.name).items()
        others = [(name, text) for name, text in triggers if not name.startswith(FILLS) and not is_noted(text)]
        return [f"trigger {name}: {text}" for name, text in others if names(text, column)]

    def dependents_of_schema(self, schema: str) -> list[str]:
        sql = """SELECT CONCAT(LOWER(TABLE_TYPE), ' ', TABLE_NAME) FROM information_schema.TABLES
            WHERE TABLE_SCHEMA = :schema
            UNION ALL SELECT CONCAT(LOWER(ROUTINE_TYPE), ' ', ROUTINE_NAME) FROM information_schema.ROUTINES
            WHERE ROUTINE_SCHEMA = :schema
            UNION ALL SELECT CONCAT('event ', EVENT_NAME) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = :schema
            LIMIT 20"""
        return [row[0] for row in self.database.bounded_read(sql, schema=schema)]

    def dependents_of_key(self, table: Table, constraint: Constraint) -> list[str]:
        # Here a foreign key table on any index.
        keys = ("unique", "primary key", "index")
        return (
            self.database.ddl.referring_to(table, constraint.name, constraint.columns)
            if constraint.kind in keys
            else []
        )

    def check_droppable(self, table: Table, column: str) -> None:
        """Try it on an empty copy: no catalogue shows whether INSTANT is possible.

        https://mariadb.com/kb/en/instant-add-column-for-innodb/
        """
        # A plan creates no table, and a temporary one takes no ALGORITHM.
        if current_dry_run() is None:
            self._try_to_drop(table, column)
        if self.database.ddl.keeps_fulltext_column(table):
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
                self.database.execute(step)
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
            f" of {table.name} by a catalogue change alone.",
            why=f"The server reports: {said}. Writes would wait for the rebuild, since no write can come between the"
            " archive and the drop.",
            remedy="Rebuild the table first, which writes do not wait for:"
            if rebuild
            else "Drop what prevents it first; or copy the values to keep, and drop the column without an archive:",
            code=self.database.ddl.rebuild_call(table)
            if rebuild
            else self.database.ddl.written_call("drop_column_if_exists", table.name, column),
        )

    def row_versions(self, table: Name) -> tuple[int, int]:
        """Return how many instant changes the server counts on a table, and how many it takes.

        https://dev.mysql.com/doc/refman/en/innodb-online-ddl-operations.html
        """
        sql = "SELECT TOTAL_ROW_VERSIONS FROM information_schema.INNODB_TABLES WHERE NAME LIKE :pattern"
        name = Name(table.name, table.schema or self.database.current_schema)
        try:
            used = self.scalar(sql, pattern=innodb_name_pattern(name))
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            used = None  # The account lacks PROCESS, or an older server does not count.
        return int(used or 0), 64 if self.database.version < (9, 1) else 255


class MariaDBDependents(Dependents):
    """What differs on MariaDB."""

    def row_versions(self, table: Name) -> tuple[int, int]:
        # It counts none: each instant change is noted in the table itself.
        return 0, 1


def _generated(table: Table, column: str) -> list[str]:
    others = (other for other in table.columns.values() if other.name != column and names(other.computed or "", column))
    return [f"generated column {other.name}: {other.computed}" for other in others]
