"""The sentences of a judge: the effect on production first, then the reason."""

from __future__ import annotations

from safeops.judging.operations import Operation
from safeops.judging.server import JudgedServer
from safeops.judging.truths import BUILD, CATALOGUE, NO_WORK, REWRITE, ROWS, SCAN
from safeops.judging.writer import Lock

DURING = {
    CATALOGUE: "for milliseconds (a catalogue change)",
    SCAN: "while all rows are read",
    BUILD: "while an index is built over all rows",
    REWRITE: "while all rows are rewritten",
    ROWS: "while rows are changed",
    NO_WORK: "until the lock is released",
}
"""How long a lock on a table blocks, by the work on that table."""
LATER = {SCAN: "rows are read", BUILD: "an index is built", REWRITE: "rows are rewritten", ROWS: "rows are changed"}
"""The work of a later statement, perhaps on another table."""


def blocked(server: JudgedServer, lock: Lock, because: str, *, online: bool = False) -> str:
    """Return what a lock blocks, for how long, and why.

    Args:
        server: The server.
        lock: The lock.
        because: Why the statement needs it, as a clause; empty if there is nothing to add.
        online: The statement does long work under a weaker lock, and takes this one only before and after it.
    """
    during = "for milliseconds, before and after online work" if online else DURING[lock.work]
    why = _still_held(lock.lock, lock.by) if lock.by else because
    return f"{_blocks(server, lock)} {during}{': ' if why else ''}{why}."


def blocked_by_earlier(server: JudgedServer, lock: Lock) -> str:
    """Return what the lock of an earlier statement blocks while a later one works."""
    return f"{_blocks(server, lock)} while {LATER[lock.work]}: {_still_held(lock.lock, lock.by)}."


def blocked_without_timeout(lock: Lock) -> str:
    waits = "for as long as it waits for its lock"
    return f"Blocks all queries on {lock.table} {waits}: the revision has set lock_timeout to 0."


def rows_blocked(lock: Lock, total: int | None) -> str:
    rows = "all or many rows" if total is None else f"about {total:,} rows"
    return f"Blocks writes to {rows} of {lock.table} until the transaction ends: each of them stays locked."


def rows_blocked_by_code(lock: Lock) -> str:
    until = "until the transaction ends"
    return f"Can block writes to all rows of {lock.table} {until}: its code decides which rows it changes."


def without_index(key: Operation) -> str:
    columns = ", ".join(key.columns)
    return f"Each DELETE of a referenced row scans all of {key.table}: it has no index that begins with {columns}."


def _blocks(server: JudgedServer, lock: Lock) -> str:
    return f"Blocks {server.blocks(lock.lock)} {server.scope_of_lock(lock.table)}"


def _still_held(lock: str, by: str) -> str:
    return f"the transaction still holds {lock} from an earlier statement ({by})"
