"""What a judge needs of a database: a parser, the truths, and what each lock blocks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from sqlalchemy.exc import SQLAlchemyError

from safeops.databases.ports import Port
from safeops.judging.operations import CHANGE_TYPE, Operation
from safeops.judging.schema import Schema
from safeops.judging.truths import Truth
from safeops.naming import Name


@dataclass
class Session:
    """The settings of the session that change what statements do, as far as they are known.

    Args:
        driver: The driver, as ``psycopg``.
        settings: By name in lower case, as ``timezone``, ``lock_timeout``; what the revision sets is added.
    """

    driver: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    new_values: set[str] = field(default_factory=set)
    """What the transaction has added to enums that existed before."""


MOST_PARSED = 256
_PARSED: dict[Any, list[Operation]] = {}


class JudgedServer(Port):
    """How a family's statements are judged."""

    place = "safeops.judging.{family}:JudgedServer"
    asked = "A review"

    truths: ClassVar[tuple[Truth, ...]]
    locks: ClassVar[tuple[str, ...]]
    """Weakest first."""
    blocking: ClassVar[Mapping[str, str]]
    """What each lock blocks; a lock that is not listed blocks nothing."""
    transactional_ddl: ClassVar[bool] = True
    default_schema: ClassVar[str | None] = None
    """The schema of a table that is named without one, if nearly all databases use the same."""
    begins_by_itself: ClassVar[frozenset[str]] = frozenset()
    """The drivers that begin a transaction again before the statement after a COMMIT that the revision sends as text."""
    fills_missing_values: ClassVar[bool] = False
    """A new NOT NULL column without a default gets 0 or an empty text in existing rows."""
    indexes_foreign_keys: ClassVar[bool] = False
    """The server makes an index for a foreign key that has none."""
    compares_json: ClassVar[bool] = False
    """The type json has an equality operator."""

    @abstractmethod
    def parse(self, sql: str) -> list[Operation]:
        """Return what a text does, an entry for each operation of each statement; never raise.

        A text that the parser does not understand is one OPAQUE operation, with the reason. Placeholders of any driver
        (``%(a)s``, ``%s``, ``$1``, ``:a``, ``?``) count as values.
        """

    def operations(self, sql: str) -> list[Operation]:
        """Return the result of ``parse``, which is cached: other rungs judge the same text again."""
        key = type(self), self.product, self.database.version, sql
        if key not in _PARSED:
            if len(_PARSED) >= MOST_PARSED:
                _PARSED.clear()
            _PARSED[key] = self.parse(sql)
        return list(_PARSED[key])

    @abstractmethod
    def with_facts(self, operation: Operation, schema: Schema, session: Session) -> Operation:
        """Return an operation with the traits that what exists and the session add, and with its table found."""

    def hinted(self, operation: Operation, called: Any) -> Operation:
        """Return an operation with the existing type that its call of ``op`` declares.

        Args:
            operation: The operation.
            called: Alembic's operation object; None if it was not sent by one.
        """
        existing = getattr(called, "existing_type", None)
        if operation.kind != CHANGE_TYPE or existing is None:
            return operation
        made = existing() if isinstance(existing, type) else existing
        with suppress(SQLAlchemyError):
            return replace(operation, old_type=str(made.compile(dialect=self.database.dialect)).lower())
        return operation

    def blocks(self, lock: str) -> str:
        """Return what a lock blocks: "reads and writes", "writes" or "nothing"."""
        return self.blocking.get(lock, "nothing")

    def strength(self, lock: str) -> int:
        """Return how strong a lock is, to compare two; 0 for none."""
        return self.locks.index(lock) + 1 if lock in self.locks else 0

    def scope_of_lock(self, table: Name) -> str:
        """Return what a lock on a table blocks, as the end of a sentence."""
        return f"on {table}"

    def tables_of(self, on: str, operation: Operation, schema: Schema) -> list[Name]:
        """Return the tables that an effect is on; a family adds its own words to "table", "index" and "other"."""
        table = operation.other if on == "other" else operation.table
        return [table] if table is not None else []

    def ends_transaction(self, operation: Operation) -> bool:
        """Return whether the server commits implicitly before or after the operation."""
        return False

    def failure(self, operation: Operation, session: Session, in_transaction: bool) -> str | None:
        """Return why the server certainly rejects it, such as CONCURRENTLY in a transaction; None if it might not."""
        return None

    def seconds(self, work: str, rows: int) -> float:
        """Return how long work takes on so many rows, by the measured rates."""
        return rows / 1_000_000 * SECONDS_PER_MILLION[work]


SECONDS_PER_MILLION = {"catalogue only": 0.0, "nothing": 0.0, "scan": 0.3, "build": 1.5, "rewrite": 13.0, "rows": 18.0}
"""Measured warm on PostgreSQL 18 with 200,000 rows: a rewrite took 3 to 23 s a million rows, by the width of the row."""
