"""PostgreSQL: which locks a statement took, and what it scanned, built and rewrote."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from safeops.databases.postgresql.types import sqlstate
from safeops.databases.statements import names_in, words_of
from safeops.judging.postgresql.truths import BLOCKS, LOCKS
from safeops.judging.truths import Measured
from safeops.naming import Name
from safeops.planned import NOTHING, WRITES
from safeops.review import tracing
from safeops.review.postgresql.state import (
    MODES,
    OPAQUE,
    State,
    by_relation,
    effects_of,
    scanned_by,
    send,
    state_of,
    transaction_of,
)
from safeops.review.sampling import Questions, Sampler

SAMPLED = "SELECT relation, mode, granted FROM pg_locks WHERE pid = {pid} AND locktype IN ('relation', 'virtualxid')"
WRITER = "LOCK TABLE ONLY {table} IN SHARE UPDATE EXCLUSIVE MODE"
READER = "LOCK TABLE ONLY {table} IN ACCESS SHARE MODE"
LIMIT = "SET LOCAL lock_timeout = '200ms'"
IMPATIENT = frozenset({"NOWAIT", "SKIP_LOCKED"})
LOCKABLE = "rpv"
"""The kinds of relations that LOCK TABLE takes."""
OUTSIDE = frozenset((word,) for word in ("VACUUM", "CALL", "COMMIT", "ROLLBACK", "END", "BEGIN", "START", "ABORT"))
"""First words of statements that the server rejects in a transaction, or that end one."""
WORD = re.compile(r"\w+")
HIDDEN = re.compile(r"\b(COMMIT|ROLLBACK)\b", re.IGNORECASE)
OF_THE_COPY = re.compile(r"22...|23...|42501|53...|55P03|57...|58...|P0...")
"""The codes of errors that rows, privileges or the machine can cause: a copy without rows can differ."""
MISSING = frozenset({"42P01", "42703", "42704", "3F000", "42883"})
"""The codes of errors about a missing table, column, type, schema or function."""
LACKING = re.compile(r"\b(role|tablespace|extension)\b", re.IGNORECASE)


@dataclass
class Before(State):
    """What there is before a statement, and how one that runs in no transaction is observed.

    Args:
        wrapped: It is put into a transaction.
        sampler: A second session reads its locks.
    """

    wrapped: bool = False
    sampler: Sampler | None = None


class Tracer(tracing.Tracer):
    """Queries on the same session, inside the same transaction."""

    rolls_back = True
    _views: frozenset[Name] = frozenset()

    def begin(self, sql: str, parameters: Any) -> Before | None:
        with suppress(Exception):
            found = self._state()
            self.old = frozenset(found.relations) if self.old is None else self.old
            self._views = frozenset(one.name for one in found.relations.values() if one.kind == "m")
            before = Before(found.relations, found.held, found.transaction, words_of(sql))
            if before.transaction == transaction_of(self.database.connection):
                return before
            return self._begin_outside(sql, before)
        # In a transaction that has failed, the statement will too.
        return None

    def _begin_outside(self, sql: str, before: Before) -> Before:
        """Put a statement of no transaction into one, which holds its locks until they are read."""
        before.transaction = None
        if _needs_no_transaction(sql):
            before.sampler = Sampler(self.database.connection, self._questions(before, sql)) if self.samples else None
            return before
        send(self.database.connection, "BEGIN")
        inside = self._state()
        return Before(inside.relations, inside.held, None, before.words, wrapped=True)

    def blocked(self, table: Name, lock: str) -> str:
        # A materialized view is only read.
        return NOTHING if table in self._views and BLOCKS.get(lock) == WRITES else BLOCKS.get(lock, NOTHING)

    def _questions(self, before: Before, sql: str) -> Questions:
        """Return the queries for the time of a statement in no transaction, and which tables to hold up."""
        [(pid,)] = send(self.database.connection, "SELECT pg_backend_pid()")
        names = names_in(sql) if IMPATIENT.isdisjoint(before.words) else frozenset()
        if not OPAQUE.isdisjoint(before.words[:1]):
            names |= frozenset(WORD.findall(sql))
        named = {one.table for one in before.relations.values() if one.name.name in names}
        tables = {oid: before.relations[oid] for oid in named if before.relations[oid].kind in LOCKABLE}
        # To detach a partition waits for all sessions that use the partitioned table.
        quoted = {oid: self.quoted_table(one.name) for oid, one in tables.items()}
        writers = {oid: WRITER.format(table=name) for oid, name in quoted.items()}
        readers = {oid: READER.format(table=name) for oid, name in quoted.items() if tables[oid].kind != "p"}
        strong = frozenset({"AccessExclusiveLock"})
        return Questions(SAMPLED.format(pid=int(pid)), LIMIT, writers, readers, strong, strong)

    def transaction(self, before: Before | None) -> object:
        return before.transaction if before is not None else None

    def end(self, before: Before | None) -> Measured:
        if before is not None and before.sampler is not None:
            return self._sampled(before, before.sampler)
        if before is None or (before.transaction is None and not before.wrapped):
            return Measured(exact=False)
        with suppress(Exception):
            after, old = self._state(), self.old or frozenset()
            scanned = tuple(name for name, _ in scanned_by(before, after, old))
            measured = Measured(tuple(effects_of(before, after, old)), scanned=scanned)
            if before.wrapped:
                send(self.database.connection, "COMMIT")
            elif after.transaction != before.transaction:
                return Measured(exact=False)
            return measured
        return Measured(exact=False)

    def _sampled(self, before: Before, sampler: Sampler) -> Measured:
        """Return what a second session saw of a statement that runs in no transaction."""
        seen = sampler.stop()
        with suppress(Exception):
            after, before = self._state(), replace(before, held={})
            # An index is locked for its swap at the very end, when it is unused, and a query's lock is seen by chance.
            tables = ((oid, mode) for oid, mode in seen if _is_table(before, oid) and MODES.get(mode) != LOCKS[0])
            after.held = by_relation(tables)
            effects = tuple(effects_of(before, after, self.old or frozenset()))
            return Measured(effects, exact=False, sampled=sampler.works)
        return Measured(exact=False)

    def failed(self, before: Before | None, error: BaseException) -> Measured:
        if before is not None and before.sampler is not None:
            before.sampler.stop()
        if before is not None and before.wrapped:
            with suppress(Exception):
                send(self.database.connection, "ROLLBACK")
        return super().failed(before, error)

    def is_of_the_copy(self, before: Before | None, error: BaseException) -> bool:
        code = sqlstate(error) or ""
        lacks = code in ("42704", "0A000") and LACKING.search(str(error))
        unmade = code in MISSING and before is not None and not before.has_tables
        return bool(OF_THE_COPY.fullmatch(code) or lacks or unmade)

    def _state(self) -> State:
        return state_of(self.database.connection, with_sequences=self.samples)


def _is_table(state: State, oid: int | None) -> bool:
    return oid in state.relations and state.relations[oid].table == oid


def _needs_no_transaction(sql: str) -> bool:
    words = words_of(sql)
    first = {words[:1], *((after,) for before, after in pairwise(words) if before == ";")}
    return (
        ("CONCURRENTLY" in words and words[:1] != ("REFRESH",))
        or not OUTSIDE.isdisjoint(first)
        or words[:2] in (("ALTER", "SYSTEM"), ("CREATE", "DATABASE"), ("DROP", "DATABASE"), ("REINDEX", "DATABASE"))
        or (words[:1] == ("DO",) and bool(HIDDEN.search(sql)))
    )
