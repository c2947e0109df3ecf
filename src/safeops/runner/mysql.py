"""MariaDB and MySQL: inspection, temporary databases, and dumps by mariadb-dump or mysqldump."""

from __future__ import annotations

import gzip
import os
import re
import socket
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops.databases.mysql.server import holder
from safeops.databases.mysql.session import _SESSION, described, lock_name, runner_row
from safeops.databases.triggers import MARK
from safeops.errors import BackupFailed
from safeops.naming import Name
from safeops.runner import dumps, environment, temporary_database
from safeops.runner.dumps import (
    Dumper,
    Login,
    Program,
    Progress,
    Run,
    ToolFailed,
    find_programs,
    last_login,
    path_folders,
    secret_file,
    unusable_login,
    write,
)
from safeops.table_rename.port import TableRenames

if TYPE_CHECKING:
    from safeops.databases.mysql import MySQL

DATABASE = "SELECT DATABASE()"
LONG = f"""SELECT {_SESSION} FROM information_schema.INNODB_TRX x
  JOIN information_schema.PROCESSLIST p ON p.ID = x.trx_mysql_thread_id
  WHERE p.ID <> CONNECTION_ID() AND p.DB = DATABASE()
  AND x.trx_started < NOW() - INTERVAL :seconds SECOND ORDER BY x.trx_started LIMIT 10"""
LOCAL = "SELECT @@hostname, @@datadir"
_VIEWED = re.compile(r" from (?:`((?:[^`]|``)+)`\.)?`((?:[^`]|``)+)`$")


class Inspection(environment.Inspection):
    """Reads the information schema."""

    database: MySQL

    def database_name(self) -> str:
        return self.database.current_schema or ""

    def migration_lock_holder(self, connection: Connection, key: str) -> str | None:
        if self.database.is_clustered:
            return holder(connection, key)
        session = connection.scalar(sa.text("SELECT IS_USED_LOCK(:key)"), {"key": lock_name(connection, key)})
        if session is None:
            return None
        # Some users cannot see the sessions of others.
        row = runner_row(connection, key)
        return str(described(row)) if row else f"session {session}"

    def sync_triggers(self) -> list[tuple[str, Name]]:
        sql = """SELECT ACTION_STATEMENT, EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS
            WHERE EVENT_OBJECT_SCHEMA = DATABASE() AND LOCATE(:mark, ACTION_STATEMENT) > 0 ORDER BY 3, TRIGGER_NAME"""
        return [(text, Name(table, schema)) for text, schema, table in self.read(sql, mark=f"{MARK}{{")]

    def open_renames(self) -> list[tuple[str, Name]]:
        sql = """SELECT TABLE_NAME, TABLE_SCHEMA FROM information_schema.VIEWS
            WHERE TABLE_SCHEMA = DATABASE() AND SECURITY_TYPE = 'INVOKER' ORDER BY 1"""
        return [rename for view, schema in self.read(sql) for rename in self._rename(Name(view, schema))]

    def _rename(self, name: Name) -> Iterator[tuple[str, Name]]:
        view = self.database.table(name)
        viewed = _VIEWED.search(view.sql) if view is not None else None
        if view is None or viewed is None:
            return
        table = self.database.table(Name(viewed[2].replace("``", "`"), name.schema))
        if table is not None and not table.kind.endswith("view") and TableRenames.of(self.database).shows(view, table):
            yield name.name, table.name

    # Before an upgrade -----------------------------------------------------------------------------------------

    def long_transactions(self, seconds: float) -> list[str]:
        return list(map(str, self.database.described_sessions(LONG, seconds=int(seconds))))

    def data_folder(self) -> Path | None:
        try:
            host, folder = self.read(LOCAL)[0]
        except DBAPIError:
            return None
        return Path(folder) if host == socket.gethostname() and Path(folder).exists() else None


