"""The application during a migration: real second connections that write, read, hold locks.

Traffic(database, table)             a writer and a reader; the longest wait; a mirror table as the oracle
idle_holder(database, table, mode)   a session that holds a lock in an idle transaction
held_until_logged(database, table)   the same, until safeops logs that it waits
other_process(function)              runs a function in a forked child, for two migrations at once
"""

from __future__ import annotations

import dataclasses
import logging
import multiprocessing
import random
import string
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import sqlalchemy as sa
from tests.servers import Database

# --- traffic ---------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Wait:
    seconds: float
    what: str

    def __str__(self) -> str:
        return f"{self.seconds:.3f} s in {self.what}"


class Traffic:
    """Writes and reads a table all the time, and mirrors each write in a mirror table, in one transaction.

    Example:
        traffic = Traffic(database, "users", columns=["name"])
        with traffic.running():
            migrate(database, lambda: create_index_if_missing("ix", "users", ["name"]))
        assert traffic.longest_wait.seconds < 0.5
        traffic.assert_no_rows_lost()

    Args:
        key: the one column of the primary key, an integer unless `new_key` makes other values.
        columns: what is written and compared; default: all that the table has now, generated ones excepted.
        values: for a column, a function that makes a value from a `random.Random`; default: by its type.
        pause: seconds between two transactions.
    """

    def __init__(
        self,
        database: Database,
        table: str,
        *,
        schema: str | None = None,
        key: str = "id",
        columns: Sequence[str] | None = None,
        values: Mapping[str, Callable[[random.Random], Any]] | None = None,
        new_key: Callable[[int], Any] = int,
        pause: float = 0.002,
        seed: int = 1,
    ) -> None:
        self.pause, self.new_key = pause, new_key
        self.errors: list[str] = []
        self.transactions = 0
        self._waits = {"none": Wait(0.0, "nothing")}
        self._random = random.Random(seed)
        self._engine = database.observer()
        self._stop = threading.Event()
        with self._engine.begin() as connection:
            self.table = _table(connection, table, schema, key, columns)
            self.twin = _make_twin(connection, database, self.table, key)
            self._keys = list(connection.scalars(sa.select(self.table.c[key])))
        self._next = max([key for key in self._keys if isinstance(key, int)], default=0) + 1
        self._key = key
        given = values or {}
        self._values = {
            column.name: given.get(column.name) or _maker(column.type)
            for column in self.table.columns
            if column.name != key
        }

    @contextmanager
    def running(self) -> Iterator[Traffic]:
        """Traffic for the length of the block; the first transactions are through when the block begins."""
        self._stop.clear()
        self._crashed: list[str] = []
        threads = [threading.Thread(target=self._go_on, args=[step]) for step in (self._write, self._read)]
        for thread in threads:
            thread.start()
        self.settle()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(60)
        if self._crashed or any(thread.is_alive() for thread in threads):
            raise AssertionError("the traffic itself failed:\n" + "\n".join(self._crashed or ["still waiting"]))

    def settle(self, transactions: int = 5, seconds: float = 10.0) -> None:
        """Waits until so many more transactions are through."""
        wanted, deadline = self.transactions + transactions, time.monotonic() + seconds
        while self.transactions < wanted and time.monotonic() < deadline and not self._crashed:
            time.sleep(0.002)

    @property
    def longest_wait(self) -> Wait:
        return max(self._waits.values(), key=lambda wait: wait.seconds)

    @property
    def longest_write(self) -> Wait:
        return max((w for w in self._waits.values() if w.what != "read"), key=lambda wait: wait.seconds)

    def assert_no_rows_lost(self) -> None:
        """Every row of the mirror is in the table with the same values, and no other."""
        with self._engine.connect() as connection:
            if self._same_text(connection):
                return
            found, expected = (
                {row[0]: tuple(row) for row in connection.execute(sa.select(*_by_name(table, self._key)))}
                for table in (self.table, self.twin)
            )
        wrong = [key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)]
        if wrong:
            shown = "\n".join(f"{key}: {found.get(key)}, should be {expected.get(key)}" for key in wrong[:5])
            raise AssertionError(f"{len(wrong)} of {len(expected)} rows of {self.table.name} differ:\n{shown}")

    def _same_text(self, connection: sa.Connection) -> bool:
        """Compares on the server, which is faster. Values that it writes in another way may be the same all the same."""
        exact = sa.LargeBinary if connection.dialect.name in ("mysql", "mariadb") else sa.Text
        columns = [[sa.cast(one, exact) for one in _by_name(table, self._key)] for table in (self.table, self.twin)]
        table, twin = (sa.select(*one) for one in columns)
        return not any(connection.execute(one.limit(1)).first() for one in (table.except_(twin), twin.except_(table)))

    def assert_no_errors(self) -> None:
        assert not self.errors, f"{len(self.errors)} errors, first: {self.errors[:3]}"

    def _go_on(self, step: Callable[[sa.Connection], None]) -> None:
        try:
            while not self._stop.is_set():
                with suppress(_Reconnect), self._engine.connect() as connection:
                    while not self._stop.is_set():
                        self._transaction(connection, step)
                        self._stop.wait(self.pause)
        except Exception:
            self._crashed.append(traceback.format_exc())

    def _transaction(self, connection: sa.Connection, step: Callable[[sa.Connection], None]) -> None:
        try:
            step(connection)
            self._timed("commit", connection.commit)
            self.transactions += 1
        except sa.exc.DBAPIError as error:
            # The application sees an error and tries again: the test decides whether that is allowed.
            self.errors.append(f"{type(error).__name__}: {error.orig}")
            if error.connection_invalidated:
                raise _Reconnect from error
            connection.rollback()

    def _write(self, connection: sa.Connection) -> None:
        choice = self._random.random()
        if choice < 0.4 or not self._keys:
            values = {self._key: self.new_key(self._next), **self._new_values()}
            self._next += 1
            self._both(connection, "insert", lambda table: sa.insert(table).values(values))
            self._keys.append(values[self._key])
        elif choice < 0.8:
            key, values = self._random.choice(self._keys), self._new_values()
            self._both(connection, "update", lambda table: self._at(sa.update(table), table, key).values(values))
        else:
            key = self._keys.pop(self._random.randrange(len(self._keys)))
            self._both(connection, "delete", lambda table: self._at(sa.delete(table), table, key))

    def _read(self, connection: sa.Connection) -> None:
        keys = self._keys[-20:] or [self.new_key(0)]
        key = keys[int(time.monotonic() * 1000) % len(keys)]
        query = sa.select(self.table).where(self.table.c[self._key] == key)
        self._timed("read", lambda: connection.execute(query).all())

    def _both(self, connection: sa.Connection, what: str, statement: Callable[[sa.Table], Any]) -> None:
        for table in (self.table, self.twin):
            self._timed(what, partial(connection.execute, statement(table)))

    def _at(self, statement: Any, table: sa.Table, key: Any) -> Any:
        return statement.where(table.c[self._key] == key)

    def _new_values(self) -> dict[str, Any]:
        return {name: make(self._random) for name, make in self._values.items()}

    def _timed(self, what: str, action: Callable[[], Any]) -> None:
        began = time.perf_counter()
        try:
            action()
        finally:
            wait = Wait(time.perf_counter() - began, what)
            self._waits[what] = max(wait, self._waits.get(what, wait), key=lambda known: known.seconds)


