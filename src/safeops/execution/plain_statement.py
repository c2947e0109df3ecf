"""One statement that a revision's own code sends: it waits for its lock briefly, and again if that is safe."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops import _sqlalchemy
from safeops.databases import database_on, sqltext
from safeops.databases.base import Database
from safeops.databases.server import Holder
from safeops.databases.server_errors import message_of
from safeops.databases.statements import OPAQUE, Kind, common_kind, kinds_in, words_of
from safeops.databases.steps import Step
from safeops.databases.waiting import Waiting
from safeops.errors import LockNotAcquired, UnsupportedOnDatabase
from safeops.execution.holders import listed, who_holds, who_holds_seen_beside
from safeops.execution.lock_retry import Work, await_obstacles, bounded, with_lock_retry
from safeops.execution.migration import Terms, current_settings, is_configured, settings_of_command
from safeops.execution.senders import Sender, Who
from safeops.naming import Name
from safeops.plan_mode import SQL_WORDS
from safeops.policy import Settings

KEY = "safeops.waiting"
"""The key of a session's state in its connection."""
LONGEST = 200
LONG_TEXT = 100_000
"""Characters above which a statement is a script, or a load of rows."""
NAMES = 20
"""How many of the words of a statement are looked up as names of tables."""
CONTROL = frozenset({Kind.SESSION, Kind.SAVEPOINT, Kind.TRANSACTION})
"""What waits for no lock on a table."""
_ENDING = re.compile(r"\b(COMMIT|ROLLBACK|SAVEPOINT)\b", re.IGNORECASE)
BEGINNING = frozenset({"BEGIN", "START"})
_LOCKING = frozenset({("FOR", "UPDATE"), ("FOR", "SHARE"), ("FOR", "NO"), ("FOR", "KEY")})


@dataclass
class PlainSession:
    """What is known of a session, and of its open transaction.

    Args:
        bounded: Its waiting is bounded now, by us or by a bound that it had.
        ours: The bound is ours.
        restoring: What removes a bound that does not end with its transaction.
        locked: ``migration_lock`` holds for it.
        lock_bound: ``migration_lock`` has bounded it.
        did: Its transaction has changed or locked something.
        noted: Alembic has written to its version table in it.
        busy: It is being looked after: statements are sent as they are.
        number: The number of its transaction in this process.
        ended: The revision's own SQL has ended its transaction.
        database: What it reaches, once it is known.
        connection: The connection to it, as it is: that of ``database`` restores what a helper has set.
    """

    bounded: bool = False
    ours: bool = False
    restoring: str = ""
    locked: bool = False
    lock_bound: bool = False
    did: bool = False
    noted: bool = False
    busy: bool = False
    number: int = 0
    ended: bool = False
    database: Database | None = None
    connection: Connection | None = None

    def __post_init__(self) -> None:
        self.end_transaction()

    def lose_bound(self) -> None:
        """Note that a bound of a transaction has ended with it."""
        self.bounded, self.ours = self.lock_bound, False

    def end_transaction(self) -> None:
        """Take what comes for part of another transaction."""
        self.did = self.noted = self.ended = False
        self.number = next(_numbers)


_numbers = itertools.count(1)


def database_of(session: PlainSession, connection: Connection) -> Database:
    """Return the database that a session reaches, which each of its statements needs."""
    known, dialect = session.database, connection.dialect
    # env.py may choose another schema at any time.
    if (
        known is None
        or session.connection is not connection
        or known.dialect.default_schema_name != dialect.default_schema_name
    ):
        known, session.connection = database_on(connection), connection
        session.database = known
    return known


