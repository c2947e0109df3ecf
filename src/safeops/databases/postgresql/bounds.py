"""The settings that bound the steps of a helper: sent when they change, restored when the helper ends.

Between two steps of one helper they stay as they are. Before anything else is sent on the session they are restored: it
finds what env.py, the role or the server have set.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection

from safeops.databases import server
from safeops.databases.base import Database
from safeops.databases.postgresql.catalogue import sealed
from safeops.databases.steps import Step
from safeops.errors import UnsupportedOnDatabase

KEY = "safeops.bounds"
SEES_ALL = {"row_security": "off"}
"""With this setting the server raises an error instead of hiding rows; roles that see all rows do not notice it."""


@dataclass
class Bounds:
    """What bounds the steps on one session, and what was set there before; kept with the driver's connection."""

    session: int = 0
    deadlock: float = 0.0
    own: Mapping[str, str] = field(default_factory=dict)
    """What was set before; of the last time if it is not ``seen``."""
    now: Mapping[str, str] = field(default_factory=dict)
    seen: bool = False
    """The session has just shown that it has ``own``, and has ``now`` since."""
    steps: int = 0
    """How many steps are in progress, one inside the other."""
    helpers: int = 0
    restoring: int = 0
    texts: dict[tuple[object, ...], str] = field(default_factory=dict)
    """The statements of the changes so far: most helpers make the same ones."""


