"""A PostgreSQL for benchmarks: on a disk, flushing what it commits, with identical fresh copies of a table."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import sqlalchemy as sa

from tests import servers
from tests.servers import Database, PostgreSQL

SETTINGS: Mapping[str, str] = {
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    # Segments are kept and used again: creating them would cost the first runs more than the later ones.
    "min_wal_size": "4GB",
}
"""All else is PostgreSQL's default: above all fsync=on, synchronous_commit=on, full_page_writes=on, autovacuum=on."""

TABLE = "users"

_CREATE = f"""
CREATE TABLE {TABLE} (
    id bigint NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    logins integer NOT NULL,
    email_lower text
)"""

# A header of 24 bytes, and values of about 86.
_FILL = f"""
INSERT INTO {TABLE} (id, email, name, logins)
SELECT n, 'Person.' || n || '@Mail.Example.ORG', initcap(md5(n::text)), 0
FROM generate_series(1, {{rows}}) AS n"""


class DiskPostgreSQL(PostgreSQL):
    """A server below the folder for temporary files, never in memory."""

    def __init__(self, home: Path, settings: Mapping[str, str]) -> None:
        self.settings = {**SETTINGS, **settings}
        self._copies = itertools.count(1)
        self._templates: dict[int, Database] = {}
        super().__init__(home)

    def _command(self) -> Sequence[str | Path]:
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(self.sockets), **self.settings}
        options = [f"-c{name}={value}" for name, value in settings.items()]
        return [self.bin / "postgres", "-D", self.data, "-p", str(self.port), *options]

    @contextmanager
    def copy(self, rows: int) -> Iterator[Database]:
        """A fresh copy of the table, the same to the byte each time: vacuumed, analysed, in memory, flushed."""
        name = f"copy{next(self._copies)}"
        template = self._template(rows).name
        strategy = "STRATEGY file_copy" if self.version >= (15,) else ""
        self._administer(f"CREATE DATABASE {name} TEMPLATE {template} {strategy}")
        database = self._database(name)
        with connected(database) as connection:
            connection.execute("SELECT pg_prewarm('users'), pg_prewarm('users_pkey')")
        self._administer("CHECKPOINT")
        try:
            yield database
        finally:
            self.drop(database.url)

    def cpu_seconds(self) -> float:
        """What all sessions that have ended took of the processor: what a busy machine hardly disturbs."""
        # The postmaster notices their end a little after the client.
        time.sleep(0.2)
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def _template(self, rows: int) -> Database:
        if rows not in self._templates:
            database = self._database(self.new_database().database or "")
            with connected(database) as connection:
                for statement in ("CREATE EXTENSION pg_prewarm", _CREATE, _FILL.format(rows=rows)):
                    connection.execute(statement.encode())
                connection.execute(f"ALTER TABLE {TABLE} ADD PRIMARY KEY (id)".encode())
                connection.execute(f"VACUUM (ANALYZE) {TABLE}".encode())
            # Copied time and again, it must have no sessions, autovacuum's neither.
            self._administer(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS false")
            self._templates[rows] = database
        return self._templates[rows]

    def _database(self, name: str) -> Database:
        return Database(sa.URL.create(self.drivername, "postgres", None, "127.0.0.1", self.port, name), self)

    def _administer(self, statement: str) -> None:
        self.admin.execute(statement.encode())


@contextmanager
def started(version: str, settings: Mapping[str, str]) -> Iterator[DiskPostgreSQL]:
    # The harness puts its servers into memory if there is room; a flush would cost nothing there.
    with mock.patch.object(servers, "MEMORY", Path("/nonexistent")):
        server = DiskPostgreSQL(servers._postgresql_home(version), settings)
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
