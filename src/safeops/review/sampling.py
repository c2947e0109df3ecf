"""A second session that reads the locks of another one, again and again.

A lock may be held for less time than a query takes. So further sessions hold up the statement, each on one table, until the
server lists the lock that it waits for.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from safeops.databases.connections import CONNECTING, watching

MOST = 8
"""Tables that are held up, each by a session."""
Key = Any
Held = dict[Key, list[Connection]]


@dataclass(frozen=True)
class Questions:
    """What a sampler sends.

    Args:
        locks: Queries the locks of the session: tables, modes, and whether they are granted.
        limit: Limits how long a session waits to hold up a table.
        writers: By table, a statement that holds up those that block writers.
        readers: By table, a statement that holds up those that block readers.
        strong: Modes that keep out readers.
        excluding: Modes of the session that keep out who would hold it up.
    """

    locks: str
    limit: str
    writers: Mapping[Key, str]
    readers: Mapping[Key, str]
    strong: frozenset[str]
    excluding: frozenset[str]


class Sampler:
    """Reads the locks of a session from a second one, from now until it is stopped.

    Args:
        connection: A connection of the session to observe.
        questions: What to send.
    """

    def __init__(self, connection: Connection, questions: Questions) -> None:
        self._questions, self._ready = questions, threading.Event()
        self._seen: set[tuple[Key, str]] = set()
        self._stack = ExitStack()
        is_attached = self._stack.enter_context(watching(connection, self._look))
        self.works = is_attached() and self._ready.wait(CONNECTING)

    def stop(self) -> set[tuple[Key, str]]:
        """Stop reading, and return each table and mode that was seen."""
        self._stack.close()
        return self._seen

    def _look(self, own: Connection, ended: threading.Event) -> None:
        # Without SQLAlchemy, whose listeners would count it as a statement of the revision.
        with ExitStack() as stack, closing(own.connection.cursor()) as cursor:
            held = self._held_up(stack, own, self._locks(cursor))
            is_over = False
            while not is_over:
                # Once more at the end: what a transaction keeps is still held.
                is_over = ended.is_set()
                for key, mode, is_granted in self._locks(cursor):
                    self._seen.add((key, mode))
                    if not is_granted:
                        self._let_pass(held, key, mode)
                self._ready.set()

    def _locks(self, cursor: Any) -> list[Any]:
        cursor.execute(self._questions.locks)
        return list(cursor.fetchall())

    def _let_pass(self, held: Held, key: Key, mode: str) -> None:
        """Let a statement pass that waits for a table; one that waits for something else passes all."""
        known = bool(held.get(key))
        for waiting in [key] if known else [*held]:
            # The last one holds up writers.
            number = 1 if known and mode not in self._questions.strong else len(held[waiting])
            for _ in range(number):
                held[waiting].pop().connection.rollback()

    def _held_up(self, stack: ExitStack, own: Connection, locks: list[Any]) -> Held:
        """Return the sessions that hold up each table, unless the observed session has locked it."""
        locked = {key for key, mode, _ in locks if mode in self._questions.excluding}
        held: Held = {}
        for key in [key for key in self._questions.writers if key not in locked][:MOST]:
            for sql in (self._questions.readers.get(key), self._questions.writers[key]):
                with suppress(Exception):
                    if sql is not None:
                        held.setdefault(key, []).append(self._holding(stack, own, sql))
        return held

    def _holding(self, stack: ExitStack, own: Connection, sql: str) -> Connection:
        connection = stack.enter_context(own.engine.connect())
        with closing(connection.connection.cursor()) as cursor:
            cursor.execute(self._questions.limit)
            cursor.execute(sql)
            if cursor.description:
                cursor.fetchall()
        return connection
