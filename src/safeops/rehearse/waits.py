"""Who waits for whom while the revisions run: sampled on a second connection."""

from __future__ import annotations

import math
import threading
import time
from abc import abstractmethod
from array import array
from collections.abc import Callable, Iterable, Iterator, MutableSequence, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool

from safeops.databases import database_on
from safeops.databases.ports import Port
from safeops.databases.statements import names_in
from safeops.rehearse.effects import Statement
from safeops.rehearse.following import OBSERVER
from safeops.rehearse.statement import NOT_SEEN, SAMPLED
from safeops.runner.environment import shorten

EVERY = 0.01
"""Seconds between two samples at least: as exact as the waits are."""
IDLE = 19
"""How much longer than a sample takes its thread sleeps: samples take at most a twentieth of the time."""
TRAFFIC = "safeops traffic"
"""What the sessions of the traffic call themselves."""
LONGEST = 120
MOST = 10_000
"""Waits that are kept; of more, the longest half."""


@dataclass(frozen=True)
class Waiting:
    """A session that waits at this moment.

    Args:
        key: Names the wait, from one sample to the next.
        age: Seconds that it has waited; None if the server does not know.
        table: The table, as "schema.table"; empty if it waits for a row.
        lock: The lock that it waits for.
        sql: Its statement.
        is_traffic: Whether the session is one of the traffic.
        behind: The statements of the sessions that it waits for, which are not those of the traffic.
    """

    key: tuple[Any, ...]
    age: float | None
    table: str
    lock: str
    sql: str
    is_traffic: bool
    behind: tuple[str, ...] = ()


@dataclass(frozen=True)
class Held:
    """A lock that a session of the migration holds at this moment."""

    table: str
    lock: str


@dataclass(frozen=True)
class Wait:
    """A wait that was seen.

    Args:
        began: When it began, by ``time.monotonic()``.
        seconds: How long it took.
        table: The table, as "schema.table"; empty for a row.
        lock: The lock that it waited for.
        sql: The statement that waited.
        behind: The statement that it waited for; empty if that is not known.
        by_migration: The migration itself waited.
        statement: The place of the statement of the migration that it waited for; None if that is not known.
        gone: When a sample no longer had it; infinite if none followed.
    """

    began: float
    seconds: float
    table: str
    lock: str
    sql: str
    behind: str = ""
    by_migration: bool = False
    statement: int | None = None
    gone: float = math.inf

    @property
    def who(self) -> str:
        """Name the session that waited, by what it did."""
        return f"{'the migration' if self.by_migration else 'the application'}: {self.sql}"

    def as_json(self) -> dict[str, Any]:
        return {
            "statement": self.statement,
            "table": self.table,
            "who": self.who,
            "lock": self.lock,
            "behind": self.behind,
            "seconds": round(self.seconds, 4),
        }


class LockWaits(Port):
    """What a server shows of sessions that wait for locks."""

    place = "safeops.rehearse.{family}.waits:LockWaits"
    asked = "A look at waiting sessions"

    sees_waits: ClassVar[bool] = True
    """Whether the server shows them at all."""
    unseen: ClassVar[str] = ""
    """What this server or this account cannot see, as a sentence."""

    @abstractmethod
    def now(self) -> Iterable[Waiting | Held]:
        """Return the sessions that wait now, and the locks that the migration holds, if the server shows them."""


