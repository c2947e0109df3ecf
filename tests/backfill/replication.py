"""A primary and its replica, in separate folders, for tests of the lag between them.

Pair        both servers, and a connection to the primary as a backfill has it
standby     starts a PostgreSQL pair;  replicating  one of MariaDB or MySQL: as context managers that stop both
progress    what a throttle is called with
until       polls, as the engine does, up to a deadline
"""

from __future__ import annotations

import dataclasses
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.pool import NullPool
from tests.servers import (
    MariaDB,
    MySQL,
    PostgreSQL,
    Server,
    _mysql_program,
    _MySQLFamily,
    _program,
    _run,
    _unprivileged,
    start,
)

from safeops.backfilling.progress import BackfillProgress
from safeops.databases import database_for

POLL = 0.05


def progress(connection: sa.Connection, **fields: Any) -> BackfillProgress:
    database = database_for(connection.dialect, lambda: connection)
    return BackfillProgress(name="fill", table="users", database=database, **fields)


def until(call: Callable[[], Any], is_met: Callable[[Any], bool], what: str, seconds: float = 20.0) -> Any:
    """Calls repeatedly until the answer is the expected one, and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        answer = call()
        if is_met(answer):
            return answer
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}; the last answer was {answer!r}"
        time.sleep(POLL)


@contextmanager
def autocommit(url: sa.URL) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection


@dataclasses.dataclass
class Pair:
    """Two servers, the second of which replays what the first one writes."""

    primary: Any
    replica: Any
    url: sa.URL
    connection: sa.Connection

    def replica_url(self, **changes: Any) -> sa.URL:
        return self.url.set(port=self.replica.port, **changes)

    def write(self) -> None:
        self.connection.exec_driver_sql("INSERT INTO written VALUES (1)")

    def asked(self, throttle: Callable[[BackfillProgress], str | None]) -> Callable[[], str | None]:
        """A call of the throttle, as before a batch; the primary is written to before each."""

        def ask() -> str | None:
            self.write()
            return throttle(progress(self.connection))

        return ask

    def goes_on(self, throttle: Callable[[BackfillProgress], str | None]) -> None:
        until(self.asked(throttle), lambda reason: reason is None, "the throttle to go on")

    def holds(self, throttle: Callable[[BackfillProgress], str | None], why: str) -> str:
        return until(self.asked(throttle), lambda reason: reason is not None and why in reason, f"it to hold: {why}")


def _pair(primary: Server, replica: Server, stack: ExitStack) -> Pair:
    url = primary.new_database()
    connection = stack.enter_context(autocommit(url))
    connection.exec_driver_sql("CREATE TABLE written (id integer)")
    return Pair(primary, replica, url, connection)


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


class Standby(PostgreSQL):
    """A streaming replica, made of a base backup."""

    def __init__(self, primary: PostgreSQL) -> None:
        self.primary = primary
        super().__init__(primary.home)

    def _initialise(self) -> None:
        self.bin = self.primary.bin
        source = ["-h", "127.0.0.1", "-p", str(self.primary.port), "-U", "postgres"]
        backup = [*_unprivileged(), self.bin / "pg_basebackup", *source, "-D", self.data]
        _run([*backup, "-R", "-c", "fast", "--no-sync"], cwd=self.folder)
        # The backup writes options that only its own libpq knows, and a server may have been unpacked next to an older one.
        with (self.data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"primary_conninfo = 'host=127.0.0.1 port={self.primary.port} user=postgres'\n")

    def pause(self) -> None:
        self.admin.execute("SELECT pg_wal_replay_pause()")

    def resume(self) -> None:
        self.admin.execute("SELECT pg_wal_replay_resume()")


@contextmanager
def standby(name: str) -> Iterator[Pair]:
    with ExitStack() as stack:
        primary = start(name)
        stack.callback(primary.stop)
        assert isinstance(primary, PostgreSQL)
        replica = Standby(primary)
        stack.callback(replica.stop)
        pair = _pair(primary, replica, stack)
        there = f"SELECT 1 FROM pg_database WHERE datname = '{pair.url.database}'"
        until(lambda: replica.admin.execute(there).fetchone(), bool, "the database on the replica")
        yield pair


# --- MariaDB and MySQL -----------------------------------------------------------------------------------------------


class _Replicating(_MySQLFamily):
    """A server that writes a log which others can replay."""

    words: ClassVar[str]
    """What the server calls a replica."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(*self.programs())

    @staticmethod
    @abstractmethod
    def programs() -> Iterable[str]: ...

    @abstractmethod
    def follow(self, primary: Any) -> None: ...

    def stop_thread(self, thread: str) -> None:
        self._administer(f"STOP {self.words} {thread}")

    def start_threads(self) -> None:
        self._administer(f"START {self.words}")

    def pause(self) -> None:
        """Keeps the applier waiting, while replication continues."""
        self._administer("FLUSH TABLES WITH READ LOCK")

    def resume(self) -> None:
        self._administer("UNLOCK TABLES")


