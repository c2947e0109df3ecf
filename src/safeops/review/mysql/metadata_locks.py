"""MariaDB and MySQL: the metadata locks that ``performance_schema`` lists, and what holds a statement up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from safeops.databases import sqltext
from safeops.judging.mysql.truths import METADATA, NO_WRITE, READ, WRITE
from safeops.judging.truths import LONG

BRIEF_METADATA = f"{METADATA}, briefly"
BLOCKING = {
    "EXCLUSIVE": METADATA,
    "SHARED_NO_READ_WRITE": WRITE,
    "SHARED_NO_WRITE": NO_WRITE,
    "SHARED_READ_ONLY": READ,
}
"""Metadata locks that block reads or writes, the strongest first."""
STRONG = frozenset({"EXCLUSIVE", "SHARED_NO_READ_WRITE"})
MODES = {**BLOCKING, "SHARED_WRITE": "SHARED_WRITE metadata lock"}
INSTRUMENT = "SELECT ENABLED FROM performance_schema.setup_instruments WHERE NAME = 'wait/lock/metadata/sql/mdl'"
ENABLE = "UPDATE performance_schema.setup_instruments SET ENABLED = 'YES' WHERE NAME = 'wait/lock/metadata/sql/mdl'"
WAYS_ONLY = "Of ALTER TABLE the algorithm and the lock are shown."
HELD = """SELECT l.OBJECT_NAME, l.LOCK_TYPE, l.LOCK_STATUS = 'GRANTED' FROM performance_schema.metadata_locks l
  JOIN performance_schema.threads t ON t.THREAD_ID = l.OWNER_THREAD_ID
  WHERE t.PROCESSLIST_ID = {session} AND l.OBJECT_TYPE = 'TABLE'"""
READER = "SELECT 1 FROM {table} WHERE 1 = 0"
WRITER = f"{READER} FOR UPDATE"
LIMIT = "SET SESSION lock_wait_timeout = 1"


def lock_of(modes: set[str], known: Mapping[str, str], work: str) -> str:
    """Return the strongest of the modes that are known; empty if there is none."""
    strongest = next((known[mode] for mode in known if mode in modes), "")
    if strongest == METADATA and work in LONG:
        # Work that does not let writers in has a lock against them before the exclusive one at its end.
        return NO_WRITE if "SHARED_NO_WRITE" in modes else BRIEF_METADATA
    return strongest


def locked_tables(sql: str) -> Iterator[tuple[str, str]]:
    """Yield each table of LOCK TABLES with its lock: on MariaDB the metadata lock of READ is that of a query."""
    texts = [sqltext.unquoted(text) for _, text in sqltext.tokens(sql)]
    for at, text in enumerate(texts):
        if text.upper() in ("READ", "WRITE"):
            yield texts[at - 1], WRITE if text.upper() == "WRITE" else READ
