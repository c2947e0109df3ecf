"""MariaDB and MySQL: the algorithms and locks of a change, from the least blocking one on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from safeops.databases import sqltext
from safeops.databases.statements import words_of
from safeops.judging.truths import BUILD, CATALOGUE, REWRITE
from safeops.naming import Name


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
