"""PostgreSQL: which locks a statement took, and what it scanned, built and rewrote."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from typing import Any

from safeops.databases.statements import names_in, words_of
from safeops.judging.postgresql.truths import BLOCKS, LOCKS
from safeops.judging.truths import BUILD, CATALOGUE, NO_WORK, REWRITE, ROWS, SCAN, Measured
from safeops.naming import Name
from safeops.planned import NOTHING, WRITES
from safeops.review import tracing
from safeops.review.sampling import Questions, Sampler

STRENGTH = {lock: place for place, lock in enumerate(LOCKS)}
MODES = {"".join(word.title() for word in lock.split()) + "Lock": lock for lock in LOCKS}
"""By what pg_locks calls them."""
WRITES_ROWS = STRENGTH["ROW EXCLUSIVE"]
RELATIONS = """SELECT c.oid, n.nspname, c.relname, c.relkind::text, pg_relation_filenode(c.oid), c.reltablespace,
    coalesce(i.indrelid, c.oid), pg_stat_get_xact_numscans(c.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid
  LEFT JOIN pg_class t ON t.oid = i.indrelid
  WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f', 'i', 'I'{more}) AND n.nspname <> 'information_schema'
  AND left(n.nspname, 3) <> 'pg_' AND left(coalesce(t.relname, c.relname), 8) <> 'safeops_'"""
SEQUENCES = ", 'S'"
"""Their locks are shown, and not judged: no rule is about them."""
HELD = """SELECT relation, mode, virtualtransaction FROM pg_locks WHERE pid = pg_backend_pid()
  AND (locktype = 'virtualxid' OR (locktype = 'relation' AND granted))"""
SAMPLED = "SELECT relation, mode, granted FROM pg_locks WHERE pid = {pid} AND locktype IN ('relation', 'virtualxid')"
WRITER = "LOCK TABLE ONLY {table} IN SHARE UPDATE EXCLUSIVE MODE"
READER = "LOCK TABLE ONLY {table} IN ACCESS SHARE MODE"
LIMIT = "SET LOCAL lock_timeout = '200ms'"
IMPATIENT = frozenset({"NOWAIT", "SKIP_LOCKED"})
LOCKABLE = "rpv"
"""The kinds of relations that LOCK TABLE takes."""
COPYING = frozenset({"VACUUM", "CLUSTER"})
"""First words of statements that copy a table outside a transaction."""
OUTSIDE = frozenset((word,) for word in ("VACUUM", "CALL", "COMMIT", "ROLLBACK", "END", "BEGIN", "START", "ABORT"))
"""First words of statements that the server rejects in a transaction, or that end one."""
OPAQUE = frozenset({"DO", "CALL", "EXECUTE"})
WORD = re.compile(r"\w+")
HIDDEN = re.compile(r"\b(COMMIT|ROLLBACK)\b", re.IGNORECASE)
OF_THE_COPY = re.compile(r"22...|23...|42501|53...|55P03|57...|58...|P0...")
"""The codes of errors that rows, privileges or the machine can cause: a copy without rows can differ."""
MISSING = frozenset({"42P01", "42703", "42704", "3F000", "42883"})
"""The codes of errors about a missing table, column, type, schema or function."""
LACKING = re.compile(r"\b(role|tablespace|extension)\b", re.IGNORECASE)


_numbers = count()


@dataclass(frozen=True)
class Relation:
    """A table, a view or an index, at one moment."""

    name: Name
    kind: str
    file: int | None
    tablespace: int
    table: int
    scans: int


@dataclass
class State:
    """What there is at one moment, and what this session has locked."""

    relations: dict[int, Relation] = field(default_factory=dict)
    held: dict[int, set[str]] = field(default_factory=dict)
    transaction: str | None = None
    words: tuple[str, ...] = ()
    wrapped: bool = False
    sampler: Sampler | None = None

    @property
    def has_tables(self) -> bool:
        return any(one.table == oid and not tracing.is_own(one.name.name) for oid, one in self.relations.items())


class Tracer(tracing.Tracer):
    """Queries on the same session, inside the same transaction."""

    rolls_back = True
    _views: frozenset[Name] = frozenset()

    def begin(self, sql: str, parameters: Any) -> State | None:
        with suppress(Exception):
            before = self._state()
            self.old = frozenset(before.relations) if self.old is None else self.old
            self._views = frozenset(one.name for one in before.relations.values() if one.kind == "m")
            before.words = words_of(sql)
            if before.transaction == self._transaction_now():
                return before
            return self._begin_outside(sql, before)
        # In a transaction that has failed, the statement will too.
        return None

    def _begin_outside(self, sql: str, before: State) -> State:
        """Put a statement of no transaction into one, which holds its locks until they are read."""
        before.transaction = None
        if _needs_no_transaction(sql):
            before.sampler = Sampler(self.database.connection, self._questions(before, sql)) if self.samples else None
            return before
        self._send("BEGIN")
        inside = self._state()
        return State(inside.relations, inside.held, None, before.words, wrapped=True)

    def blocked(self, table: Name, lock: str) -> str:
        # A materialized view is only read.
        return NOTHING if table in self._views and BLOCKS.get(lock) == WRITES else BLOCKS.get(lock, NOTHING)

    def _questions(self, before: State, sql: str) -> Questions:
        """Return the queries for the time of a statement in no transaction, and which tables to hold up."""
        [(pid,)] = self._send("SELECT pg_backend_pid()")
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

    def transaction(self, before: State | None) -> object:
        return before.transaction if before is not None else None

    def end(self, before: State | None) -> Measured:
        if before is not None and before.sampler is not None:
            return self._sampled(before, before.sampler)
        if before is None or (before.transaction is None and not before.wrapped):
            return Measured(exact=False)
        with suppress(Exception):
            after, old = self._state(), self.old or frozenset()
            measured = Measured(tuple(_effects(before, after, old)), scanned=tuple(_scanned(before, after, old)))
            if before.wrapped:
                self._send("COMMIT")
            elif after.transaction != before.transaction:
                return Measured(exact=False)
            return measured
        return Measured(exact=False)

    def _sampled(self, before: State, sampler: Sampler) -> Measured:
        """Return what a second session saw of a statement that runs in no transaction."""
        seen = sampler.stop()
        with suppress(Exception):
            after, before = self._state(), replace(before, held={})
            # An index is locked for its swap at the very end, when it is unused, and a query's lock is seen by chance.
            tables = ((oid, mode) for oid, mode in seen if _is_table(before, oid) and MODES.get(mode) != LOCKS[0])
            after.held = _by_relation(tables)
            effects = tuple(_effects(before, after, self.old or frozenset()))
            return Measured(effects, exact=False, sampled=sampler.works)
        return Measured(exact=False)

    def failed(self, before: State | None, error: BaseException) -> Measured:
        if before is not None and before.sampler is not None:
            before.sampler.stop()
        if before is not None and before.wrapped:
            with suppress(Exception):
                self._send("ROLLBACK")
        return super().failed(before, error)

    def is_of_the_copy(self, before: State | None, error: BaseException) -> bool:
        code = str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "")
        lacks = code in ("42704", "0A000") and LACKING.search(str(error))
        unmade = code in MISSING and before is not None and not before.has_tables
        return bool(OF_THE_COPY.fullmatch(code) or lacks or unmade)

    # Reading ----------------------------------------------------------------------------------------------------

    def _state(self) -> State:
        locks = self._send(HELD)
        transaction = locks[-1][2] if locks else None
        relations = {
            oid: Relation(Name(name, schema), kind, file, tablespace, table, scans)
            for oid, schema, name, kind, file, tablespace, table, scans in self._send(
                RELATIONS.format(more=SEQUENCES if self.samples else "")
            )
        }
        return State(relations, _by_relation((relation, mode) for relation, mode, _ in locks), transaction)

    def _transaction_now(self) -> str | None:
        return next((virtual for _, _, virtual in self._send(HELD)), None)

    def _send(self, sql: str) -> Sequence[Sequence[Any]]:
        """Send a statement without SQLAlchemy, whose listeners would count it as one of the revision."""
        with closing(self.database.connection.connection.cursor()) as cursor:
            # psycopg prepares a repeated text, and a prepared statement holds a snapshot until the next
            # statement: a concurrent build of another session would wait for it.
            cursor.execute(f"{sql} -- {next(_numbers)}")
            return list(cursor.fetchall()) if cursor.description else []


def _is_table(state: State, oid: int | None) -> bool:
    return oid in state.relations and state.relations[oid].table == oid


def _by_relation(locks: Iterable[Sequence[Any]]) -> dict[int, set[str]]:
    held: dict[int, set[str]] = {}
    for relation, mode in locks:
        if mode in MODES and relation is not None:
            held.setdefault(relation, set()).add(MODES[mode])
    return held


def _needs_no_transaction(sql: str) -> bool:
    words = words_of(sql)
    first = {words[:1], *((after,) for before, after in pairwise(words) if before == ";")}
    return (
        ("CONCURRENTLY" in words and words[:1] != ("REFRESH",))
        or not OUTSIDE.isdisjoint(first)
        or words[:2] in (("ALTER", "SYSTEM"), ("CREATE", "DATABASE"), ("DROP", "DATABASE"), ("REINDEX", "DATABASE"))
        or (words[:1] == ("DO",) and bool(HIDDEN.search(sql)))
    )


# What a statement did -------------------------------------------------------------------------------------------


def _effects(before: State, after: State, old: frozenset[int]) -> Iterator[tuple[Name, str, str]]:
    """Yield each table that was there before the revision and that was locked or worked on."""
    for oid, table in before.relations.items():
        if table.table != oid or oid not in old:
            continue
        own = [one for one, relation in before.relations.items() if relation.table == oid]
        held = {lock for one in own for lock in after.held.get(one, ())}
        taken = {lock for one in own for lock in after.held.get(one, set()) - before.held.get(one, set())}
        work = _work(oid, own, before, after)
        if not taken and (work == CATALOGUE or not held):
            continue
        lock = max(taken or held, key=STRENGTH.__getitem__)
        if table.kind == "S" and STRENGTH[lock] <= WRITES_ROWS:
            # To take or read a number blocks no other session.
            continue
        if STRENGTH[lock] <= WRITES_ROWS and work in (SCAN, CATALOGUE):
            work = _weak_work(lock, oid, before, after)
        yield table.name, lock, work


def _work(oid: int, own: list[int], before: State, after: State) -> str:
    """Return the work on a table and its indexes, as if its lock were strong."""
    table, now = before.relations[oid], after.relations.get(oid)
    if now is None:
        return CATALOGUE
    scans = sum(_scans(one, before, after) for one in own)
    if now.file != table.file:
        # TRUNCATE gives a table a new file as well, but reads nothing, except that to rebuild an index counts as a scan.
        indexes = sum(relation.table == oid and relation.kind == "i" for relation in after.relations.values())
        copies = not COPYING.isdisjoint(before.words[:1]) or table.kind == "m"
        copied = scans > indexes or now.tablespace != table.tablespace or copies
        return REWRITE if copied else CATALOGUE
    if any(_is_built(one, relation, before) for one, relation in after.relations.items() if relation.table == oid):
        return BUILD
    return SCAN if scans else CATALOGUE


def _scanned(before: State, after: State, old: frozenset[int]) -> Iterator[Name]:
    """Yield each table that was there before the revision and that was read in sequence."""
    for oid, table in before.relations.items():
        if table.table == oid and oid in old and _scans(oid, before, after) > 0:
            now, own = after.relations.get(oid), [oid]
            # TRUNCATE reads nothing, but its new index counts as a scan.
            if now is None or now.file == table.file or _work(oid, own, before, after) == REWRITE:
                yield table.name


def _scans(oid: int, before: State, after: State) -> int:
    now, earlier = after.relations.get(oid), before.relations.get(oid)
    return (now.scans if now is not None else 0) - (earlier.scans if earlier is not None else 0)


def _is_built(oid: int, index: Relation, before: State) -> bool:
    """Return whether an index has a new file: a change of type may give its file to an index that takes its place."""
    files = {relation.file for relation in before.relations.values() if relation.table == index.table}
    return index.kind == "i" and index.table != oid and index.file not in files


def _weak_work(lock: str, oid: int, before: State, after: State) -> str:
    """Return the work under a weak lock: whether opaque code might write all rows."""
    hidden = before.words[:1] and (
        before.words[0] in OPAQUE or (before.words[0] == "SELECT" and "FOR" not in before.words)
    )
    return ROWS if hidden and STRENGTH[lock] == WRITES_ROWS and _scans(oid, before, after) else NO_WORK
