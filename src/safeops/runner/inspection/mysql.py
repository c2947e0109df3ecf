"""What is asked of MariaDB and MySQL before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from safeops.databases.mysql.cluster import holder
from safeops.databases.mysql.session import described, lock_name, runner_row
from safeops.databases.pairs import MARK, Pair, pair_of
from safeops.naming import Name
from safeops.runner.inspection import port
from safeops.table_rename.port import TableRenames

_TARGET = re.compile(r" from (?:`((?:[^`]|``)+)`\.)?`((?:[^`]|``)+)`$")


class Inspection(port.Inspection):
    """The questions of ``safeops status`` and ``safeops plan``."""

    def name_of_database(self) -> str:
        return self.database.current_schema or ""

    def runner_seen(self, connection: Connection, key: str) -> str | None:
        if self.database.is_clustered:
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
        view = self.database.table(name)
        target = _TARGET.search(view.sql) if view is not None else None
        if view is None or target is None:
            return
        table = self.database.table(Name(target[2].replace("``", "`"), name.schema))
        if table is not None and not table.kind.endswith("view") and TableRenames.of(self.database).shows(view, table):
            yield name.name, table.name
