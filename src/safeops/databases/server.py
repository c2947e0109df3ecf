"""What a server is: what it can do, what its errors mean, how large its tables are, and how one runner locks out others."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops.databases.ports import Port
from safeops.databases.steps import Step
from safeops.errors import SafeOpsError
from safeops.naming import Name
from safeops.planned import NO_LOCK, Lock

Kind: TypeAlias = Literal[
    "lost",
    "held",
    "rights",
    "read only",
    "resources",
    "cancelled",
    "values",
    "rule",
    "violation",
    "dependents",
    "unsupported",
    "statement",
    "other",
]
OF_ROWS: frozenset[Kind] = frozenset({"values", "rule", "violation"})
"""Errors that certain rows cause: other rows of the same statement do not."""
OF_STATEMENT: frozenset[Kind] = frozenset({"statement", "unsupported", "values", "other"})
"""Errors that what was written causes: the same statement fails again, for any role and at any time."""


class ServerErrors(Port):
    """What the errors of a server mean."""

    place = "safeops.databases.{family}.server:ServerErrors"

    def explained(self, error: DBAPIError) -> SafeOpsError | None:
        """Return the error to raise for one that the definition itself has caused, with what to write instead."""
        return None

    def is_lock_failure(self, error: BaseException) -> bool:
        """Return whether a statement gave up waiting for a lock, or lost a deadlock: a retry may help."""
        return False

    def is_cut_short(self, error: BaseException) -> bool:
        """Return whether a statement was ended for the time that it took, waiting for locks included."""
        return False

    def is_race(self, error: BaseException, step: Step) -> bool:
        """Return whether what the step creates or drops was created or dropped since the inspection before it."""
        return False

    def kind_of(self, error: DBAPIError) -> Kind:
        """Return what kind of error a server or its driver gave."""
        return "lost" if error.connection_invalidated else "other"

    def is_violation(self, error: BaseException) -> bool:
        """Return whether rows broke a constraint."""
        return False

    def is_dependency(self, error: BaseException) -> bool:
        """Return whether the server refused to drop something because others depend on it."""
        return False

    def is_unconvertible(self, error: BaseException) -> bool:
        """Return whether the server has no conversion from a column's type to the requested one."""
        return False

    def is_refusal(self, error: BaseException) -> bool:
        """Return whether the server refused to do it online."""
        return False


class HelperSession(Port):
    """The session while a helper runs on it, outside the transaction of Alembic."""

    place = "safeops.databases.{family}.bounds:HelperSession"

    def isolation_level(self) -> str | None:
        """Return the isolation level of the next transaction if the driver knows it, without a query."""
        return None

    def sharing_bounds(self) -> AbstractContextManager[None]:
        """Let the steps of the block share what bounds them; what env.py has set is restored at its end at the latest."""
        return nullcontext()


class Abilities(Port):
    """What a server can do, and the data in which servers differ."""

    place = "safeops.databases.{family}.server:Abilities"

    cascades_fire_triggers: ClassVar[bool] = True
    """What a foreign key does to the rows that refer to a changed one fires their triggers."""

    max_identifier: ClassVar[int] = 63
    """The longest name that the server keeps, in bytes, or with ``counts_letters`` in characters."""

    counts_letters: ClassVar[bool] = False

    builds_indexes_online: ClassVar[bool] = True
    """An index build does not block reads and writes."""

    validates_constraints_later: ClassVar[bool] = False
    """A constraint can be added for new rows first, and checked against old rows later."""

    enforces_checks_later: ClassVar[bool] = False
    """A check that is NOT ENFORCED can be enforced as it is."""

    has_named_types: ClassVar[bool] = False

    has_schemas: ClassVar[bool] = True

    schema_is_database: ClassVar[bool] = False
    """A schema and a database are the same thing."""

    has_exclusion_constraints: ClassVar[bool] = False

    names_indexes_of_keys: ClassVar[bool] = False
    """A unique or primary key gives its name to an index, and index names are unique in a schema."""

    has_deferrable_keys: ClassVar[bool] = False
    """Unique and primary keys can be DEFERRABLE."""

    has_deferrable_foreign_keys: ClassVar[bool] = False

    has_partial_indexes: ClassVar[bool] = False

    has_expression_indexes: ClassVar[bool] = True

    reflects_expressions: ClassVar[bool] = True
    """SQLAlchemy reflects the expressions of indexes; else it leaves them out, and what is left is another index."""

    has_comments: ClassVar[bool] = True

    renders_constraints_offline: ClassVar[bool] = True
    """Constraints and column changes can be rendered for ``--sql``."""

    renders_column_changes_offline: ClassVar[bool] = True
    """NOT NULL can be set and dropped by ``--sql``, which is impossible if the whole column must be repeated for it."""

    rewrites_for_types: ClassVar[bool] = False
    """Every change of a type rewrites the table, also if ``type_refusal`` is None."""

    adds_checks_online: ClassVar[bool] = True
    """A check can be added to a table that has rows while others write to it."""

    merges_equal_keys: ClassVar[bool] = False
    """Of unique and primary keys of a new table that are equal but for their names the server makes one index."""

    indexes_foreign_keys: ClassVar[bool] = False
    """The server gives a foreign key an index if none covers it."""

    ties_foreign_keys: ClassVar[bool] = False
    """A foreign key depends on one unique key, also if another has the same columns."""

    foreign_keys_across_types: ClassVar[bool] = True
    """A foreign key may have different types of one family on its two sides."""

    refuses_full_schemas: ClassVar[bool] = True
    """DROP SCHEMA refuses a schema that has tables in it."""

    compares_rows: ClassVar[bool] = True
    """A comparison of row values, (a, b) > (1, 2), is planned as a range of an index."""

    assigns_at_once: ClassVar[bool] = True
    """The assignments of an UPDATE all see the row as it was."""

    is_private: bool = False
    """No other connection can reach the database."""

    fills_before_not_null: ClassVar[bool] = True
    """A trigger gives a row its value before NOT NULL is checked, so it can stay in place permanently."""

    sees_sessions_with: ClassVar[str] = ""
    """What the server requires before it shows a user the sessions of others."""

    role_code: ClassVar[str] = ""
    """How env.py takes a role that has the rights."""

    begins: ClassVar[str] = "BEGIN"
    """The statement that begins a transaction that will write."""

    has_row_security: ClassVar[bool] = False
    """Policies may hide rows of a table from a role."""

    has_server: ClassVar[bool] = True
    """A server works on the database, and ends a session when its client has ended."""

    locks_runners_by_session: ClassVar[bool] = True
    """The lock that lets one runner at a time migrate belongs to a separate session."""

    refusing_writes: ClassVar[str]
    """Has the server refuse what a session would write from its next transaction on."""

    accepting_writes: ClassVar[str]
    """Reverts ``refusing_writes``."""


