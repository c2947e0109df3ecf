"""ALTER TABLE on MariaDB and MySQL, by the cheapest way that the server accepts; and the DDL of indexes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex

from safeops.databases import ddl, sqltext
from safeops.databases.definitions import Constraint, Index, Table
from safeops.databases.mysql import server, showcreate, spelling
from safeops.databases.steps import Plan, Step
from safeops.errors import DependentObjects, UnsafeOperation, online_only
from safeops.naming import Code, Name, call, fitting
from safeops.policy import assurance

if TYPE_CHECKING:
    from safeops.databases.mysql import MySQL

GUARD = "/*guard*/ "
"""Marks the place in which MariaDB accepts IF EXISTS or IF NOT EXISTS."""
INSTANT = ", ALGORITHM=INSTANT"
ONLINE = ", ALGORITHM=INPLACE, LOCK=NONE"
# Without it a value that does not fit becomes another one: NULL turns into 0, a long text is cut.
STRICT = (("sql_mode", "CONCAT_WS(',', NULLIF(@@SESSION.sql_mode, ''), 'STRICT_ALL_TABLES')"),)
CAVEAT = ", which the server may refuse to do online"
_COPIED = frozenset({"check", "stored", "persistent", "uuid"})
_MOMENTS = ("now", "current_timestamp", "localtime")
_CATALOGUE = {
    "column": ("COLUMNS", "COLUMN_NAME"),
    "index": ("STATISTICS", "INDEX_NAME"),
    "constraint": ("TABLE_CONSTRAINTS", "CONSTRAINT_NAME"),
}


def plain(sql: str) -> str:
    """Return a statement without the mark of its guard."""
    return sql.replace(GUARD, "")


class AlterTable(ddl.DDL):
    """Plans one ALTER TABLE."""

    database: MySQL

    # For --sql --------------------------------------------------------------------------------------------------

    def if_missing(self, kind: str, name: Name, thing: str, sql: str) -> str:
        """Run the statement if the table does not have the column, index or constraint."""
        return self._guarded("IF NOT EXISTS ", f"{self.count(kind, name, thing)} = 0", sql)

    def if_exists(self, kind: str, name: Name, thing: str, sql: str) -> str:
        """Run the statement if the table has the column, index or constraint."""
        return self._guarded("IF EXISTS ", f"{self.count(kind, name, thing)} > 0", sql)

    def _guarded(self, guard: str, condition: str, sql: str) -> str:
        return sql.replace(GUARD, guard) if self.database.abilities.guards_natively else self.when(condition, sql)

    def when(self, condition: str, sql: str, otherwise: str = "DO 0") -> str:
        """Run the one statement or the other. https://dev.mysql.com/doc/refman/8.0/en/prepare.html"""
        chosen = f"IF({condition}, {self.literal(plain(sql))}, {self.literal(otherwise)})"
        steps = [f"SET @safeops = {chosen}", "PREPARE safeops FROM @safeops", "EXECUTE safeops"]
        return ";\n".join([*steps, "DEALLOCATE PREPARE safeops"])

    def fail_if(self, condition: str, problem: str) -> str:
        """Stop the script if the condition is met: no table has the name that reports why."""
        return self.when(condition, f"SELECT 1 FROM {self.quoted(problem[:64])}")

    def count(self, kind: str, name: Name, thing: str) -> str:
        view, column = _CATALOGUE[kind]
        where = f"{self.of_table(name)} AND {column} = {self.literal(thing)}"
        return f"(SELECT COUNT(*) FROM information_schema.{view} WHERE {where})"

    def of_table(self, name: Name) -> str:
        schema = self.literal(name.schema) if name.schema else "DATABASE()"
        return f"TABLE_SCHEMA = {schema} AND TABLE_NAME = {self.literal(name.name)}"

    # Messages ---------------------------------------------------------------------------------------------------

    def written_call(self, function: str, *arguments: Any, **keywords: Any) -> str:
        """Write a call for a message; its table is written as authors do, without the connection's schema."""
        schemas = [part.schema for part in arguments if isinstance(part, Name)]
        schema = next((schema for schema in schemas if schema != self.database.current_schema), None)
        written = [part.name if isinstance(part, Name) else part for part in arguments]
        return call(function, *written, **keywords, schema=schema)

    def rebuild_call(self, table: Table) -> str:
        """Write the call that rebuilds a table online."""
        return call("op.execute", f"ALTER TABLE {self.quoted_table(table.name)} FORCE, ALGORITHM=INPLACE, LOCK=NONE")

    # Online -----------------------------------------------------------------------------------------------------

    def keeps_fulltext_column(self, table: Table) -> bool:
        """Return whether a FULLTEXT index that was dropped left the hidden column with which the server refuses INSTANT."""
        if any(item.kind == "fulltext" for item in showcreate.read(table.sql).items):
            return False
        views = f"information_schema.{self.database.abilities.catalogue}"
        sql = f"""SELECT 1 FROM {views}INDEXES i JOIN {views}TABLES t ON t.TABLE_ID = i.TABLE_ID
            WHERE i.NAME = 'FTS_DOC_ID_INDEX' AND t.NAME LIKE :pattern"""
        try:
            return bool(self.scalar(sql, pattern=innodb_name_pattern(table.name)))
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            return False  # The account lacks PROCESS.

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
        variables: tuple[tuple[str, str], ...] = (),
        copied_if_empty: Table | None = None,
        offline: str | None = None,
    ) -> Step:
        """Plan an ALTER: INSTANT if the server is expected to accept that, else INPLACE without a lock, else refused.

        Args:
            name: The table.
            action: What follows ALTER TABLE and its name.
            does: What is true afterwards.
            also: Further tables that it locks.
            instant: Whether to try INSTANT first.
            variables: Session variables for the statement.
            copied_if_empty: A table that may be copied if it has no rows: that blocks others briefly.
            offline: The guarded statement for ``--sql``.
        """
        sql = plain(self.alter_sql(name, action))
        ways = [sql + INSTANT, sql + ONLINE] if instant else [sql + ONLINE]
        if copied_if_empty is not None and self._is_empty(copied_if_empty):
            ways.append(sql)
        caveat = CAVEAT if sql not in ways and self.may_copy(action) else ""
        return Step(
            ways[0],
            does,
            (name, *also),
            scans=not instant,
            when_assured=sql,
            alternatives=tuple(ways[1:]),
            variables=variables,
            lock=server.INSTANT if instant else server.ONLINE,
            caveat=caveat,
            may_rewrite=bool(caveat),
            offline=offline,
        )

    def _is_empty(self, table: Table) -> bool:
        """Return whether a table has no rows. One that others lock may have some: the step waits for it, and names them."""
        try:
            return not self.database.has_rows(table)
        except DBAPIError as error:
            if not self.database.errors.is_lock_failure(error):
                raise
            return False

    def may_copy(self, action: str) -> bool:
        """Return whether the server copies the table for it, as far as the definition shows."""
        words = [text.lower() for kind, text in sqltext.tokens(action) if kind not in ("string", "quoted")]
        if not _COPIED.isdisjoint(words):
            return True
        for first, second, third in zip(words, [*words[1:], ""], [*words[2:], "", ""], strict=False):
            if (first, second, third) == ("drop", "primary", "key"):
                return True
            if first == "default" and (second == "(" or (third == "(" and second not in _MOMENTS)):
                return True
        return False


