"""Writes findings: the place, the lock, the size, and the calls to write instead."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from safeops.databases.base import Database
from safeops.judging.finding import NOTE, Finding
from safeops.judging.operations import Operation
from safeops.judging.replacements import Replacement, replacement_of
from safeops.judging.rows import CHANGING
from safeops.judging.schema import Schema
from safeops.judging.sent import Place, Sent
from safeops.judging.server import JudgedServer
from safeops.naming import Name

log = logging.getLogger("safeops")

SHOWN = 300
"""Characters of a statement that a finding shows."""


@dataclass(frozen=True)
class Lock:
    """A lock on a table that counts, and the work under it.

    Args:
        table: The table.
        lock: The lock that the transaction holds on it by then.
        work: What is done under it.
        earlier: The lock of the statement alone would block no session.
        by: The earlier operation that took the lock; empty if the statement itself takes it.
    """

    table: Name
    lock: str
    work: str
    earlier: bool = False
    by: str = ""


class Writer:
    """Writes the findings of a judge."""

    def __init__(self, database: Database, schema: Schema, seen: str) -> None:
        self.database, self.schema, self.seen = database, schema, seen
        self.server = JudgedServer.of(database)
        self._sent: set[tuple[Place, str, Name | None]] = set()

    def locking(self, rule: str, verdict: str, operation: Operation, sent: Sent, lock: Lock, why: str) -> Finding:
        """Return a finding about a lock."""
        known = self.schema.table(lock.table)
        rows = known.rows if known is not None else None
        return self.finding(rule, verdict, operation, sent, why, table=lock.table).with_(
            lock=lock.lock or None,
            work=lock.work,
            blocks=self.server.blocks(lock.lock) if lock.lock else "nothing",
            rows=rows,
            seconds=None if rows is None else round(self.server.seconds(lock.work, rows), 3),
            known_from=_known_from(self.schema, rows),
        )

    def finding(
        self, rule: str, verdict: str, operation: Operation, sent: Sent, why: str, *, table: Name | None = None
    ) -> Finding:
        replacement = self._replacement(operation, sent, rule) if verdict != NOTE else None
        return Finding(
            rule,
            verdict,
            why,
            sent.place,
            shown(sent.sql),
            self._full(table or operation.table),
            replacement=(replacement.upgrade or None) if replacement else None,
            replacement_downgrade=(replacement.downgrade or None) if replacement else None,
            advice=replacement.note if replacement else "",
            seen=self.seen,
            operation=operation,
            sent=sent,
        )

    def _replacement(self, operation: Operation, sent: Sent, rule: str) -> Replacement | None:
        try:
            repeated = self._is_repeated(operation, sent)
            return replacement_of(operation, sent, self.schema, self.database, rule=rule, repeated=repeated)
        except Exception:
            # A finding without advice is better than none.
            log.debug("no replacement for %s", sent.sql, exc_info=True)
            return None

    def _is_repeated(self, operation: Operation, sent: Sent) -> bool:
        """Return whether the same line has sent such a statement before, as in a loop."""
        if sent.place is None or operation.kind not in CHANGING:
            return False
        known, own = len(self._sent), (sent.place, operation.kind, operation.table)
        self._sent.add(own)
        return len(self._sent) == known

    def _full(self, table: Name | None) -> str | None:
        if table is None:
            return None
        schema = table.schema or self.schema.home or self.server.default_schema
        return str(replace(table, schema=schema))


def shown(sql: str) -> str:
    """Return a statement in one line, shortened if it is long."""
    line = " ".join(sql.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 3]}..."


def _known_from(schema: Schema, rows: int | None) -> str:
    if rows is None:
        return "assumed"
    return "the live database" if schema.facts is not None else "stats.json"
