"""Listens to the statements that the process sends, on all of its connections."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Generic, TypeVar

from sqlalchemy.engine import Connection, Engine, ExceptionContext

from safeops.databases.connections import listening

AnyRunning = TypeVar("AnyRunning")


class StatementListener(ABC, Generic[AnyRunning]):
    """Gets each statement before it is sent, when it has run or was refused, and each end of a transaction.

    What ``on_statement`` returns of a statement is passed on when that has ended.
    """

    def __init__(self) -> None:
        self._running: dict[int, AnyRunning] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen to each connection of the process, for the block."""
        with ExitStack() as stack:
            for name, listener in self._listeners().items():
                stack.enter_context(listening(Engine, name, listener))
            yield

    def _listeners(self) -> dict[str, Callable[..., Any]]:
        """Return what gets which event of SQLAlchemy."""
        return {
            "before_cursor_execute": self._before,
            "after_cursor_execute": self._after,
            "handle_error": self._failed,
            "commit": lambda connection: self.on_end(connection, commits=True),
            "rollback": lambda connection: self.on_end(connection, commits=False),
        }

    @abstractmethod
    def on_statement(self, connection: Connection, sql: str, parameters: Any, many: bool) -> AnyRunning | None:
        """Return what to keep of a statement that is about to be sent; None to ignore it.

        Args:
            connection: Sends it.
            sql: Its text, as the driver gets it.
            parameters: Its parameters.
            many: Whether these are several sets of parameters.
        """

    @abstractmethod
    def on_result(self, connection: Connection, running: AnyRunning, rows: int) -> None:
        """Handle the end of a statement.

        Args:
            connection: Has sent it.
            running: What is kept of it.
            rows: The rows that it changed, as the driver counts them.
        """

    @abstractmethod
    def on_error(self, running: AnyRunning, error: BaseException) -> None:
        """Handle the error of a statement."""

    @abstractmethod
    def on_end(self, connection: Connection, *, commits: bool) -> None:
        """Handle the end of a transaction."""

    def _before(
        self, connection: Connection, cursor: Any, sql: str, parameters: Any, _context: Any, many: bool
    ) -> None:
        running = self.on_statement(connection, sql, parameters, many)
        if running is not None:
            self._running[id(cursor)] = running

    def _after(self, connection: Connection, cursor: Any, *_: Any) -> None:
        running = self._running.pop(id(cursor), None)
        if running is not None:
            self.on_result(connection, running, cursor.rowcount)

    def _failed(self, context: ExceptionContext) -> None:
        running = self._running.pop(id(getattr(context.execution_context, "cursor", None)), None)
        if running is not None:
            self.on_error(running, context.original_exception)


def session_of(connection: Connection) -> int:
    """Return what names the session: inside an autocommit block the connection is another object."""
    return 0 if connection.invalidated else id(connection.connection.dbapi_connection)