class TemporaryDatabases(temporary_database.TemporaryDatabases):
    """Creates and drops databases on the server."""

    def create(self, name: str) -> str:
        charset, collation = self.read("SELECT @@character_set_database, @@collation_database")[0]
        self.run(f"CREATE DATABASE {self.quoted(name)} CHARACTER SET {charset} COLLATE {collation}")
        return name

    def drop(self, database: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {self.quoted(database)}")

    def is_connected_to(self, database: str | None) -> bool:
        return bool(self.scalar(DATABASE) == database)


OPTIONS = (
    *("--single-transaction", "--quick", "--routines", "--triggers", "--events", "--hex-blob", "--no-tablespaces"),
    *("--default-character-set=utf8mb4", "--max-allowed-packet=1G"),
)
# Only MySQL's mysqldump has these; without them it runs or writes what other servers do not support.
OF_MYSQL = ("--set-gtid-purged=OFF", "--column-statistics=0")
# Without the binary mode, client commands in a dump could start programs.
# Triggers are dumped inside executable comments, which are cut short if the client strips a comment inside.
CLIENT = ("--binary-mode", "--comments", "--default-character-set=utf8mb4", "--max-allowed-packet=1G")
CLIENTS = {"mariadb-dump": "mariadb", "mysqldump": "mysql"}
LAST_LINE = b"-- Dump completed"
C_DRIVERS = ("mysqldb", "mariadbconnector")
"""Drivers that connect to localhost by the socket, as the programs do."""
# A dump is compressed and has no indexes.
SIZE = """SELECT COALESCE(SUM(DATA_LENGTH), 0) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"""
COMPRESSED = 20
UNSAFE = """SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()
  AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND ENGINE NOT IN ('InnoDB', 'ROCKSDB') ORDER BY 1"""
COMMENTED = """SELECT CONCAT('trigger ', TRIGGER_NAME) FROM information_schema.TRIGGERS
    WHERE TRIGGER_SCHEMA = DATABASE() AND LOCATE('/*', ACTION_STATEMENT) > 0
  UNION ALL SELECT CONCAT('event ', EVENT_NAME) FROM information_schema.EVENTS
    WHERE EVENT_SCHEMA = DATABASE() AND LOCATE('/*', EVENT_DEFINITION) > 0 ORDER BY 1"""
VERSIONED = """SELECT COUNT(*) FROM information_schema.TABLES
  WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'SYSTEM VERSIONED'"""
OBJECTS = """SELECT CONCAT(LOWER(TABLE_TYPE), ' ', TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()
  UNION ALL SELECT CONCAT(LOWER(ROUTINE_TYPE), ' ', ROUTINE_NAME) FROM information_schema.ROUTINES
    WHERE ROUTINE_SCHEMA = DATABASE()
  UNION ALL SELECT CONCAT('event ', EVENT_NAME) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE()
  ORDER BY 1 LIMIT 5"""
_NAME = rb"`(?:[^`]|``)*`"
_DEFINER = re.compile(rb"DEFINER=" + _NAME + rb"(@" + _NAME + rb")?")
# System-versioned tables have columns without quotes: they are not counted, as a query returns only current rows.
_INSERT = re.compile(rb"INSERT INTO (" + _NAME + rb")(?: \((?:" + _NAME + rb"(?:, ?)?)+\))? VALUES")
_STRING = re.compile(rb"'(?:[^'\\]|\\.|'')*'", re.S)


class Dumps(dumps.Dumps):
    """Compressed SQL scripts."""

    ending = ".sql.gz"
    magic = b"\x1f\x8b"
    programs = ("mysqldump", "mariadb-dump")
    """The names of the program that dumps, the preferred one first."""

    def name(self) -> str:
        name = self.scalar(DATABASE)
        if name is None:
            raise BackupFailed("The engine connects to a server, and to none of its databases: its URL names none.")
        return str(name)

    def least_size(self) -> int:
        return int(self.scalar(SIZE)) // COMPRESSED

    def doubts(self) -> list[str]:
        unsafe, commented = (", ".join(row[0] for row in self.read(sql)) for sql in (UNSAFE, COMMENTED))
        doubts = {
            "not as of one moment, because their engine has no transactions": unsafe,
            "restored by safeops restore, and by the client of the server only if it is started with --comments, because"
            " there are comments in them": commented,
        }
        return [f"{doubt}: {objects}" for doubt, objects in doubts.items() if objects]

    def objects(self) -> list[str]:
        return [row[0] for row in self.read(OBJECTS)]

    def dumper(self, logins: Sequence[Login]) -> MySQLDumper:
        # Without this option a dump has only current rows.
        history = ["--dump-history"] if self.scalar(VERSIONED) else []
        return MySQLDumper(last_login(logins), self.name(), self.programs, history)


class MariaDBDumps(Dumps):
    """Prefers MariaDB's program."""

    programs = ("mariadb-dump", "mysqldump")


class MySQLDumper(Dumper):
    """mariadb-dump and mariadb, or mysqldump and mysql.

    Args:
        login: How the driver reached the server.
        name: The database.
        programs: The names of the program that dumps, the preferred one first.
        options: Further options for it.
    """

    is_atomic = False

    def __init__(self, login: Login, name: str, programs: tuple[str, ...], options: list[str]) -> None:
        self.name, self._programs, self._options = name, programs, options
        self._password = login.password
        self._settings = "".join(f"{line}\n" for line in _option_file(login))

    @property
    def tool(self) -> str:
        return str(self._dump_program)

    @cached_property
    def _dump_program(self) -> Program:
        return _program(self._programs)

    def dump(self, path: Path, progress: Progress) -> None:
        own = [] if "MariaDB" in self._dump_program.version_text else OF_MYSQL
        with self._run(self._dump_program, *OPTIONS, *own, *self._options) as run, closing(run.output()) as chunks:
            write(path, _zipped(chunks), progress)

    def check(self, path: Path) -> None:
        last = b""
        try:
            with gzip.open(path) as lines:
                for line in lines:
                    last = line.strip() or last
        except (EOFError, OSError, zlib.error) as error:
            raise ToolFailed("gzip", str(error)) from error
        if not last.startswith(LAST_LINE):
            raise ToolFailed(self._programs[0], f"the dump does not end with {LAST_LINE.decode()!r}")

    def count(self, path: Path) -> dict[str, int]:
        rows: dict[str, int] = {}
        table = ""
        with gzip.open(path) as lines:
            for line in lines:
                if start := _INSERT.match(line):
                    table = start[1].decode()
                    line = line[start.end() :]
                if table:
                    bare = _STRING.sub(b"", line)
                    rows[table] = rows.get(table, 0) + bare.count(b"(")
                    table = "" if bare.rstrip().endswith(b";") else table
        return rows

    def load(self, path: Path, owners: bool) -> None:
        client = _program([CLIENTS[name] for name in self._programs])
        with gzip.open(path) as lines, self._run(client, *CLIENT) as run:
            run.feed(lines if owners else map(_without_definer, lines))

    @contextmanager
    def _run(self, program: Program, *options: str) -> Iterator[Run]:
        # As with drivers, the user's own option files are not read: they would take precedence.
        environment = {key: value for key, value in os.environ.items() if key != "MYSQL_PWD"}
        with secret_file(self._settings) as (file, descriptors):
            command: list[str | Path] = [program.path, f"--defaults-file={file}", *options, "--", self.name]
            yield Run(command, environment, descriptors, self._password)


def _program(names: Sequence[str]) -> Program:
    """Return the first program of these names that runs."""
    for name in names:
        for program in find_programs(name, path_folders()):
            if program.version:
                return program
    raise BackupFailed(
        f"No {' and no '.join(names)} was found in PATH.",
        remedy="Install the client of the server:",
        code="apt-get install mariadb-client      # or mysql-client",
    )


def _option_file(login: Login) -> Iterator[str]:
    """Yield the lines of an option file that connects to the server as the driver did."""
    if files := login.first("read_default_file"):
        yield f"!include {files}"
    yield "[client]"
    socket = login.first("unix_socket")
    settings = {
        "host": login.first("host"),
        "port": login.first("port"),
        "user": login.first("user"),
        "password": login.password or None,
        "socket": socket,
    }
    # As drivers do: an unencrypted connection needs the key if the server has not cached the password's hash.
    settings["loose-get-server-public-key"] = 1
    if socket is None and not files and login.driver not in C_DRIVERS:
        settings["protocol"] = "TCP"
    for key, value in {**settings, **_encryption(login)}.items():
        if value is not None:
            yield f"{key}={_quoted(value)}"


def _encryption(login: Login) -> dict[str, Any]:
    """Return the options for TLS; the "loose" ones exist only in MariaDB's or only in MySQL's programs."""
    given = login.first("ssl")
    if given is not None and not isinstance(given, (dict, bool)):
        raise unusable_login("The engine connects with an ssl object")
    asked = {f"ssl_{key}": value for key, value in given.items()} if isinstance(given, dict) else {}
    asked.update({key: value for key, value in login.named.items() if key.startswith("ssl_")})
    if _is_on(asked.get("ssl_disabled")):
        return {"loose-ssl": 0, "loose-ssl-mode": "DISABLED"}
    files = {f"ssl-{key}": asked.get(f"ssl_{key}") for key in ("ca", "capath", "cert", "key", "cipher")}
    verified = ("ssl_check_hostname", "ssl_verify_cert", "ssl_verify_identity", "ssl_verify_mode")
    if any(_is_on(asked.get(option)) for option in verified):
        return {**files, "loose-ssl-verify-server-cert": 1, "loose-ssl-mode": "VERIFY_IDENTITY"}
    return {**files, "loose-ssl-verify-server-cert": 0}


def _is_on(value: Any) -> bool:
    return str(value).lower() not in ("none", "", "0", "false", "no")


def _quoted(value: Any) -> str:
    escaped = re.sub(r'(["\\])', r"\\\1", str(value))
    return '"{}"'.format(escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t"))


def _zipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=31)
    yield from filter(None, map(packer.compress, chunks))
    yield packer.flush()


def _without_definer(line: bytes) -> bytes:
    """Leave out the definer of a view, trigger or routine: only an administrator may set another user."""
    return _DEFINER.sub(b"", line) if line.startswith((b"/*!5", b"CREATE DEFINER=")) else line
