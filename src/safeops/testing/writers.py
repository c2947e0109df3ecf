"""An application at work next to an upgrade: clients that write single rows, and record what the database acknowledged."""

from __future__ import annotations

import random
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection, Engine
from typing_extensions import Self

from safeops.databases.connections import listening
from safeops.databases.definitions import Table
from safeops.databases.statements import Kind, kind_of
from safeops.naming import Name
from safeops.rehearse.following import OBSERVER, OWN
from safeops.rehearse.traffic import Comparison, Replacements, TrafficPlan, plan_of
from safeops.rehearse.traffic.client import Session, client_of
from safeops.rehearse.traffic.comparison import compare
from safeops.rehearse.traffic.lanes import Books, TableLane, end
from safeops.rehearse.traffic.ledger import Key, Ledger, text_of
from safeops.rehearse.traffic.plan import TableTraffic
from safeops.rehearse.traffic.sql import Statement
from safeops.rehearse.traffic.values import Values
from safeops.rehearse.traffic.work import Work, work_on
from safeops.review.tracing import is_own
from safeops.testing.touched import Apart

CLIENTS = 2
"""Clients that write each table."""
TABLES = 6
"""Tables that have separate clients; with more, a client takes turns."""
GROUPS = 12
"""Columns, or groups of them that a constraint ties, that a client writes in a turn."""
KEPT = 3
"""Rows that a client has added, before it deletes the oldest."""
INTERVAL = 0.02
"""Seconds between two turns of a client for which the upgrade does not wait."""
BLOCKED = 0.1
"""Seconds after which a statement of a client is taken for one that waits for a lock."""
LONGEST = 1.0
"""Seconds that a turn may take."""
ALIKE = 20
"""Times that the clients get a turn before the same statement: a backfill sends many."""
ALTOGETHER = 6.0
"""Seconds of turns in one upgrade."""
GRACE = 1.0
SHOWN = 1000
"""Losses that are looked at one by one."""
NOTHING: Apart = (frozenset(), frozenset())

RowKey = tuple[str, tuple[str, ...]]
"""A row by the name of its table, and the texts of its key."""
Written = tuple[int, Key, Values]
"""The number of the table's traffic, the key of a row, and values that were written to it."""


