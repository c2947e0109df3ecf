"""MariaDB and MySQL: what is in them and how definitions are spelled. ``ddl`` plans their changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from safeops import _sqlalchemy
from safeops.databases.definitions import Column, Constraint, Index, Table, differences
from safeops.databases.mysql import showcreate, spelling
from safeops.databases.mysql.alter_table import plain
from safeops.databases.mysql.catalogue import index_of, table_of
from safeops.databases.mysql.ddl import DDL, KINDS, has_generated_key
from safeops.databases.mysql.errors import UNKNOWN_TABLE, number_of
from safeops.databases.mysql.session import Session
from safeops.databases.mysql.showcreate import Item, backticked
from safeops.databases.ports import PortAttribute
from safeops.naming import Name

if TYPE_CHECKING:
    from safeops.databases.mysql.safety import Safety
    from safeops.databases.mysql.server import Abilities as Abilities
    from safeops.databases.mysql.triggers import Triggers

PROBE = "safeops_probe"


class MySQL(Session):
    """MySQL, read by SHOW CREATE TABLE."""

    family = "mysql"
    product = "MySQL"

    ddl: PortAttribute[DDL]
    safety: PortAttribute[Safety]
    triggers: PortAttribute[Triggers]

    def __init__(self, dialect: sa.Dialect, connection: Callable[[], sa.Connection] | None) -> None:
        super().__init__(dialect, connection)
        if self.abilities.copies_for_expressions:
            self.dialect.ddl_compiler = spelling.SpelledDDL

    # Looking ----------------------------------------------------------------------------------------------------

    def table(self, name: Name, *, to_create: bool = False, things: Collection[str] | None = None) -> Table | None:
        try:
            shown = self.bounded_read(f"SHOW CREATE TABLE {self.quoted_table(name)}")
        except DBAPIError as error:
            if number_of(error) in UNKNOWN_TABLE:
                return None
            raise
        resolved = Name(name.name, name.schema or self.current_schema)
        return table_of(self._with_true_defaults(shown[0][1], resolved), resolved)

    def _with_true_defaults(self, sql: str, name: Name) -> str:
        """Restore what the server shows as question marks: emoji in defaults, which a MODIFY would lose."""
        if "?" not in sql or not sql.startswith("CREATE TABLE"):
            return sql
        sql = showcreate.with_backticks(sql)
        defaults = {column: shown.get("DEFAULT") or "" for column, shown in showcreate.read(sql).columns.items()}
        masked = {column: default for column, default in defaults.items() if re.match(r"'.*\?", default, re.S)}
        if not masked:
            return sql
        for (column, default), value in zip(masked.items(), self._defaults(name, [*masked]), strict=True):
            head, start, rest = sql.partition(f"\n  {backticked(column)} ")
            sql = head + start + rest.replace(f"DEFAULT {default}", f"DEFAULT {self.literal(str(value))}", 1)
        return sql

    def _defaults(self, name: Name, columns: Sequence[str]) -> Sequence[Any]:
        """Read the defaults of columns from a row; those of an empty table from a row of a temporary copy."""
        values = ", ".join(f"DEFAULT({self.quoted(column)})" for column in columns)
        if rows := self.bounded_read(f"SELECT {values} FROM {self.quoted_table(name)} LIMIT 1"):
            return rows[0]
        with self._empty_copy(name) as copy:
            self.run(f"INSERT IGNORE INTO {copy} () VALUES ()")
            return self.read(f"SELECT {values} FROM {copy}")[0]

    @contextmanager
    def _empty_copy(self, name: Name) -> Iterator[str]:
        """Make an empty temporary copy of a table for the block."""
        copy = self.quoted_table(Name(PROBE, name.schema))
        with self.bounded(), self.allowing_probes():
            try:
                self.run(f"CREATE TEMPORARY TABLE {copy} LIKE {self.quoted_table(name)}")
            except DBAPIError as error:
                if self.errors.is_lock_failure(error):
                    raise
                # A temporary table cannot have a FULLTEXT index.
                self.run(f"CREATE TEMPORARY TABLE {copy} SELECT * FROM {self.quoted_table(name)} LIMIT 0")
            try:
                yield copy
            finally:
                if not self.connection.invalidated:
                    self.run(f"DROP TEMPORARY TABLE IF EXISTS {copy}")

    def table_names(self, schema: str | None) -> list[str]:
        sql = """SELECT TABLE_NAME FROM information_schema.TABLES
            WHERE TABLE_SCHEMA = COALESCE(:schema, DATABASE()) AND TABLE_TYPE = 'BASE TABLE'"""
        return [row[0] for row in self.bounded_read(sql, schema=schema)]

    def has_rows(self, table: Table) -> bool:
        with self.bounded():
            return super().has_rows(table)

    def has_schema(self, schema: str) -> bool:
        return bool(self.scalar("SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = :schema", schema=schema))

    # Requested definitions ---------------------------------------------------------------------------------------

    def wanted_column(self, column: sa.Column[Any]) -> Column:
        bare, charset, collation = spelling.split_type(self.type_text(column.type))
        computed = column.computed
        plain = computed is None and column.identity is None
        counted = (
            column.table is not None
            and column is _sqlalchemy.counted_column(column.table)
            and column.server_default is None
        )
        return Column(
            name=str(column.name),
            type=spelling.type_name(bare),
            nullable=bool(column.nullable) and not column.primary_key,
            default=_default(self.default_text(column)) if plain else None,
            computed=spelling.computed(self.part_text(computed.sqltext), "STORED" if computed.persisted else "")
            if computed is not None
            else None,
            identity="auto_increment" if counted or column.identity is not None else None,
            collation=collation or charset,
            comment=column.comment,
        )

    def wanted_index(self, index: sa.Index) -> Index:
        table = index.table
        assert table is not None
        head, elements, rest = self.ddl.index_parts(index)
        kind = [*head.lower().split(), "key"][1]
        item = Item(str(index.name), kind, elements, tuple(showcreate.atoms(rest)))
        return index_of(item, table.name)

    def element_texts(self, index: sa.Index) -> list[str]:
        """Render the elements of an index; of a column with a prefix, that prefix."""
        return [_prefix(element) for element in self.wanted_index(index).columns]

    def wanted_constraint(self, constraint: sa.Constraint) -> Constraint:
        named = str(constraint.name)
        if isinstance(constraint, sa.ForeignKeyConstraint):
            referent = constraint.elements[0].column.table
            return Constraint(
                named,
                kind="foreign key",
                columns=tuple(constraint.column_keys),
                referent=Name(referent.name, referent.schema),
                remote=tuple(element.column.name for element in constraint.elements),
                onupdate=spelling.action(constraint.onupdate),
                ondelete=spelling.action(constraint.ondelete),
            )
        if isinstance(constraint, sa.CheckConstraint):
            return Constraint(named, kind="check", expression=spelling.expression(self.part_text(constraint.sqltext)))
        columns = tuple(column.name for column in constraint.columns)  # type: ignore[attr-defined]
        primary = isinstance(constraint, sa.PrimaryKeyConstraint)
        return Constraint("PRIMARY" if primary else named, "primary key" if primary else "unique", columns)

    def same_named(self, table: Table, wanted: Constraint) -> Constraint | None:
        """Return the constraint with the name of a requested one; keys do not share their names with other constraints."""
        if wanted.kind == "primary key":
            # The author's key replaces the server's own.
            return None if has_generated_key(table) else super().same_named(table, wanted)
        same_name = (other for other in table.constraints.values() if other.name.casefold() == wanted.name.casefold())
        return next((other for other in same_name if (other.kind == "unique") == (wanted.kind == "unique")), None)

    def constraint_named(self, table: Table, name: str, kind: str | None) -> Constraint | None:
        kind, own = KINDS.get(kind or "", kind), table.name.name
        named = [
            constraint for constraint in table.constraints.values() if constraint.name.casefold() == name.casefold()
        ]
        # The server keeps no name of a primary key: these are the ones that conventions give.
        conventional = ("PRIMARY", f"pk_{own}", f"{own}_pk", f"{own}_pkey")
        is_key = name.casefold() in map(str.casefold, conventional)
        if kind == "primary key" or (kind is None and not named and is_key):
            return next(
                (constraint for constraint in table.constraints.values() if constraint.kind == "primary key"), None
            )
        return next((constraint for constraint in named if kind in (None, constraint.kind)), None)

    # Probing ----------------------------------------------------------------------------------------------------

    def probe(self, table: Table, wanted: sa.Column[Any] | sa.Index | sa.Constraint) -> Any:
        """Have the server spell it on an empty temporary copy; a column is first compared without a query."""
        if isinstance(wanted, sa.Column):
            return self._asked_column(table, wanted)
        if isinstance(wanted, sa.CheckConstraint):
            copy = self._altered(table, f"ADD CONSTRAINT {PROBE} CHECK ({self.part_text(wanted.sqltext)})")
            return copy.constraints.get(PROBE) if copy else None
        if isinstance(wanted, sa.Index):
            spec = plain(self.ddl.index_sql(table.name, wanted))
            head, _, rest = spec.partition(f"INDEX {self.quoted(str(wanted.name))} ON {self.quoted_table(table.name)} ")
            copy = self._altered(table, f"ADD {head.removeprefix('CREATE ')}INDEX {PROBE} {rest}")
            return copy.indexes.get(PROBE) if copy else None
        return None

    def _asked_column(self, table: Table, column: sa.Column[Any]) -> Column | None:
        wanted, existing = self.wanted_column(column), table.columns[str(column.name)]
        # Without its own collation a column may have any: the table's, or one that was set later.
        wanted = replace(wanted, collation=wanted.collation or existing.collation)
        if spelling.same_value(existing.default, wanted.default):
            wanted = replace(wanted, default=existing.default)
        if not differences(existing, wanted, frozenset({"comment"})):
            return wanted
        spec = self.column_spec(column).removeprefix(self.quoted(str(column.name)))
        copy = self._altered(table, f"ADD COLUMN {PROBE} {spec}")
        if copy is None and (default := self.ddl.expression_default(column)):
            # The binary log refuses ADD COLUMN with a default such as uuid().
            bare = spec.removesuffix(f" DEFAULT {default}")
            copy = self._altered(table, f"ADD COLUMN {PROBE} {bare}", f"ALTER COLUMN {PROBE} SET DEFAULT {default}")
        asked = copy.columns.get(PROBE) if copy else None
        if asked is None:
            return wanted
        collation = asked.collation if self.wanted_column(column).collation else existing.collation
        return replace(asked, name=existing.name, collation=collation, identity=wanted.identity)

    def _altered(self, table: Table, *actions: str) -> Table | None:
        """Read the table as an empty temporary copy shows it after these changes; None if the server refuses them."""
        try:
            with self._empty_copy(table.name) as copy:
                for action in actions:
                    self.run(f"ALTER TABLE {copy} {action}")
                return table_of(self.read(f"SHOW CREATE TABLE {copy}")[0][1], table.name)
        except DBAPIError as error:
            if self.errors.is_lock_failure(error):
                raise
            return None


class MariaDB(MySQL):
    """MariaDB 10.11 and later."""

    product = "MariaDB"

    def role_text(self, role: str) -> str:
        return self.quoted(role)


def _default(text: str | None) -> str | None:
    proper, on_update = spelling.on_update(spelling.default(text))
    return spelling.default(proper, on_update)


def _prefix(element: str) -> str:
    element = re.sub(r"\s+(asc|desc)$", "", element, flags=re.I)
    match = re.fullmatch(r"(.*)\((\d+)\)", element, re.S)
    return f"LEFT({match[1]}, {match[2]})" if match else element
