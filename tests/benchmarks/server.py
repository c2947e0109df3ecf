"""Servers for benchmarks: on a disk, flushing what they commit, with identical fresh copies of a filled database."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import sqlalchemy as sa

from tests import servers
from tests.benchmarks.shape import Part
from tests.servers import Database, MariaDB, MySQL, PostgreSQL, Server, SQLite

POSTGRESQL: Mapping[str, str] = {
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    # Segments are kept and used again: creating them would cost the first runs more than the later ones.
    "min_wal_size": "4GB",
}
"""All else is PostgreSQL's default: above all fsync=on, synchronous_commit=on, full_page_writes=on, autovacuum=on."""

INNODB: Mapping[str, str] = {"innodb-buffer-pool-size": "512M", "innodb-flush-log-at-trx-commit": "1"}
MYSQL: Mapping[str, str] = {**INNODB, "innodb-redo-log-capacity": "2G", "sync-binlog": "1"}
MARIADB: Mapping[str, str] = {**INNODB, "innodb-log-file-size": "2G"}
IDLE_SECONDS, FEW = 10.0, 50

SETTINGS = {"PostgreSQL": POSTGRESQL, "MariaDB": MARIADB, "MySQL": MYSQL}


class Benched(Server):
    """A server that hands out copies, and counts what its sessions took of the processor."""

    name: str

    def __init__(self, *arguments: Any) -> None:
        self._templates: dict[tuple[Callable[..., None], int], Database] = {}
        super().__init__(*arguments)

    @contextmanager
    def fresh(self, part: Part, rows: int) -> Iterator[Database]:
        """A copy of what the part fills, the same to the byte each time if it has rows, in memory and flushed."""
        database = self._copied(self._template(part, rows)) if rows else self._filled(part, rows)
        try:
            yield database
        finally:
            database.drop()

    def forget(self) -> None:
        """Drop what the parts filled: the next ones need the disk."""
        for database in self._templates.values():
            database.drop()
        self._templates.clear()

    def cpu_seconds(self) -> float:
        return 0.0

    def _template(self, part: Part, rows: int) -> Database:
        key = (part.fill, rows)
        if key not in self._templates:
            self._templates[key] = self._filled(part, rows)
            self._settle(self._templates[key])
        return self._templates[key]

    def _filled(self, part: Part, rows: int) -> Database:
        database = Database(self.new_database(), self)
        part.fill(database, rows)
        database.disconnect()
        return database

    def _settle(self, template: Database) -> None:
        """Leave nothing to do after a fill."""

    def _copied(self, template: Database) -> Database:
        url = self.copy(template.name)
        assert url is not None
        return Database(url, self)


class _PostgreSQL(Benched, PostgreSQL):
    name = "PostgreSQL"

    def _command(self) -> Sequence[str | Path]:
        if self.folder.is_relative_to(servers.MEMORY):
            return super()._command()
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(self.sockets), **POSTGRESQL}
        options = [f"-c{name}={value}" for name, value in settings.items()]
        return [self.bin / "postgres", "-D", self.data, "-p", str(self.port), *options]

    def _settle(self, template: Database) -> None:
        with connected(template) as connection:
            connection.execute("CREATE EXTENSION pg_prewarm")
            connection.execute("VACUUM (ANALYZE)")
        # Copied time and again, it must have no sessions, autovacuum's neither.
        self.admin.execute(f"ALTER DATABASE {template.name} ALLOW_CONNECTIONS false".encode())

    def _copied(self, template: Database) -> Database:
        name = self._next_name()
        strategy = "STRATEGY file_copy" if self.version >= (15,) else ""
        self.admin.execute(f"CREATE DATABASE {name} TEMPLATE {template.name} {strategy}".encode())
        database = Database(template.url.set(database=name), self)
        with connected(database) as connection:
            connection.execute(_PREWARM.encode())
        self.admin.execute("CHECKPOINT")
        return database

    def cpu_seconds(self) -> float:
        """What all sessions that have ended took of the processor: what a busy machine hardly disturbs."""
        # The postmaster notices their end a little after the client.
        time.sleep(0.2)
        return _cpu_seconds(self._process.pid, 13, 14)


