"""ALTER TABLE on MariaDB and MySQL: the ways that are tried, from the cheapest on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy.exc import DBAPIError

from safeops.databases import ddl, sqltext
from safeops.databases.definitions import Table
from safeops.databases.mysql import showcreate, sizes
from safeops.databases.steps import Step
from safeops.errors import OnlineOnly
from safeops.naming import Name, call

GUARD = "/*guard*/ "
"""Stands in a statement where MariaDB takes IF EXISTS or IF NOT EXISTS."""

_LOOKS = {
    "column": ("COLUMNS", "COLUMN_NAME"),
    "index": ("STATISTICS", "INDEX_NAME"),
    "constraint": ("TABLE_CONSTRAINTS", "CONSTRAINT_NAME"),
}


class Altering(ddl.DDL):
    """Plans one ALTER TABLE."""

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

    def keeps_words(self, stands: Table) -> bool:
        """Tell whether a FULLTEXT index that was dropped has left the hidden column that keeps INSTANT from the table."""
        if any(one.kind == "fulltext" for one in showcreate.read(stands.sql).items):
            return False
        sql = f"""SELECT 1 FROM information_schema.{self.database.abilities.catalogue}INDEXES i
            JOIN information_schema.{self.database.abilities.catalogue}TABLES t ON t.TABLE_ID = i.TABLE_ID
            WHERE i.NAME = 'FTS_DOC_ID_INDEX' AND t.NAME LIKE :kept"""
        try:
            return bool(self.scalar(sql, kept=kept_as(stands.name)))
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            return False  # It takes the right PROCESS.

    def rebuilding(self, stands: Table) -> str:
        """Write the call that rebuilds a table online."""
        return call("op.execute", f"ALTER TABLE {self.quoted_table(stands.name)} FORCE, ALGORITHM=INPLACE, LOCK=NONE")

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
            also: Further tables that it sizes.
            instant: Whether to try INSTANT first.
            under: Session variables for the statement.
            free: A table that may be copied if it has no rows: that blocks nobody for long.
        """
        sql = plain(self.alter_sql(name, action))
        ways = [sql + INSTANT, sql + ONLINE] if instant else [sql + ONLINE]
        if free is not None and self._is_empty(free):
            ways.append(sql)
        doubt = DOUBT if sql not in ways and self.is_copied(action) else ""
        first, *others = ways
        made = Step(first, does, (name, *also), scans=not instant, anyway=sql, instead=tuple(others), under=under)
        return replace(made, lock=sizes.INSTANT if instant else sizes.ONLINE, doubt=doubt, may_rewrite=bool(doubt))

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
