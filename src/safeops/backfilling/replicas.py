"""Replicas, each queried over its own connection, and their lag in seconds by log positions."""

from __future__ import annotations

import asyncio
import threading
import time
from bisect import bisect_right
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from safeops.backfilling.port import Replica, ServerLoad
from safeops.databases import database_on

CONNECTING = 3
"""Seconds within which a replica must accept a connection."""
ANSWERING = 5.0
"""Seconds within which it must answer, including the connection."""


class RemoteReplica:
    """A replica that is queried over its own connection.

    A thread queries it, because no driver bounds every wait: a server that hangs blocks only that thread.
    """

    def __init__(self, url: sa.URL) -> None:
        self._url, self.name = url, address(url)
        self._thread: threading.Thread | None = None
        self._answer = Replica(self.name, unknown="it was not queried yet")

    def ask(self) -> None:
        """Start a query, unless an earlier one is still running."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="safeops-replica", daemon=True)
            self._thread.start()

    def answer(self, deadline: float) -> Replica:
        """Return its answer, or that there was none until ``deadline``, a monotonic time."""
        if self._thread is not None:
            self._thread.join(max(deadline - time.monotonic(), 0.0))
            if self._thread.is_alive():
                return Replica(self.name, unknown="it does not answer")
        return self._answer

    def _run(self) -> None:
        try:
            self._answer = self._look_by_driver()
        except Exception as error:
            self._answer = Replica(self.name, unknown=self._first_line(error))

    def _look_by_driver(self) -> Replica:
        if not self._engine.dialect.is_async:
            return self._look()
        from sqlalchemy.util import greenlet_spawn

        return asyncio.run(greenlet_spawn(self._look))

    def _look(self) -> Replica:
        with self._engine.connect() as connection:
            return ServerLoad.of(database_on(connection)).as_replica(self.name)

    @cached_property
    def _engine(self) -> Engine:
        arguments = _connect_arguments(self._url)
        return sa.create_engine(
            self._url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=arguments, hide_parameters=True
        )

    def _first_line(self, error: Exception) -> str:
        """Return the first line of an error, without the passwords that a driver may have put there."""
        cause = getattr(error, "orig", None) or error
        text = next(iter(str(cause).splitlines()), "") or type(cause).__name__
        for secret in _secrets(self._url):
            text = text.replace(secret, "***")
        return text


class PerThread(threading.local):
    """What a throttle has observed in one thread; another thread or process starts empty."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()


class LogPositions(PerThread):
    """The ends of the primary's log, and when they were observed."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.ends: list[int] = []
        self.now, self.end = 0.0, 0

    def add(self, now: float, end: int, horizon: float) -> None:
        """Keep about 200 positions of the last ``horizon`` seconds, and one from before them."""
        if end < self.end:
            # Another server answers now, with a shorter log.
            self.times, self.ends = [], []
        self.now, self.end = now, end
        if not self.times or now - self.times[-1] >= horizon / 200:
            self.times.append(now)
            self.ends.append(end)
        old = max(bisect_right(self.times, now - horizon) - 1, 0)
        del self.times[:old], self.ends[:old]

    def behind(self, position: int) -> tuple[float, float]:
        """Return how many seconds a replica at ``position`` is behind: at least, and at most."""
        first_missing = bisect_right(self.ends, position)
        least = self.now - self.times[first_missing] if first_missing < len(self.times) else 0.0
        most = self.now - self.times[first_missing - 1] if first_missing else float("inf")
        return least, most


class KnownReplicas(PerThread):
    """The replicas that were queried, or that were once connected to the server."""

    def __init__(self) -> None:
        self.remote: list[RemoteReplica] = []
        self.names: set[str] = set()

    def connected(self, load: ServerLoad) -> list[Replica]:
        """Return the replicas of the server, and those that it no longer has."""
        replicas = load.replicas()
        names = {replica.name for replica in replicas}
        missing = sorted(self.names - names)
        self.names |= names
        return [*replicas, *(Replica(name, unknown="it was connected before and no longer is") for name in missing)]

    def asked(self, urls: tuple[sa.URL, ...], cluster: str | None) -> list[Replica]:
        """Query the replicas at the URLs, all at once."""
        self.remote = self.remote or list(map(RemoteReplica, urls))
        for remote in self.remote:
            remote.ask()
        deadline = time.monotonic() + ANSWERING
        return [_of_cluster(remote.answer(deadline), cluster) for remote in self.remote]


def _of_cluster(replica: Replica, cluster: str | None) -> Replica:
    if replica.unknown or replica.cluster == cluster:
        return replica
    return Replica(replica.name, unknown="it replays the log of another server than this one")


def url_of(url: object) -> sa.URL | None:
    """Return the URL of a database; None if it is not one."""
    try:
        made = sa.make_url(url)  # type: ignore[arg-type]
        made.get_dialect()
    except (SQLAlchemyError, ValueError, TypeError, AttributeError):
        # The error would show the text, which may contain a password.
        return None
    return made


def address(url: sa.URL) -> str:
    """Return the host and port of a server, and nothing else of its URL."""
    host = url.host or url.query.get("host") or url.query.get("unix_socket") or "localhost"
    shown = host if isinstance(host, str) else ",".join(host)
    return shown if url.port is None else f"{shown}:{url.port}"


def _secrets(url: sa.URL) -> list[str]:
    queried = [value for key, value in url.query.items() if "pass" in key.lower() and isinstance(value, str)]
    return [secret for secret in (url.password, *queried) if secret]


_CONNECT_TIMEOUTS = {
    "asyncpg": "timeout",
    "pg8000": "timeout",
    "mysqlconnector": "connection_timeout",
    **dict.fromkeys(
        ("psycopg", "psycopg_async", "psycopg2", "pymysql", "mysqldb", "mariadbconnector", "aiomysql", "asyncmy"),
        "connect_timeout",
    ),
}


def _connect_arguments(url: sa.URL) -> dict[str, Any]:
    """Return the driver's own argument for a timeout, unless the author sets it or the driver is unknown."""
    name = _CONNECT_TIMEOUTS.get(url.get_driver_name())
    return {name: CONNECTING} if name and name not in url.query else {}
