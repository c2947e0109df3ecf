"""The settings that bound the steps of a helper.

A statement that may run in a transaction takes them along, in one message to the server: they are those of that
transaction, and end with it. For other statements, and with a driver that sends one statement at a time, they are set on the
session: between two steps of one helper they stay as they are, and before anything else is sent they are restored. It finds
what env.py, the role or the server have set.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection, CursorResult
from sqlalchemy.exc import DBAPIError

from safeops._sqlalchemy import is_autocommit
from safeops.databases import server
from safeops.databases.base import Database
from safeops.databases.postgresql.along import send_along, takes_along
from safeops.databases.postgresql.catalogue import session_columns, timeouts_of
from safeops.databases.postgresql.sealing import sealed
from safeops.databases.postgresql.timeouts import SEES_ALL, seconds, text_of_transaction, wanted
from safeops.databases.postgresql.values import is_plain, with_values
from safeops.databases.steps import Step, WhileEmpty
from safeops.errors import UnsupportedOnDatabase
from safeops.plan_mode import current_dry_run

KEY = "safeops.bounds"
HAS_ROWS = "safeops.the_table_has_rows_by_now"
"""There is no such setting: reading it is an error, which ends the transaction."""


class Asked(NamedTuple):
    """The bounds of a step that are not set yet: its statements may take them along."""

    lock: float
    statement: float | None
    step: Step


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
    timeouts: dict[str, str] | None = None
    """The session's own timeouts, as the helper that runs has seen them."""
    asked: Asked | None = None
    helpers: int = 0
    restoring: int = 0
    texts: dict[tuple[object, ...], str] = field(default_factory=dict)
    """The statements of the changes so far: most helpers make the same ones."""


