"""ALTER TABLE on MariaDB and MySQL: the ways that are tried, from the cheapest on."""

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
from safeops.databases.definitions import Index, Table
from safeops.databases.mysql import server, showcreate, spelling
from safeops.databases.steps import Plan, Step
from safeops.errors import DependentObjects, OnlineOnly, UnsafeOperation
from safeops.naming import Code, Name, call, fitting
from safeops.policy import assurance

if TYPE_CHECKING:
    from safeops.databases.mysql import MySQL

GUARD = "/*guard*/ "
"""Stands in a statement where MariaDB takes IF EXISTS or IF NOT EXISTS."""

_LOOKS = {
    "column": ("COLUMNS", "COLUMN_NAME"),
    "index": ("STATISTICS", "INDEX_NAME"),
    "constraint": ("TABLE_CONSTRAINTS", "CONSTRAINT_NAME"),
}


class AlterTable(ddl.DDL):
    """Plans one ALTER TABLE."""

    database: MySQL

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

    def called(self, function: str, *arguments: Any, **keywords: Any) -> str:
        """Write a call for a message; a table stands in it as its author writes it, without the connection's schema."""
        schemas = [
            one.schema for one in arguments if isinstance(one, Name) and one.schema != self.database.current_schema
        ]
        plain_ones = [one.name if isinstance(one, Name) else one for one in arguments]
        return call(function, *plain_ones, **keywords, schema=next(iter(schemas), None))

    def keeps_words(self, table: Table) -> bool:
        """Tell whether a FULLTEXT index that was dropped has left the hidden column that keeps INSTANT from the table."""
        if any(one.kind == "fulltext" for one in showcreate.read(table.sql).items):
            return False
        sql = f"""SELECT 1 FROM information_schema.{self.database.abilities.catalogue}INDEXES i
            JOIN information_schema.{self.database.abilities.catalogue}TABLES t ON t.TABLE_ID = i.TABLE_ID
            WHERE i.NAME = 'FTS_DOC_ID_INDEX' AND t.NAME LIKE :kept"""
        try:
            return bool(self.scalar(sql, kept=kept_as(table.name)))
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            return False  # It takes the right PROCESS.

    def rebuilding(self, table: Table) -> str:
        """Write the call that rebuilds a table online."""
        return call("op.execute", f"ALTER TABLE {self.quoted_table(table.name)} FORCE, ALGORITHM=INPLACE, LOCK=NONE")

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
        free: Table | None = None,
    ) -> Step:
        """Plan an ALTER: INSTANT where that is to be hoped for, else INPLACE without a lock, else refused.

        Args:
            name: The table.
            action: What follows ALTER TABLE and its name.
            does: What is true afterwards.
            also: Further tables that it sizes.
            instant: Whether to try INSTANT first.
            variables: Session variables for the statement.
            free: A table that may be copied if it has no rows: that blocks nobody for long.
        """
        sql = plain(self.alter_sql(name, action))
        ways = [sql + INSTANT, sql + ONLINE] if instant else [sql + ONLINE]
        if free is not None and self._is_empty(free):
            ways.append(sql)
        doubt = DOUBT if sql not in ways and self.is_copied(action) else ""
        first, *others = ways
        made = Step(
            first,
            does,
            (name, *also),
            scans=not instant,
            when_assured=sql,
            alternatives=tuple(others),
            variables=variables,
        )
        return replace(made, lock=server.INSTANT if instant else server.ONLINE, caveat=doubt, may_rewrite=bool(doubt))

    def _is_empty(self, table: Table) -> bool:
        """Tell whether a table has no rows. One that others hold may have some: the step waits for it, and names them."""
        try:
            return not self.database.has_rows(table)
        except DBAPIError as error:
            if not self.database.errors.is_lock_failure(error):
                raise
            return False

    def is_copied(self, action: str) -> bool:
        """Tell whether the server copies the table for it, as far as the text tells."""
        words = [text.lower() for kind, text in sqltext.tokens(action) if kind not in ("string", "quoted")]
        runs = list(zip(words, [*words[1:], ""], [*words[2:], "", ""], strict=False))
        return (
            not COPIED.isdisjoint(words)
            or ("drop", "primary", "key") in runs
            or any(
                one == "default" and (two == "(" or (three == "(" and two not in MOMENTS)) for one, two, three in runs
            )
        )

    def guarded(self, step: Step, offline: str) -> Step:
        return replace(step, offline=offline)


