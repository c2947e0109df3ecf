"""A process of the application that counts page views, in one of its versions.

It adds one to the count in the database, so a lost write is missing at the end.
"""

from __future__ import annotations

import random
import string
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import sqlalchemy as sa
from database import engine_for

PAUSE = 0.002


@dataclass(frozen=True)
class Version:
    """What a version of the application calls the table and the counter."""

    table: str
    counter: str

    @property
    def countries(self) -> Any:
        """The table with the columns that this version knows."""
        texts = [sa.column(name, sa.String) for name in ("iso", "iso3", "name", "continent")]
        numbers = [sa.column(name, sa.BigInteger) for name in ("population", "area_km2", self.counter)]
        return sa.table(self.table, *texts, *numbers)


@dataclass
class Account:
    """What a process has written, as the database confirmed it."""

    views: Counter[str] = field(default_factory=Counter)
    added: dict[str, int] = field(default_factory=dict)
    went_back: int = 0
    prepared_again: int = 0
    failure: str = ""


class Server:
    """One process of the application: views pages, reads the counters, and adds and removes its own countries."""

    def __init__(self, url: str, version: Version, number: int) -> None:
        self._engine = engine_for(url, isolation_level="AUTOCOMMIT")
        self._countries = version.countries
        self._counter = self._countries.c[version.counter]
        self._choose = random.Random(number).choice
        # Codes that no country has, and no other process.
        self._codes = [digit + letter for digit in string.digits for letter in string.ascii_uppercase][number::20]
        self._seen: Counter[str] = Counter()
        self.account = Account()

    def work(self, until: Connection, written: Any) -> None:
        """Writes until it is stopped; other processes can read the count in ``written``."""
        self._connection = self._engine.connect()
        known = [row[0] for row in self._connection.execute(sa.select(self._countries.c.iso)) if row[0].isalpha()]
        until.send("ready")
        while not until.poll(PAUSE):
            self._view(self._choose(known))
            if written.value % 5 == 0:
                self._add_or_remove(self._choose(self._codes))
            written.value += 1

    def _view(self, iso: str) -> None:
        is_it = self._countries.c.iso == iso
        if self._run(sa.update(self._countries).where(is_it).values({self._counter: self._counter + 1})).rowcount != 1:
            raise LookupError(f"country {iso} is no longer there")
        self.account.views[iso] += 1
        views = self._run(sa.select(self._counter).where(is_it)).scalar_one()
        self.account.went_back += views <= self._seen[iso]
        self._seen[iso] = views

    def _add_or_remove(self, iso: str) -> None:
        if self.account.added.pop(iso, None) is not None:
            self._run(sa.delete(self._countries).where(self._countries.c.iso == iso))
            return
        row = {"iso": iso, "iso3": f"{iso}*", "name": iso, "continent": "AN", "population": 0, "area_km2": 1}
        views = self._choose([None, 0, 1, 4711])
        given = row if views is None else {**row, self._counter.name: views}
        self._run(sa.insert(self._countries).values(given))
        self.account.added[iso] = views or 0

    def _run(self, statement: Any) -> Any:
        while True:
            try:
                return self._connection.execute(statement)
            except sa.exc.DBAPIError as error:
                if "cached plan must not change result type" in str(error.orig):
                    # As a pool does with a failed connection: open it again.
                    self._connection.close()
                    self._connection = self._engine.connect()
                    self.account.prepared_again += 1
                elif "database is locked" not in str(error.orig):
                    raise


def serve(url: str, version: Version, number: int, parent: Connection, written: Any) -> None:
    """The process: works until it is stopped, and returns its account."""
    server = Server(url, version, number)
    try:
        server.work(parent, written)
    except (sa.exc.SQLAlchemyError, LookupError) as failure:
        server.account.failure = f"{version}: {failure}"
    parent.send(server.account)
