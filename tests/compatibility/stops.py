"""Calls that end half way: a fill after its first batch, and a process that ends before a certain statement."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from tests.projects import is_watched, listening, migrate
from tests.servers import Database

from safeops import BackfillStopped

Call = Callable[[], object]


@dataclass(frozen=True)
class Killed:
    """A call whose process ends when it is about to send a statement that matches."""

    before: str
    call: Call


class Gone(BaseException):
    """The process has ended: nothing can catch it, and nothing more reaches the server."""


def run(database: Database, call: Call | Killed) -> None:
    if isinstance(call, Killed):
        with _killed(database, call.before):
            migrate(database, call.call)
    else:
        migrate(database, call)


def half(fill: Callable[..., object]) -> Call:
    """A fill as it is after its first batch."""

    def first(_: object) -> None:
        raise BackfillStopped("after the first batch")

    def stopped() -> None:
        with contextlib.suppress(BackfillStopped):
            fill(batch_size=1, progress=first)

    return stopped


@contextlib.contextmanager
def _killed(database: Database, before: str) -> Iterator[None]:
    opened: list[Any] = []
    gone: list[str] = []

    def sends(connection: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
        if is_watched(connection, database) and (gone or re.search(before, statement)):
            gone.append(statement)
            raise Gone

    def connected(connection: Any, _record: object) -> None:
        opened.append(connection)

    with listening({"before_cursor_execute": sends}), listening({"connect": connected}, sa.pool.Pool):
        try:
            yield
        except BaseException:
            # Cleaning up over a dead connection raises errors of all sorts, as in life.
            if not gone:
                raise
        finally:
            # The server then rolls back what was not committed, and releases the session's locks.
            for one in opened:
                with contextlib.suppress(Exception):
                    one.close()
    assert gone, f"no statement matches {before}"
