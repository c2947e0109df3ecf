"""What a database tells of its load: how far its replicas are behind, how many sessions are at work."""

from __future__ import annotations

import asyncio
import threading
import time
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.pool import NullPool

from safeops.databases.ports import Port

CONNECTING = 3
"""Seconds that a replica has to take a connection."""
ANSWERING = 5.0
"""Seconds that it has to answer, connecting included."""


@dataclass(frozen=True)
class Replica:
    """How far a replica is.

    Args:
        name: Who it is, without a password.
        position: How far it has replayed the log of its primary; None where the server counts seconds only.
        lag: How many seconds it is behind by the server's own count; None where the server does not say.
        cluster: Whose log it replays, as ``Load.cluster`` names it.
        unknown: Why nobody can tell how far it is; empty where that is known.
    """

    name: str
    position: int | None = None
    lag: float | None = None
    cluster: str | None = None
    unknown: str = ""


class Load(Port):
    """The questions that the throttles of a backfill ask."""

    place = "safeops.backfilling.{family}:Load"
    asked = "Looking at the load of the server"

    def active_sessions(self) -> tuple[int, float]:
        """Return how many other sessions are at work in this database: at least, and at most.

        They differ by the sessions that the server hides from this user; infinity where it hides even their number.
        """
        return 0, float("inf")

    def log_position(self) -> int | None:
        """Return how far the log is that the replicas replay; None where the server compares no positions."""
        return None

    def cluster(self) -> str | None:
        """Return what this server and its replicas have in common, and no other; None where there is no such thing."""
        return None

    def replicas(self) -> list[Replica]:
        """Return the replicas that are connected to this server, or raise UnsupportedOnDatabase where it cannot say."""
        return []

    def as_replica(self, name: str) -> Replica:
        """Return how far this server is, which is a replica itself."""
        return Replica(name, unknown="its server does not say")


class RemoteReplica:
    """A replica that is asked over a connection of its own.

    It is asked in a thread, because no driver bounds every wait: a server that hangs holds up nobody but that thread.
    """

    def __init__(self, url: sa.URL) -> None:
        self._url, self.name = url, address(url)
        self._thread: threading.Thread | None = None
        self._answer = Replica(self.name, unknown="it was not asked yet")

    def ask(self) -> None:
        """Begin to ask, where no earlier question is still open."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="safeops-replica", daemon=True)
            self._thread.start()

    def answer(self, deadline: float) -> Replica:
        """Return what it answered, or that it did not until ``deadline``, a monotonic time."""
        if self._thread is not None:
            self._thread.join(max(deadline - time.monotonic(), 0.0))
            if self._thread.is_alive():
                return Replica(self.name, unknown="it does not answer")
        return self._answer

    def _run(self) -> None:
        try:
            self._answer = self._look_by_driver()
        except Exception as error:
            self._answer = Replica(self.name, unknown=self._told(error))

    def _look_by_driver(self) -> Replica:
        if not self._engine.dialect.is_async:
            return self._look()
        from sqlalchemy.util import greenlet_spawn

        return asyncio.run(greenlet_spawn(self._look))

    def _look(self) -> Replica:
        # Not at the top: the databases are built on this module.
        from safeops.databases import database_on

        with self._engine.connect() as connection:
            return Load.of(database_on(connection)).as_replica(self.name)

    @cached_property
    def _engine(self) -> Engine:
        arguments = _connect_arguments(self._url)
        return sa.create_engine(
            self._url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=arguments, hide_parameters=True
        )

    def _told(self, error: Exception) -> str:
        """Return the first line of an error, without the passwords that a driver may have put there."""
        cause = getattr(error, "orig", None) or error
        text = next(iter(str(cause).splitlines()), "") or type(cause).__name__
        for secret in _secrets(self._url):
            text = text.replace(secret, "***")
        return text


class Seen(threading.local):
    """What a throttle has seen, in one thread; another thread or process begins anew."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()


