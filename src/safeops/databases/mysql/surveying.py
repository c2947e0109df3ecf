"""What is asked of MariaDB and MySQL before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from safeops.databases.mysql.cluster import holder
from safeops.databases.mysql.session import Session, described, lock_name, runner_row
from safeops.databases.steps import Step
from safeops.databases.surveying import NOTHING
from safeops.databases.twins import MARK, Pair, pair_of
from safeops.foreseeing import foreseeing
from safeops.naming import Name

BRIEFLY = "reads and writes, briefly"
LONG = "writes, for as long as it takes"
# Each pattern, what it locks, and what that holds up.
MODES = (
    (r"ALGORITHM=INSTANT", "ALGORITHM=INSTANT", BRIEFLY),
    (r"LOCK=NONE", "ALGORITHM=INPLACE, LOCK=NONE", f"{BRIEFLY} at its start and end"),
    (r"ALGORITHM=(NOCOPY|INPLACE)", "the table, which is not copied", BRIEFLY),
    (r"^(ALTER TABLE|CREATE (UNIQUE |FULLTEXT |SPATIAL )?INDEX)\b", "the table, which is copied", LONG),
    (r"^(DROP|RENAME|CREATE (\S+ )*TRIGGER|LOCK TABLES)\b", "the metadata of the table", BRIEFLY),
    (r"^(UPDATE|INSERT|DELETE)\b", "the rows of a batch", "writes to those rows"),
)
_TARGET = re.compile(r" from (?:`((?:[^`]|``)+)`\.)?`((?:[^`]|``)+)`$")


class Surveying(Session):
    """The questions of ``safeops status`` and ``safeops plan``."""

    refusing_writes = "SET SESSION TRANSACTION READ ONLY"
    accepting_writes = "SET SESSION TRANSACTION READ WRITE"
    explaining: ClassVar[str] = "EXPLAIN FORMAT=TRADITIONAL"
    """What makes the server show its plan as a table that tells which share of the rows a condition leaves."""

    @contextmanager
    def reading_only(self) -> Iterator[None]:
        variable = self._read_only_variable()
        before = self.scalar(f"SELECT @@SESSION.{variable}")
        self.run(self.refusing_writes)
        try:
            yield
        finally:
            if not self.connection.invalidated and not self.connection.closed:
                self.run(self.refusing_writes if before else self.accepting_writes)

    @contextmanager
    def trying_out(self) -> Iterator[None]:
        if foreseeing() is None:
            yield
            return
        self.run(self.accepting_writes)
        try:
            yield
        finally:
            self.run(self.refusing_writes)

    def _read_only_variable(self) -> str:
        found = self.read("SHOW VARIABLES WHERE Variable_name IN ('tx_read_only', 'transaction_read_only')")
        return str(found[0][0])

    def name_of_database(self) -> str:
        return self.current_schema or ""

    def bytes_of_database(self) -> int | None:
        sql = "SELECT SUM(DATA_LENGTH + INDEX_LENGTH) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
        return int(self.scalar(sql) or 0)

    def bytes_of(self, archive: Name) -> int | None:
        return super().bytes_of(Name(archive.name, archive.schema or self.current_schema))

    def runner_seen(self, connection: Connection, key: str) -> str | None:
        if self.is_clustered:
            return holder(connection, key)
        asked = {"key": lock_name(connection, key)}
        session = connection.scalar(sa.text("SELECT IS_USED_LOCK(:key)"), asked)
        if session is None:
            return None
        # Others' sessions are hidden from some users.
        row = runner_row(connection, key)
        return described(row) if row else f"session {session}"

    def open_pairs(self) -> list[Pair]:
        sql = """SELECT ACTION_STATEMENT, EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS
            WHERE EVENT_OBJECT_SCHEMA = DATABASE() AND LOCATE(:mark, ACTION_STATEMENT) > 0 ORDER BY 3, TRIGGER_NAME"""
        found = [pair_of(text, Name(table, schema)) for text, schema, table in self.read(sql, mark=f"{MARK}{{")]
        return list(dict.fromkeys(pair for pair in found if pair is not None))

    def open_renames(self) -> list[tuple[str, Name]]:
        sql = """SELECT TABLE_NAME, TABLE_SCHEMA FROM information_schema.VIEWS
            WHERE TABLE_SCHEMA = DATABASE() AND SECURITY_TYPE = 'INVOKER' ORDER BY 1"""
        return [pair for view, schema in self.read(sql) for pair in self._renamed(Name(view, schema))]

    def _renamed(self, name: Name) -> Iterator[tuple[str, Name]]:
        view = self.table(name)
        target = _TARGET.search(view.sql) if view is not None else None
        if view is None or target is None:
            return
        table = self.table(Name(target[2].replace("``", "`"), name.schema))
        if table is not None and not table.kind.endswith("view") and self.shows(view, table):
            yield name.name, table.name

    def locking_of(self, step: Step) -> tuple[str | None, str]:
        for pattern, mode, blocks in MODES:
            if re.search(pattern, step.sql.strip(), re.IGNORECASE):
                return mode, blocks
        return None, NOTHING

    def explain(self, sql: str) -> None:
        # Of a session that is to read only the server does not plan an UPDATE either.
        with self.trying_out():
            super().explain(sql)

    def planned_rows(self, table: Name, condition: str, columns: Sequence[str], whole: int) -> int | None:
        plan = self.read(f"{self.explaining} SELECT 1 FROM {self.quoted_table(table)} WHERE {condition}")
        found = plan[0]._mapping if plan else {}  # type: ignore[attr-defined]
        if found.get("rows") is None:
            return None
        return int(float(found["rows"]) * float(found.get("filtered") or 100) / 100)