def plain(sql: str) -> str:
    """Return a statement without the mark of its guard."""
    return sql.replace(GUARD, "")


INSTANT = ", ALGORITHM=INSTANT"
ONLINE = ", ALGORITHM=INPLACE, LOCK=NONE"
COPIED = frozenset({"check", "stored", "persistent", "uuid"})
MOMENTS = ("now", "current_timestamp", "localtime")
DOUBT = ", which the server may refuse to do online"
# Without it a value that does not fit becomes another one: NULL turns into 0, a long text is cut.
STRICT = (("sql_mode", "CONCAT_WS(',', NULLIF(@@SESSION.sql_mode, ''), 'STRICT_ALL_TABLES')"),)


def kept_as(name: Name) -> str:
    """Return a pattern for the name that InnoDB keeps a table under: other characters are spelled as those of a file are."""

    def spelled(character: str) -> str:
        if not character.isascii():
            return "%"
        return character if character.isalnum() else "\\_" if character == "_" else f"@{ord(character):04x}"

    return "/".join("".join(map(spelled, part)) for part in (name.schema or "", name.name))


class Indexes(AlterTable):
    """The plans for indexes."""

    def create_index(self, name: Name, index: sa.Index, table: Table | None, *, new: bool = False) -> Plan:
        """Build an index online; of a kind that the servers build under a lock only, on a table without rows.

        Args:
            name: The table.
            index: The index.
            table: The table as it stands.
            new: The step before has created the table.
        """
        named = str(index.name)
        if table is not None and named in table.indexes:
            return
        marked = self.index_sql(name, index)
        sql, under_lock = plain(marked), self._builds_under_lock(index)
        if under_lock and not new:
            self._refuse_lock(name, index, table)
        online = "" if under_lock and new else " ALGORITHM=INPLACE LOCK=NONE"
        offline = self.unless("index", name, named, marked + online)
        does = f"built index {named} on {name}"
        instead = (sql,) if under_lock and table is not None and not self.database.has_rows(table) else ()
        lock = server.COPY if under_lock else server.ONLINE
        yield Step(
            sql + online,
            does,
            (name,),
            scans=True,
            when_assured=sql,
            offline=offline,
            alternatives=instead,
            variables=STRICT,
            lock=lock,
        )

    def _builds_under_lock(self, index: sa.Index) -> bool:
        kind = index.dialect_options[self.database.dialect.name].get("prefix") or ""
        return kind.upper() in ("FULLTEXT", "SPATIAL") or bool(self.expressions_of(index))

    def _refuse_lock(self, name: Name, index: sa.Index, table: Table | None) -> None:
        if table is None:
            why = f"{self.product} blocks writes while it builds it, which is fine only on an empty table."
            raise self.online_only(f"Index {index.name} on {name}", why)
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
        """Yield each element of an index, and the direction behind it."""
        for one in showcreate.entries(self._elements(index)[1]):
            match = re.fullmatch(r"(.*?)(\s+desc|\s+asc)?", " ".join(one), re.I | re.S)
            assert match is not None
            yield match[1], match[2] or ""

    def expressions_of(self, index: sa.Index) -> list[str]:
        """Return the elements of an index that are no columns, without the parentheses around them."""
        elements = (element for element, _ in self._directed(index))
        return [spelling.without_parentheses(one) for one in elements if not spelling.is_plain(one)]

    def _elements(self, index: sa.Index) -> tuple[str, str, str]:
        """Return what stands before, in and after the list of the elements of an index."""
        self.share_options(index)
        rendered = self.database.rendered(CreateIndex(index))
        own = self.quoted_table(Name(index.table.name, index.table.schema))  # type: ignore[union-attr]
        head, _, rest = rendered.partition(f"INDEX {self.quoted(str(index.name))} ON {own} ")
        group = showcreate.atoms(rest)[0]
        return head, group, rest.removeprefix(group)

    def index_sql(self, name: Name, index: sa.Index) -> str:
        """Render CREATE INDEX on a table that may be another than the one that the index was made for."""
        head, group, rest = self._elements(index)
        elements = ", ".join(spelling.index_element(" ".join(one)) for one in showcreate.entries(group))
        return f"{head}INDEX {GUARD}{self.quoted(str(index.name))} ON {self.quoted_table(name)} ({elements}){rest}"

    def drop_index(self, name: Name, index: str, table: Table | None) -> Plan:
        if table is not None:
            self._refuse_needed(table, table.indexes[index])
        action = f"DROP INDEX {GUARD}{self.quoted(index)}"
        there = table.indexes.get(index) if table else None
        # MySQL drops the hidden columns of a unique index on expressions by copying the table.
        copied = there is not None and there.unique and any(one.startswith("(") for one in there.columns)
        step = self.alter(name, action, f"dropped index {index}", free=table if copied else None)
        step = replace(step, constant_time=True)
        yield self.guarded(step, self.if_there("index", name, index, self.alter_sql(name, action) + ONLINE))

    def _refuse_needed(self, table: Table, index: Index) -> None:
        """Say by name which foreign key needs the index; the server speaks of a renamed file."""
        for key in (one for one in table.constraints.values() if one.kind == "foreign key"):
            if covers(index.names, key.columns) and not self.covering(table, key.columns, index.name):
                raise DependentObjects(
                    f"Index {index.name} on {table.name} is needed by foreign key {key.name}.",
                    why=f"{self.product} keeps an index on the columns of each foreign key.",
                    remedy="Drop the key first, or give it another index:",
                    code=self.called("drop_constraint_if_exists", key.name, table.name, type_="foreignkey"),
                )

    def referring_to(self, table: Table, index: str, columns: tuple[str, ...]) -> list[str]:
        """Describe the foreign keys that refer to what an index begins with, and that no other index serves as well."""
        sql = """SELECT CONSTRAINT_NAME, TABLE_SCHEMA, TABLE_NAME, REFERENCED_COLUMN_NAME
            FROM information_schema.KEY_COLUMN_USAGE
            WHERE REFERENCED_TABLE_SCHEMA = :schema AND REFERENCED_TABLE_NAME = :name ORDER BY 1, 2, 3, ORDINAL_POSITION"""
        with self.database.bounded():
            rows = self.read(sql, schema=table.name.schema, name=table.name.name)
        keys = [(key, tuple(row[3] for row in of)) for key, of in groupby(rows, lambda row: tuple(row[:3]))]
        return [
            f"foreign key {key} of {schema}.{other}"
            for (key, schema, other), remote in keys
            if covers(columns, remote) and not self.covering(table, remote, index)
        ]

    def covering(self, table: Table, columns: tuple[str, ...], but: str = "") -> list[str]:
        """Return the indexes that a foreign key on the columns can use, all but one."""
        return [one.name for one in table.indexes.values() if one.name != but and covers(one.names, columns)]

    def is_made_for_key(self, table: Table, index: Index) -> bool:
        """Tell whether an index was made for the foreign key of the same name, and goes with it."""
        keys = [one for one in table.constraints.values() if one.kind == "foreign key"]
        mine = [one for one in keys if one.name == index.name and one.columns == index.names]
        others = [one for one in keys if one not in mine and covers(index.names, one.columns)]
        needed = any(not self.covering(table, one.columns, index.name) for one in others)
        return bool(mine) and not index.unique and not index.options and not needed

    def share_options(self, thing: sa.Table | sa.Index) -> None:
        """Let ``mysql_...`` options count under ``mariadb://``, and the other way round: SQLAlchemy would ignore them."""
        mine = f"{self.database.dialect.name}_"
        other = "mysql_" if mine == "mariadb_" else "mariadb_"
        for option, value in dict(thing.dialect_kwargs).items():
            if option.startswith(other):
                mine_option = mine + option.removeprefix(other)
                if thing.dialect_kwargs.get(mine_option) is None:
                    thing.dialect_kwargs[mine_option] = value


def covers(index: tuple[str, ...], columns: tuple[str, ...]) -> bool:
    """Tell whether an index begins with the columns."""
    return tuple(map(str.casefold, index[: len(columns)])) == tuple(map(str.casefold, columns))