class Bounded(Database):
    """A database whose session has bounds."""

    @property
    def connection(self) -> Connection:
        restore(self)
        return self.raw_connection

    @property
    def raw_connection(self) -> Connection:
        """The connection as it is, with the bounds that the last step of a helper has left."""
        return super().connection

    def look(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        """Read what the bounds of a step do not change, such as the catalogue."""
        with unprepared(self.raw_connection):
            return self._read_on(self.raw_connection, sealed(sql) if parameters else sql, **parameters)

    def timeouts(self, lock: float, statement: float | None, step: Step) -> AbstractContextManager[None]:
        return bounding(self, lock, statement, step)

    @contextmanager
    def transaction(self, *beginning: str) -> Iterator[None]:
        with restoring(self), super().transaction(*beginning):
            yield

    @abstractmethod
    def check_session(self, session: int | None = None) -> None:
        """Raise UnsupportedOnDatabase if statements reach sessions that serve others too; ``session`` has run the last."""


@contextmanager
def unprepared(connection: Connection) -> Iterator[None]:
    """Keep psycopg 3 from preparing statements: after the next ALTER it would deallocate all, also ours."""
    driver: Any = connection.connection.driver_connection
    threshold = getattr(driver, "prepare_threshold", None)
    if threshold is None:
        yield
        return
    driver.prepare_threshold = None
    try:
        yield
    finally:
        driver.prepare_threshold = threshold


def bounds_of(connection: Connection) -> Bounds:
    """Return what bounds the steps on a connection."""
    found: Bounds = connection.info.setdefault(KEY, Bounds())
    return found


@contextmanager
def bounding(database: Bounded, lock: float, statement: float | None, step: Step) -> Iterator[None]:
    """Set the bounds of a step for the block; the next step of a helper finds them as they are."""
    bounds = bounds_of(database.raw_connection)
    before = bounds.now if bounds.steps else bounds.own
    bounds.steps += 1
    try:
        if not bounds.seen:
            before = _begin(database, bounds, lock, statement, step)
        else:
            _change(database, bounds, {**before, **wanted(database, before, bounds.deadlock, lock, statement, step)})
        yield
    finally:
        bounds.steps -= 1
        if bounds.steps:
            _change(database, bounds, before)
        elif bounds.restoring or not bounds.helpers:
            restore(database)


def _begin(database: Bounded, bounds: Bounds, lock: float, statement: float | None, step: Step) -> Mapping[str, str]:
    """Set the bounds of the first step: in one statement if the session has what it had the last time."""
    if bounds.own:
        now = {**bounds.own, **wanted(database, bounds.own, bounds.deadlock, lock, statement, step)}
        if _set_if_as_before(database, bounds, now):
            bounds.now, bounds.seen = now, True
            return bounds.own
    names = ["lock_timeout", "statement_timeout", *(["transaction_timeout"] if database.version >= (17,) else [])]
    names += SEES_ALL
    shown = ", ".join(f"current_setting('{name}')" for name in (*names, "deadlock_timeout"))
    *own, deadlock, session = database.look(f"SELECT {shown}, pg_backend_pid()")[0]
    database.check_session(session)
    bounds.session, bounds.deadlock = session, seconds(deadlock)
    bounds.own = bounds.now = dict(zip(names, map(str, own), strict=True))
    bounds.seen = True
    _change(database, bounds, {**bounds.own, **wanted(database, bounds.own, bounds.deadlock, lock, statement, step)})
    return bounds.own


def _set_if_as_before(database: Bounded, bounds: Bounds, now: Mapping[str, str]) -> bool:
    key = (*bounds.own.items(), *now.items())
    if key not in bounds.texts:
        bounds.texts[key] = _text_if_as_before(database, bounds, now)
    return bool(database.look(bounds.texts[key]))


def _text_if_as_before(database: Bounded, bounds: Bounds, now: Mapping[str, str]) -> str:
    changed = {name: value for name, value in now.items() if value != bounds.own[name]}
    calls = "".join(f", set_config('{name}', {database.literal(value)}, false)" for name, value in changed.items())
    same = " AND ".join(f"current_setting('{name}') = {database.literal(value)}" for name, value in bounds.own.items())
    return sealed(f"SELECT 1{calls} FROM (SELECT WHERE pg_backend_pid() = {bounds.session} AND {same}) AS unchanged")


def _change(database: Bounded, bounds: Bounds, now: Mapping[str, str]) -> None:
    changed = {name: value for name, value in now.items() if value != bounds.now.get(name)}
    # Should it fail, what is set is not known: the next change sets everything.
    bounds.now = {}
    if changed and not database.raw_connection.invalidated and not database.raw_connection.closed:
        key = (*changed.items(),)
        if key not in bounds.texts:
            bounds.texts[key] = text_of(database, bounds.session, changed)
        send(database, bounds.session, bounds.texts[key])
    bounds.now = now


def text_of(database: Bounded, session: int, values: Mapping[str, str]) -> str:
    """Return the statement that sets parameters of a session, and of no other."""
    calls = [f"set_config('{name}', {database.literal(value)}, false)" for name, value in values.items()]
    ours = ", ".join(f"CASE WHEN pg_backend_pid() = {session} THEN {call} END" for call in calls)
    return f"SELECT {ours}, pg_backend_pid()"


def send(database: Bounded, session: int, text: str) -> None:
    """Send such a statement; raise if it has reached another session."""
    if database.look(text)[0][-1] != session:
        raise pooled(database, database.raw_connection)


def pooled(database: Bounded, connection: Connection) -> UnsupportedOnDatabase:
    """Return the error of a connection whose statements reach sessions of others."""
    url = connection.engine.url.set(host="SERVER", port=5432, password=None, query={})
    return UnsupportedOnDatabase(
        "A migration was requested over a pooler in transaction mode (PgBouncer, Supavisor or the like), the server behind"
        f" it is {database.describe()}, and it would need a direct connection.",
        why="Such a pooler gives each transaction another session of the server, which serves the application too. The"
        " settings and the migration lock of a run would end up in sessions of the application, and stay there.",
        remedy="Give Alembic the address and port of the server itself, or of a pool in session mode, and leave the"
        " application's URL as it is:",
        code=f"sqlalchemy.url = {url.render_as_string(hide_password=False)}",
    )


def restore(database: Bounded) -> None:
    """Restore what was set before the first step, unless a step is in progress."""
    connection = database.raw_connection
    if connection.invalidated or connection.closed:
        return
    bounds = connection.info.get(KEY)
    if bounds is not None and bounds.seen and not bounds.steps:
        bounds.seen = False
        _change(database, bounds, bounds.own)


@contextmanager
def shared(database: Bounded) -> Iterator[None]:
    """Let the steps of the block, one helper, share their bounds."""
    bounds = bounds_of(database.raw_connection)
    bounds.helpers += 1
    try:
        yield
    finally:
        bounds.helpers -= 1
        restore(database)


@contextmanager
def restoring(database: Bounded) -> Iterator[None]:
    """Have each step of the block restore what it has set, as in a transaction, whose end may revert that."""
    bounds = bounds_of(database.raw_connection)
    bounds.restoring += 1
    try:
        yield
    finally:
        bounds.restoring -= 1


class HelperSession(server.HelperSession):
    """Its steps share their bounds."""

    database: Bounded

    def isolation_level(self) -> str | None:
        # Psycopg 3 has the level that it begins transactions with. To show it would begin one and roll it back, and at each
        # ROLLBACK the driver discards its prepared statements: the server would plan each query of the catalogue again.
        driver = self.database.raw_connection.connection.driver_connection
        name = getattr(getattr(driver, "isolation_level", None), "name", None)
        return None if name is None else str(name).replace("_", " ")

    def sharing_bounds(self) -> AbstractContextManager[None]:
        return shared(self.database)


# The values -----------------------------------------------------------------------------------------------------


def wanted(
    database: Bounded, own: Mapping[str, str], deadlock: float, lock: float, statement: float | None, step: Step
) -> dict[str, str]:
    """Return the settings of a step on a session that has these."""
    lock = _before_deadlock(lock, deadlock, step)
    return {**_raised(own, lock), **bounds_of_step(database.version, lock, statement, step), **SEES_ALL}


def bounds_of_step(version: Sequence[int], lock: float, statement: float | None, step: Step) -> dict[str, str]:
    """Return the settings of a step, in milliseconds; 0 means without bound."""
    unbounded = step.scans or step.waits_inside
    bounds = {"lock_timeout": "0" if step.waits_inside else str(max(int(lock * 1000), 1))}
    if unbounded:
        bounds["statement_timeout"] = "0"
    elif statement is not None:
        bounds["statement_timeout"] = str(max(int(_outlasting(statement, lock) * 1000), 1))
    if unbounded and tuple(version) >= (17,):
        bounds["transaction_timeout"] = "0"
    return bounds


_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(setting: str) -> float:
    """Return the seconds of a timeout as the server shows it: 0, 300ms, 2s, 1min."""
    digits = setting.rstrip("abcdefghijklmnopqrstuvwxyz")
    return float(digits) * _UNITS.get(setting[len(digits) :], 0.001)


def _before_deadlock(lock: float, deadlock: float, step: Step) -> float:
    """Return a shorter bound for a step that waits for several tables one after the other.

    It holds the first while it waits: an application that has locked them in the other order, and waits behind it, would
    detect the deadlock and lose. So the step ends before any session checks for deadlocks.
    """
    many = len(set(step.locks))
    return lock if many < 2 else min(lock, 0.9 * deadlock / many)


def _outlasting(bound: float, lock: float) -> float:
    """Return a bound on a statement that counts from when it has its lock: the server counts its waiting too."""
    return bound if bound > lock else lock + bound


def _raised(own: Mapping[str, str], lock: float) -> dict[str, str]:
    """Return what to raise of a session's own timeouts, which would end a step before its lock timeout does."""
    bounds = {name: seconds(setting) for name, setting in own.items() if name not in ("lock_timeout", *SEES_ALL)}
    return {name: str(int((lock + bound) * 1000)) for name, bound in bounds.items() if 0 < bound <= lock}