class PlainStatement:
    """A statement that is about to be sent."""

    def __init__(
        self,
        connection: Connection,
        session: PlainSession,
        found: Sender | None,
        sql: str,
        send: Callable[[], None],
        *,
        many: bool = False,
    ) -> None:
        self.many = many
        self.connection, self.session, self.sender, self.sql, self.send = connection, session, found, sql, send
        self.words, self.kind, self.kinds = _read(sql)

    def sent(self) -> bool | None:
        """Send it if it is the revision's own, bounded; return whether it was sent."""
        try:
            self.database = database_of(self.session, self.connection)
        except UnsupportedOnDatabase:
            return None
        self.waiting = Waiting.of(self.database)
        own = self.sender is not None and self.sender.who is Who.REVISION and self._is_wanted(self.sender)
        if not own:
            self._restore()
        if self.sender is not None and self.sender.who is Who.ALEMBIC and is_configured(self.sender.context):
            # The transaction in which Alembic reads its version is also that of the first revision.
            bound_transaction(self.waiting, self.session, self._settings())
        handled = self._send() if own or self._is_alembics_under_bound() or self._is_alembics_first_read() else None
        self._note()
        return handled

    def _is_wanted(self, found: Sender) -> bool:
        return is_configured(found.context) or self.session.locked

    def _is_alembics_under_bound(self) -> bool:
        return self.sender is not None and self.sender.who is Who.ALEMBIC and self.session.ours

    def _is_alembics_first_read(self) -> bool:
        """Return whether Alembic reads its versions before anything was done; a file may be locked even for that."""
        if self.database.abilities.has_server or self.sender is None:
            return False
        if self.sender.who is not Who.ALEMBIC or self.kind is not Kind.READS:
            return False
        return self._is_wanted(self.sender) and not (self.session.did or self.session.noted)

    def _restore(self) -> None:
        """Remove, for statements of others, a bound that does not end with its transaction."""
        if self.session.restoring and (self.sender is None or self.sender.who is not Who.HELPER):
            self.waiting.send(self.session.restoring)
            self.session.restoring, self.session.bounded, self.session.ours = "", False, False

    def _note(self) -> None:
        """Note what the statement does to its transaction, and to the bound."""
        session = self.session
        transactional = bool(self.kinds & {Kind.TRANSACTION, Kind.SAVEPOINT})
        if self.waiting.ends_with_transaction and not session.restoring and transactional:
            session.lose_bound()
        if self.waiting.touches_bound(self.sql, self.words):
            session.bounded = session.ours = False
        if self.kind is Kind.TRANSACTION or self.waiting.commits(self.words or ("",)):
            session.end_transaction()
            session.ended = self.kind is Kind.TRANSACTION and not BEGINNING.issuperset(self.words[:1])
        elif self.kind is Kind.WRITES and self.sender is not None and self.sender.who is Who.ALEMBIC:
            session.noted = True
        elif self.kind is Kind.WRITES or _locks_rows(self.words):
            session.did = True
        elif self.kind is Kind.SAVEPOINT and not self.waiting.aborts_transactions:
            # To try again there ends the transaction, with its savepoints.
            session.did = True

    # Sending ----------------------------------------------------------------------------------------------------

    def _send(self) -> bool | None:
        if self.kind in CONTROL or not self.words:
            return None
        settings = self._settings()
        bound_session(self.waiting, self.session, settings)
        terms, outside = Terms(self.database, settings), self._is_outside()
        if outside and self.waiting.waits_inside(self.words) and (self.session.ours or self.session.lock_bound):
            self._send_watched(terms)
        elif self._may_be_repeated(outside):
            self._send_again_and_again(terms, outside)
        else:
            self._send_once()
        return True

    def _settings(self) -> Settings:
        return current_settings(self.sender.context) if self.sender is not None else settings_of_command()

    def _is_outside(self) -> bool:
        return _sqlalchemy.is_autocommit(self.connection) or not self.waiting.is_in_transaction()

    def _may_be_repeated(self, outside: bool) -> bool:
        """Return whether nothing of the transaction is held, or lost, while it is tried again."""
        if self._is_alembics_first_read():
            return True
        if self.sender is None or self.sender.who is not Who.REVISION or Kind.TRANSACTION in self.kinds:
            return False
        # A savepoint keeps what Alembic has written to its version table, which no other session waits for.
        did = self.session.did or (self.session.noted and not self.waiting.aborts_transactions)
        free = outside or self.waiting.commits(self.words) or not did
        if self.many or not OPAQUE.isdisjoint(self.words[:1]):
            # It may be half done, which only a savepoint reverts.
            return free and not outside and self.waiting.aborts_transactions
        return free and (outside or self.kind is Kind.WRITES)

    def _send_again_and_again(self, terms: Terms, outside: bool) -> None:
        def attempt() -> None:
            with self._as_of_sqlalchemy(), nullcontext() if outside else self.waiting.attempt():
                self.send()

        try:
            with_lock_retry(terms, f"ran {_shown(self.sql)}", attempt, tables=lambda: names_in(self.sql))
        except LockNotAcquired as error:
            error.state = NOT_DONE
            raise

    def _send_once(self) -> None:
        try:
            with self._as_of_sqlalchemy():
                self.send()
        except DBAPIError as error:
            raise not_acquired(self.database, error, self._holders(), rolled_back=self._is_rolled_back()) from error

    def _send_watched(self, terms: Terms) -> None:
        """Send what waits for older transactions in the middle of its work; a bound would leave it half done."""
        step = Step(self.sql, f"ran {_shown(self.sql)}", tuple(names_in(self.sql)), scans=True, waits_inside=True)
        await_obstacles(terms, step, Work())
        with bounded(terms, step, terms.settings.retry_budget) as watch:
            try:
                self.send()
            except self._driver_error as error:
                told = self._wrapped(error)
                if watch.cancelled or self.database.errors.is_lock_failure(error):
                    raise _half_done(told, watch.blocked_by) from told
                raise

    @contextmanager
    def _as_of_sqlalchemy(self) -> Iterator[None]:
        """Raise a lock failure of the driver as SQLAlchemy does; other errors are left to it."""
        try:
            yield
        except self._driver_error as error:
            if not self.database.errors.is_lock_failure(error):
                raise
            raise self._wrapped(error) from error

    @property
    def _driver_error(self) -> type[Exception]:
        found: type[Exception] = self.connection.dialect.loaded_dbapi.Error
        return found

    def _wrapped(self, error: Exception) -> DBAPIError:
        dialect = self.connection.dialect
        made = DBAPIError.instance(self.sql, None, error, self._driver_error, dialect=dialect)
        assert isinstance(made, DBAPIError)
        return made

    # Who blocks -------------------------------------------------------------------------------------------------

    def _is_rolled_back(self) -> bool:
        return self.waiting.aborts_transactions and not self._is_outside()

    def _holders(self) -> list[Holder]:
        names = names_in(self.sql)
        if not self._is_rolled_back():
            return who_holds(self.database, names)
        own = self.waiting.session()
        return [one for one in who_holds_seen_beside(self.connection, names) if own is None or one.session != own]