class Watch:
    """The waits that were seen so far."""

    def __init__(self) -> None:
        self.unseen = ""
        self.held: dict[Held, MutableSequence[float]] = {}
        """When the locks of the migration were seen."""
        self._seen: dict[tuple[Any, ...], Wait] = {}
        self._waiting: set[tuple[Any, ...]] = set()
        """The waits of the last sample."""
        self._over = threading.Event()

    @property
    def waits(self) -> list[Wait]:
        """The waits of the traffic for the migration, and those of the migration, by their beginning."""
        return sorted(self._seen.values(), key=lambda wait: wait.began)

    def run(self, connection: Connection) -> None:
        """Sample until ``stop`` is called."""
        port = LockWaits.of(database_on(connection))
        self.unseen = port.unseen
        sampled = time.monotonic()
        while port.sees_waits and not self._over.wait(max(EVERY, IDLE * (time.monotonic() - sampled))):
            sampled = time.monotonic()
            waiting = set()
            for found in port.now():
                if isinstance(found, Held):
                    self.held.setdefault(found, array("d")).append(sampled)
                else:
                    self._note(found, sampled)
                    waiting.add(found.key)
            self._note_gone(waiting, sampled)

    def stop(self) -> None:
        self._over.set()

    def _note(self, waiting: Waiting, sampled: float) -> None:
        if waiting.is_traffic and not waiting.behind:
            # Two statements of the application wait for each other in production too.
            return
        known = self._seen.get(waiting.key)
        began = known.began if known is not None else sampled - (waiting.age or 0.0)
        behind = known.behind if known is not None else next(iter(waiting.behind), "")
        self._seen[waiting.key] = Wait(
            began,
            max(waiting.age or 0.0, sampled - began),
            waiting.table,
            waiting.lock,
            shortened(waiting.sql),
            shortened(behind),
            by_migration=not waiting.is_traffic,
        )
        self._waiting.add(waiting.key)
        if len(self._seen) > MOST:
            longest = sorted(self._seen.items(), key=lambda item: -item[1].seconds)
            self._seen = dict(longest[: MOST // 2])

    def _note_gone(self, waiting: Set[tuple[Any, ...]], sampled: float) -> None:
        for key in self._waiting - waiting:
            self._waiting.discard(key)
            if key in self._seen:
                self._seen[key] = replace(self._seen[key], gone=sampled)


@contextmanager
def watching_waits(engine: Engine) -> Iterator[Watch]:
    """Note who waits for whom in the database of an engine, for the block."""
    watch = Watch()
    own = sa.create_engine(engine.url, poolclass=NullPool, hide_parameters=True)

    def run() -> None:
        try:
            with own.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT", **OBSERVER)
                watch.run(connection)
        except Exception as error:
            watch.unseen = f"The waits could not be read: {shorten(str(error).splitlines()[0], LONGEST)}."

    thread = threading.Thread(target=run, name="safeops-waits", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        thread.join(timeout=5)


def shortened(sql: str) -> str:
    """Return a statement as one line, shortened."""
    return shorten(" ".join(sql.split()), LONGEST)


def blamed(waits: Iterable[Wait], statements: Sequence[Statement]) -> list[Wait]:
    """Return the waits with the statement of the migration that each waited for, or that waited itself."""
    return [_blamed(wait, statements) for wait in waits]


def _blamed(wait: Wait, statements: Sequence[Statement]) -> Wait:
    moment = wait.began + min(EVERY, wait.seconds)
    running = [place for place, one in enumerate(statements) if one.began <= moment <= one.began + one.seconds + EVERY]
    # The statement that took the lock: its transaction may hold it for longer than the statement takes.
    holding = [
        (place, table)
        for place, one in enumerate(statements)
        for table in one.locks
        if one.began <= moment <= one.began + one.held_seconds + EVERY and _is_about(wait, table)
    ]
    if wait.by_migration or not holding:
        return replace(wait, statement=running[-1] if running else None)
    place, table = holding[-1]
    # Samples can be rare on a busy machine. The wait ends no earlier than the lock, unless a sample shows that it did.
    released = statements[place].began + statements[place].held_seconds
    seconds = max(wait.seconds, released - wait.began) if released <= wait.gone else wait.seconds
    return replace(wait, statement=place, table=wait.table or table, seconds=seconds)


def _is_about(wait: Wait, table: str) -> bool:
    return wait.table == table or (not wait.table and table.rpartition(".")[2] in names_in(wait.sql))


def with_sampled(statements: Iterable[Statement], watch: Watch, strength: Callable[[str], int]) -> None:
    """Give statements in autocommit, whose session no longer knows them, the locks that were seen while they ran.

    Args:
        statements: What the migration sent.
        watch: What was seen.
        strength: Returns how strong a lock is.
    """
    for one in statements:
        if one.seen == NOT_SEEN and watch.held:
            locks = dict(one.locks)
            for held, moments in watch.held.items():
                if any(one.began <= moment <= one.began + one.seconds for moment in moments):
                    locks[held.table] = max(locks.get(held.table, held.lock), held.lock, key=strength)
            # Without a sample while it ran, that it locked nothing is not known.
            if locks:
                one.effects, one.seen = replace(one.effects, locks=locks), SAMPLED
