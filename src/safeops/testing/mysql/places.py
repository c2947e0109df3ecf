"""Databases on MariaDB and MySQL, which have no templates: a clone is made from the results of SHOW CREATE."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError

from safeops.runner.temporary_database import TemporaryDatabases
from safeops.testing import places

TABLES = (
    "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = {name} ORDER BY TABLE_TYPE, 1"
)
COLUMNS = """SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {name} AND TABLE_NAME = {table}
  AND COALESCE(GENERATION_EXPRESSION, '') = '' ORDER BY ORDINAL_POSITION"""
TRIGGERS = """SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {name}
  ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER"""
ROUTINES = (
    "SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {name} ORDER BY 1, 2"
)
EVENTS = "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {name}"
SESSIONS = "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = {name} AND ID <> CONNECTION_ID()"
COUNTED = """SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()
  AND EXTRA LIKE '%auto_increment%'"""
DEFINER = re.compile(
    r"\sDEFINER\s*=\s*(?:`(?:[^`]|``)*`|'[^']*'|\S+?)@(?:`(?:[^`]|``)*`|'[^']*'|\S+)(?=\s)", re.IGNORECASE
)
SECONDS = 10.0


class Databases(places.Databases):
    """By SHOW CREATE of each object, and INSERT ... SELECT."""

    drivers = ("pymysql", "mysqldb", "mysqlconnector")

    def create(self, name: str) -> str:
        return TemporaryDatabases.of(self.database).create(name)

    def clone(self, source: str, name: str) -> str:
        home = self.scalar("SELECT DATABASE()")
        charset, collation = self.read(
            "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA"
            f" WHERE SCHEMA_NAME = {self.literal(source)}"
        )[0]
        self.run(f"CREATE DATABASE {self.quoted(name)} CHARACTER SET {charset} COLLATE {collation}")
        self.run(f"USE {self.quoted(name)}")
        self.run("SET SESSION foreign_key_checks = 0")
        mode = self.scalar("SELECT @@sql_mode")
        # A zero in a column that counts itself is kept, and a strict mode refuses no row that is there.
        self.run("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'")
        try:
            for statement in self._copied(source):
                self.run(statement)
        finally:
            self.run("SET SESSION foreign_key_checks = 1")
            self.run(f"SET SESSION sql_mode = {self.literal(str(mode))}")
            self.run(f"USE {self.quoted(str(home))}")
        return name

    def drop(self, database: str) -> None:
        # A session in a transaction would make it wait.
        self.end_sessions(database)
        TemporaryDatabases.of(self.database).drop(database)

    def end_sessions(self, database: str) -> None:
        deadline = time.monotonic() + SECONDS
        while found := self.read(SESSIONS.format(name=self.literal(database))):
            for row in found:
                self._kill(int(row[0]))
            if time.monotonic() > deadline:
                return
            time.sleep(0.005)

    def take_numbers(self) -> None:
        for table, column in self.read(COUNTED):
            highest = self.scalar(f"SELECT COALESCE(MAX({self.quoted(column)}), 0) FROM {self.quoted(table)}")
            self.run(f"ALTER TABLE {self.quoted(table)} AUTO_INCREMENT = {int(highest) + 1 + places.TAKEN}")

    def _kill(self, session: int) -> None:
        try:
            self.run(f"KILL CONNECTION {session}")
        except DBAPIError:
            # It has ended.
            return

    def _copied(self, source: str) -> Iterator[str]:
        """Yield what makes this database like another one: tables, rows, and what the rows must not fire afterwards."""
        known = {"name": self.literal(source)}
        tables = self.read(TABLES.format(**known))
        for name, kind in tables:
            if kind in ("BASE TABLE", "SYSTEM VERSIONED", "SEQUENCE"):
                what = "SEQUENCE" if kind == "SEQUENCE" else "TABLE"
                yield self._definition(what, source, name, 1)
        for name, kind in tables:
            if kind in ("BASE TABLE", "SYSTEM VERSIONED"):
                yield self._rows(source, name)
        for kind, name in self.read(ROUTINES.format(**known)):
            yield self._definition(kind, source, name, 2)
        for name, kind in tables:
            if kind == "VIEW":
                yield self._definition("VIEW", source, name, 1)
        for (name,) in self.read(TRIGGERS.format(**known)):
            yield self._definition("TRIGGER", source, name, 2)
        for (name,) in self.read(EVENTS.format(**known)):
            yield self._definition("EVENT", source, name, 3)

    def _definition(self, kind: str, source: str, name: str, place: int) -> str:
        text = str(self.read(f"SHOW CREATE {kind} {self.quoted(source)}.{self.quoted(name)}")[0][place])
        # Views name their tables with the database.
        return DEFINER.sub("", text).replace(f"`{source}`.", "")

    def _rows(self, source: str, name: str) -> str:
        columns = self.read(COLUMNS.format(name=self.literal(source), table=self.literal(name)))
        listed = ", ".join(self.quoted(row[0]) for row in columns)
        there = f"{self.quoted(source)}.{self.quoted(name)}"
        return f"INSERT INTO {self.quoted(name)} ({listed}) SELECT {listed} FROM {there}"
