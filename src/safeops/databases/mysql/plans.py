"""The plans of MariaDB and MySQL for tables, columns and indexes. Each statement commits by itself.

Every ALTER names its algorithm and lock, so that the server refuses rather than blocks:
https://mariadb.com/kb/en/innodb-online-ddl-overview/, https://dev.mysql.com/doc/refman/8.0/en/innodb-online-ddl-operations.html
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from safeops.databases.base import Plan
from safeops.databases.definitions import Constraint, Index, Table
from safeops.databases.mysql import spelling
from safeops.databases.mysql.catalogue import definition_of
from safeops.databases.mysql.guards import GUARD, Guards, plain
from safeops.databases.steps import Step
from safeops.errors import DependentObjects
from safeops.naming import Name, call

_KNOWN_TO_ALEMBIC = frozenset(
    ("type", "CHARACTER SET", "COLLATE", "NULL", "DEFAULT", "ON UPDATE", "AUTO_INCREMENT", "COMMENT")
)
INSTANT = ", ALGORITHM=INSTANT"
ONLINE = ", ALGORITHM=INPLACE, LOCK=NONE"
# Without it a value that does not fit becomes another one: NULL turns into 0, a long text is cut.
STRICT = (("sql_mode", "CONCAT_WS(',', NULLIF(@@SESSION.sql_mode, ''), 'STRICT_ALL_TABLES')"),)


class Plans(Guards):
    """The plans for tables, columns and indexes."""

    # Tables -----------------------------------------------------------------------------------------------------

    def create_table(self, table: sa.Table) -> Plan:
        name = Name(table.name, table.schema)
        self.share_options(table)
        _name_checks_at_table(table)
        for constraint in table.constraints:
            self.check_support(constraint, True)
        referents = {Name(key.column.table.name, key.column.table.schema) for key in table.foreign_keys}
        made = self.rendered(CreateTable(table, if_not_exists=True))
        yield Step(made, f"created table {name}", (name, *referents - {name}))
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            yield from self.create_index(name, index, None)

    def drop_table(self, name: Name, stands: Table | None) -> Plan:
        referents = {one.referent for one in stands.constraints.values() if one.referent} if stands else set()
        yield Step(f"DROP TABLE IF EXISTS {self.quoted_table(name)}", f"dropped table {name}", (name, *referents))

    # Columns ----------------------------------------------------------------------------------------------------

    def add_column(self, name: Name, column: sa.Column[Any], stands: Table | None) -> Plan:
        action = f"ADD COLUMN {GUARD}{self.column_spec(column)}"
        step = self.alter(name, action, f"added column {name}.{column.name}", instant=True, free=stands)
        yield self.guarded(step, self.unless("column", name, str(column.name), self.alter_sql(name, action) + INSTANT))

    def drop_column(self, name: Name, column: str, stands: Table | None) -> Plan:
        """Drop what is the column's own first: the server would refuse, or keep a part of it."""
        for one in list(stands.having(column)) if stands else ():
            if isinstance(one, Constraint) and one.kind in ("foreign key", "check"):
                yield from self.drop_constraint(name, one.name, one.kind, stands)
        for one in list(stands.having(column)) if stands else ():
            # With its key went the index that was made for it.
            if isinstance(one, Index) and not one.of_constraint and not (stands and self.is_made_for_key(stands, one)):
                yield from self.drop_index(name, one.name, None)
        action = f"DROP COLUMN {GUARD}{self.quoted(column)}"
        step = self.alter(name, action, f"dropped column {name}.{column}", instant=True)
        yield self.guarded(step, self.if_there("column", name, column, self.alter_sql(name, action) + ONLINE))

    def set_default(self, name: Name, column: str, default: str | None, stands: Table | None) -> Plan:
        done = "removed the default of" if default is None else f"set the default {default} of"
        does = f"{done} {name}.{column}"
        if stands is None:
            yield self.guarded(Step("", does, (name,)), self._default_offline(name, column, default))
            return
        found = definition_of(stands, column)
        if found.get("ON UPDATE") or (default and re.search(r"\bON\s+UPDATE\b", default, re.I)):
            proper, on_update = spelling.on_update(spelling.default(default))
            changed = found.with_(DEFAULT=proper or ("NULL" if found.nullable else None), ON_UPDATE=on_update)
            yield self.modify(name, column, str(changed), does)
            return
        # Without a default a column refuses rows that omit it, even one that takes NULL.
        action = (
            f"SET DEFAULT {self.default_clause(default or 'NULL')}" if default or found.nullable else "DROP DEFAULT"
        )
        yield self.alter(name, f"ALTER COLUMN {self.quoted(column)} {action}", does, instant=True)

    def default_clause(self, default: str) -> str:
        """Spell a default for SET DEFAULT."""
        return default

    def _default_offline(self, name: Name, column: str, default: str | None) -> str:
        head = f"ALTER TABLE {self.quoted_table(name)} ALTER COLUMN {self.quoted(column)}"
        if default is None:
            takes_null = self.column_where(name, column, "IS_NULLABLE = 'YES'")
            refuses_it = self.column_where(name, column, "IS_NULLABLE = 'NO'")
            nullable = self.when(takes_null, f"{head} SET DEFAULT NULL{INSTANT}")
            return f"{nullable};\n{self.when(refuses_it, f'{head} DROP DEFAULT{INSTANT}')}"
        if re.search(r"\bON\s+UPDATE\b", default, re.I):
            raise self.online_only(f"ON UPDATE of {name}.{column}", "It stands in the definition of the column alone.")
        stands = self.column_where(name, column, "TRUE")
        return self.when(stands, f"{head} SET DEFAULT {self.default_clause(default)}{INSTANT}")

    def column_where(self, name: Name, column: str, condition: str) -> str:
        where = f"{self.of_table(name)} AND COLUMN_NAME = {self.literal(column)} AND {condition}"
        return f"EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE {where})"

    def alter_type(self, name: Name, column: sa.Column[Any], stands: Table | None) -> Plan:
        spelled = self.type_text(column.type)
        table = self._looked_at(stands, f"The type of {name}.{column.name}")
        bare, charset, collation = spelling.split_type(spelled)
        found = definition_of(table, str(column.name))
        if charset is None and collation is None and _is_text(bare):
            charset, collation = found.get("CHARACTER SET"), found.get("COLLATE")
        check = None if table.columns[str(column.name)].type == "json" else found.get("CHECK")
        changed = found.with_(type=bare, CHARACTER_SET=charset, COLLATE=collation, CHECK=check)
        yield self.modify(
            name, str(column.name), str(changed), f"changed {name}.{column.name} to {spelled}", instant=True
        )

    def set_not_null(self, name: Name, column: str, stands: Table | None) -> Plan:
        table = self._looked_at(stands, f"NOT NULL of {name}.{column}")
        if not table.columns[column].nullable:
            return
        found = definition_of(table, column)
        default = None if (found.get("DEFAULT") or "").upper() == "NULL" else found.get("DEFAULT")
        changed = found.with_(NULL="NOT NULL", DEFAULT=default)
        yield self.modify(name, column, str(changed), f"made {name}.{column} NOT NULL")

    def drop_not_null(self, name: Name, column: str, stands: Table | None) -> Plan:
        changed = definition_of(self._looked_at(stands, f"NULL of {name}.{column}"), column).with_(NULL="NULL")
        yield self.modify(name, column, str(changed), f"{name}.{column} takes NULL again", instant=True)

    def modify(self, name: Name, column: str, definition: str, does: str, instant: bool = False) -> Step:
        """Change a column; its whole definition is repeated, for what is left out would be lost."""
        return self.alter(name, f"MODIFY {self.quoted(column)} {definition}", does, instant=instant, under=STRICT)

    def comment_sql(self, name: Name, column: str, comment: str | None, stands: Table) -> str | None:
        """Repeat the whole definition where it has more than ``op.alter_column`` knows: that would be lost."""
        found = definition_of(stands, column)
        if not set(found.clauses) - _KNOWN_TO_ALEMBIC:
            return None
        changed = found.with_(COMMENT=self.literal(comment) if comment else None)
        if stands.columns[column].type == "json":
            # Spelled out, the alias is another type to the server, which would copy the table.
            changed = changed.with_(type="json", CHARACTER_SET=None, COLLATE=None, CHECK=None)
        sql = self.alter_sql(name, f"MODIFY {self.quoted(column)} {changed}")
        # No server changes the definition of a generated column in a moment.
        return sql if found.get("GENERATED") else sql + INSTANT

    def _looked_at(self, stands: Table | None, deed: str) -> Table:
        if stands is None:
            why = f"{self.product} wants the whole definition of the column again, which only the live table has."
            raise self.online_only(deed, why)
        return stands

    # Indexes ----------------------------------------------------------------------------------------------------

    def create_index(self, name: Name, index: sa.Index, stands: Table | None) -> Plan:
        named = str(index.name)
        if stands is not None and named in stands.indexes:
            return
        marked = self.index_sql(name, index)
        online = " ALGORITHM=INPLACE LOCK=NONE"
        sql = plain(marked)
        offline = self.unless("index", name, named, marked + online)
        does = f"built index {named} on {name}"
        yield Step(sql + online, does, (name,), scans=True, anyway=sql, offline=offline, under=STRICT)

    def index_sql(self, name: Name, index: sa.Index) -> str:
        """Render CREATE INDEX on a table that may be another than the one that the index was made for."""
        self.share_options(index)
        rendered = self.rendered(CreateIndex(index))
        own = self.quoted_table(Name(index.table.name, index.table.schema))  # type: ignore[union-attr]
        quoted = self.quoted(str(index.name))
        head, _, rest = rendered.partition(f"INDEX {quoted} ON {own} ")
        return f"{head}INDEX {GUARD}{quoted} ON {self.quoted_table(name)} {rest}"

    def drop_index(self, name: Name, index: str, stands: Table | None) -> Plan:
        if stands is not None:
            self._refuse_needed(stands, stands.indexes[index])
        action = f"DROP INDEX {GUARD}{self.quoted(index)}"
        step = self.alter(name, action, f"dropped index {index}")
        yield self.guarded(step, self.if_there("index", name, index, self.alter_sql(name, action) + ONLINE))

    def _refuse_needed(self, stands: Table, index: Index) -> None:
        """Say by name which foreign key needs the index; the server speaks of a renamed file."""
        for key in (one for one in stands.constraints.values() if one.kind == "foreign key"):
            if covers(index.names, key.columns) and not self.covering(stands, key.columns, index.name):
                raise DependentObjects(
                    f"Index {index.name} on {stands.name} is needed by foreign key {key.name}.",
                    why=f"{self.product} keeps an index on the columns of each foreign key.",
                    remedy="Drop the key first, or give it another index:",
                    code=call("drop_constraint_if_exists", key.name, stands.name.name, type_="foreignkey"),
                )

    def referring_to(self, stands: Table, index: str, columns: tuple[str, ...]) -> list[str]:
        """Describe the foreign keys that refer to what an index begins with, and that no other index serves as well."""
        sql = """SELECT CONSTRAINT_NAME, TABLE_SCHEMA, TABLE_NAME, REFERENCED_COLUMN_NAME
            FROM information_schema.KEY_COLUMN_USAGE
            WHERE REFERENCED_TABLE_SCHEMA = :schema AND REFERENCED_TABLE_NAME = :name ORDER BY 1, 2, 3, ORDINAL_POSITION"""
        with self.bounded():
            rows = self.read(sql, schema=stands.name.schema, name=stands.name.name)
        keys = [(key, tuple(row[3] for row in of)) for key, of in groupby(rows, lambda row: tuple(row[:3]))]
        return [
            f"foreign key {key} of {schema}.{other}"
            for (key, schema, other), remote in keys
            if covers(columns, remote) and not self.covering(stands, remote, index)
        ]

    def covering(self, stands: Table, columns: tuple[str, ...], but: str = "") -> list[str]:
        """Return the indexes that a foreign key on the columns can use, all but one."""
        return [one.name for one in stands.indexes.values() if one.name != but and covers(one.names, columns)]

    def is_made_for_key(self, stands: Table, index: Index) -> bool:
        """Tell whether an index was made for the foreign key of the same name, and goes with it."""
        keys = [one for one in stands.constraints.values() if one.kind == "foreign key"]
        mine = [one for one in keys if one.name == index.name and one.columns == index.names]
        others = [one for one in keys if one not in mine and covers(index.names, one.columns)]
        needed = any(not self.covering(stands, one.columns, index.name) for one in others)
        return bool(mine) and not index.unique and not index.options and not needed

    def share_options(self, thing: sa.Table | sa.Index) -> None:
        """Let ``mysql_...`` options count under ``mariadb://``, and the other way round: SQLAlchemy would ignore them."""
        mine = f"{self.dialect.name}_"
        other = "mysql_" if mine == "mariadb_" else "mariadb_"
        for option, value in dict(thing.dialect_kwargs).items():
            if option.startswith(other):
                mine_option = mine + option.removeprefix(other)
                if thing.dialect_kwargs.get(mine_option) is None:
                    thing.dialect_kwargs[mine_option] = value

    # Details ----------------------------------------------------------------------------------------------------

    def alter_sql(self, name: Name, action: str) -> str:
        return f"ALTER TABLE {self.quoted_table(name)} {action}"

    def alter(
        self,
        name: Name,
        action: str,
        does: str,
        *,
        also: tuple[Name, ...] = (),
        instant: bool = False,
        under: tuple[tuple[str, str], ...] = (),
        free: Table | None = None,
    ) -> Step:
        """Plan an ALTER: INSTANT where that is to be hoped for, else INPLACE without a lock, else refused.

        Args:
            name: The table.
            action: What follows ALTER TABLE and its name.
            does: What is true afterwards.
            also: Further tables that it locks.
            instant: Whether to try INSTANT first.
            under: Session variables for the statement.
            free: A table that may be copied if it has no rows: that blocks nobody for long.
        """
        sql = plain(self.alter_sql(name, action))
        ways = [sql + INSTANT, sql + ONLINE] if instant else [sql + ONLINE]
        if free is not None and self.is_copied(action) and not self.has_rows(free):
            ways.append(sql)
        first, *others = ways
        return Step(first, does, (name, *also), scans=not instant, anyway=sql, instead=tuple(others), under=under)

    def is_copied(self, action: str) -> bool:
        """Tell whether the server copies the table for it, as far as the text tells."""
        return bool(re.search(r"\b(CHECK|STORED|PERSISTENT|DROP PRIMARY KEY|uuid)\b|DEFAULT \(?\w+\(", action, re.I))

    def doubt(self, step: Step) -> str:
        refuses = step.anyway and step.anyway not in step.instead and self.is_copied(step.sql)
        return ", which the server may refuse to do online" if refuses else ""

    def guarded(self, step: Step, offline: str) -> Step:
        return replace(step, offline=offline)


def covers(index: tuple[str, ...], columns: tuple[str, ...]) -> bool:
    """Tell whether an index begins with the columns."""
    return tuple(map(str.casefold, index[: len(columns)])) == tuple(map(str.casefold, columns))


def _is_text(type_: str) -> bool:
    return bool(re.match(r"(national |n)?(var)?char|(tiny|medium|long)?text|enum|set", type_, re.I))


def _name_checks_at_table(table: sa.Table) -> None:
    """Take named checks out of their columns: the servers take a name at the table alone."""
    for column in table.columns:
        for check in [*column.constraints]:
            if isinstance(check, sa.CheckConstraint) and isinstance(check.name, str):
                column.constraints.discard(check)
                table.constraints.discard(check)
                table.append_constraint(sa.CheckConstraint(check.sqltext, name=check.name))