class Positions(Seen):
    """How far the log of the primary was, and when."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.ends: list[int] = []
        self.now, self.end = 0.0, 0

    def note(self, now: float, end: int, horizon: float) -> None:
        """Keep about 200 positions of the last ``horizon`` seconds, and one from before them."""
        if end < self.end:
            # Another server answers now, whose log has not come as far.
            self.times, self.ends = [], []
        self.now, self.end = now, end
        if not self.times or now - self.times[-1] >= horizon / 200:
            self.times.append(now)
            self.ends.append(end)
        old = max(bisect_right(self.times, now - horizon) - 1, 0)
        del self.times[:old], self.ends[:old]

    def behind(self, position: int) -> tuple[float, float]:
        """Return how many seconds a replica is behind that has come as far as ``position``: at least, and at most."""
        first_missing = bisect_right(self.ends, position)
        least = self.now - self.times[first_missing] if first_missing < len(self.times) else 0.0
        most = self.now - self.times[first_missing - 1] if first_missing else float("inf")
        return least, most


class Replicas(Seen):
    """The replicas as they are asked."""

    def __init__(self) -> None:
        self.remote: list[RemoteReplica] = []
        self.names: set[str] = set()

    def connected(self, load: Load) -> list[Replica]:
        """Return the replicas of the server, with those that it does not have any more."""
        found = load.replicas()
        missing = self.names - {one.name for one in found}
        self.names |= {one.name for one in found}
        return [*found, *(Replica(name, unknown="it was connected before and is gone") for name in sorted(missing))]

    def asked(self, urls: tuple[sa.URL, ...], cluster: str | None) -> list[Replica]:
        self.remote = self.remote or list(map(RemoteReplica, urls))
        for one in self.remote:
            one.ask()
        deadline = time.monotonic() + ANSWERING
        return [_of_cluster(one.answer(deadline), cluster) for one in self.remote]


def _of_cluster(replica: Replica, cluster: str | None) -> Replica:
    if replica.unknown or replica.cluster == cluster:
        return replica
    return Replica(replica.name, unknown="it replays the log of another server than this one")


def address(url: sa.URL) -> str:
    """Return the host and port of a server, and nothing else of its URL."""
    host = url.host or url.query.get("host") or url.query.get("unix_socket") or "localhost"
    shown = host if isinstance(host, str) else ",".join(host)
    return shown if url.port is None else f"{shown}:{url.port}"


def _secrets(url: sa.URL) -> list[str]:
    queried = [value for key, value in url.query.items() if "pass" in key.lower() and isinstance(value, str)]
    return [secret for secret in (url.password, *queried) if secret]


_CONNECT_TIMEOUTS = {"asyncpg": "timeout", "pg8000": "timeout", "mysqlconnector": "connection_timeout"}
_USUAL = {"psycopg", "psycopg_async", "psycopg2", "pymysql", "mysqldb", "mariadbconnector", "aiomysql", "asyncmy"}


def _connect_arguments(url: sa.URL) -> dict[str, Any]:
    """Return the driver's own argument for a timeout, unless the author has set it, or the driver is a strange one."""
    driver = url.get_driver_name()
    name = _CONNECT_TIMEOUTS.get(driver, "connect_timeout" if driver in _USUAL else "")
    return {name: CONNECTING} if name and name not in url.query else {}


FIRST = 500
LARGEST = 50_000
LARGEST_IN_PYTHON = 10_000
"""Rows that are handed to a function stand in memory."""
GROWTH = 2.0
"""How much larger than the last batch the next one may be."""
MEMORY = 0.75
"""How much of what it knew a batch leaves: the recent past counts most."""
AIM = 0.8
"""Of the time that a batch may take, how much is aimed at: rows differ, and the target is to hold for most batches."""
FAR_TOO_LONG = 3.0
"""Times the target: a batch that took longer makes the next one smaller at once."""


class Servo:
    """Chooses the size of batches so that each takes about the same time.

    The rate is rows over seconds, both fading: https://docs.percona.com/percona-toolkit/pt-online-schema-change.html
    (``--chunk-time``) does the same with a target of 0.5 s.

    Args:
        target: Seconds that a batch should take.
        fixed: Rows that a batch has at most, whatever it takes; None adapts it.
        largest: Rows that a batch has at most.
    """

    def __init__(self, target: float, fixed: int | None = None, largest: int = LARGEST) -> None:
        self.target, self.fixed = target, fixed
        self.largest = fixed or largest
        self.size = fixed or min(FIRST, largest)
        self._rows = self._seconds = 0.0

    def after(self, rows: int, seconds: float) -> None:
        """Note how long a batch took, and choose the size of the next one."""
        self._rows = MEMORY * self._rows + rows
        self._seconds = MEMORY * self._seconds + max(seconds, 1e-6)
        if seconds > FAR_TOO_LONG * self.target:
            self._rows, self._seconds = rows, seconds
        wanted = self._rows / self._seconds * self.target * AIM
        if self.fixed:
            wanted = float(self.fixed)
        self.size = max(1, int(min(wanted, self.size * GROWTH, self.largest)))

    def after_failure(self) -> None:
        """Make the next batch half as large: it ran into others."""
        self.size = max(1, self.size // 2)
