"""A traced statement in words, the same in each format for people."""

from __future__ import annotations

from collections.abc import Mapping

from safeops.rehearse.statement import NOT_SEEN, TracedStatement


def locks_of(statement: TracedStatement) -> str:
    """Return the locks of a statement."""
    return locks_together(statement.locks) or ("not seen" if statement.seen == NOT_SEEN else "none")


def locks_together(locks: Mapping[str, str]) -> str:
    """Return the locks of tables, the tables with the same one together."""
    tables: dict[str, list[str]] = {}
    for table, lock in locks.items():
        tables.setdefault(lock, []).append(table)
    return ", ".join(f"{lock} on {' and '.join(names)}" for lock, names in tables.items())


def work_of(statement: TracedStatement) -> str:
    """Return what a statement rewrote, built and read."""
    done = [*statement.rewrote, *statement.built]
    read = [table for table in statement.scanned if table not in done]
    parts = (("rewrote", statement.rewrote), ("built an index of", statement.built), ("scanned", read))
    return ", ".join(f"{deed} {' and '.join(tables)}" for deed, tables in parts if tables) or "none"


def time_of(statement: TracedStatement) -> str:
    """Return how long a statement took, and how long its locks were held if that is longer."""
    took = _milliseconds(statement.seconds)
    if not statement.in_transaction or not statement.locks:
        return took
    return f"{took}, held {_milliseconds(statement.held_seconds)}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"
