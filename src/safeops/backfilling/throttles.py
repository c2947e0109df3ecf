"""What a backfill waits for before each batch: replicas, active sessions, the time of day, a rate, a file.

A throttle is called with a BackfillProgress and returns None to continue, or a reason to wait. Workers get a pickled copy.
Each thread keeps its own observations.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa

from safeops.arguments import arguments_checked
from safeops.backfilling.port import Replica, ServerLoad
from safeops.backfilling.progress import BackfillProgress, Throttle
from safeops.backfilling.replicas import KnownReplicas, LogPositions, PerThread, address, url_of
from safeops.databases.base import Database
from safeops.errors import BackfillStopped, InvalidArgument
from safeops.policy import is_above_zero

GIVE_UP_AFTER = 60.0
POLL = 2.0
"""Seconds between two calls; after a longer time much may have been written in between."""
IDLE = 10.0
"""Seconds between two calls that count as unknown at most: another throttle may have waited for hours in between."""
SAVED = 2.0
"""Seconds of a rate that are caught up at most after a pause."""

monotonic = time.monotonic


def wall_clock(zone: tzinfo) -> datetime:
    return datetime.now(zone)


# The five ------------------------------------------------------------------------------------------------------------


@arguments_checked()
def replica_lag(
    max_seconds: float, urls: Iterable[str | sa.URL] = (), give_up_after: float = GIVE_UP_AFTER
) -> Throttle:
    """Pause a backfill while a replica is more than ``max_seconds`` behind, or while its lag is unknown.

    On PostgreSQL the lag is the age of what the primary has written and the replica has not replayed, measured by log
    positions that the throttle records, or ``replay_lag`` if that is more: the server's own figure is NULL when idle, and
    does not change while replay is paused. Without ``urls`` the replicas are the standbys that are connected to this
    server, not logical subscribers or standbys of standbys. The lag of a disconnected standby counts as unknown.

    MariaDB and MySQL: needs ``urls``, and uses the replica's own ``Seconds_Behind_Source``, in whole seconds. It stays
    low until the replica detects a dead network, after ``slave_net_timeout`` (60 s) at most.

    Args:
        max_seconds: The seconds that a replica may be behind, above 0.
        urls: The URL of each replica. Without it PostgreSQL lists its own, which needs the role ``pg_monitor``.
        give_up_after: Seconds of an unknown lag after which it stops the backfill.

    Raises:
        InvalidArgument: A number is not above 0, or a URL is invalid.
        UnsupportedOnDatabase: From the backfill: on SQLite, and without ``urls`` on MariaDB and MySQL.
        BackfillStopped: From the backfill: the lag was unknown for ``give_up_after`` seconds.

    Example:
        backfill("users", {"full_name": sa.text("name")}, throttles=[replica_lag(5.0)])

    Source: https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-REPLICATION-VIEW,
    https://dev.mysql.com/doc/refman/8.4/en/show-replica-status.html. Why an unreachable replica does not count as one
    without lag: https://github.com/Shopify/lhm/issues/155.
    """
    call = "replica_lag(5.0, give_up_after=60.0)"
    return _ReplicaLag(
        _above_zero("max_seconds", max_seconds, call), _urls(urls), _above_zero("give_up_after", give_up_after, call)
    )


@arguments_checked()
def active_sessions(max_count: int) -> Throttle:
    """Pause a backfill while more than ``max_count`` other sessions are active in its database.

    An active session is a client's session in state "active" on PostgreSQL, and one that does not sleep on MariaDB and
    MySQL. The other workers of the same backfill count too. If the server hides sessions from this user, and they could be
    too many, the backfill pauses, and stops after 60 s.

    Args:
        max_count: The sessions that may be active, 0 or more.

    Raises:
        InvalidArgument: ``max_count`` is not a whole number of 0 or more.
        UnsupportedOnDatabase: From the backfill: on SQLite.
        BackfillStopped: From the backfill: the number was unknown for 60 s.

    Example:
        backfill("users", {"full_name": sa.text("name")}, throttles=[active_sessions(20)])

    Source: https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW,
    https://mariadb.com/kb/en/information-schema-processlist-table/.
    """
    if isinstance(max_count, bool) or not isinstance(max_count, int) or max_count < 0:
        raise _wrong(f"max_count is {max_count!r}, not a whole number of 0 or more.", "active_sessions(20)")
    return _ActiveSessions(max_count)


@arguments_checked()
def time_window(start: str, end: str, tz: str | None = None) -> Throttle:
    """Pause a backfill while the time of day is not between ``start`` and ``end``.

    The window includes ``start`` but not ``end``, and crosses midnight if ``end`` is earlier. When clocks are set back, the
    repeated hour is in it twice; when they are set forward, a window inside the missing hour does not open on that day.

    Args:
        start: "HH:MM", from 00:00 to 23:59.
        end: "HH:MM"; "00:00" is midnight.
        tz: A time zone by name, such as "Europe/Paris". None is UTC, not the zone of the machine, because the workers of a
            backfill may run on several machines.

    Raises:
        InvalidArgument: A time or the zone is invalid, or both times are the same.

    Example:
        backfill("users", {"full_name": sa.text("name")}, throttles=[time_window("22:00", "05:00", tz="Europe/Paris")])

    Source: the zones and their changes are those of the IANA database, https://www.iana.org/time-zones.
    """
    _check_time("start", start)
    _check_time("end", end)
    if start == end:
        raise _wrong(f"The window from {start} to {end} is empty.", 'time_window("22:00", "05:00")')
    _zone(tz)
    return _TimeWindow(start, end, tz)


@arguments_checked()
def rows_per_second(n: float) -> Throttle:
    """Pause a backfill while it has processed more than ``n`` rows a second since the first batch.

    With an executor each worker counts its own rows: divide by the number of workers. Batches keep their size, and pauses
    follow them. After a pause for another reason, at most 2 s are caught up.

    Args:
        n: Rows a second, above 0.

    Raises:
        InvalidArgument: ``n`` is not a number above 0.

    Example:
        backfill("users", {"full_name": sa.text("name")}, throttles=[rows_per_second(5_000)])
    """
    return _RowsPerSecond(_above_zero("n", n, "rows_per_second(5_000)"))


@arguments_checked()
def pause_file(path: str | os.PathLike[str]) -> Throttle:
    """Pause a backfill while a file exists: create it to pause, remove it to continue.

    Each worker checks its own machine. A file that it has no permission to check counts as existing.

    Args:
        path: The file. A relative path starts in the working directory of the call.

    Raises:
        InvalidArgument: ``path`` is empty or no path.

    Example:
        backfill("users", {"full_name": sa.text("name")}, throttles=[pause_file("/tmp/pause-backfill")])
    """
    text = path if isinstance(path, str) else path.__fspath__() if isinstance(path, os.PathLike) else ""
    if not isinstance(text, str) or not text or "\0" in text:
        raise _wrong(f"path is {path!r}, not the path of a file.", 'pause_file("/tmp/pause-backfill")')
    return _PauseFile(os.path.abspath(text))


# What a thread has observed ----------------------------------------------------------------------------------------------


class _UnknownFor(PerThread):
    """For how long what a throttle measures has been unknown."""

    seconds = 0.0
    last: float | None = None

    def clear(self) -> None:
        self.seconds, self.last = 0.0, None

    def wait_or_stop(self, reason: str, give_up_after: float, remedy: str, code: str) -> str:
        """Return the reason to wait, or raise BackfillStopped after ``give_up_after`` seconds."""
        now = monotonic()
        self.seconds += 0.0 if self.last is None else min(now - self.last, IDLE)
        self.last = now
        if self.seconds < give_up_after:
            return reason
        self.clear()
        raise BackfillStopped(
            f"A throttle could not measure for {give_up_after:g} s: {reason}.",
            why="Continuing without a measurement could overload what the throttle protects.",
            remedy=remedy,
            code=code,
            state="All earlier batches are kept; running again continues from there.",
        )


class _Rate(PerThread):
    """The rows of one backfill since ``since``."""

    backfill: tuple[str, str] | None = None
    since = 0.0
    first = 0
    last = 0

    def seconds_ahead(self, progress: BackfillProgress, n: float) -> float:
        """Return by how many seconds the backfill is ahead of ``n`` rows a second."""
        now, backfill = monotonic(), (progress.name, progress.table)
        if backfill != self.backfill or progress.rows < self.last:
            self.backfill, self.since, self.first = backfill, now, progress.rows
        self.last = progress.rows
        needed = (progress.rows - self.first) / n
        self.since = max(self.since, now - needed - SAVED)
        return needed - (now - self.since)


# The throttles behind the five ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _ReplicaLag:
    max_seconds: float
    urls: tuple[sa.URL, ...]
    give_up_after: float
    _positions: LogPositions = field(default_factory=LogPositions, init=False, repr=False, compare=False)
    _replicas: KnownReplicas = field(default_factory=KnownReplicas, init=False, repr=False, compare=False)
    _unknown_for: _UnknownFor = field(default_factory=_UnknownFor, init=False, repr=False, compare=False)

    def __call__(self, progress: BackfillProgress) -> str | None:
        replicas = self._look(_database(progress))
        unknown = [f"replica {replica.name}: {replica.unknown}" for replica in replicas if replica.unknown]
        if unknown or not replicas:
            return self._wait_or_stop("; ".join(unknown) or "no replica is connected to this server")
        self._unknown_for.clear()
        return "; ".join(filter(None, map(self._late, replicas))) or None

    def _look(self, database: Database) -> list[Replica]:
        # The position is read first: a replica that has replayed it when it answers was not behind.
        load = ServerLoad.of(database)
        position = load.log_position()
        if position is not None:
            self._positions.add(monotonic(), position, 2 * self.max_seconds + POLL)
        if self.urls:
            return self._replicas.asked(self.urls, load.cluster())
        return self._replicas.connected(load)

    def _wait_or_stop(self, unknown: str) -> str:
        named = ", ".join(f'"...@{address(url)}/..."' for url in self.urls) or '"...@replica/..."'
        return self._unknown_for.wait_or_stop(
            f"the lag of the replicas is unknown ({unknown})",
            self.give_up_after,
            "Fix that, or leave out replicas that no longer exist, and run again:",
            f"replica_lag({self.max_seconds:g}, urls=[{named}])",
        )

    def _late(self, replica: Replica) -> str | None:
        least, most = self._behind(replica)
        if least > self.max_seconds:
            return f"replica {replica.name} is {least:.1f} s behind, more than {self.max_seconds:g} s"
        if most <= max(self.max_seconds, POLL):
            return None
        if most == float("inf"):
            return f"replica {replica.name} has not replayed the first position that this throttle saw: it may be far behind"
        return f"replica {replica.name} is {least:.1f} to {most:.1f} s behind, which may be more than {self.max_seconds:g} s"

    def _behind(self, replica: Replica) -> tuple[float, float]:
        """Return how many seconds a replica is behind: at least, and at most."""
        own = replica.lag or 0.0
        if replica.position is None:
            return own, own
        if replica.position >= self._positions.end:
            # The server shows its last figure for a while.
            return 0.0, 0.0
        least, most = self._positions.behind(replica.position)
        return max(least, own), max(most, own)


@dataclass(frozen=True)
class _ActiveSessions:
    max_count: int
    _unknown_for: _UnknownFor = field(default_factory=_UnknownFor, init=False, repr=False, compare=False)

    def __call__(self, progress: BackfillProgress) -> str | None:
        database = _database(progress)
        least, most = ServerLoad.of(database).active_sessions()
        if least <= self.max_count < most:
            return self._wait_or_stop(least, database.abilities.sees_sessions_with)
        self._unknown_for.clear()
        return f"{least} sessions are active, more than {self.max_count}" if least > self.max_count else None

    def _wait_or_stop(self, seen: int, needed: str) -> str:
        return self._unknown_for.wait_or_stop(
            f"it is unknown whether more than {self.max_count} sessions are active ({seen} are visible, and the server"
            f" hides others from this user)",
            GIVE_UP_AFTER,
            f"Grant the user of the migration what shows all sessions, {needed}, and run again. Or leave out the throttle:",
            f"active_sessions({self.max_count})",
        )


@dataclass(frozen=True)
class _TimeWindow:
    start: str
    end: str
    tz: str | None

    def __call__(self, progress: BackfillProgress) -> str | None:
        now = f"{wall_clock(_zone(self.tz)):%H:%M}"
        begun, over = now >= self.start, now >= self.end
        inside = begun and not over if self.start < self.end else begun or not over
        window = f"{self.start} to {self.end} {self.tz or 'UTC'}"
        return None if inside else f"it is {now}, outside the window from {window}"


@dataclass(frozen=True)
class _RowsPerSecond:
    n: float
    _rate: _Rate = field(default_factory=_Rate, init=False, repr=False, compare=False)

    def __call__(self, progress: BackfillProgress) -> str | None:
        ahead = self._rate.seconds_ahead(progress, self.n)
        return f"it is {ahead:.1f} s ahead of {self.n:g} rows a second" if ahead > 0 else None


@dataclass(frozen=True)
class _PauseFile:
    path: str

    def __call__(self, progress: BackfillProgress) -> str | None:
        try:
            os.lstat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return f"could not check whether the file {self.path} exists ({error.strerror})"
        return f"the file {self.path} exists; remove it to continue"


def _database(progress: BackfillProgress) -> Database:
    if progress.database is None:
        raise InvalidArgument(
            "This throttle needs a connection, and its progress has none.",
            remedy="Pass it to a backfill:",
            code="backfill(..., throttles=[...])",
        )
    return progress.database


# Arguments -----------------------------------------------------------------------------------------------------------

WINDOW = 'time_window("01:00", "05:00", tz="Europe/Paris")'
URLS = 'replica_lag(5.0, urls=["postgresql+psycopg://user:password@replica/database"])'


def _wrong(problem: str, code: str, why: str = "") -> InvalidArgument:
    return InvalidArgument(problem, why=why, remedy="Write:", code=code)


def _above_zero(name: str, value: object, call: str) -> float:
    if not is_above_zero(value):
        raise _wrong(f"{name} is {value!r}, not a number above 0.", call)
    return value


def _check_time(name: str, value: object) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value):
        raise _wrong(f"{name} is {value!r}, not a time of day from 00:00 to 23:59.", WINDOW)


def _zone(tz: object) -> tzinfo:
    if tz is None:
        return timezone.utc
    try:
        return ZoneInfo(tz)  # type: ignore[arg-type]
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError, AttributeError):
        why = "Zones have their names of the IANA database. To install it: pip install tzdata"
        raise _wrong(f"tz is {tz!r}, not a time zone that this machine knows.", WINDOW, why) from None


def _urls(urls: object) -> tuple[sa.URL, ...]:
    if isinstance(urls, (str, sa.URL)) or not isinstance(urls, Iterable):
        raise _wrong("urls is not a list of URLs.", URLS)
    made = tuple(map(url_of, urls))
    if None in made:
        raise _wrong(f"urls[{made.index(None)}] is not the URL of a database.", URLS)
    return made  # type: ignore[return-value]
