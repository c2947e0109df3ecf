"""What an upgrade asks of MariaDB and MySQL before it begins, and their scratch databases."""

from __future__ import annotations

import socket
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from safeops.databases.mysql.session import _SESSION
from safeops.runner.temporary import port

LONG = f"""SELECT {_SESSION} FROM information_schema.INNODB_TRX x
  JOIN information_schema.PROCESSLIST p ON p.ID = x.trx_mysql_thread_id
  WHERE p.ID <> CONNECTION_ID() AND p.DB = DATABASE()
  AND x.trx_started < NOW() - INTERVAL :seconds SECOND ORDER BY x.trx_started LIMIT 10"""
LOCAL = "SELECT @@hostname, @@datadir"


class TemporaryDatabases(port.TemporaryDatabases):
    """See ``safeops.runner.temporary.port``."""

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