def innodb_name_pattern(name: Name) -> str:
    """Return a pattern of the name by which InnoDB knows a table: other characters are spelled as in the file's name."""

    def spelled(character: str) -> str:
        if not character.isascii():
            return "%"
        return character if character.isalnum() else "\\_" if character == "_" else f"@{ord(character):04x}"

    return "/".join("".join(map(spelled, part)) for part in (name.schema or "", name.name))


class Indexes(AlterTable):
    """The plans for indexes."""

    def create_index(self, name: Name, index: sa.Index, table: Table | None, *, new: bool = False) -> Plan:
        """Build an index online; one of a kind that is only built under a lock, on a table without rows.

        Args:
            name: The table.
            index: The index.
            table: The existing table.
            new: The step before creates the table.
        """
        named = str(index.name)
        if table is not None and named in table.indexes:
            return
        guarded = self.index_sql(name, index)
        sql, under_lock = plain(guarded), self._builds_under_lock(index)
        if under_lock and not new:
            self._refuse_lock(name, index, table)
        online = "" if under_lock and new else " ALGORITHM=INPLACE LOCK=NONE"
        is_empty = table is not None and under_lock and not self.database.has_rows(table)
        yield Step(
            sql + online,
            f"built index {named} on {name}",
            (name,),
            scans=True,
            when_assured=sql,
            offline=self.if_missing("index", name, named, guarded + online),
            alternatives=(sql,) if is_empty else (),
            variables=STRICT,
            lock=server.COPY if under_lock else server.ONLINE,
        )

    def _builds_under_lock(self, index: sa.Index) -> bool:
        kind = index.dialect_options[self.database.dialect.name].get("prefix") or ""
        return kind.upper() in ("FULLTEXT", "SPATIAL") or bool(self.expressions_of(index))

    def _refuse_lock(self, name: Name, index: sa.Index, table: Table | None) -> None:
        if table is None:
            why = f"{self.product} blocks writes while it builds it, which is fine only on an empty table."
            raise online_only(f"Index {index.name} on {name}", why)
        expressions = self.expressions_of(index)
        if not expressions or assurance() is not None or not self.database.has_rows(table):
            return
        raise UnsafeOperation(
            f"Index {index.name} on {name} cannot be built online, because it is on the expression {expressions[0]}.",
            why=f"{self.product} blocks writes while it builds such an index, and {name} has rows.",
            remedy="A virtual column of that expression is added at once, and an index on it is built online; queries that"
            " use the expression use that index too. Give the column the type of the expression, in the models too:",
            code=self._online_instead(name, index),
        )

    def _online_instead(self, name: Name, index: sa.Index) -> str:
        """Write the calls that do the same online: a virtual column for each expression, and an index on all of them."""
        calls: list[str] = []
        elements: list[str] = []
        for element, direction in self._directed(index):
            column = spelling.unquoted(element).strip("`")
            if not spelling.is_plain(element):
                column = fitting(
                    str(index.name), "value", str(len(calls) + 1), max_bytes=self.database.abilities.max_identifier
                )
                computed = f"sa.Computed({spelling.without_parentheses(element)!r}, persisted=False)"
                added = Code(f'sa.Column("{column}", sa.String(100), {computed})')
                calls.append(call("add_column_if_missing", name.name, added, schema=name.schema))
            elements.append(Code(f'sa.text("{column}{direction}")') if direction else column)
        unique = True if index.unique else None
        made = call("create_index_if_missing", str(index.name), name.name, elements, unique=unique, schema=name.schema)
        return "\n".join([*calls, made])

    def _directed(self, index: sa.Index) -> Iterator[tuple[str, str]]:
        """Yield each element of an index, and the direction after it."""
        for words in showcreate.entries(self._parts(index)[1]):
            match = re.fullmatch(r"(.*?)(\s+desc|\s+asc)?", " ".join(words), re.I | re.S)
            assert match is not None
            yield match[1], match[2] or ""

    def expressions_of(self, index: sa.Index) -> list[str]:
        """Return the elements of an index that are expressions, without the parentheses around them."""
        elements = (element for element, _ in self._directed(index))
        return [spelling.without_parentheses(element) for element in elements if not spelling.is_plain(element)]

    def _parts(self, index: sa.Index) -> tuple[str, str, str]:
        """Return CREATE INDEX up to the list of the elements, that list, and what follows it."""
        self.share_options(index)
        rendered = self.database.rendered(CreateIndex(index))
        own = self.quoted_table(Name(index.table.name, index.table.schema))  # type: ignore[union-attr]
        head, _, rest = rendered.partition(f"INDEX {self.quoted(str(index.name))} ON {own} ")
        group = showcreate.atoms(rest)[0]
        return head, group, rest.removeprefix(group)

    def index_sql(self, name: Name, index: sa.Index) -> str:
        """Render CREATE INDEX on a table, which need not be the table of the construct."""
        head, elements, rest = self.index_parts(index)
        on = f"{self.quoted(str(index.name))} ON {self.quoted_table(name)}"
        return f"{head}INDEX {GUARD}{on} ({', '.join(elements)}){rest}"

    def index_parts(self, index: sa.Index) -> tuple[str, tuple[str, ...], str]:
        """Return CREATE INDEX up to the word INDEX, the elements, and what follows them."""
        head, group, rest = self._parts(index)
        return head, tuple(spelling.index_element(" ".join(words)) for words in showcreate.entries(group)), rest

    def drop_index(self, name: Name, index: str, table: Table | None) -> Plan:
        if table is not None:
            self._refuse_needed(table, table.indexes[index])
        action = f"DROP INDEX {GUARD}{self.quoted(index)}"
        existing = table.indexes.get(index) if table else None
        # MySQL drops the hidden columns of a unique index on expressions by copying the table.
        copied = existing is not None and existing.unique and any(part.startswith("(") for part in existing.columns)
        offline = self.if_exists("index", name, index, self.alter_sql(name, action) + ONLINE)
        empty = table if copied else None
        step = self.alter(name, action, f"dropped index {index}", copied_if_empty=empty, offline=offline)
        yield replace(step, constant_time=True)

    def _refuse_needed(self, table: Table, index: Index) -> None:
        """Name the foreign key that needs the index; the server reports a renamed file instead."""
        for key in foreign_keys_in(table):
            if covers(index.names, key.columns) and not self.covering(table, key.columns, index.name):
                raise DependentObjects(
                    f"Index {index.name} on {table.name} is needed by foreign key {key.name}.",
                    why=f"{self.product} keeps an index on the columns of each foreign key.",
                    remedy="Drop the key first, or give it another index:",
                    code=self.written_call("drop_constraint_if_exists", key.name, table.name, type_="foreignkey"),
                )

    def referring_to(self, table: Table, index: str, columns: tuple[str, ...]) -> list[str]:
        """Describe the foreign keys that refer to the first columns of an index and can use no other index."""
        sql = """SELECT CONSTRAINT_NAME, TABLE_SCHEMA, TABLE_NAME, REFERENCED_COLUMN_NAME
            FROM information_schema.KEY_COLUMN_USAGE
            WHERE REFERENCED_TABLE_SCHEMA = :schema AND REFERENCED_TABLE_NAME = :name ORDER BY 1, 2, 3, ORDINAL_POSITION"""
        rows = self.database.bounded_read(sql, schema=table.name.schema, name=table.name.name)
        keys = [(key, tuple(row[3] for row in parts)) for key, parts in groupby(rows, lambda row: tuple(row[:3]))]
        return [
            f"foreign key {key} of {schema}.{other}"
            for (key, schema, other), remote in keys
            if covers(columns, remote) and not self.covering(table, remote, index)
        ]

    def covering(self, table: Table, columns: tuple[str, ...], but: str = "") -> list[str]:
        """Return the indexes that a foreign key on the columns can use, all but one."""
        return [index.name for index in table.indexes.values() if index.name != but and covers(index.names, columns)]

    def is_made_for_key(self, table: Table, index: Index) -> bool:
        """Return whether an index was made for the foreign key of the same name, and is dropped with it."""
        own = [key for key in foreign_keys_in(table) if key.name == index.name and key.columns == index.names]
        others = [key for key in foreign_keys_in(table) if key not in own and covers(index.names, key.columns)]
        needed = any(not self.covering(table, key.columns, index.name) for key in others)
        return bool(own) and not index.unique and not index.options and not needed

    def share_options(self, thing: sa.Table | sa.Index) -> None:
        """Let ``mysql_...`` options count under ``mariadb://``, and the other way round: SQLAlchemy would ignore them."""
        own = f"{self.database.dialect.name}_"
        other = "mysql_" if own == "mariadb_" else "mariadb_"
        for option, value in dict(thing.dialect_kwargs).items():
            own_option = own + option.removeprefix(other)
            if option.startswith(other) and thing.dialect_kwargs.get(own_option) is None:
                thing.dialect_kwargs[own_option] = value


def foreign_keys_in(table: Table) -> list[Constraint]:
    return [key for key in table.constraints.values() if key.kind == "foreign key"]


def covers(index: tuple[str, ...], columns: tuple[str, ...]) -> bool:
    """Return whether an index begins with the columns."""
    return tuple(map(str.casefold, index[: len(columns)])) == tuple(map(str.casefold, columns))
