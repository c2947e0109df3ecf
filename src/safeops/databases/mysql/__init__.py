"""MariaDB and MySQL: what stands in them and how their things are spelled. Their plans are in ``plans``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from safeops import _sqlalchemy
from safeops.databases.definitions import Column, Constraint, Index, Table, differences
from safeops.databases.filling import FILLS
from safeops.databases.mysql import defaults, showcreate, spelling
from safeops.databases.mysql.archiving import Archiving
from safeops.databases.mysql.batches import Batches
from safeops.databases.mysql.catalogue import definition_of, index_of, table_of
from safeops.databases.mysql.constraining import KINDS, has_generated_key
from safeops.databases.mysql.dumping import Dumping
from safeops.databases.mysql.filling import Filling
from safeops.databases.mysql.guards import plain
from safeops.databases.mysql.judging import Judging
from safeops.databases.mysql.load import Load
from safeops.databases.mysql.refusing import Refusing
from safeops.databases.mysql.renaming import Renames
from safeops.databases.mysql.replacing import Replacing
from safeops.databases.mysql.scratching import Scratching
from safeops.databases.mysql.session import UNKNOWN_TABLE, number_of
from safeops.databases.mysql.showcreate import Item, backticked
from safeops.databases.mysql.surveying import Surveying
from safeops.databases.mysql.twin_checks import names
from safeops.databases.mysql.twins import Twins
from safeops.databases.twins import is_noted
from safeops.naming import Name

PROBE = "safeops_probe"


class MySQL(
    Refusing, Replacing, Judging, Filling, Batches, Dumping, Surveying, Scratching, Load, Renames, Twins, Archiving
):
    """MySQL, looked at through SHOW CREATE TABLE."""

    product = "MySQL"
    adds_checks_online = False
    enforces_checks_later = True
    reflects_expressions = False
    indexes_foreign_keys = True
    foreign_keys_across_types = False
    max_identifier = 64
    counts_letters = True
    renders_column_changes_offline = False
    refuses_full_schemas = False
    # max_execution_time bounds SELECT alone, which no step is.
    statement_bound = ""

    @property
    def has_expression_indexes(self) -> bool:  # type: ignore[override]
        return self.version >= (8, 0, 13) or not self.version

    def __init__(self, dialect: sa.Dialect, connection: Callable[[], sa.Connection] | None) -> None:
        super().__init__(dialect, connection)
        if self.copies_for_expressions:
            self.dialect.ddl_compiler = defaults.SpelledDDL

    def default_clause(self, default: str) -> str:
        # ALTER COLUMN takes no function without parentheses, not even those that a column's definition takes.
        return defaults.clause(default, "")

    # Looking ----------------------------------------------------------------------------------------------------

    def table(self, name: Name, *, to_create: bool = False) -> Table | None:
        try:
            shown = self.bounded_read(f"SHOW CREATE TABLE {self.quoted_table(name)}")
        except DBAPIError as error:
            if number_of(error) in UNKNOWN_TABLE:
                return None
            raise
        found = Name(name.name, name.schema or self.current_schema)
        return table_of(self._with_true_defaults(shown[0][1], found), found)

    def _with_true_defaults(self, sql: str, name: Name) -> str:
        """Put back the letters that the server shows as question marks: emoji in defaults, which a MODIFY would lose."""
        if "?" not in sql or not sql.startswith("CREATE TABLE"):
            return sql
        columns = showcreate.read(sql).columns.items()
        masked = {
            column: text for column, found in columns if re.match(r"'.*\?", text := found.get("DEFAULT") or "", re.S)
        }
        if not masked:
            return sql
        for (column, text), value in zip(masked.items(), self._defaults(name, [*masked]), strict=True):
            head, start, rest = sql.partition(f"\n  {backticked(column)} ")
            sql = head + start + rest.replace(f"DEFAULT {text}", f"DEFAULT {self.literal(str(value))}", 1)
        return sql

    def _defaults(self, name: Name, columns: Sequence[str]) -> Sequence[Any]:
        """Read the defaults of columns off a row; of an empty table, off one of a temporary copy."""
        asked = ", ".join(f"DEFAULT({self.quoted(column)})" for column in columns)
        if rows := self.bounded_read(f"SELECT {asked} FROM {self.quoted_table(name)} LIMIT 1"):
            return rows[0]
        probe = self.quoted_table(Name(PROBE, name.schema))
        with self.bounded(), self.trying_out():
            try:
                self.run(f"CREATE TEMPORARY TABLE {probe} LIKE {self.quoted_table(name)}")
                self.run(f"INSERT IGNORE INTO {probe} () VALUES ()")
                return self.read(f"SELECT {asked} FROM {probe}")[0]
            finally:
                self.run(f"DROP TEMPORARY TABLE IF EXISTS {probe}")

    def bounded_read(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        with self.bounded():
            return self.read(sql, **parameters)

    def table_names(self, schema: str | None) -> list[str]:
        sql = """SELECT TABLE_NAME FROM information_schema.TABLES
            WHERE TABLE_SCHEMA = COALESCE(:schema, DATABASE()) AND TABLE_TYPE = 'BASE TABLE'"""
        return [row[0] for row in self.bounded_read(sql, schema=schema)]

    def has_rows(self, table: Table) -> bool:
        with self.bounded():
            return super().has_rows(table)

    def has_schema(self, schema: str) -> bool:
        return bool(self.scalar("SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = :schema", schema=schema))

    def dependents(self, table: Table, column: str | None = None) -> list[str]:
        found = [*self._views(table, column), *self._keys_of_others(table, column)]
        if column is not None:
            found += [*self._triggers(table, column), *_generated(table, column)]
            found += ["the table's partitioning"] if column in self.partition_columns(table) else []
        return found

    def _views(self, table: Table, column: str | None) -> list[str]:
        """Look for the table's full name: the server writes views out with it, and with each column's."""
        sql = """SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS
            WHERE LOCATE(:name, VIEW_DEFINITION) > 0"""
        name = f"{backticked(table.name.schema or '')}.{backticked(table.name.name)}"
        rows = self.bounded_read(sql, name=name)
        named = [row for row in rows if column is None or f".{backticked(column)}".casefold() in row[2].casefold()]
        return [f"view {schema}.{view}: {text}" for schema, view, text in named]

    def _keys_of_others(self, table: Table, column: str | None) -> list[str]:
        sql = """SELECT DISTINCT CONSTRAINT_NAME, TABLE_SCHEMA, TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE
            WHERE REFERENCED_TABLE_SCHEMA = :schema AND REFERENCED_TABLE_NAME = :name
            AND (:column IS NULL OR REFERENCED_COLUMN_NAME = :column)"""
        rows = self.bounded_read(sql, schema=table.name.schema, name=table.name.name, column=column)
        others = [row for row in rows if column is not None or (row[1], row[2]) != (table.name.schema, table.name.name)]
        return [f"foreign key {key} of {schema}.{other}" for key, schema, other in others]

    def _triggers(self, table: Table, column: str) -> list[str]:
        sql = """SELECT TRIGGER_NAME, ACTION_STATEMENT FROM information_schema.TRIGGERS
            WHERE EVENT_OBJECT_SCHEMA = :schema AND EVENT_OBJECT_TABLE = :name"""
        rows = self.bounded_read(sql, schema=table.name.schema, name=table.name.name)
        others = [(name, text) for name, text in rows if not name.startswith(FILLS) and not is_noted(text)]
        return [f"trigger {name}: {text}" for name, text in others if names(text, column)]

    def dependents_of_schema(self, schema: str) -> list[str]:
        sql = """SELECT CONCAT(LOWER(TABLE_TYPE), ' ', TABLE_NAME) FROM information_schema.TABLES
            WHERE TABLE_SCHEMA = :schema
            UNION ALL SELECT CONCAT(LOWER(ROUTINE_TYPE), ' ', ROUTINE_NAME) FROM information_schema.ROUTINES
            WHERE ROUTINE_SCHEMA = :schema
            UNION ALL SELECT CONCAT('event ', EVENT_NAME) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = :schema
            LIMIT 20"""
        return [row[0] for row in self.bounded_read(sql, schema=schema)]

    def dependents_of_key(self, stands: Table, constraint: Constraint) -> list[str]:
        # Here a foreign key stands on any index.
        keys = ("unique", "primary key", "index")
        return self.referring_to(stands, constraint.name, constraint.columns) if constraint.kind in keys else []

    # Wanting ----------------------------------------------------------------------------------------------------

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

    def _computed(self, computed: sa.Computed) -> str:
        return spelling.computed(self.part_text(computed.sqltext), "STORED" if computed.persisted else "VIRTUAL")

    def wanted_index(self, index: sa.Index) -> Index:
        table = index.table
        if table is None:
            raise RuntimeError("an index without a table")
        words = showcreate.atoms(plain(self.index_sql(Name(table.name), index)))
        kind = words[1].lower() if words[1].upper() != "INDEX" else "key"
        place = words.index("ON", 3)
        elements = tuple(" ".join(entry) for entry in showcreate.entries(words[place + 2]))
        item = Item(str(index.name), kind, elements, tuple(words[place + 3 :]), " ".join(words))
        return index_of(item, table.name)

    def element_texts(self, index: sa.Index) -> list[str]:
        """Render the elements of an index; of a column with a prefix, that prefix."""
        return [_prefix(one) for one in self.wanted_index(index).columns]

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

    def same_named(self, stands: Table, wanted: Constraint) -> Constraint | None:
        """Return the constraint in the place of a wanted one: keys have their names apart from other constraints."""
        if wanted.kind == "primary key":
            # The server's own key, which nobody asked for, gives way to the author's.
            return None if has_generated_key(stands) else super().same_named(stands, wanted)
        unique = wanted.kind == "unique"
        named = (one for one in stands.constraints.values() if one.name.casefold() == wanted.name.casefold())
        return next((one for one in named if (one.kind == "unique") == unique), None)

    def constraint_named(self, stands: Table, name: str, kind: str | None) -> Constraint | None:
        wanted = KINDS.get(kind or "", kind)
        table = stands.name.name
        is_key = name.casefold() in {
            one.casefold() for one in ("PRIMARY", f"pk_{table}", f"{table}_pk", f"{table}_pkey")
        }
        named = [one for one in stands.constraints.values() if one.name.casefold() == name.casefold()]
        if wanted == "primary key" or (wanted is None and not named and is_key):
            # The server keeps no name of a primary key: these are the ones that conventions give.
            return next((one for one in stands.constraints.values() if one.kind == "primary key"), None)
        return next((one for one in named if wanted in (None, one.kind)), None)

    # Asking -----------------------------------------------------------------------------------------------------

    def ask(self, table: Table, wanted: sa.Column[Any] | sa.Index | sa.Constraint) -> Any:
        """Have the server spell it on an empty temporary copy; a column is first compared without asking."""
        if isinstance(wanted, sa.Column):
            return self._asked_column(table, wanted)
        if isinstance(wanted, sa.CheckConstraint):
            copy = self._probe(table, f"ADD CONSTRAINT {PROBE} CHECK ({self.part_text(wanted.sqltext)})")
            return copy.constraints.get(PROBE) if copy else None
        if isinstance(wanted, sa.Index):
            spec = plain(self.index_sql(table.name, wanted))
            head, _, rest = spec.partition(f"INDEX {self.quoted(str(wanted.name))} ON {self.quoted_table(table.name)} ")
            copy = self._probe(table, f"ADD {head.removeprefix('CREATE ')}INDEX {PROBE} {rest}")
            return copy.indexes.get(PROBE) if copy else None
        return None

    def _asked_column(self, table: Table, column: sa.Column[Any]) -> Column | None:
        wanted, there = self.wanted_column(column), table.columns[str(column.name)]
        # Without a collation of its own a column may have any: the table's, or one that was given later.
        wanted = replace(wanted, collation=wanted.collation or there.collation)
        if spelling.same_value(there.default, wanted.default):
            wanted = replace(wanted, default=there.default)
        if not differences(there, wanted, frozenset({"comment"})):
            return wanted
        spec = self.column_spec(column).removeprefix(self.quoted(str(column.name)))
        copy = self._probe(table, f"ADD COLUMN {PROBE} {spec}")
        if copy is None and (default := self.expression_default(column)):
            # The binary log refuses ADD COLUMN with a default such as uuid().
            bare = spec.removesuffix(f" DEFAULT {default}")
            copy = self._probe(table, f"ADD COLUMN {PROBE} {bare}", f"ALTER COLUMN {PROBE} SET DEFAULT {default}")
        asked = copy.columns.get(PROBE) if copy else None
        if asked is None:
            return wanted
        collation = asked.collation if self.wanted_column(column).collation else there.collation
        return replace(asked, name=there.name, collation=collation, identity=wanted.identity)

    def _probe(self, table: Table, *actions: str) -> Table | None:
        """Change an empty temporary copy of the table, and look at it."""
        quoted = self.quoted_table(Name(PROBE, table.name.schema))
        with self.bounded(), self.trying_out():
            try:
                self.copy_empty(self.quoted_table(table.name), quoted)
                for action in actions:
                    self.run(f"ALTER TABLE {quoted} {action}")
                return table_of(self.read(f"SHOW CREATE TABLE {quoted}")[0][1], table.name)
            except DBAPIError as error:
                if self.is_lock_failure(error):
                    raise
                return None
            finally:
                if not self.connection.invalidated:
                    self.run(f"DROP TEMPORARY TABLE IF EXISTS {quoted}")

    # Judging ----------------------------------------------------------------------------------------------------

    def check_support(self, constraint: sa.Constraint, validate: bool) -> None:
        super().check_support(constraint, validate)
        later = constraint.deferrable or (constraint.initially or "").upper() == "DEFERRED"
        if later:
            raise self.unsupported("A deferrable constraint", "PostgreSQL: here each statement is checked at once")
        if isinstance(constraint, sa.ForeignKeyConstraint):
            if (constraint.match or "").upper() not in ("", "SIMPLE"):
                raise self.unsupported(f"MATCH {constraint.match}", "PostgreSQL: InnoDB ignores it")
            if "SET DEFAULT" in {(one or "").upper() for one in (constraint.ondelete, constraint.onupdate)}:
                raise self.unsupported("SET DEFAULT of a foreign key", "PostgreSQL: InnoDB does not carry it out")

    def name_flaw(self, name: str) -> str | None:
        # https://mariadb.com/kb/en/identifier-names/
        if max(map(ord, name)) > 0xFFFF:
            return "letters beyond U+FFFF, such as emoji, cannot stand in a name"
        return "a name cannot end with a space" if name.endswith(" ") else None

    def check_column_support(self, column: sa.Column[Any]) -> None:
        if column.identity is not None and not column.primary_key:
            raise self.unsupported("An identity column outside the primary key", "a server with identity columns")

    def check_index_support(self, index: sa.Index) -> None:
        expressions = self.expressions_of(index)
        if expressions and not self.has_expression_indexes:
            raise self.unsupported(
                f"An index on the expression {expressions[0]}",
                "PostgreSQL, MySQL 8.0.13 or SQLite",
                "Index a generated column instead:",
                f'sa.Column("...", sa.String(100), sa.Computed("{expressions[0]}"))',
            )

    def default_is_constant(self, column: sa.Column[Any]) -> bool:
        if column.computed is not None:
            return not column.computed.persisted
        words = spelling.default(self.default_text(column)) or ""
        if self.expression_default(column):
            return False
        return not re.search(r"\w\s*\(", re.sub(r"'(?:[^'\\]|''|\\.)*'|current_timestamp(\(\d\))?", "", words))

    def column_refusal(self, column: sa.Column[Any], stands: Table) -> str | None:
        if column.computed is not None and column.computed.persisted:
            return f"{self.product} computes it for every row, and copies the table for that"
        if self.default_is_constant(column):
            return None
        if (expression := self.expression_default(column)) and defaults.is_constant(expression):
            return f"{self.product} copies the table for a default that is an expression, DEFAULT {expression}"
        return f"its values differ from row to row; {self.product} copies the table, or gives every row the same one"


class MariaDB(MySQL):
    """MariaDB 10.11 and later."""

    product = "MariaDB"
    catalogue = "INNODB_SYS_"
    dump_programs = ("mariadb-dump", "mysqldump")
    grows_from = 128
    grow_in_keys = ("enum(", "set(")
    guards_natively = True
    copies_for_expressions = False
    explaining = "EXPLAIN EXTENDED"
    runs_blocks = True
    requires_values_before_triggers = True
    renames_what_is_used = True
    copies_beside_stored = True
    enforces_checks_later = False
    spells_defaults_by_type = False
    counts_errors_in_handlers = True
    without_copy = ", ALGORITHM=NOCOPY"
    isolation = "tx_isolation"
    recordsets_since = (10, 6)

    def role_text(self, role: str) -> str:
        return self.quoted(role)

    # https://mariadb.com/kb/en/sql_mode/#simultaneous_assignment
    batch_modes = ("SIMULTANEOUS_ASSIGNMENT",)
    assigns_at_once = True
    has_expression_indexes = False
    statement_bound = "max_statement_time"

    def copies_for_comment(self, stands: Table, column: str) -> bool:
        return "STORED" in (definition_of(stands, column).get("GENERATED") or "")

    def row_versions(self, table: Name) -> tuple[int, int]:
        # It counts none: each instant change is noted in the table itself.
        return 0, 1

    def default_clause(self, default: str) -> str:
        # A call stays as it is: in parentheses it would be shown as another default.
        is_call = re.fullmatch(r"\w+(\([^()]*\))?", default)
        return default if is_call or default.startswith("(") else super().default_clause(default)


def _default(text: str | None) -> str | None:
    proper, on_update = spelling.on_update(spelling.default(text))
    return spelling.default(proper, on_update)


def _prefix(element: str) -> str:
    match = re.fullmatch(r"(.*)\((\d+)\)", re.sub(r"\s+(asc|desc)$", "", element, flags=re.I), re.S)
    return f"LEFT({match[1]}, {match[2]})" if match else re.sub(r"\s+(asc|desc)$", "", element, flags=re.I)


def _generated(table: Table, column: str) -> list[str]:
    others = (one for one in table.columns.values() if one.name != column and one.computed)
    return [f"generated column {one.name}: {one.computed}" for one in others if names(one.computed or "", column)]