class WriterLedger(Ledger):
    """A ledger that also keeps the values themselves, and how far the upgrade was.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.statements: list[str] = []
        """What the upgrade has sent so far."""
        self.rows: dict[tuple[int, Key], Values | None] = {}
        """The acknowledged values of each row; None if it was deleted."""
        self.moments: dict[tuple[int, Key, str], int] = {}
        """How many statements the upgrade had sent when a column was last written; "" is the row as a whole."""
        self.acknowledged = 0

    def wrote(self, place: int, key: Key, values: Mapping[str, Any], present: Mapping[str, Any]) -> None:
        super().wrote(place, key, values, present)
        self._note(place, key, {**(self.rows.get((place, key)) or {}), **values})
        self.moments.update(((place, key, name), len(self.statements)) for name in values)

    def deleted(self, place: int, key: Key) -> None:
        super().deleted(place, key)
        self._note(place, key, None)

    def _note(self, place: int, key: Key, values: Values | None) -> None:
        self.rows[place, key], self.moments[place, key, ""] = values, len(self.statements)
        self.acknowledged += 1


class Writer(TableLane):
    """A client whose turn adds a row, writes each column of another one, and deletes a row.

    A row that another session has changed is left alone from then on: a further write would hide what was lost.
    """

    def __init__(self, *lane: Any, works: Sequence[Work], share: tuple[int, int]) -> None:
        super().__init__(*lane, works=works, writes=True, share=share)
        self.begun = self.ended = 0
        self.called = threading.Event()
        self._places: Counter[int] = Counter()
        self._is_late = False

    @property
    def is_blocked(self) -> bool:
        """Whether its statement waits, as for a lock of the upgrade."""
        running = self.running
        return running is not None and time.monotonic() - running[2] > BLOCKED

    def run(self) -> None:
        while not self.books.stopping.is_set():
            if self.books.paused.is_set():
                self.books.stopping.wait(self.interval)
                continue
            self.begun += 1
            self._turn()
            self.ended += 1
            self.called.wait(self.interval)
            self.called.clear()
        self.session.close()

    def turn(self) -> None:
        for work in self.works:
            if work.insert is not None:
                self._guarded(work, work.insert, lambda work=work: self._insert(work, False))  # type: ignore[misc]
            for statement, group in work.updates[:GROUPS]:
                self._change(work, statement, group)
            if len(self.own[work.place]) > KEPT:
                row = self.own[work.place].popleft()
                self._guarded(work, work.delete, lambda work=work, row=row: self._remove(work, row, False), row)  # type: ignore[misc]

    def forget(self) -> None:
        """Write rows from now on that are added from now on, as long as there are such."""
        self._is_late = True
        for rows in self.own.values():
            rows.clear()

    def _change(self, work: Work, statement: Statement, group: Sequence[str]) -> None:
        # Rows that it has added itself are new to the upgrade too: those from before come first.
        old, new = self.known[work.place], self.own[work.place]
        rows = (new or old) if self._is_late else (old or new)
        if not rows or self.books.stopping.is_set():
            return
        self._places[work.place] += 1
        row = rows[self._places[work.place] % len(rows)]
        if self._is_as_written(work, row, group):
            self._update_columns(work, row, statement, group, False)

    def _is_as_written(self, work: Work, row: Values, group: Sequence[str]) -> bool:
        names = [name for name in group if name not in work.unrecorded]
        if not names:
            return True
        try:
            found = self.send(work.name, work.read(names), work.key(row), writes=False)[1]
        except Exception as error:
            self.failed(work.name, "", error)
            return False
        if found and all(text_of(value) == text_of(row[name]) for name, value in zip(names, found[0], strict=True)):
            return True
        for rows in (self.known[work.place], self.own[work.place]):
            if row in rows:
                rows.remove(row)
        return False


class Writers:
    """Clients that write tables, for the block.

    Args:
        engine: Reaches the database.
        tables: The tables.
        later: The tables with the constraints that the revisions add, which new rows meet too.
        apart: The columns of each table that its first and its second client do not write.
    """

    def __init__(
        self,
        engine: Engine,
        tables: Collection[Name],
        later: Mapping[Name, Table] | None = None,
        apart: Mapping[Name, Apart] | None = None,
    ) -> None:
        self._engine, self._apart = engine, apart or {}
        self._given = plan_of(engine, tables, later)
        self._repeated: Counter[str] = Counter()
        self._left = ALTOGETHER
        self.notes: list[str] = [*self._given.notes]

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="safeops_ledger_"))
        self.ledger = WriterLedger(self._folder / "ledger")
        self._books = Books(self.ledger)
        self._client, self._url = client_of(self._engine.url.render_as_string(hide_password=False))
        try:
            self._works = self._made()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self.plan = TrafficPlan(tuple(work.traffic for work in self._works))
        self._lanes = list(self._writers())
        for lane in self._lanes:
            lane.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def can_write(self) -> bool:
        """Whether any row can be written."""
        return any(work.updates or work.insert is not None for work in self._works)

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Give each client a turn before each statement of the block that changes something, and after the last one."""
        with listening(Engine, "before_cursor_execute", self._before):
            yield
        for lane in self._lanes:
            lane.forget()
        self._books.paused.clear()
        self.take_turn()

    def take_turn(self) -> None:
        """Wait until each client has had a turn, or waits for a lock."""
        if self._books.paused.is_set():
            return
        began = time.monotonic()
        wanted = {lane: lane.begun + 1 for lane in self._lanes}
        for lane in self._lanes:
            lane.called.set()
        while time.monotonic() - began < min(LONGEST, self._left):
            if all(lane.ended >= number or lane.is_blocked for lane, number in wanted.items()):
                break
            time.sleep(0.001)
        self._left -= time.monotonic() - began

    def pause(self) -> None:
        """Let the clients write nothing until the block has ended."""
        self._books.paused.set()

    def stop(self) -> None:
        """End the clients."""
        if not self._books.stopping.is_set():
            end(self._lanes, self._books, GRACE)

    def compare(self, engine: Engine, replacements: Replacements) -> Comparison:
        """Compare what was acknowledged with the tables of a database, once the clients have ended."""
        return compare(self._folder / "ledger", self.plan, engine, replacements, most=SHOWN)

    def repeat(self, engine: Engine) -> None:
        """Write what was acknowledged to another database that is as this one was before the clients began."""
        with self._repeating(engine) as session:
            for place, key, values in self.written():
                self._repeat(session, self._works[place], key, values)

    def repeat_what_can_be(self, engine: Engine, written: Iterable[Written]) -> dict[RowKey, Values]:
        """Write to a database that may refuse some of it; return the rows that it takes, with the values.

        Args:
            engine: Reaches the database.
            written: What ``written()`` returns, or a method that changes it.
        """
        taken: dict[RowKey, Values] = {}
        with self._repeating(engine) as session:
            for place, key, values in written:
                try:
                    self._repeat(session, self._works[place], key, values)
                except Exception:
                    session.recover()
                else:
                    taken[str(self.plan.tables[place].table), tuple(map(str, key))] = values
        return taken

    @contextmanager
    def _repeating(self, engine: Engine) -> Iterator[Session]:
        session = Session(self._client, engine.url, "repeat")
        try:
            yield session
        finally:
            session.close()

    def written(self) -> Iterator[Written]:
        """Yield the acknowledged values of each row that was not deleted."""
        for (place, key), values in self.ledger.rows.items():
            if values:
                yield place, key, values

    def nulls_of(self, columns: Collection[tuple[str, str]]) -> Iterator[Written]:
        """Yield the NULLs that were acknowledged last, of these columns alone.

        Args:
            columns: Names of tables and columns.
        """
        for place, key, values in self.written():
            table = str(self.plan.tables[place].table)
            nulls = {name: None for name, value in values.items() if value is None and (table, name) in columns}
            if nulls:
                yield place, key, nulls

    def _repeat(self, session: Session, work: Work, key: Key, values: Values) -> None:
        names = list(values)
        row = {**dict(zip(work.traffic.key, key, strict=True)), **values}
        changed = work.update(names)
        if session.run(work.read(work.traffic.key), key).fetchone() is not None:
            session.run(changed, [row[name] for name in changed.names])
            return
        added = work.inserted_with(list(row))
        session.run(added, [row[name] for name in added.names])

    def exchanged(self) -> Iterator[Written]:
        """Yield the rows, each with the values of the next one of which the same columns were written."""
        alike: dict[tuple[Any, ...], list[Written]] = {}
        for place, key, values in self.written():
            alike.setdefault((place, *values), []).append((place, key, values))
        for rows in alike.values():
            for (place, key, own), (_, _, others) in zip(rows, [*rows[1:], rows[0]], strict=True):
                kept = {name: own[name] for name in self._works[place].traffic.key if name in own}
                yield place, key, {**others, **kept}

    # Clients ----------------------------------------------------------------------------------------------------

    def _made(self) -> list[Work]:
        """Return what the clients do to each table, tried: the same, unless they write other columns."""
        works: list[Work] = []
        session = Session(self._client, self._url, "trial")
        try:
            for traffic in self._given.tables:
                work = work_on(self._client, session, len(works), traffic, len(self._given.tables))
                for left_out in dict.fromkeys(self._apart.get(traffic.table, NOTHING)):
                    own = _without(traffic, left_out)
                    works.append(replace(work, place=len(works), traffic=own, updates=[], unrecorded=set()))
            self.notes += [note for work in works for note in work.tried(session)]
        finally:
            session.close()
        return works

    def _writers(self) -> Iterator[Writer]:
        tables = list(dict.fromkeys(work.traffic.table for work in self._works))
        chance = random.Random(1)
        for first in range(min(len(tables), TABLES)):
            for number in range(CLIENTS):
                works = [self._work(table, number) for table in tables[first::TABLES]]
                session = Session(self._client, self._url, f"{works[0].name} writes {number + 1}")
                yield Writer(
                    session,
                    self._books,
                    INTERVAL,
                    random.Random(chance.random()),
                    works=works,
                    share=(number, CLIENTS),
                )

    def _work(self, table: Name, number: int) -> Work:
        works = [work for work in self._works if work.traffic.table == table]
        return works[number % len(works)]

    # The statements of the upgrade ------------------------------------------------------------------------------

    def _before(self, connection: Connection, _cursor: Any, sql: str, *_: Any) -> None:
        if kind_of(sql) is not Kind.WRITES or OWN.match(sql) or OBSERVER.keys() & connection.get_execution_options():
            return
        self._repeated[sql] += 1
        if self._repeated[sql] <= ALIKE:
            self.take_turn()
        self.ledger.statements.append(sql)


def _without(traffic: TableTraffic, left_out: Collection[str]) -> TableTraffic:
    """Return the traffic of a release that does not know some columns, nor those that safeops keeps."""
    columns = tuple(one for one in traffic.columns if one.name not in left_out and not is_own(one.name))
    names = {one.name for one in columns}
    groups = tuple(group for group in traffic.groups if names.issuperset(group))
    return replace(traffic, columns=columns, groups=groups)
