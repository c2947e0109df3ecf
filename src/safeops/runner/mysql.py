"""What the runner asks of MariaDB and MySQL, and its temporary databases there."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops.databases.mysql.runner_lock import holder
from safeops.databases.mysql.session import _SESSION, described, lock_name, runner_row
from safeops.databases.pairs import MARK, Pair, pair_of
from safeops.naming import Name
from safeops.runner import inspection
from safeops.table_rename.port import TableRenames

_TARGET = re.compile(r" from (?:`((?:[^`]|``)+)`\.)?`((?:[^`]|``)+)`$")


class Inspection(inspection.Inspection):
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


LONG = f"""SELECT {_SESSION} FROM information_schema.INNODB_TRX x
  JOIN information_schema.PROCESSLIST p ON p.ID = x.trx_mysql_thread_id
  WHERE p.ID <> CONNECTION_ID() AND p.DB = DATABASE()
  AND x.trx_started < NOW() - INTERVAL :seconds SECOND ORDER BY x.trx_started LIMIT 10"""
LOCAL = "SELECT @@hostname, @@datadir"


class TemporaryDatabases(inspection.TemporaryDatabases):
    """See ``safeops.runner.inspection``."""

    def long_transactions(self, seconds: float) -> list[str]:
        return self.database.described_session(LONG, seconds=int(seconds))

    def data_folder(self) -> Path | None:
        try:
            host, folder = self.read(LOCAL)[0]
        except DBAPIError:
            return None
        return Path(folder) if host == socket.gethostname() and Path(folder).exists() else None

    def make_scratch(self, name: str) -> str:
        spelled = "SELECT @@character_set_database, @@collation_database"
        charset, collation = self.read(spelled)[0]
        self.run(f"CREATE DATABASE {self.quoted(name)} CHARACTER SET {charset} COLLATE {collation}")
        return name

    def drop_scratch(self, place: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {self.quoted(place)}")

    def is_at(self, place: str | None) -> bool:
        return bool(self.scalar("SELECT DATABASE()") == place)

    def schemas_beside(self) -> list[str]:
        # A schema is a database of its own here.
        return []