class _Reconnect(Exception):
    pass


def _table(
    connection: sa.Connection, name: str, schema: str | None, key: str, columns: Sequence[str] | None
) -> sa.Table:
    """The table as the application knows it: with its present columns, without those that the migration adds."""
    reflected = sa.Table(name, sa.MetaData(), schema=schema, autoload_with=connection, resolve_fks=False)
    names = columns or [column.name for column in reflected.columns if column.computed is None]
    # Types without their schema-bound parts; no defaults, keys and constraints.
    kept = [sa.Column(c.name, c.type) for c in reflected.columns if c.name in {key, *names}]
    return sa.Table(name, sa.MetaData(), *kept, schema=schema)


def _make_twin(connection: sa.Connection, database: Database, table: sa.Table, key: str) -> sa.Table:
    name, schema = f"{table.name}_twin", [] if table.schema is None else [table.schema]
    columns = ", ".join(database.quoted(column.name) for column in table.columns)
    source, target = database.quoted(*schema, table.name), database.quoted(*schema, name)
    connection.exec_driver_sql(
        f"CREATE TABLE {target} AS SELECT {columns} FROM {source}",
        execution_options={"no_parameters": True},
    )
    kept = [sa.Column(column.name, column.type) for column in table.columns]
    twin = sa.Table(name, sa.MetaData(), *kept, schema=table.schema)
    sa.Index(f"{name[:40]}_key", twin.c[key], unique=True).create(connection)
    return twin