COUNTED = 100_000
"""Rows up to which they are counted rather than estimated."""


class Sizes(Port):
    """How large tables are, and how many rows meet a condition, without counting them."""

    place = "safeops.databases.{family}.server:Sizes"

    def bytes_of(self, archive: Name) -> int | None:
        """Return about how large an archive is; None if that is not cheap to find out."""
        return None

    def explain(self, sql: str) -> None:
        """Have the server plan a statement without running it, which raises what is wrong with it."""
        self.read(f"EXPLAIN {sql}")

    @abstractmethod
    def estimated_rows(self, table: Name) -> int | None:
        """Return about how many rows a table has, without counting them; None if it is not known."""

    strongest_lock: ClassVar[Lock]
    """That of a step which does not declare its own."""

    def lock_of(self, step: Step) -> Lock:
        """Return how a step locks its tables."""
        return step.lock or (self.strongest_lock if step.locks else NO_LOCK)

    def partitions_locked(self, step: Step) -> tuple[Name, ...]:
        """Return the partitions of its tables that a step locks as well."""
        return ()

    def rows_of(self, table: Name) -> int | None:
        """Return about how many rows a table has: counted if they are few; None if that is not cheap to find out."""
        rows = self.estimated_rows(table)
        if rows is None or rows > COUNTED:
            return rows
        return int(self.scalar(f"SELECT count(*) FROM {self.quoted_table(table)}"))

    def rows_meeting(self, table: Name, condition: str | None, columns: Sequence[str]) -> int | None:
        """Return about how many rows meet a condition: counted in a small table, else as the planner estimates it.

        Args:
            table: The table.
            condition: The condition; None is each row.
            columns: The columns that the condition is about.
        """
        whole = self.rows_of(table)
        if condition is None or whole is None:
            return whole
        if whole <= COUNTED:
            return int(self.scalar(f"SELECT count(*) FROM {self.quoted_table(table)} WHERE {condition}"))
        return self.planned_rows(table, condition, columns, whole)

    def planned_rows(self, table: Name, condition: str, columns: Sequence[str], whole: int) -> int | None:
        """Return how many rows the planner expects to meet a condition, of ``whole``; None if it does not estimate that."""
        return None

    @abstractmethod
    def bytes_of_database(self) -> int | None:
        """Return how large it is; None if this user cannot see that."""


@dataclass(frozen=True)
class Holder:
    """A session that holds a lock, or may hold it: in full for a message, in brief for the log."""

    full: str
    brief: str
    session: int | None = field(default=None, compare=False)
    """The id of the session, if there is one to compare with."""

    def __str__(self) -> str:
        return self.full

    @classmethod
    def named(cls, text: str) -> Holder:
        return cls(text, text)

    def perhaps(self, why: str = "") -> Holder:
        """Return it as one that is not certain to be in the way."""
        return Holder(f"perhaps {self.full}{f': {why}' if why else ''}", f"perhaps {self.brief}")


ANOTHER_RUNNER = Holder.named("another runner")


def in_brief(holders: Sequence[Holder]) -> str:
    """Name the first holder, and count the others, for a line of the log."""
    more = f" and {len(holders) - 1} more" if len(holders) > 1 else ""
    return f"{holders[0].brief}{more}" if holders else ""


class RunnerLock(Port):
    """The lock that lets one runner at a time migrate."""

    place = "safeops.databases.{family}.server:RunnerLock"
    asked = "One runner at a time"

    def try_runner_lock(self, connection: Connection, key: str) -> bool:
        """Take the lock that lets one runner at a time migrate; False if another runner has it."""
        return True

    def release_runner_lock(self, connection: Connection, key: str) -> bool | None:
        """Release the lock; False if the session knows that it no longer held it."""
        return None

    def runner_lock_holder(self, connection: Connection, key: str) -> Holder:
        return ANOTHER_RUNNER


SessionSettings: TypeAlias = tuple[tuple[str, str], ...]
"""What was set on a session, by name, as a value that travels to another session."""


@dataclass
class Watch:
    """What a second connection saw of a step: who blocked it last, and whether it was cancelled for that.

    ``attached`` is True if there is such a connection; the step then need not bound its own waiting. ``needless`` is True if
    a lock timeout may bound it: it ends in no time, so hardly any work is lost.
    """

    blocked_by: list[Holder] = field(default_factory=list)
    cancelled: bool = False
    attached: bool = False
    needless: bool = False