def _read(sql: str) -> tuple[tuple[str, ...], Kind, frozenset[Kind]]:
    """Return the words of a statement, what it does, and what its parts do; of a long text only its head is read."""
    if len(sql) <= LONG_TEXT:
        kinds = frozenset(kinds_in(sql))
        return words_of(sql), common_kind(kinds), kinds
    ends = {Kind.TRANSACTION} if _ENDING.search(sql) else set()
    return words_of(sql[:LONGEST]), Kind.WRITES, frozenset({Kind.WRITES, *ends})


def _locks_rows(words: tuple[str, ...]) -> bool:
    return any(pair in _LOCKING for pair in pairwise(words))


def bound_transaction(waiting: Waiting, session: PlainSession, settings: Settings) -> None:
    """Bound a transaction as it begins, if the bound ends with it."""
    if waiting.ends_with_transaction and not _sqlalchemy.is_autocommit(waiting.database.connection):
        bound_session(waiting, session, settings)


def bound_session(waiting: Waiting, session: PlainSession, settings: Settings) -> None:
    """Bound a session, or its transaction, unless it is bounded."""
    if session.bounded:
        return
    autocommit = _sqlalchemy.is_autocommit(waiting.database.connection)
    restoring = waiting.bound(settings.lock_timeout, autocommit=autocommit)
    session.bounded, session.ours = True, restoring is not None
    session.restoring = restoring or session.restoring


# Messages -------------------------------------------------------------------------------------------------------

NOT_DONE = (
    "This statement changed nothing. What the revision committed before it is kept. Check the schema before you run it"
    " again, because plain op.* does not skip what is done."
)
ROLLED_BACK = (
    "The open transaction was rolled back completely, and running again is safe. What was committed before it is kept."
)


def not_acquired(
    database: Database, error: DBAPIError, holders: list[Holder], *, rolled_back: bool = False
) -> LockNotAcquired:
    return LockNotAcquired(
        f"Could not run {_shown(error.statement or '')}: {message_of(error)}.\nHeld by:{listed(holders)}",
        why="It was not tried again, because its transaction had already changed or locked something that others would wait"
        " for. Helpers, and the first statement of a transaction, are retried within retry_budget.",
        remedy="End those sessions and run again, use the helper, or put the statement first into a separate revision."
        " To allow more time for a lock:",
        code="configure(lock_timeout=10.0)",
        state=ROLLED_BACK if rolled_back else NOT_DONE,
    )


def _half_done(error: DBAPIError, holders: list[Holder]) -> LockNotAcquired:
    return LockNotAcquired(
        f"Could not run {_shown(error.statement or '')}: older transactions did not end in time.\n"
        f"Still open:{listed(holders)}",
        why="An online change does not block reads and writes, but must wait for every transaction that began before it.",
        remedy="End those sessions, drop the index that it left, and run again. A helper does both itself:",
        code='create_index_if_missing("ix_name", "table_name", ["column"])',
        state="An index whose build it had begun is left INVALID.",
    )


def _shown(sql: str) -> str:
    statement = " ".join(sql.split())
    return statement if len(statement) <= LONGEST else f"{statement[: LONGEST - 3]}..."


def names_in(sql: str) -> list[Name]:
    """Return the names in a statement that may be those of tables, with a schema in front of them or without one."""
    words = [sqltext.unquoted(text) for _, text in sqltext.tokens(sql)]
    plain = [one for one in words if one not in (".", "(", ")", ",", ";") and one.lower() not in SQL_WORDS]
    found = [Name(word) for one in plain for word in (one, one.lower())]
    found += [Name(last, first) for first, dot, last in zip(words, words[1:], words[2:], strict=False) if dot == "."]
    return list(dict.fromkeys(found))[:NAMES]
