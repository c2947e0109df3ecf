"""The clients of the traffic: each is a thread with a session, which sends one statement after another at a steady rate."""

from __future__ import annotations

import random
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from safeops.rehearse.traffic.client import Session
from safeops.rehearse.traffic.errors import Errors
from safeops.rehearse.traffic.latencies import Latencies, Sample
from safeops.rehearse.traffic.ledger import Key, Ledger
from safeops.rehearse.traffic.sql import Statement
from safeops.rehearse.traffic.values import Values
from safeops.rehearse.traffic.work import Work

OWN = 500
"""New rows of a client that it changes and deletes again; older ones stay."""
BETWEEN = 0.1
"""Seconds after which a client that has nothing to send checks whether the traffic is paused."""
LOST = 0.5
"""Seconds before a connection that was lost is tried again."""
COMMIT = Statement(("COMMIT",))
UNKNOWN = "?"
"""The table of a statement that names none."""


class Books:
    """What all clients write to."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.latencies, self.errors = ledger, Latencies(), Errors()
        self.stopping, self.paused = threading.Event(), threading.Event()


class Lane(threading.Thread, ABC):
    """One client.

    Args:
        session: Its session.
        books: What it writes its results to.
        interval: Seconds from the beginning of one turn to the next.
        chance: Decides what comes next.
    """

    def __init__(self, session: Session, books: Books, interval: float, chance: random.Random) -> None:
        super().__init__(name=session.name, daemon=True)
        self.session, self.books, self.interval, self.chance = session, books, interval, chance
        self.running: tuple[str, bool, float, str] | None = None
        """The statement that has not ended: table, whether it writes, when it began, its text."""
        self.at_risk: list[tuple[int, Key]] = []
        """The rows that the present statements write: whether they do is not known until the server answers."""
        self.is_idle = threading.Event()

    def run(self) -> None:
        # Clients that begin together would send together all the time.
        due = time.monotonic() + self.chance.random() * self.interval
        while not self.books.stopping.is_set():
            rest = due - time.monotonic()
            self.is_idle.clear()
            if self.books.paused.is_set() or rest > 0:
                self.is_idle.set()
                self.books.stopping.wait(min(rest, BETWEEN) if rest > 0 else 0.01)
                continue
            self._turn()
            # Statements that a wait has prevented are not sent later all at once.
            due = max(due + self.interval, time.monotonic())
        self.is_idle.set()
        self.session.close()

    def _turn(self) -> None:
        try:
            self.turn()
        except Exception as error:
            self.failed(UNKNOWN, "", error)

    @abstractmethod
    def turn(self) -> None:
        """Do one thing."""

    def abandon(self) -> None:
        """Count a statement that does not end with the time that it has waited, and discard the rows that it writes."""
        running = self.running
        if running is not None:
            table, writes, began, sql = running
            self.books.latencies.add(Sample(table, writes, began, time.monotonic() - began, sql), self.interval)
        self.discard_rows()

    def discard_rows(self) -> None:
        for place, key in self.at_risk:
            self.books.ledger.unsure(place, key)

    def send(
        self, table: str, statement: Statement, values: Sequence[Any], *, writes: bool, prepared: bool = False
    ) -> Any:
        """Run a statement to its last row, and record how long that took; return its cursor and its rows."""
        # The time to open a connection again does not count.
        self.session.connect()
        began = time.monotonic()
        self.running = (table, writes, began, statement.text)
        try:
            cursor = self.session.run(statement, values, prepared=prepared)
            rows = cursor.fetchall() if cursor.description else []
        finally:
            self.running = None
            sample = Sample(table, writes, began, time.monotonic() - began, statement.text)
            self.books.latencies.add(sample, self.interval)
        return cursor, rows

    def failed(self, table: str, sql: str, error: Exception) -> None:
        """Record an error, as an application that tries again with a new connection."""
        if self.books.stopping.is_set():
            return
        self.books.errors.add(table, sql, error, self.session.client.code_of(error))
        self.session.recover()
        if not self.session.is_open:
            self.books.stopping.wait(LOST)


def end(lanes: Sequence[Lane], books: Books, grace: float) -> None:
    """End clients; a statement that does not end is cancelled, and counts with the time that it has waited."""
    books.stopping.set()
    _join(lanes, grace)
    for lane in lanes:
        if lane.is_alive():
            lane.session.client.cancel(lane.session)
    _join(lanes, grace)
    for lane in lanes:
        if lane.is_alive():
            lane.abandon()
    books.ledger.close()


def _join(lanes: Sequence[Lane], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for lane in lanes:
        lane.join(max(deadline - time.monotonic(), 0))


class TableLane(Lane):
    """A client that reads and writes single rows by key.

    Args:
        works: The tables, one after another.
        writes: It writes; else it reads.
        share: The position among the clients that write, and their number: no two write the same row.
    """

    def __init__(self, *lane: Any, works: Sequence[Work], writes: bool, share: tuple[int, int]) -> None:
        super().__init__(*lane)
        self.works, self.writes, self._next = works, writes, 0
        first, step = share if writes else (0, 1)
        self.known = {work.place: work.rows[first::step] for work in works}
        self.own: dict[int, deque[Values]] = {work.place: deque(maxlen=OWN) for work in works}

    def turn(self) -> None:
        work = self.works[self._next % len(self.works)]
        self._next += 1
        prepared = self.session.client.prepares and self.chance.random() < 0.5
        if not self.writes:
            row = self.chance.choice(self.known[work.place]) if self.known[work.place] else {}
            self._guarded(work, work.select, lambda: self._read(work, row, prepared))
            return
        self._write(work, prepared)

    def _write(self, work: Work, prepared: bool) -> None:
        kind = self.chance.random()
        own = self.own[work.place]
        if work.insert is not None and kind < 0.25:
            self._guarded(work, work.insert, lambda: self._insert(work, prepared))
        elif own and kind < 0.4:
            row = own.popleft()
            self._guarded(work, work.delete, lambda: self._remove(work, row, prepared), row)
        elif work.updates and kind < 0.9:
            self._update_one(work, prepared)
        elif work.updates:
            self._transaction(work, prepared)
        elif work.touch is not None:
            self._touch(work, work.touch, prepared)

    def _guarded(self, work: Work, statement: Statement, action: Callable[[], object], *rows: Values) -> None:
        self.at_risk = [(work.place, work.key(row)) for row in rows] if self.writes else []
        try:
            action()
        except Exception as error:
            self.failed(work.name, statement.text, error)
            if not self.session.is_open:
                self.discard_rows()
        self.at_risk = []

    # Statements -------------------------------------------------------------------------------------------------

    def _read(self, work: Work, row: Values, prepared: bool) -> None:
        statement = work.select
        self.send(work.name, statement, [row[name] for name in statement.names], writes=False, prepared=prepared)

    def _insert(self, work: Work, prepared: bool) -> None:
        assert work.insert is not None
        values = work.pool.row([column.name for column in work.traffic.inserted], self.chance)
        given = [values[name] for name in work.insert.names]
        cursor, rows = self.send(work.name, work.insert, given, writes=True, prepared=prepared)
        if work.traffic.numbered:
            values[work.traffic.key[0]] = rows[0][0] if work.returns_key else cursor.lastrowid
        self._kept(work, work.key(values), values, {})
        self.own[work.place].append(values)

    def _remove(self, work: Work, row: Values, prepared: bool) -> None:
        key: Key = work.key(row)
        cursor, _ = self.send(work.name, work.delete, key, writes=True, prepared=prepared)
        if cursor.rowcount == 1:
            self.books.ledger.deleted(work.place, key)

    def _update_one(self, work: Work, prepared: bool) -> None:
        row = self._row(work)
        if row is not None:
            self._update_columns(work, row, *self.chance.choice(work.updates), prepared)

    def _update_columns(
        self, work: Work, row: Values, statement: Statement, group: Sequence[str], prepared: bool
    ) -> None:
        values = work.pool.change(group, row, self.chance)

        def update() -> None:
            if self._update(work, statement, row, values, prepared):
                self._kept(work, work.key(row), values, row)
                row.update(values)

        self._guarded(work, statement, update, row)

    def _touch(self, work: Work, statement: Statement, prepared: bool) -> None:
        self._guarded(work, statement, lambda: self.send(work.name, statement, (), writes=True, prepared=prepared))

    def _transaction(self, work: Work, prepared: bool) -> None:
        """Change two rows in one transaction, and read one of them."""
        rows = [row for row in (self._row(work), self._row(work)) if row is not None]
        changes = []
        for row in rows:
            statement, group = self.chance.choice(work.updates)
            changes.append((statement, row, work.pool.change(group, row, self.chance)))

        def transact() -> None:
            self.session.run(Statement((self.session.client.begins,)))
            done = [change for change in changes if self._update(work, *change, prepared)]
            for _, row, _ in done[:1]:
                self._read(work, row, prepared)
            self.send(work.name, COMMIT, (), writes=True)
            for _, row, values in done:
                self._kept(work, work.key(row), values, row)
                row.update(values)

        self._guarded(work, changes[0][0] if changes else COMMIT, transact, *rows)

    def _update(self, work: Work, statement: Statement, row: Values, values: Values, prepared: bool) -> bool:
        given = {**row, **values}
        arguments = [given[name] for name in statement.names]
        return bool(self.send(work.name, statement, arguments, writes=True, prepared=prepared)[0].rowcount == 1)

    def _row(self, work: Work) -> Values | None:
        rows: Sequence[Values] = self.known[work.place]
        if self.own[work.place] and (not rows or self.chance.random() < 0.3):
            rows = self.own[work.place]
        return self.chance.choice(rows) if rows else None

    def _kept(self, work: Work, key: Key, values: Values, present: Values) -> None:
        self.books.ledger.wrote(work.place, key, work.recorded(values), present)
