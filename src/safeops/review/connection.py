"""A driver's connection without a database: it records statements, and makes up the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy.engine import Dialect

from safeops.databases.driver_text import server_text
from safeops.databases.statements import words_of
from safeops.review.recorder import Recorder


@dataclass
class Answer:
    """What a statement returns.

    Args:
        columns: The names of its columns; None if it returns no rows.
        rows: Its rows.
        count: How many rows it has changed.
        is_real: Whether it comes from a database, with the types of its driver.
    """

    columns: Sequence[str] | None = None
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    count: int = -1
    is_real: bool = False


class Answers(Protocol):
    """What answers the statements of a revision."""

    def answer(self, sql: str, parameters: Any, columns: Sequence[tuple[str, Any]]) -> Answer:
        """Return what a statement returns; ``columns`` are those that SQLAlchemy expects, with their types."""


class RecordingConnection:
    """A driver's connection, as SQLAlchemy sees it.

    Args:
        recorder: Gets each statement.
        answers: Answers it.
        dialect: The dialect of the driver.
        begins_again: Whether the driver implicitly begins a transaction after a COMMIT that was sent as text.
    """

    def __init__(self, recorder: Recorder, answers: Answers, dialect: Dialect, *, begins_again: bool = True) -> None:
        self.recorder, self.answers, self.begins_again = recorder, answers, begins_again
        self.dialect = dialect
        self.autocommit = False
        self.isolation_level: Any = None
        self.notices: list[str] = []
        self._transaction: int | None = None
        self._helpers = recorder.helpers
        self._ended_by_text = False

    @property
    def driver_connection(self) -> RecordingConnection:
        return self

    # Transactions -----------------------------------------------------------------------------------------------

    @property
    def transaction(self) -> int | None:
        """The number of the transaction of the next statement, which begins one if the driver does."""
        if self._helpers != self.recorder.helpers:
            # A helper has committed the work before it.
            self._helpers, self._transaction = self.recorder.helpers, None
        if self._transaction is None and not (self.autocommit or self._ended_by_text):
            self._transaction = self.recorder.next_transaction()
        return self._transaction

    def commit(self) -> None:
        self._transaction, self._ended_by_text = None, False

    rollback = commit

    def close(self) -> None:
        self.commit()

    terminate = close

    def set_autocommit(self, value: bool) -> None:
        """Turn autocommit on or off, which ends the transaction."""
        self.commit()
        self.autocommit = value

    def _note_control(self, sql: str) -> None:
        """Note a transaction that the text of a statement begins or ends."""
        words = words_of(sql)
        first = words[0] if words else ""
        if first in ("COMMIT", "END", "ABORT") or (first == "ROLLBACK" and "TO" not in words[:3]):
            self._transaction, self._ended_by_text = None, not self.begins_again
        elif first in ("BEGIN", "START") and self._transaction is None:
            self._transaction = self.recorder.next_transaction()

    # Statements -------------------------------------------------------------------------------------------------

    def cursor(self, *_: Any, **__: Any) -> RecordingCursor:
        return RecordingCursor(self)

    def execute(self, sql: Any, parameters: Any = None, **_: Any) -> RecordingCursor:
        """Run a statement, as the connection of some drivers can."""
        return self.cursor().execute(sql, parameters)

    def send(self, sql: str, parameters: Any, times: int, columns: Sequence[tuple[str, Any]]) -> Answer:
        sql = server_text(sql, parameters, self.dialect)
        self.recorder.statement(sql, parameters, self.transaction, times)
        self._note_control(sql)
        return self.answers.answer(sql, parameters, columns)


class RecordingCursor:
    """A driver's cursor, as SQLAlchemy sees it."""

    arraysize = 1
    lastrowid = 1
    description: Sequence[tuple[Any, ...]] | None = None
    rowcount = -1
    is_real = False

    def __init__(self, connection: RecordingConnection) -> None:
        self.connection = connection
        self.expected: Sequence[tuple[str, Any]] = ()
        self._rows: Iterator[tuple[Any, ...]] = iter(())

    def execute(self, sql: Any, parameters: Any = None, *_: Any, **__: Any) -> RecordingCursor:
        return self._send(sql, parameters, 1)

    def executemany(self, sql: Any, parameters: Any, *_: Any, **__: Any) -> RecordingCursor:
        given = list(parameters)
        return self._send(sql, given[0] if given else None, len(given))

    def _send(self, sql: Any, parameters: Any, times: int) -> RecordingCursor:
        answer = self.connection.send(_text_of(sql), parameters, times, self.expected)
        self.description = None
        if answer.columns is not None:
            self.description = [(name, *([None] * 6)) for name in answer.columns]
        self._rows = iter(answer.rows)
        self.is_real = answer.is_real
        self.rowcount = answer.count if answer.count >= 0 else len(answer.rows) or times
        return self

    @contextmanager
    def copy(self, sql: Any, parameters: Any = None) -> Iterator[_Copy]:
        """Copy rows, as psycopg does."""
        self._send(sql, parameters, 1)
        yield _Copy()

    def copy_expert(self, sql: Any, *_: Any) -> None:
        self._send(sql, None, 1)

    def callproc(self, name: str, parameters: Sequence[Any] = ()) -> None:
        self._send(f"CALL {name}({', '.join(['%s'] * len(parameters))})", parameters, 1)

    # Rows -------------------------------------------------------------------------------------------------------

    def fetchone(self) -> tuple[Any, ...] | None:
        return next(self._rows, None)

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        return [row for row, _ in zip(self._rows, range(size or self.arraysize), strict=False)]

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self._rows)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._rows

    def nextset(self) -> None:
        return None

    def setinputsizes(self, *_: Any) -> None:
        pass

    def close(self) -> None:
        pass

    async def _async_soft_close(self) -> None:
        pass

    def __enter__(self) -> RecordingCursor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Copy:
    """The stream of a COPY: it discards all input, and is empty."""

    def write(self, *_: Any) -> None:
        pass

    write_row = write

    def set_types(self, *_: Any) -> None:
        pass

    def __iter__(self) -> Iterator[bytes]:
        return iter(())


def _text_of(sql: Any) -> str:
    """Return a statement as text; drivers also take bytes, and objects that compose one."""
    if isinstance(sql, bytes):
        return sql.decode(errors="replace")
    if isinstance(sql, str):
        return sql
    composed: Callable[[Any], str] | None = getattr(sql, "as_string", None)
    try:
        return composed(None) if composed is not None else str(sql)
    except Exception:
        # psycopg2 needs a real connection to quote.
        return str(sql)


class Error(Exception):
    """The base of the errors of this driver."""


class Driver:
    """A driver's module, as SQLAlchemy sees it."""

    apilevel, threadsafety, paramstyle = "2.0", 0, "pyformat"
    version = __version__ = "99.0"
    Error = Warning = InterfaceError = DatabaseError = DataError = OperationalError = Error
    IntegrityError = InternalError = ProgrammingError = NotSupportedError = Error
    Binary = bytes
    STRING, BINARY, NUMBER, DATETIME, ROWID = str, bytes, float, object, int

    def connect(self, *_: Any, **__: Any) -> Any:
        raise Error("There is no database: the review only records what a revision sends.")
