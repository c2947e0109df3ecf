"""The process of the traffic: it gets its order and commands as lines of JSON, and answers in lines of JSON.

It ends when its input ends or when its parent has ended, even if its clients wait for a lock.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safeops.naming import Name
from safeops.rehearse.traffic.client import Session, client_of
from safeops.rehearse.traffic.lanes import UNKNOWN, Books, Lane, TableLane, end
from safeops.rehearse.traffic.ledger import Ledger
from safeops.rehearse.traffic.plan import Script, TrafficPlan
from safeops.rehearse.traffic.scripts import ScriptLane
from safeops.rehearse.traffic.sql import Statement
from safeops.rehearse.traffic.work import first_line, work_on

CLIENTS = 24
"""Sessions at most; with more tables, each client takes turns with several of them."""
TICK = 0.25
GRACE = 1.0
"""Seconds for a statement to end when the traffic stops."""
DRAWN = 500
"""Values of a column that a statement of the team gets."""


def main() -> None:
    """Run the traffic that the first line of the input orders."""
    # Ctrl-C reaches the whole group of processes; the parent decides when the traffic ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = json.loads(sys.stdin.readline())
    folder = Path(order["folder"])
    threading.Thread(target=_watch_parent, args=[os.getppid()], daemon=True).start()
    try:
        traffic = Running(order, folder)
    except Exception as error:
        _tell(failed=first_line(error), kind=type(error).__name__)
        return
    traffic.start()
    _tell(ready=True, notes=traffic.notes, elsewhere=[asdict(name) for name in traffic.elsewhere])
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "stop":
            _tell(result=traffic.stop())
            return
        traffic.obey(command)
        _tell(done=command["do"])
    _end_at_once()


def _tell(**what: Any) -> None:
    with _telling:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()


_telling = threading.Lock()


def _watch_parent(parent: int) -> None:
    """End with the parent, also if a forked child of it keeps the input open."""
    while os.getppid() == parent:
        time.sleep(TICK)
    _end_at_once()


def _end_at_once() -> None:
    # Also if clients wait for locks.
    os.kill(os.getpid(), signal.SIGTERM)


class Running:
    """The traffic at work.

    Args:
        order: The URL, the plan, and the number of clients and statements.
        folder: The folder of the ledger.
    """

    def __init__(self, order: dict[str, Any], folder: Path) -> None:
        self.plan = TrafficPlan.from_json(order["plan"])
        self.client, self.url = client_of(order["url"])
        self.writers, self.rate = order["writers"], order["rate"]
        self.books = Books(Ledger(folder / "ledger"))
        self.chance = random.Random(order["seed"])
        session = Session(self.client, self.url, "trial")
        self.works = [
            work_on(self.client, session, place, one, len(self.plan.tables))
            for place, one in enumerate(self.plan.tables)
        ]
        self.notes = [note for work in self.works for note in work.tried(session)]
        self.notes += self._note_elsewhere()
        self.scripts = [script for script in self.plan.scripts if self._works(session, script)]
        self.lanes = [*self._table_lanes(), *self._script_lanes(session)]
        session.close()

    @property
    def elsewhere(self) -> set[Name]:
        """The tables whose rows the traffic changes without naming them."""
        return set().union(*(work.elsewhere for work in self.works))

    def _note_elsewhere(self) -> Iterator[str]:
        """Record no values of such tables, and yield why they are not compared."""
        for work in self.works:
            if work.traffic.table in self.elsewhere:
                work.unrecorded.update(column.name for column in work.traffic.columns)
        for name in sorted(self.elsewhere, key=str):
            tables = ", ".join(work.name for work in self.works if name in work.elsewhere)
            yield (
                f"{name}: its values are not compared, because writes to {tables} change them too, by a trigger or a"
                " foreign key."
            )

    def start(self) -> None:
        for lane in self.lanes:
            lane.start()
        threading.Thread(target=self._ticking, daemon=True).start()

    def obey(self, command: dict[str, Any]) -> None:
        """Carry out a command of the parent."""
        match command["do"]:
            case "mark":
                self.books.latencies.mark(command["at"], command["phase"])
            case "pause":
                self._pause(command["seconds"])
            case "resume":
                self.books.paused.clear()

    def stop(self) -> dict[str, Any]:
        """End all clients, and return what they met."""
        end(self.lanes, self.books, GRACE)
        errors = [asdict(error) for error in self.books.errors.all()]
        return {**self.books.latencies.as_json(), "errors": errors, "notes": self.notes}

    def _pause(self, seconds: float) -> None:
        self.books.paused.set()
        deadline = time.monotonic() + seconds
        for lane in self.lanes:
            lane.is_idle.clear()
            lane.is_idle.wait(max(deadline - time.monotonic(), 0))
        self.books.ledger.flush()

    def _ticking(self) -> None:
        """Report now and then how much was done, and how long the present statements have waited."""
        while not self.books.stopping.wait(TICK):
            now = time.monotonic()
            running = [(lane.running, lane.name) for lane in self.lanes]
            waiting = [(name, one[0], round(now - one[2], 3)) for one, name in running if one and now - one[2] > TICK]
            latencies = self.books.latencies
            _tell(tick=now, reads=latencies.reads, writes=latencies.writes, waiting=waiting)

    # Clients ----------------------------------------------------------------------------------------------------

    def _table_lanes(self) -> Iterator[Lane]:
        roles = [(True, number) for number in range(self.writers)] + [(False, 0)]
        apart = max(min(len(self.works), CLIENTS // len(roles)), 1)
        groups = [self.works[first::apart] for first in range(apart)] if self.works else []
        number = len(groups) * len(roles)
        for group in groups:
            for writes, place in roles:
                label = f"{group[0].name} {'writes' if writes else 'reads'} {place + 1}"
                lane = (Session(self.client, self.url, label), self.books, number / self.rate, self._chance())
                yield TableLane(*lane, works=group, writes=writes, share=(place, self.writers))

    def _script_lanes(self, session: Session) -> Iterator[Lane]:
        for script in self.scripts:
            columns = self._columns(session, script)
            statements = [Statement.read(step.sql) for step in script.steps if step.sql]
            prepared = {one for one in statements if self.client.can_prepare(session, one)}
            rate = script.rate or self.rate / len(self.scripts)
            for place in range(self.writers):
                label = f"script {place + 1}"
                lane = (Session(self.client, self.url, label), self.books, self.writers / rate, self._chance())
                yield ScriptLane(*lane, script=script, table=self._table, columns=columns, prepared=prepared)

    def _chance(self) -> random.Random:
        return random.Random(self.chance.random())

    def _works(self, session: Session, script: Script) -> bool:
        """Try a script whose values are made up, in a transaction that is rolled back."""
        if not script.is_optional:
            return True
        columns = self._columns(session, script)
        trial = Books(self.books.ledger)
        lane = ScriptLane(session, trial, 1.0, self._chance(), script=script, table=self._table, columns=columns)
        session.run(Statement((self.client.begins,)))
        lane.turn()
        errors = trial.errors.all()
        session.recover()
        self.notes += [f"{script.place}: left out, because it fails now: {error.message}" for error in errors]
        return not errors

    def _columns(self, session: Session, script: Script) -> dict[str, list[Any]]:
        return {
            name: self._values(session, Name(table, schema), column) for name, schema, table, column in script.columns
        }

    def _values(self, session: Session, table: Name, column: str) -> list[Any]:
        place = self.client.quoted_table(table)
        return [row[0] for row in session.rows(f"SELECT {self.client.column(column)} FROM {place} LIMIT {DRAWN}")]

    def _table(self, sql: str) -> str:
        """Return the table that a statement names first."""
        found = re.search(r"\b(?:from|into|update|join)\s+(?:only\s+)?([\w.\"`]+)", sql, re.I)
        return re.sub(r"[\"`]", "", found[1]) if found else UNKNOWN