_PREWARM = """SELECT pg_prewarm(oid::regclass) FROM pg_class
WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace"""


class _InnoDB(Benched):
    """Copies files: to insert a million rows leaves the server with pages to write during the run."""

    _process: Any
    admin: Any
    data: Path

    def _copied(self, template: Database) -> Database:
        copy = Database(self.new_database(), self)
        tables = [name for (name,) in template.query("SHOW TABLES")]
        with template.observer(isolation_level="AUTOCOMMIT").connect() as connection:
            for table in tables:
                copy.execute(f"CREATE TABLE {table} LIKE {template.name}.{table}")
                copy.execute(f"ALTER TABLE {table} DISCARD TABLESPACE")
                connection.execute(sa.text(f"FLUSH TABLES {table} FOR EXPORT"))
                for ending in ("ibd", "cfg"):
                    source = self.data / template.name / f"{table}.{ending}"
                    target = self.data / copy.name / source.name
                    shutil.copyfile(source, target)
                    shutil.chown(target, *_owner(source))
                connection.execute(sa.text("UNLOCK TABLES"))
                copy.execute(f"ALTER TABLE {table} IMPORT TABLESPACE")
                copy.query(f"ANALYZE TABLE {table}")
                # Reads it into memory.
                copy.query(f"CHECKSUM TABLE {table}")
        self._wait_until_idle()
        return copy

    def _wait_until_idle(self) -> None:
        """Until all pages are written and nothing is left to purge."""
        self.admin.cursor().execute("SET GLOBAL innodb_max_dirty_pages_pct = 0")
        deadline = time.monotonic() + IDLE_SECONDS
        while self._left_to_do() > FEW and time.monotonic() < deadline:
            time.sleep(0.05)
        self.admin.cursor().execute("SET GLOBAL innodb_max_dirty_pages_pct = DEFAULT")

    def _left_to_do(self) -> int:
        with self.admin.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")
            (_, dirty) = cursor.fetchone()
            cursor.execute("SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'trx_rseg_history_len'")
            return max(int(dirty), cursor.fetchone()[0])

    def cpu_seconds(self) -> float:
        return _cpu_seconds(self._process.pid, 11, 12)


class _MariaDB(_InnoDB, MariaDB):
    name = "MariaDB"
    settings = (*MariaDB.settings, *(f"--{name}={value}" for name, value in MARIADB.items()))


class _MySQL(_InnoDB, MySQL):
    name = "MySQL"
    settings = (*MySQL.settings, *(f"--{name}={value}" for name, value in MYSQL.items()))


class _SQLite(Benched, SQLite):
    name = "SQLite"


def _owner(file: Path) -> tuple[int, int]:
    return file.stat().st_uid, file.stat().st_gid


def _cpu_seconds(pid: int, *places: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(fields[place]) for place in places) / os.sysconf("SC_CLK_TCK")


@contextmanager
def started(name: str, *, in_memory: bool) -> Iterator[Benched]:
    """The server of that name, one of those of tests/servers.py."""
    # The harness puts its servers into memory if there is room; a flush costs nothing there.
    memory = servers.MEMORY if in_memory else Path("/nonexistent")
    benched = {"PostgreSQL": _PostgreSQL, "MariaDB": _MariaDB, "MySQL": _MySQL, "SQLite": _SQLite}
    with mock.patch.multiple(servers, MEMORY=memory, **benched):
        server = servers.start(name)
    assert isinstance(server, Benched)
    try:
        yield server
    finally:
        server.stop()


def conninfo(url: sa.URL) -> str:
    return f"host={url.host} port={url.port} user={url.username} dbname={url.database}"


@contextmanager
def connected(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A plain connection in autocommit: each statement is a transaction."""
    with psycopg.connect(conninfo(database.url), autocommit=True) as connection:
        yield connection


def flush_milliseconds(times: int = 200) -> float:
    """What writing a page and flushing it costs on this disk, on average."""
    with tempfile.TemporaryFile() as file:
        began = time.perf_counter()
        for _ in range(times):
            file.write(b"x" * 8192)
            file.flush()
            os.fsync(file.fileno())
        return (time.perf_counter() - began) / times * 1000