def _by_name(table: sa.Table, key: str) -> list[sa.Column[Any]]:
    return [table.c[key], *(column for column in table.columns if column.name != key)]


def _maker(type_: sa.types.TypeEngine[Any]) -> Callable[[random.Random], Any]:
    length = min(getattr(type_, "length", None) or 12, 12)
    match type_:
        case sa.Enum():
            return lambda chance: chance.choice(type_.enums)
        case sa.String():
            return lambda chance: "".join(chance.choices(string.ascii_letters, k=length))
        case sa.Boolean():
            return lambda chance: chance.random() < 0.5
        case sa.Integer():
            return lambda chance: chance.randrange(100)
        case sa.Numeric() if type_.asdecimal:
            return lambda chance: sa.cast(chance.randrange(100), type_)
        case sa.Numeric():
            return lambda chance: float(chance.randrange(100))
        case sa.Date() | sa.DateTime():
            return lambda chance: sa.func.current_timestamp()
    raise TypeError(f"Traffic cannot make up values of {type_!r}: pass them by values=")


# --- locks held by others --------------------------------------------------------------------------------


@dataclasses.dataclass
class Holder:
    """A session that holds a lock on a table, and does nothing."""

    pid: int
    _connection: sa.Connection
    _released: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def release(self) -> None:
        # Once: a timer and the end of the block may both come here.
        if self._released.acquire(blocking=False):
            with suppress(sa.exc.DBAPIError):
                self._connection.rollback()
            self._connection.close()

    def release_after(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self.release)
        timer.daemon = True
        timer.start()


_SQLITE_MODES = {
    "ACCESS SHARE": "BEGIN",
    "ROW EXCLUSIVE": "BEGIN IMMEDIATE",
    "ACCESS EXCLUSIVE": "BEGIN EXCLUSIVE",
}


@contextmanager
def idle_holder(
    database: Database,
    table: str,
    mode: str = "ACCESS SHARE",
    *,
    schema: str | None = None,
    application_name: str = "idle-holder",
) -> Iterator[Holder]:
    """A second session holds a lock on the table in an idle transaction, for the length of the block.

    Args:
        mode: one of PostgreSQL's table locks. Elsewhere ACCESS SHARE is what a read takes, ROW EXCLUSIVE what
            a write takes, and ACCESS EXCLUSIVE what keeps everyone out.
        application_name: on PostgreSQL, the name in messages about it.

    Example:
        with idle_holder(database, "users", "ROW EXCLUSIVE") as holder, pytest.raises(LockNotAcquired) as error:
            migrate(database, lambda: drop_column_if_exists("users", "name"))
        assert str(holder.pid) in str(error.value)
    """
    options: dict[str, Any] = {"check_same_thread": False} if database.kind == "sqlite" else {}
    if database.kind == "postgresql":
        options["application_name"] = application_name
    connection = database.observer(connect_args=options).connect()
    name = database.quoted(table) if schema is None else database.quoted(schema, table)
    holder = Holder(0, connection)
    try:
        holder.pid = _hold(connection, database.kind, name, mode)
        yield holder
    finally:
        holder.release()


