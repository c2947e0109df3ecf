"""A session that holds tables, and others that use them: how long do these wait behind an upgrade?"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Engine

from safeops.naming import Name
from safeops.rehearse.traffic import plan_of
from safeops.rehearse.traffic.client import Client, Session, client_of
from safeops.rehearse.traffic.plan import TableTraffic
from safeops.rehearse.traffic.sql import Statement
from safeops.rehearse.traffic.work import Work, work_on

EVERY = 0.005
"""Seconds between two statements of a probe."""
TAKEN = 0.1
"""Seconds after which the holder gives up a table that the upgrade itself has locked."""
GRACE = 2.0


@dataclass(frozen=True)
class HeldTable:
    """What the sessions do with a table.

    Args:
        reads: A query of one row.
        writes: Statements that write, or lock to write, a row that the holder does not hold, and their values.
        holds: The statements with which the holder takes the table, and another row of it.
    """

    reads: tuple[Statement, Sequence[Any]]
    writes: tuple[tuple[Statement, Sequence[Any]], ...]
    holds: tuple[tuple[Statement, Sequence[Any]], ...]

    @classmethod
    def of(cls, client: Client, session: Session, traffic: TableTraffic) -> HeldTable:
        """Return what to do with a table, by the rows that it has."""
        work = work_on(client, session, 0, traffic)
        place = client.quoted_table(traffic.table)
        # It takes the lock of any write to the table, and changes no row.
        touch = Statement((f"DELETE FROM {place} WHERE 1 = 0",)), ()
        if not traffic.key or not work.rows:
            reads = Statement((f"SELECT 1 FROM {place} LIMIT 1",)), ()
            return cls(reads, (touch,), (touch,))
        first, last = work.rows[0], work.rows[-1]
        own = [touch] if len(work.rows) == 1 else [touch, (_locked(work), work.key(first))]
        return cls((work.read(traffic.key), work.key(first)), tuple(own), (touch, (_locked(work), work.key(last))))


def _locked(work: Work) -> Statement:
    """Return a statement that locks a row as an UPDATE of it does."""
    read = work.read(work.traffic.key)
    return Statement((*read.parts[:-1], f"{read.parts[-1]} FOR UPDATE"), read.names)


class Probe(threading.Thread):
    """A session that sends one statement after another while tables are held, and measures how long each takes.

    Args:
        session: The session.
        statements: What it sends.
        writes: Whether these write.
    """

    def __init__(
        self, session: Session, statements: Sequence[tuple[Statement, Sequence[Any]]], *, writes: bool
    ) -> None:
        super().__init__(name=session.name, daemon=True)
        self.session, self.statements, self.writes = session, statements, writes
        self.active, self.stopping = threading.Event(), threading.Event()
        self._began: float | None = None
        self._finished: list[tuple[float, float]] = []

    def run(self) -> None:
        place = 0
        while not self.stopping.is_set():
            if not self.active.wait(EVERY * 4):
                continue
            statement, values = self.statements[place % len(self.statements)]
            place += 1
            self._began = time.monotonic()
            try:
                cursor = self.session.run(statement, values)
                if cursor.description:
                    cursor.fetchall()
            except Exception:
                # The upgrade may have dropped what it uses.
                self.session.recover()
            self._finished.append((self._began, time.monotonic()))
            self._began = None
            time.sleep(EVERY)
        self.session.close()

    def longest(self, since: float) -> float:
        """Return the longest time that a statement has taken since that time, also one that has not ended."""
        now, running = time.monotonic(), self._began
        times = [(began, ended) for began, ended in [*self._finished] if ended > since]
        if running is not None:
            times.append((running, now))
        return max((ended - max(began, since) for began, ended in times), default=0.0)


class Holder:
    """Sessions around the statements of an upgrade: one that holds tables, and for each table two that use it.

    Args:
        engine: Reaches the database.
        tables: The tables that may be held.
    """

    def __init__(self, engine: Engine, tables: Iterable[Name]) -> None:
        self._client, self._url = client_of(engine.url.render_as_string(hide_password=False))
        self._lock = threading.Lock()
        self._session = self._opened("holds")
        self._tables: dict[Name, HeldTable] = {}
        self._probes: dict[Name, tuple[Probe, Probe]] = {}
        for traffic in plan_of(engine, tables).tables:
            with suppress(Exception):
                self._tables[traffic.table] = HeldTable.of(self._client, self._session, traffic)
        self.held: tuple[Name, ...] = ()
        self.since = 0.0
        """When the tables were held."""

    def hold(self, tables: Iterable[Name]) -> bool:
        """Begin a transaction that uses tables; return False if the upgrade has locked them already."""
        known = [table for table in tables if table in self._tables]
        with self._lock:
            # A row that the upgrade has locked itself cannot be held, but its table can.
            if not known or not (self._takes(known, rows=True) or self._takes(known, rows=False)):
                return False
            self.held, self.since = tuple(known), time.monotonic()
        for table in known:
            for probe in self._probes_of(table):
                probe.active.set()
        return True

    def release(self) -> None:
        """End the transaction, if it is open."""
        with self._lock:
            if not self.held:
                return
            self.held = ()
            self._session.recover()
        for probes in self._probes.values():
            for probe in probes:
                probe.active.clear()

    def waited(self, *, writes: bool) -> float:
        """Return how long reads or writes of others have waited since the tables were held, in seconds."""
        probes = [probe for both in self._probes.values() for probe in both if probe.writes == writes]
        return max((probe.longest(self.since) for probe in probes), default=0.0)

    @property
    def longest(self) -> float:
        return max(self.waited(writes=False), self.waited(writes=True))

    def close(self) -> None:
        """End all sessions."""
        self.release()
        probes = [probe for both in self._probes.values() for probe in both]
        for probe in probes:
            probe.stopping.set()
        deadline = time.monotonic() + GRACE
        for probe in probes:
            probe.join(max(deadline - time.monotonic(), 0))
            if probe.is_alive():
                self._client.cancel(probe.session)
                probe.join(GRACE)
        self._session.close()

    def _takes(self, tables: Sequence[Name], *, rows: bool) -> bool:
        """Use tables in a transaction, and hold a row of each; if that is not possible, it is ended again."""
        self._session.run(Statement((self._client.begins,)))
        statements = [one for table in tables for one in self._tables[table].holds[: 2 if rows else 1]]
        if all(self._runs(*one) for one in statements):
            return True
        self._session.recover()
        return False

    def _runs(self, statement: Statement, values: Sequence[Any]) -> bool:
        timer = threading.Timer(TAKEN, self._client.cancel, [self._session])
        timer.start()
        try:
            cursor = self._session.run(statement, values)
            if cursor.description:
                cursor.fetchall()
        except Exception:
            return False
        finally:
            timer.cancel()
        return True

    def _probes_of(self, table: Name) -> tuple[Probe, Probe]:
        if table not in self._probes:
            what = self._tables[table]
            reads = Probe(self._opened(f"{table} reads"), [what.reads], writes=False)
            writes = Probe(self._opened(f"{table} writes"), what.writes, writes=True)
            self._probes[table] = reads, writes
            reads.start()
            writes.start()
        return self._probes[table]

    def _opened(self, name: str) -> Session:
        session = Session(self._client, self._url, name)
        session.connect()
        return session


@contextmanager
def holding(engine: Engine, tables: Iterable[Name]) -> Iterator[Holder]:
    """Provide a session that can hold tables, and others that use them, for the block."""
    holder = Holder(engine, tables)
    try:
        yield holder
    finally:
        holder.close()