class ReplicatingMariaDB(_Replicating, MariaDB):
    words = "SLAVE"

    @staticmethod
    def programs() -> Iterable[str]:
        return map(_program, ("mariadbd", "mariadb", "mariadb-dump"))

    def _command(self) -> Sequence[str | Path]:
        usual = [part for part in super()._command() if part != "--skip-log-bin"]
        return [*usual, "--log-bin=log", f"--server-id={self.number}", "--slave-net-timeout=2"]

    def follow(self, primary: ReplicatingMariaDB) -> None:
        ((file, position, *_),) = primary._administer("SHOW MASTER STATUS")
        self._administer(
            f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={primary.port}, MASTER_CONNECT_RETRY=1,"
            f" MASTER_USER='{self.user}', MASTER_PASSWORD='{self.password}',"
            f" MASTER_LOG_FILE='{file}', MASTER_LOG_POS={position}"
        )
        self.start_threads()


class ReplicatingMySQL(_Replicating, MySQL):
    words = "REPLICA"

    @staticmethod
    def programs() -> Iterable[str]:
        return map(_mysql_program, ("sbin/mysqld", "bin/mysql", "bin/mysqldump"))

    def _command(self) -> Sequence[str | Path]:
        return [*super()._command(), f"--server-id={self.number}", "--replica-net-timeout=2"]

    def follow(self, primary: ReplicatingMySQL) -> None:
        ((file, position, *_),) = primary._administer("SHOW BINARY LOG STATUS")
        self._administer(
            f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={primary.port}, SOURCE_CONNECT_RETRY=1,"
            f" SOURCE_USER='{self.user}', SOURCE_PASSWORD='{self.password}', GET_SOURCE_PUBLIC_KEY=1,"
            f" SOURCE_LOG_FILE='{file}', SOURCE_LOG_POS={position}"
        )
        self.start_threads()


@contextmanager
def replicating(name: str) -> Iterator[Pair]:
    kind = {"mariadb": ReplicatingMariaDB, "mysql97": ReplicatingMySQL}[name]
    with ExitStack() as stack:
        primary, replica = (_started(kind, number, stack) for number in (1, 2))
        replica.follow(primary)
        yield _pair(primary, replica, stack)


def _started(kind: Callable[[int], _Replicating], number: int, stack: ExitStack) -> _Replicating:
    server = kind(number)
    stack.callback(server.stop)
    return server


@contextmanager
def busy(url: sa.URL, sleep: str) -> Iterator[None]:
    """Another session that is at work until the block ends."""
    import threading

    engine = sa.create_engine(url, poolclass=NullPool)
    with engine.connect() as connection, autocommit(url) as killer, closing(connection):
        is_mariadb = connection.dialect.name in ("mysql", "mariadb")
        session = connection.exec_driver_sql(
            "SELECT CONNECTION_ID()" if is_mariadb else "SELECT pg_backend_pid()"
        ).scalar()

        def work() -> None:
            try:
                connection.exec_driver_sql(sleep)
            except sa.exc.DBAPIError:
                connection.invalidate()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            end = f"KILL {session}" if is_mariadb else f"SELECT pg_terminate_backend({session})"
            killer.exec_driver_sql(end)
            thread.join(20)