@contextmanager
def held_until_logged(
    database: Database, table: str, mode: str = "ACCESS SHARE", *, text: str = "waiting for", seconds: float = 0.0
) -> Iterator[Holder]:
    """The same, until safeops has logged a line with the text, and so many seconds more.

    A time from the beginning of the block would be over before the wait, on a machine that is busy.
    """
    with idle_holder(database, table, mode) as holder, once_logged(text, holder.release, seconds):
        yield holder


@contextmanager
def once_logged(text: str, action: Callable[[], object], seconds: float = 0.0) -> Iterator[None]:
    """Does something in another thread, so many seconds after safeops logs the first line with the text."""
    timer = threading.Timer(seconds, action)
    handler = _OnLine(text, timer)
    logger = logging.getLogger("safeops")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        if handler.seen:
            timer.join()


class _OnLine(logging.Handler):
    def __init__(self, text: str, timer: threading.Timer) -> None:
        super().__init__()
        self.text, self.timer, self.seen = text, timer, False

    def emit(self, record: logging.LogRecord) -> None:
        if not self.seen and self.text in record.getMessage():
            self.seen = True
            self.timer.start()


def _hold(connection: sa.Connection, kind: str, table: str, mode: str) -> int:
    def send(statement: str) -> sa.CursorResult[Any]:
        return connection.execution_options(no_parameters=True).exec_driver_sql(statement)

    if kind == "postgresql":
        pid = send("SELECT pg_backend_pid()").scalar_one()
        send(f"LOCK TABLE {table} IN {mode} MODE")
        return int(pid)
    if kind == "mysql":
        pid = send("SELECT CONNECTION_ID()").scalar_one()
        if mode == "ACCESS EXCLUSIVE":
            send(f"LOCK TABLES {table} WRITE")
        else:
            send("START TRANSACTION")
            read = f"SELECT 1 FROM {table} LIMIT 1"
            send(read if mode == "ACCESS SHARE" else f"{read} FOR UPDATE").all()
        return int(pid)
    send(_SQLITE_MODES[mode])
    send(f"SELECT 1 FROM {table} LIMIT 1").all()
    return 0


# --- another process -------------------------------------------------------------------------------------


class OtherProcess:
    """A function at work in a forked child: Alembic's proxies are global, so two migrations need two processes."""

    def __init__(self, function: Callable[[], Any]) -> None:
        context = multiprocessing.get_context("fork")
        self._results: Any = context.SimpleQueue()
        self.process = context.Process(target=self._work, args=[function], daemon=True)
        self.process.start()

    def _work(self, function: Callable[[], Any]) -> None:
        try:
            self._results.put((True, function()))
        except BaseException:
            self._results.put((False, traceback.format_exc()))

    def result(self, seconds: float = 60.0) -> Any:
        """What the function returned; raises AssertionError with its traceback if it raised."""
        self.process.join(seconds)
        assert not self.process.is_alive(), f"the other process is still at work after {seconds:.0f} s"
        assert not self._results.empty(), f"the other process died with exit code {self.process.exitcode}"
        fine, value = self._results.get()
        assert fine, value
        return value

    def kill9(self) -> None:
        self.process.kill()
        self.process.join(10)


@contextmanager
def other_process(function: Callable[[], Any]) -> Iterator[OtherProcess]:
    """Runs a function in a forked child for the length of the block, and kills it if it still runs then."""
    other = OtherProcess(function)
    try:
        yield other
    finally:
        if other.process.is_alive():
            other.kill9()
