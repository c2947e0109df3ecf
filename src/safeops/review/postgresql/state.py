"""PostgreSQL: what a session has locked, and what a statement did between two moments.

One reader of locks, for reviews and traces on an empty copy, and for rehearsals on one with rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import Any

from sqlalchemy.engine import Connection

from safeops.judging.postgresql.truths import LOCKS
from safeops.judging.truths import BUILD, CATALOGUE, NO_WORK, REWRITE, ROWS, SCAN
from safeops.naming import Name
from safeops.review.tracing import is_own

STRENGTH = {lock: place for place, lock in enumerate(LOCKS)}
MODES = {"".join(word.title() for word in lock.split()) + "Lock": lock for lock in LOCKS}
"""By what pg_locks calls them."""
WRITES_ROWS = STRENGTH["ROW EXCLUSIVE"]
RELATIONS = """SELECT c.oid, n.nspname, c.relname, c.relkind::text, pg_relation_filenode(c.oid), c.reltablespace,
    coalesce(i.indrelid, c.oid), pg_stat_get_xact_numscans(c.oid), pg_stat_get_xact_tuples_returned(c.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid
  LEFT JOIN pg_class t ON t.oid = i.indrelid
  WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f', 'i', 'I'{sequences}) AND n.nspname <> 'information_schema'
  AND left(n.nspname, 3) <> 'pg_' AND left(coalesce(t.relname, c.relname), 8) <> 'safeops_'"""
SEQUENCES = ", 'S'"
"""Their locks are shown, and not judged: no rule is about them."""
TOUCHED = " AND (pg_stat_get_xact_numscans(c.oid) > 0 OR c.oid = ANY (ARRAY[{locked}]::oid[]))"
HELD = """SELECT relation, mode, virtualtransaction FROM pg_locks WHERE pid = pg_backend_pid()
  AND (locktype = 'virtualxid' OR (locktype = 'relation' AND granted))"""
OPAQUE = frozenset({"DO", "CALL", "EXECUTE"})
COPYING = frozenset({"VACUUM", "CLUSTER"})
"""First words of statements that copy a table outside a transaction."""

_numbers = count()


@dataclass(frozen=True)
class Relation:
    """A table, a view or an index, at one moment.

    Args:
        name: Its name.
        kind: As ``pg_class.relkind``.
        file: The number of its file.
        tablespace: Its tablespace.
        table: The table, if it is an index; else itself.
        scans: How often the session has scanned it, and not yet reported that.
        rows: The rows that it has read in these scans.
    """

    name: Name
    kind: str
    file: int | None
    tablespace: int
    table: int
    scans: int
    rows: int


@dataclass
class State:
    """What there is at one moment, and what this session has locked."""

    relations: dict[int, Relation] = field(default_factory=dict)
    held: dict[int, set[str]] = field(default_factory=dict)
    transaction: str | None = None
    words: tuple[str, ...] = ()

    @property
    def has_tables(self) -> bool:
        return any(one.table == oid and not is_own(one.name.name) for oid, one in self.relations.items())

    @cached_property
    def of_tables(self) -> dict[int, list[int]]:
        """Each table, with itself and its indexes."""
        found: dict[int, list[int]] = {}
        for oid, relation in self.relations.items():
            found.setdefault(relation.table, []).append(oid)
        return found


def state_of(connection: Connection, *, with_sequences: bool = False) -> State:
    """Return what there is, and what the session of a connection has locked."""
    held, transaction = _held(connection)
    return State(_relations(connection, sequences=SEQUENCES if with_sequences else ""), held, transaction)


def state_since(connection: Connection, before: State) -> State:
    """Return the same, by a query of the tables that the session has locked or read: it has changed no others."""
    held, transaction = _held(connection)
    touched = _relations(connection, TOUCHED.format(locked=", ".join(map(str, held))))
    others = {
        oid: replace(one, scans=0, rows=0) if one.scans else one
        for oid, one in before.relations.items()
        # What it has locked, and the catalogue no longer has, is dropped.
        if oid not in touched and oid not in held
    }
    return State({**others, **touched}, held, transaction)


def transaction_of(connection: Connection) -> str | None:
    """Return what names the transaction of a session; in autocommit each query has its own."""
    return next((virtual for _, _, virtual in send(connection, HELD)), None)


def _held(connection: Connection) -> tuple[dict[int, set[str]], str | None]:
    locks = send(connection, HELD)
    return by_relation((relation, mode) for relation, mode, _ in locks), locks[-1][2] if locks else None


def _relations(connection: Connection, more: str = "", *, sequences: str = "") -> dict[int, Relation]:
    return {
        oid: Relation(Name(name, schema), *facts)
        for oid, schema, name, *facts in send(connection, RELATIONS.format(sequences=sequences) + more)
    }


def by_relation(locks: Iterable[Sequence[Any]]) -> dict[int, set[str]]:
    """Return the locks on each relation, from its number and what pg_locks calls the lock."""
    held: dict[int, set[str]] = {}
    for relation, mode in locks:
        if mode in MODES and relation is not None:
            held.setdefault(relation, set()).add(MODES[mode])
    return held


def send(connection: Connection, sql: str) -> Sequence[Sequence[Any]]:
    """Send a statement without SQLAlchemy, whose listeners would count it as one of the revision."""
    with closing(connection.connection.cursor()) as cursor:
        # psycopg prepares a repeated text, and a prepared statement holds a snapshot until the next
        # statement: a concurrent build of another session would wait for it.
        cursor.execute(f"{sql} -- {next(_numbers)}")
        return list(cursor.fetchall()) if cursor.description else []


# What a statement did -------------------------------------------------------------------------------------------


def effects_of(before: State, after: State, old: frozenset[int]) -> Iterator[tuple[Name, str, str]]:
    """Yield each table that was there before the revision and that was locked or worked on."""
    for oid, own in before.of_tables.items():
        held = {lock for one in own for lock in after.held.get(one, ())}
        if oid not in old or oid not in before.relations or not held:
            continue
        table, work = before.relations[oid], _work(oid, own, before, after)
        taken = {lock for one in own for lock in after.held.get(one, set()) - before.held.get(one, set())}
        if not taken and work == CATALOGUE:
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
        indexes = sum(_is_index(oid, one, after) for one in after.of_tables[oid])
        copies = not COPYING.isdisjoint(before.words[:1]) or table.kind == "m"
        copied = scans > indexes or now.tablespace != table.tablespace or copies
        return REWRITE if copied else CATALOGUE
    files = {before.relations[one].file for one in own}
    # A change of type may give the file of an index to the one that takes its place.
    if any(_is_index(oid, one, after) and after.relations[one].file not in files for one in after.of_tables[oid]):
        return BUILD
    return SCAN if scans else CATALOGUE


def scanned_by(before: State, after: State, old: frozenset[int]) -> Iterator[tuple[Name, int]]:
    """Yield each table that was there before the revision and that was read in sequence, and how many rows were read."""
    for oid, table in before.relations.items():
        if table.table == oid and oid in old and _scans(oid, before, after) > 0:
            now, own = after.relations.get(oid), [oid]
            # TRUNCATE reads nothing, but its new index counts as a scan.
            if now is None or now.file == table.file or _work(oid, own, before, after) == REWRITE:
                yield table.name, (now.rows if now is not None else 0) - table.rows


def _scans(oid: int, before: State, after: State) -> int:
    now, earlier = after.relations.get(oid), before.relations.get(oid)
    return (now.scans if now is not None else 0) - (earlier.scans if earlier is not None else 0)


def _is_index(table: int, oid: int, state: State) -> bool:
    return oid != table and state.relations[oid].kind == "i"


def _weak_work(lock: str, oid: int, before: State, after: State) -> str:
    """Return the work under a weak lock: whether opaque code might write all rows."""
    hidden = before.words[:1] and (
        before.words[0] in OPAQUE or (before.words[0] == "SELECT" and "FOR" not in before.words)
    )
    return ROWS if hidden and STRENGTH[lock] == WRITES_ROWS and _scans(oid, before, after) else NO_WORK
