"""A session on a database: what is sent, how its waiting is bounded, who blocks it, and what its errors mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from safeops.databases.kinds import Kind
from safeops.databases.steps import Step, rendering_dialect
from safeops.errors import SafeOpsError
from safeops.naming import Name

Handed: TypeAlias = tuple[tuple[str, str], ...]
"""What was set on a session, by name, as a value that travels to another session."""


@dataclass
class Watch:
    """What was seen of a step from beside: who blocked it last, and whether it was cancelled for that.

    ``attached`` tells that somebody looks on, so that the step need not bound its own waiting.
    """

    blocked_by: list[str] = field(default_factory=list)
    cancelled: bool = False
    attached: bool = False


class DatabaseSession:
    """The session of a migration, or of ``--sql``, where there is none.

    Args:
        dialect: The dialect of the connection.
        connection: Gives the connection of this moment (Alembic changes it inside autocommit blocks); None offline.
    """

    product: ClassVar[str]
    role_code: ClassVar[str] = ""
    """How env.py takes a role that has the rights."""
    begins: ClassVar[str] = "BEGIN"
    """The statement that begins a transaction which is to write."""
    has_row_security: ClassVar[bool] = False
    """Policies may hide rows of a table from a role."""
    locks_runners_by_session: ClassVar[bool] = True
    """The lock that lets one runner at a time migrate belongs to a session of its own."""

    def __init__(self, dialect: Dialect, connection: Callable[[], Connection] | None) -> None:
        self.dialect = rendering_dialect(dialect)
        self._connection = connection
        self.prepare: Any = self.dialect.identifier_preparer
        self.patience = 2.0
        """Seconds that a look may wait for a lock."""

    @property
    def home(self) -> str | None:
        """The schema that is the database itself: its name is not kept, because a copy may have another one."""
        return None

    @property
    def offline(self) -> bool:
        return self._connection is None

    @property
    def connection(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("safeops looked at a database in --sql mode: this is a defect of safeops")
        return self._connection()

    @property
    def version(self) -> tuple[int, ...]:
        """The server's version; offline the newest that the dialect assumes."""
        return tuple(part for part in (self.dialect.server_version_info or ()) if isinstance(part, int))

    def describe(self) -> str:
        number = ".".join(map(str, self.version[:2]))
        return f"{self.product} {number}" if number else self.product

    def taught(self, error: DBAPIError) -> SafeOpsError | None:
        """Return what to say of an error that the server raises for what was asked of it, not for how it was done."""
        return None

    def scalar(self, sql: str, **parameters: Any) -> Any:
        rows = self.read(sql, **parameters)
        return rows[0][0] if rows else None

    def read(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        """Run a query. Colons that are no parameters must not stand in ``sql`` where there are parameters."""
        if parameters:
            return list(self.connection.execute(sa.text(sql), parameters).all())
        result = self.connection.exec_driver_sql(sql, execution_options={"no_parameters": True})
        return list(result.all())

    def run(self, sql: str) -> int:
        """Send a statement as it is, no parameters, no percent signs to double, and return how many rows it met."""
        return self.connection.exec_driver_sql(sql, execution_options={"no_parameters": True}).rowcount

    @contextmanager
    def transaction(self, *beginning: str) -> Iterator[None]:
        """Run the block in one transaction."""
        try:
            for sql in beginning or (self.begins,):
                self.run(sql)
            yield
            self.run("COMMIT")
        except BaseException:
            # On a lost connection there is nothing to roll back, and the first error is the one to see.
            with suppress(SQLAlchemyError):
                self.run("ROLLBACK")
            raise

    def carry_out(self, step: Step) -> None:
        """Send a step; where it has several statements, in one transaction."""
        if not step.then:
            self.run(step.sql)
            return
        with self.transaction():
            for sql in (step.sql, *step.then):
                self.run(sql)

    def handed_over(self, *, role: bool = True) -> Handed:
        """Return what env.py may have set on this session that decides how names are resolved, and what may be done.

        Args:
            role: The role too; not for a session of another login, which may not take it.
        """
        return ()

    def take_over(self, handed: Handed) -> None:
        """Set on this session what was handed over by another."""

    def check_session(self) -> None:
        """Raise UnsupportedOnDatabase if statements of this connection may reach sessions that serve others too."""

    def timeouts(self, lock: float, statement: float | None, step: Step) -> AbstractContextManager[None]:
        """Bound the waiting of one step on this session, and restore what was set before on every path."""
        return _unbounded()

    def session_bound(self, seconds: float) -> tuple[str, str] | None:
        """Return what bounds the waiting for locks of a whole session, and what takes that back.

        None if the session has a bound of its own: env.py, the role or the server have set it.
        """
        return None

    def rendered_timeouts(self, lock: float, statement: float | None, step: Step) -> tuple[list[str], list[str]]:
        """Render the statements before and after a step that bound its waiting."""
        return [], []

    def blockers(self, tables: Sequence[Name]) -> list[str]:
        """Describe the sessions that hold locks on the tables: id, user, application, state, age, query."""
        return []

    def obstacles(self, step: Step) -> dict[Any, str]:
        """Describe the transactions for which a step would wait in the middle of its work, each under a key of its own.

        They are waited for before the step begins, when giving up leaves nothing behind.
        """
        return {}

    def bystanders(self) -> list[str]:
        """Describe the open transactions for which a step may have waited in the middle of its work."""
        return []

    def watched(self, step: Step, budget: float) -> AbstractContextManager[Watch]:
        """Note who blocks a step; cancel one that waits in the middle of its work for ``budget`` seconds on end.

        Where nobody could look on, the watch says so before the step begins.
        """
        return _unwatched()

    def begin_by_hand(self) -> None:
        """Make sure that statements commit one by one on this connection, whatever the driver does."""

    def end_by_hand(self) -> None:
        """Give the connection back as ``begin_by_hand`` found it."""

    def try_runner_lock(self, connection: Connection, key: str) -> bool:
        """Take the lock that lets one runner at a time migrate; False where another has it."""
        return True

    def release_runner_lock(self, connection: Connection, key: str) -> bool | None:
        """Let go; False where the session can tell that it did not hold the lock any more."""
        return None

    def runner_lock_holder(self, connection: Connection, key: str) -> str:
        return "another runner"

    def check_triggers(self, asked: str, table: Name, *, locks_table: bool) -> None:
        """Raise what keeps this server or account from making triggers, before anything is changed.

        Args:
            asked: What needs them, for the message.
            table: The table.
            locks_table: It also needs a lock that keeps all other sessions from writing.
        """

    def is_lock_failure(self, error: BaseException) -> bool:
        """Tell whether a statement gave up waiting for a lock, or lost a deadlock: trying again may help."""
        return False

    def is_cut_short(self, error: BaseException) -> bool:
        """Tell whether a statement was ended for the time that it took, waiting for locks included."""
        return False

    def is_race(self, error: BaseException, step: Step) -> bool:
        """Tell whether what the step makes or drops came or went since the look before it."""
        return False

    def kind_of(self, error: DBAPIError) -> Kind:
        """Tell what kind of error a server or its driver gave."""
        return "lost" if error.connection_invalidated else "other"

    def is_violation(self, error: BaseException) -> bool:
        """Tell whether rows broke a constraint."""
        return False

    def is_dependency(self, error: BaseException) -> bool:
        """Tell whether the server refused to drop something because others depend on it."""
        return False

    def refuse_hidden_rows(self, tables: Sequence[Name]) -> None:
        """Raise UnsafeOperation if row security may hide rows of a table from the role of this session."""

    def hidden_rows(self, error: DBAPIError) -> SafeOpsError | None:
        """Return that error if the server refused a statement because it would have hidden rows from it."""
        return None

    def is_unconvertible(self, error: BaseException) -> bool:
        """Tell whether the server knows no conversion from a column's type to the one that was asked for."""
        return False

    def is_refusal(self, error: BaseException) -> bool:
        """Tell whether the server refused to do it online."""
        return False


@contextmanager
def _unbounded() -> Iterator[None]:
    yield


@contextmanager
def _unwatched() -> Iterator[Watch]:
    yield Watch()
