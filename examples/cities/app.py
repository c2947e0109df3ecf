"""The application that keeps running while the schema changes: it writes a city every few milliseconds.

It knows only the columns that it was written against, as a deployed application does.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from database import engine_for
from load import Places, Row, cities

PAUSE = 0.003
FIRST_NEW_ID = 900_000_000


@dataclass(frozen=True)
class Write:
    """When a write began, and how many seconds passed until it was committed."""

    at: float
    wait: float

    @property
    def done(self) -> float:
        """When it was committed."""
        return self.at + self.wait


class Application(threading.Thread):
    """One connection that updates and inserts cities, and remembers what it did and how long it waited."""

    def __init__(self, url: str, places: Places) -> None:
        super().__init__(name="the application", daemon=True)
        # On SQLite a writer waits for the file; a short timeout makes each retry visible and countable.
        patience = {"timeout": 0.1} if url.startswith("sqlite") else {}
        self._engine = engine_for(url, isolation_level="AUTOCOMMIT", connect_args=patience)
        self._known: Sequence[Row] = list(places.cities.values())
        self._choose = random.Random(2).choice
        self._finished = threading.Event()
        self.writes: list[Write] = []
        self.grown: Counter[int] = Counter()
        self.added: dict[int, Row] = {}
        self.busy_retries = 0
        self.failure: Exception | None = None

    def run(self) -> None:
        """Writes until it is stopped, or until a write fails."""
        try:
            with self._engine.connect() as connection:
                while not self._finished.wait(PAUSE):
                    self._write(connection)
        except (sa.exc.SQLAlchemyError, LookupError) as failure:
            self.failure = failure

    def finish(self) -> None:
        """Finishes the current write, and stops."""
        self._finished.set()
        self.join()

    @property
    def longest(self) -> Write:
        """The write that waited longest."""
        return max(self.writes, key=lambda write: write.wait)

    def _write(self, connection: sa.Connection) -> None:
        began = time.perf_counter()
        if len(self.writes) % 4:
            self._grow(connection, self._choose(self._known)[0])
        else:
            self._add(connection, self._choose(self._known))
        self.writes.append(Write(began, time.perf_counter() - began))

    def _grow(self, connection: sa.Connection, city: int) -> None:
        growth = cities.update().where(cities.c.id == city).values(population=cities.c.population + 1)
        if self._until_done(connection, growth) != 1:
            raise LookupError(f"city {city} is no longer there")
        self.grown[city] += 1

    def _add(self, connection: sa.Connection, neighbour: Row) -> None:
        city: Row = (FIRST_NEW_ID + len(self.added), f"New {neighbour[1]}"[:200], *neighbour[2:])
        self._until_done(connection, cities.insert().values(city))
        self.added[city[0]] = city

    def _until_done(self, connection: sa.Connection, statement: sa.Update | sa.Insert) -> int:
        while True:
            try:
                return connection.execute(statement).rowcount
            except sa.exc.OperationalError as error:
                if "database is locked" not in str(error.orig):
                    raise
                self.busy_retries += 1
