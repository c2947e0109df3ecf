"""What a statement does, as far as its text shows: by its keywords, never by its strings and comments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set
from enum import Enum
from functools import lru_cache
from itertools import pairwise

from safeops.databases import sqltext
from safeops.planned import RawStatement

EXECUTED = re.compile(r"/\*M?!\d*(.*?)\*/", re.DOTALL)
"""A comment that MariaDB and MySQL execute."""
WRITING = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})
OPAQUE = frozenset({"DO", "CALL", "EXEC", "EXECUTE"})
CONTAINERS = frozenset({"TABLE", "SCHEMA", "DATABASE"})
KEPT_BY_DROP = frozenset(
    ("CONSTRAINT", "INDEX", "KEY", "DEFAULT", "NOT", "PRIMARY", "FOREIGN", "CHECK", "EXPRESSION", "IDENTITY", "SYSTEM")
)
"""What ALTER TABLE can drop without a value being lost."""
READING_PRAGMA = re.compile(r"\w+_(INFO|XINFO|LIST|CHECK)")
MORE_THAN_A_SESSION = frozenset({"GLOBAL", "PERSIST", "PASSWORD", "DEFAULT", "QUERY_ONLY"})


class Kind(Enum):
    """What a statement does."""

    READS = "reads"
    SAVEPOINT = "sets or leaves a savepoint"
    TRANSACTION = "begins or ends a transaction"
    SESSION = "sets the session"
    WRITES = "writes, or is not known"


def kind_of(sql: str) -> Kind:
    """Return what a statement does; several at once write unless all of them do the same."""
    return common_kind(kinds_in(sql))


def common_kind(kinds: Set[Kind]) -> Kind:
    return next(iter(kinds)) if len(kinds) == 1 else Kind.WRITES


def kinds_in(sql: str) -> set[Kind]:
    """Return what each of several statements does."""
    return {_kind(part) for part in _parts(words_of(sql))}


def raw_statement(sql: str) -> RawStatement:
    """Return what the text of a statement shows."""
    words = words_of(sql)
    hides = "$$" in sql or not OPAQUE.isdisjoint(words)
    made = words[:1] == ("CREATE",) and "TABLE" in words[1:4]
    makes_table = made or ("RENAME" in words and "TABLE" in words[:3])
    loses = any(part[0] in LOSING and LOSING[part[0]](part) for part in _parts(words))
    return RawStatement(names_in(sql), hides, makes_table, loses)


def sets_more_than_session(sql: str) -> bool:
    """Return whether a statement changes more than its session, or the session's read-only mode."""
    words = words_of(sql)
    read_only = any("READ_ONLY" in word or "READ_WRITE" in word for word in words)
    pairs = set(pairwise(words))
    return (
        words[:1] in (("PRAGMA",), ("RESET",))
        or not MORE_THAN_A_SESSION.isdisjoint(words)
        or read_only
        or bool({("READ", "ONLY"), ("READ", "WRITE")} & pairs)
    )


def allows_writes(sql: str) -> bool:
    """Return whether a query changes the read-only mode of its session."""
    strings = [text for kind, text in _tokens(sql) if kind == "string"]
    return "SET_CONFIG" in words_of(sql) and any("read_only" in text.lower() for text in strings)


@lru_cache(maxsize=256)
def words_of(sql: str) -> tuple[str, ...]:
    """Return the words and operators of a statement in upper case, without those in strings and comments."""
    found = [text.upper() if kind == "word" else text for kind, text in _tokens(sql) if kind != "string"]
    while found[:1] in (["("], [";"]):
        del found[0]
    return tuple(found)


@lru_cache(maxsize=256)
def names_in(sql: str) -> frozenset[str]:
    """Return each word and quoted name of a statement."""
    return frozenset(sqltext.unquoted(text) for kind, text in _tokens(sql) if kind in ("word", "quoted"))