class Bounded(Database):
    """A database whose session has bounds."""

    @property
    def connection(self) -> Connection:
        settle(self)
        restore(self)
        return self.raw_connection

    @property
    def raw_connection(self) -> Connection:
        """The connection as it is, with the bounds that the last step of a helper has left."""
        return super().connection

    def look(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        """Read what the bounds of a step do not change, such as the catalogue."""
        with unprepared(self.raw_connection):
            return self._read_on(self.raw_connection, with_values(self, sql, parameters))

    def look_behind(self, before: str, sql: str) -> Sequence[Sequence[Any]]:
        """Read so, behind statements of the same message, if there are any."""
        return self._sent_with(before, sql).all() if before else self.look(sql)

    def read(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        text, before = with_values(self, sql, parameters), bounds_along(self)
        return super().read(text) if before is None else self._sent_with(before, text).all()

    def run(self, sql: str) -> int:
        before = bounds_along(self)
        return super().run(sql) if before is None else self._sent_with(before, sql).rowcount

    def execute(self, step: Step) -> bool:
        if step.while_empty is not None:
            return self._execute_while_empty(step, step.while_empty)
        if not step.then or step.needed_if is not None or bounds_along(self) is None:
            with unprepared(self.raw_connection):
                return super().execute(step)
        self.run(";\n".join((step.sql, *step.then)))
        return True

    def _execute_while_empty(self, step: Step, while_empty: WhileEmpty) -> bool:
        """Send the step behind its lock and a look at the size of its table, in one transaction."""
        table, mode = self.quoted_table(while_empty.table), self.sizes.lock_of(step).name
        looked_up = f"to_regclass({self.literal(table)})"
        # A table that inherits from it by now may have rows.
        has_heir = f"EXISTS (SELECT 1 FROM pg_catalog.pg_inherits WHERE inhparent = {looked_up})"
        has_rows = f"pg_relation_size({looked_up}) > 0 OR {has_heir}"
        first = (
            f"LOCK TABLE ONLY {table} IN {mode} MODE",
            sealed(f"SELECT CASE WHEN {has_rows} THEN current_setting('{HAS_ROWS}') END"),
        )
        before, statements = bounds_along(self), (step.sql, *step.then)
        try:
            if before is not None:
                self._sent_with(";\n".join((before, *first)), ";\n".join(statements))
            else:
                super().execute(replace(step, sql=first[0], then=(first[1], *statements)))
        except DBAPIError as error:
            while_empty.has_rows = HAS_ROWS in str(error.orig)
            if not while_empty.has_rows:
                raise
        return not while_empty.has_rows

    def _sent_with(self, before: str, sql: str) -> CursorResult[Any]:
        with unprepared(self.raw_connection):
            return send_along(self.raw_connection, before, sql)

    def timeouts(self, lock: float, statement: float | None, step: Step) -> AbstractContextManager[None]:
        return bounding(self, lock, statement, step)

    @contextmanager
    def transaction(self, *beginning: str) -> Iterator[None]:
        with restoring(self), super().transaction(*beginning):
            yield

    def literal(self, value: str) -> str:
        return f"'{value}'" if is_plain(value) else super().literal(value)

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


def _open_bounds(database: Bounded) -> Bounds | None:
    """Return what bounds the steps on a connection; None if no helper has used it, or if it is lost."""
    connection = database.raw_connection
    return None if connection.invalidated or connection.closed else connection.info.get(KEY)


@contextmanager
def bounding(database: Bounded, lock: float, statement: float | None, step: Step) -> Iterator[None]:
    """Bound what the block sends; on a session that is bounded already, the next step of a helper finds it as it is."""
    settle(database)
    bounds = bounds_of(database.raw_connection)
    before = bounds.now if bounds.steps else None
    bounds.steps += 1
    bounds.asked = Asked(lock, statement, step)
    try:
        if bounds.steps > 1 or bounds.seen or bounds.restoring or not _goes_along(database, step):
            settle(database)
        yield
    finally:
        bounds.steps -= 1
        bounds.timeouts = bounds.timeouts if bounds.helpers else None
        if bounds.asked is not None:
            bounds.asked = None
        elif before is not None:
            _change(database, bounds, before)
        elif bounds.restoring or not bounds.helpers:
            restore(database)


def _goes_along(database: Bounded, step: Step) -> bool:
    """Return whether the statements of a step may take its bounds along."""
    alone = step.outside_transaction or step.waits_inside
    connection = database.raw_connection
    # A dry run looks at each statement before it is sent.
    return not alone and takes_along(connection) and is_autocommit(connection) and current_dry_run() is None


def bounds_along(database: Bounded) -> str | None:
    """Return what bounds the transaction of a statement behind it; None if nothing, or the session itself, is bounded."""
    bounds = _open_bounds(database)
    if bounds is None or bounds.asked is None:
        return None
    asked, bounds.asked = bounds.asked, None
    if bounds.timeouts is None:
        _read_own(database, bounds)
    bounds.asked = asked
    own, deadlock = bounds.timeouts or {}, bounds.deadlock
    key = (asked.lock, asked.statement, asked.step.scans, len(set(asked.step.locks)), deadlock, *own.values())
    if key not in bounds.texts:
        bounds.texts[key] = text_of_transaction(wanted(database.version, own, deadlock, *asked))
    return bounds.texts[key]


def learn(database: Bounded, session: int, deadlock: str, *timeouts: str) -> None:
    """Note what a query has shown of a session that has been checked, unless a step has set it."""
    bounds = bounds_of(database.raw_connection)
    if session == bounds.session and not bounds.seen:
        bounds.deadlock = seconds(deadlock)
        bounds.timeouts = dict(zip(timeouts_of(database.version), timeouts, strict=True))


def settle(database: Bounded) -> None:
    """Set the bounds of the step in progress on the session, unless they are."""
    bounds = _open_bounds(database)
    if bounds is None or bounds.asked is None:
        return
    asked, bounds.asked = bounds.asked, None
    if bounds.seen:
        before = bounds.now if bounds.steps > 1 else bounds.own
        _change(database, bounds, {**before, **wanted(database.version, before, bounds.deadlock, *asked)})
        return
    if bounds.own and _set_if_as_before(database, bounds, now := _wanted_now(database, bounds, asked)):
        bounds.now, bounds.seen = now, True
        return
    _read_own(database, bounds)
    bounds.now, bounds.seen = bounds.own, True
    _change(database, bounds, _wanted_now(database, bounds, asked))


def _wanted_now(database: Bounded, bounds: Bounds, asked: Asked) -> Mapping[str, str]:
    return {**bounds.own, **wanted(database.version, bounds.own, bounds.deadlock, *asked)}


def _read_own(database: Bounded, bounds: Bounds) -> None:
    names = ["lock_timeout", *SEES_ALL]
    shown = ", ".join(f"current_setting('{name}')" for name in names)
    row = database.look(f"SELECT {shown}, {session_columns(database.version)}")[0]
    own, (session, *others) = row[: len(names)], row[len(names) :]
    database.check_session(session)
    bounds.session = session
    learn(database, session, *others)
    bounds.own = {**dict(zip(names, own, strict=True)), **(bounds.timeouts or {})}


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
    bounds = _open_bounds(database)
    if bounds is not None and bounds.seen and not bounds.steps:
        bounds.seen = False
        _change(database, bounds, bounds.own)


@contextmanager
def shared(database: Bounded) -> Iterator[None]:
    """Let the steps of the block, one helper, share their bounds."""
    bounds = bounds_of(database.raw_connection)
    if not bounds.helpers:
        bounds.timeouts = None
    bounds.helpers += 1
    try:
        yield
    finally:
        bounds.helpers -= 1
        restore(database)


@contextmanager
def restoring(database: Bounded) -> Iterator[None]:
    """Have each step of the block restore what it has set, as in a transaction, whose end may revert that."""
    settle(database)
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
