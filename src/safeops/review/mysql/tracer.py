"""MariaDB and MySQL: by which algorithm and under which lock the server changes a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

from safeops.databases import sqltext
from safeops.databases.statements import Kind, kind_of, names_in, words_of
from safeops.judging.mysql.truths import BLOCKS, METADATA, NO_WRITE, READ, WRITE
from safeops.judging.truths import BUILD, CATALOGUE, LONG, REWRITE, ROWS, Measured
from safeops.naming import Name
from safeops.planned import ALL, NOTHING, WRITES
from safeops.review import tracing
from safeops.review.mysql.files import Files
from safeops.review.sampling import Questions, Sampler


class Way(NamedTuple):
    """An algorithm and a lock to request, and the work that they imply."""

    algorithm: str
    lock: str
    work: str

    def __str__(self) -> str:
        return ", ".join(filter(None, (f"ALGORITHM={self.algorithm}", self.lock and f"LOCK={self.lock}")))


# Least blocking first. With INSTANT both servers reject a LOCK clause.
WAYS = (
    Way("INSTANT", "", CATALOGUE),
    Way("NOCOPY", "NONE", BUILD),
    Way("INPLACE", "NONE", REWRITE),
    Way("NOCOPY", "SHARED", BUILD),
    Way("INPLACE", "SHARED", REWRITE),
    Way("COPY", "SHARED", REWRITE),
    Way("COPY", "EXCLUSIVE", REWRITE),
)
SERVER_CHOOSES = frozenset({"ALGORITHM", "LOCK"})
"""Words of a statement that already has an algorithm or a lock."""
INDEXES = frozenset(
    {("CREATE", "INDEX"), ("CREATE", "UNIQUE"), ("CREATE", "FULLTEXT"), ("CREATE", "SPATIAL"), ("DROP", "INDEX")}
)
Send = Callable[[str], None]
CHANGING = frozenset({("UPDATE",), ("DELETE",), ("REPLACE",)})
KEEPING = CHANGING | {("INSERT",), ("SELECT",), ("WITH",)}
"""First words of statements that do not commit: their locks are held until the transaction ends."""
PREFIX = re.compile(r"^\s*SET\s+STATEMENT\b.*?\sFOR\s+", re.IGNORECASE | re.DOTALL)
"""Variables of one statement, on MariaDB."""
BRIEF_METADATA = f"{METADATA}, briefly"
LOCK_TABLES = ("LOCK", "TABLES")
LOCKS = {"LOCK=SHARED": WRITES, "LOCK=EXCLUSIVE": ALL}
BLOCKING = {
    "EXCLUSIVE": METADATA,
    "SHARED_NO_READ_WRITE": WRITE,
    "SHARED_NO_WRITE": NO_WRITE,
    "SHARED_READ_ONLY": READ,
}
"""Metadata locks that block reads or writes, the strongest first."""
STRONG = frozenset({"EXCLUSIVE", "SHARED_NO_READ_WRITE"})
MODES = {**BLOCKING, "SHARED_WRITE": "SHARED_WRITE metadata lock"}
TABLES = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
INSTRUMENT = "SELECT ENABLED FROM performance_schema.setup_instruments WHERE NAME = 'wait/lock/metadata/sql/mdl'"
ENABLE = "UPDATE performance_schema.setup_instruments SET ENABLED = 'YES' WHERE NAME = 'wait/lock/metadata/sql/mdl'"
WAYS_ONLY = "Of ALTER TABLE the algorithm and the lock are shown."
HELD = """SELECT l.OBJECT_NAME, l.LOCK_TYPE, l.LOCK_STATUS = 'GRANTED' FROM performance_schema.metadata_locks l
  JOIN performance_schema.threads t ON t.THREAD_ID = l.OWNER_THREAD_ID
  WHERE t.PROCESSLIST_ID = {session} AND l.OBJECT_TYPE = 'TABLE'"""
READER = "SELECT 1 FROM {table} WHERE 1 = 0"
WRITER = f"{READER} FOR UPDATE"
LIMIT = "SET SESSION lock_wait_timeout = 1"


def tried_way(send: Send, sql: str) -> Way | None:
    """Change a table with the least blocking algorithm, and return that; None if none could be requested.

    The server rejects an impossible algorithm at once, without changing anything.

    Args:
        send: Sends a statement, and raises if the server refuses it.
        sql: ALTER TABLE, CREATE INDEX or DROP INDEX.
    """
    words = words_of(sql)
    if not SERVER_CHOOSES.isdisjoint(words) or ";" in words[:-1]:
        return None
    text = _altering(sql) or sql.rstrip().removesuffix(";")
    creates_index = words[:2] in INDEXES and words[0] == "CREATE"
    for way in WAYS:
        asked = str(way).replace(",", "") if creates_index else f", {way}"
        with suppress(Exception):
            # On a separate line: the statement can end with a comment.
            send(f"{text}\n{asked}")
            return way._replace(work=BUILD) if creates_index and way.work == REWRITE else way
    return None


def _altering(sql: str) -> str | None:
    """Return DROP INDEX as ALTER TABLE, because MariaDB takes no algorithm there; None for other statements."""
    texts = [text for _, text in sqltext.tokens(sql) if text != ";"]
    words = [text.upper() for text in texts]
    if words[:2] != ["DROP", "INDEX"] or "ON" not in words:
        return None
    place = words.index("ON")
    return f"ALTER TABLE {''.join(texts[place + 1 :])} DROP INDEX {' '.join(texts[2:place])}"


def changed_table(sql: str) -> Name | None:
    """Return the table of ALTER TABLE, CREATE INDEX or DROP INDEX; None for other statements."""
    texts = [text for _, text in sqltext.tokens(sql)]
    words = [text.upper() for text in texts]
    if words[:1] == ["ALTER"] and "TABLE" in words[:4]:
        start = words.index("TABLE") + 1
        start += 2 if words[start : start + 2] == ["IF", "EXISTS"] else 0
    elif tuple(words[:2]) in INDEXES:
        start = words.index("ON") + 1 if "ON" in words else len(words)
    else:
        return None
    named = [sqltext.unquoted(text) for text in texts[start : start + 3]]
    if len(named) == 3 and named[1] == ".":
        return Name(named[2], named[0])
    return Name(named[0]) if named else None


def requested_way(sql: str) -> Way | None:
    """Return the algorithm and the lock that a statement names: the server refuses it if it cannot keep to them.

    None if it leaves the lock to the server.
    """
    words = words_of(sql)
    named = {
        word: words[at + 2] for at, word in enumerate(words[:-2]) if word in SERVER_CHOOSES and words[at + 1] == "="
    }
    algorithm, lock = named.get("ALGORITHM", ""), named.get("LOCK", "")
    known = next((way for way in WAYS if (way.algorithm, way.lock) == (algorithm, lock)), None)
    return known or (Way(algorithm, lock, REWRITE) if lock else None)


@dataclass
class Change:
    """A statement before it runs, or after a successful request."""

    transaction: object
    sql: str = ""
    table: Name | None = None
    way: Way | None = None
    is_done: bool = False
    seconds: float = 0.0
    files: Files | None = None
    sampler: Sampler | None = None


def _lock(modes: set[str], known: Mapping[str, str], work: str) -> str:
    """Return the strongest of the modes that are known; empty if there is none."""
    strongest = next((known[mode] for mode in known if mode in modes), "")
    if strongest == METADATA and work in LONG:
        # Work that does not let writers in has a lock against them before the exclusive one at its end.
        return NO_WRITE if "SHARED_NO_WRITE" in modes else BRIEF_METADATA
    return strongest


def _locked_tables(sql: str) -> Iterator[tuple[str, str]]:
    """Yield each table of LOCK TABLES with its lock: on MariaDB the metadata lock of READ is that of a query."""
    texts = [sqltext.unquoted(text) for _, text in sqltext.tokens(sql)]
    for at, text in enumerate(texts):
        if text.upper() in ("READ", "WRITE"):
            yield texts[at - 1], WRITE if text.upper() == "WRITE" else READ


def _work(change: Change, table: str, after: Files | None) -> str | None:
    """Return what has been done to a table; None if the account cannot see it."""
    if change.files is None or after is None:
        return None
    return CATALOGUE if "TRUNCATE" in words_of(change.sql) else change.files.work(table, after)


class Tracer(tracing.Tracer):
    """Finds the algorithm of a change by requesting the least blocking one first."""

    def begin(self, sql: str, parameters: Any) -> Change:
        home, inner = self.database.connection.dialect.default_schema_name, PREFIX.sub("", sql)
        table, way = changed_table(inner), requested_way(inner)
        change = Change(None if self._is_autocommit() else "open", inner, table and table.at(home), way)
        change.files = Files.read(self._rows) if table is not None or self.samples else None
        if self.samples:
            with suppress(Exception):
                self._watch(change)
        if change.table is not None and change.way is None:
            change.way = tried_way(lambda text: self._timed(change, text, parameters), sql)
            change.is_done = change.way is not None
        return change

    def is_done(self, before: Change) -> bool:
        return before.is_done

    def seconds(self, before: Change) -> float:
        return before.seconds

    def end(self, before: Change) -> Measured:
        seen = before.sampler.stop() if before.sampler is not None else set()
        sampled = before.sampler is not None and before.sampler.works
        after = Files.read(self._rows) if before.files is not None else None
        if before.way is None or before.table is None or not (self.samples or before.is_done):
            effects = tuple(self._effects(before, seen, after))
            return Measured(effects, exact=False, sampled=sampled)
        work = _work(before, before.table.name, after) or before.way.work
        others = [each for each in self._effects(before, seen, after) if each[0].name != before.table.name]
        return Measured(((before.table, str(before.way), work), *others), sampled=bool(others))

    def _effects(
        self, change: Change, seen: set[tuple[str, str]], after: Files | None
    ) -> Iterator[tuple[Name, str, str]]:
        """Yield each table that was there before the revision, with its lock and the work on it."""
        words, old = words_of(change.sql), self.old or frozenset()
        if words[:2] == LOCK_TABLES:
            yield from ((Name(table), lock, CATALOGUE) for table, lock in _locked_tables(change.sql) if table in old)
            return
        for table in sorted(table for table in {table for table, _ in seen} & old if not tracing.is_own(table)):
            modes = {mode for name, mode in seen if name == table}
            work = ROWS if words[:1] in CHANGING else _work(change, table, after) or CATALOGUE
            lock = _lock(modes, MODES if words[:1] in KEEPING else BLOCKING, work)
            if lock:
                yield Name(table), lock, work

    def failed(self, before: Change, error: BaseException) -> Measured:
        if before.sampler is not None:
            before.sampler.stop()
        return super().failed(before, error)

    def _not_shown(self) -> str:
        try:
            [(enabled,)] = self._rows(INSTRUMENT)
            shown = [row[0] for row in self._rows("SELECT @@performance_schema")] == [1] and enabled == "YES"
        except Exception:
            return f"This account cannot read performance_schema, so metadata locks are not shown. {WAYS_ONLY}"
        if shown:
            return ""
        return f"The server does not record metadata locks, so they are not shown. {WAYS_ONLY} To record them: {ENABLE}"

    def holds(self, before: Change) -> bool:
        words = words_of(before.sql)
        return words[:2] == LOCK_TABLES or (before.transaction is not None and words[:1] in KEEPING)

    def concerns(self, sql: str) -> bool:
        return kind_of(PREFIX.sub("", sql)) is Kind.WRITES and not names_in(sql).isdisjoint(self.old or ())

    def blocked(self, table: Name, lock: str) -> str:
        named = next((blocked for ending, blocked in LOCKS.items() if lock.endswith(ending)), NOTHING)
        return BLOCKS.get(lock, named)

    def blocks_briefly(self, table: Name, lock: str) -> bool:
        # An online change too has the metadata lock at its beginning and its end.
        return self.blocked(table, lock) != NOTHING or "LOCK=" in lock or lock == BRIEF_METADATA

    def _watch(self, change: Change) -> None:
        if self.old is None:
            self.home = str(self.database.connection.dialect.default_schema_name)
            self.old = frozenset(name for (name,) in self._rows(TABLES))
            self.unseen = self._not_shown()
        if kind_of(change.sql) is Kind.WRITES and not self.unseen:
            change.sampler = Sampler(self.database.connection, self._questions(change.sql))

    def _questions(self, sql: str) -> Questions:
        """Return the queries for the time of a statement, and which tables to hold up."""
        [(session,)] = self._rows("SELECT CONNECTION_ID()")
        locks, words = HELD.format(session=int(session)), words_of(sql)
        [(patience,)] = self._rows("SELECT @@SESSION.lock_wait_timeout")
        waits = words[:1] not in KEEPING and "NOWAIT" not in words and int(patience) > 0
        tables = {name: self.quoted(name) for name in sorted(names_in(sql) & self.old) if waits}
        writers, readers = ({one: sql.format(table=table) for one, table in tables.items()} for sql in (WRITER, READER))
        return Questions(locks, LIMIT, writers, readers, STRONG, frozenset(BLOCKING))

    def transaction(self, before: Change) -> object:
        return before.transaction

    def is_of_the_copy(self, before: Change, error: BaseException) -> bool:
        number = next(iter(getattr(error, "args", ())), None)
        return number in OF_THE_COPY or (number in MISSING and not self._has_tables())

    def _has_tables(self) -> bool:
        with closing(self.database.connection.connection.cursor()) as cursor:
            cursor.execute("SHOW TABLES")
            return not all(tracing.is_own(str(name)) for (name,) in cursor.fetchall())

    def _is_autocommit(self) -> bool:
        driver: Any = self.database.connection.connection.dbapi_connection
        for name in ("get_autocommit", "autocommit"):
            found = getattr(driver, name, None)
            if found is not None:
                return bool(found() if callable(found) else found)
        return False

    def _timed(self, change: Change, sql: str, parameters: Any) -> None:
        began = perf_counter()
        with closing(self.database.connection.connection.cursor()) as cursor:
            cursor.execute(sql, parameters)
        change.seconds = perf_counter() - began

    def _rows(self, sql: str) -> list[Any]:
        with closing(self.database.connection.connection.cursor()) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())


# Rights, values of rows, foreign keys without their row, plug-ins, what a trigger raises, a lock, a full disk.
OF_THE_COPY = frozenset(
    (1044, 1045, 1142, 1143, 1227, 1048, 1062, 1216, 1217, 1264, 1366, 1406, 1451, 1452, 1524, 1644, 1205, 1213, 1114)
)
"""The numbers of errors that rows, privileges or the machine can cause."""
MISSING = frozenset({1051, 1054, 1072, 1091, 1146, 1176})
"""The numbers of errors about a missing table, column or index."""