def _tokens(sql: str) -> Iterator[tuple[str, str]]:
    for kind, text in sqltext.parts(sql):
        if kind == "space":
            executed = EXECUTED.fullmatch(text)
            yield from _tokens(executed[1]) if executed else ()
        else:
            yield kind, text


def _parts(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Split several statements; the body of a function or a block is split as well."""
    if words and ";" not in words:
        yield words
        return
    part: list[str] = []
    for word in (*words, ";"):
        if word != ";":
            part.append(word)
        elif part:
            yield tuple(part)
            part = []


# What each statement does, by its first word ---------------------------------------------------------------------


def _kind(words: tuple[str, ...]) -> Kind:
    found = KINDS.get(words[0], Kind.WRITES)
    return found if isinstance(found, Kind) else found(words)


def _select(words: tuple[str, ...]) -> Kind:
    files = {("INTO", "OUTFILE"), ("INTO", "DUMPFILE")}
    return Kind.WRITES if files & set(pairwise(words)) else Kind.READS


def _pragma(words: tuple[str, ...]) -> Kind:
    asks = "(" in words and bool(READING_PRAGMA.fullmatch(words[words.index("(") - 1]))
    return Kind.READS if "=" not in words and (asks or "(" not in words) else Kind.SESSION


KINDS: dict[str, Kind | Callable[[tuple[str, ...]], Kind]] = {
    "SELECT": _select,
    "WITH": lambda words: Kind.READS if WRITING.isdisjoint(words) else Kind.WRITES,
    "PRAGMA": _pragma,
    "ROLLBACK": lambda words: Kind.SAVEPOINT if "TO" in words[:3] else Kind.TRANSACTION,
    "BEGIN": lambda words: Kind.WRITES if "IMMEDIATE" in words else Kind.TRANSACTION,
    "START": lambda words: Kind.TRANSACTION if "TRANSACTION" in words else Kind.WRITES,
    "COMMIT": Kind.TRANSACTION,
    # The catalogue query, which a session prepares once.
    "PREPARE": lambda words: Kind.SESSION if words[1:2] and words[1].startswith("SAFEOPS_") else Kind.WRITES,
    "EXECUTE": lambda words: Kind.READS if words[1:2] and words[1].startswith("SAFEOPS_") else Kind.WRITES,
    **dict.fromkeys(("VALUES", "TABLE", "SHOW", "EXPLAIN", "DESC", "DESCRIBE"), Kind.READS),
    **dict.fromkeys(("SAVEPOINT", "RELEASE"), Kind.SAVEPOINT),
    **dict.fromkeys(("SET", "RESET", "USE"), Kind.SESSION),
}


def _drops_a_column(words: tuple[str, ...]) -> bool:
    dropped = [word for before, word in pairwise(words) if before == "DROP"]
    return words[1:2] != ("INDEX",) and any(word not in KEPT_BY_DROP for word in dropped)


def _overwrites(words: tuple[str, ...]) -> bool:
    """Of an INSERT what it does about rows that exist already; of a block or a query with it each statement inside."""
    pairs = [*pairwise(("", *words))]
    inside = any(word in ("DELETE", "UPDATE", "MERGE") and before not in ("ON", "FOR") for before, word in pairs)
    drops = any(before == "DROP" and word in CONTAINERS | {"COLUMN"} for before, word in pairs)
    return inside or drops or "TRUNCATE" in words


LOSING: dict[str, Callable[[tuple[str, ...]], bool]] = {
    **dict.fromkeys(("DELETE", "UPDATE", "TRUNCATE", "MERGE", "REPLACE"), lambda _: True),
    **dict.fromkeys(("WITH", "INSERT", "DO", "CALL", "EXECUTE", "EXEC", "BEGIN", "DECLARE"), _overwrites),
    "DROP": lambda words: not CONTAINERS.isdisjoint(words[1:3]),
    "ALTER": _drops_a_column,
}
