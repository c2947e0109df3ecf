"""MariaDB and MySQL: by which algorithm and under which lock the server changes a table."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from safeops.databases import sqltext
from safeops.databases.statements import words_of
from safeops.judging.truths import BUILD, CATALOGUE, REWRITE, Measured
from safeops.naming import Name
from safeops.review import tracing


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


@dataclass
class Change:
    """A statement before it runs, or after a successful request."""

    transaction: object
    table: Name | None = None
    way: Way | None = None


class Tracer(tracing.Tracer):
    """Finds the algorithm of a change by requesting the least blocking one first."""

    def begin(self, sql: str, parameters: Any) -> Change:
        change = Change(None if self._is_autocommit() else "open")
        table = changed_table(sql)
        if table is not None:
            change.way = tried_way(lambda text: self._send(text, parameters), sql)
            change.table = table
        return change

    def is_done(self, before: Change) -> bool:
        return before.way is not None

    def end(self, before: Change) -> Measured:
        if before.way is None or before.table is None:
            return Measured(exact=False)
        return Measured(((before.table, str(before.way), before.way.work),))

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

    def _send(self, sql: str, parameters: Any) -> None:
        with closing(self.database.connection.connection.cursor()) as cursor:
            cursor.execute(sql, parameters)


# Rights, values of rows, foreign keys without their row, plug-ins, what a trigger raises, a lock, a full disk.
OF_THE_COPY = frozenset(
    (1044, 1045, 1142, 1143, 1227, 1048, 1062, 1216, 1217, 1264, 1366, 1406, 1451, 1452, 1524, 1644, 1205, 1213, 1114)
)
"""The numbers of errors that rows, privileges or the machine can cause."""
MISSING = frozenset({1051, 1054, 1072, 1091, 1146, 1176})
"""The numbers of errors about a missing table, column or index."""
