"""What the locks of the statements block, and for how long: each is held until its transaction ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from safeops.databases import Database
from safeops.judging.server import JudgedServer
from safeops.planned import ALL, WRITES
from safeops.rehearse.effects import Statement
from safeops.rehearse.impact import ALL_WAIT, BRIEF, FREE, WRITES_WAIT

BRIEFLY = 0.1
"""Seconds: an application does not notice a shorter wait."""
EFFECTS = {WRITES: WRITES_WAIT, ALL: ALL_WAIT}


@dataclass(frozen=True)
class Blocked:
    """A table that a lock of the migration blocks.

    Args:
        table: The table, as "schema.table".
        began: When it began, by ``time.monotonic()``.
        ended: When it ended.
        lock: The lock, as the server names it.
        effect: "brief", "writes wait" or "all wait".
        statement: The place of the statement that took the lock.
    """

    table: str
    began: float
    ended: float
    lock: str
    effect: str
    statement: int

    @property
    def seconds(self) -> float:
        return self.ended - self.began


def blocked_tables(statements: Sequence[Statement], database: Database) -> list[Blocked]:
    """Return which tables the statements blocked, and from when to when.

    Args:
        statements: What the migration sent, in order.
        database: Knows what its locks block.
    """
    return list(_blocked(statements, JudgedServer.of(database)))


def _blocked(statements: Sequence[Statement], judged: JudgedServer) -> Iterator[Blocked]:
    for place, one in enumerate(statements):
        for table, lock in one.locks.items():
            effect = EFFECTS.get(judged.blocks(lock))
            if effect is not None:
                brief = one.held_seconds < BRIEFLY
                yield Blocked(table, one.began, one.began + one.held_seconds, lock, BRIEF if brief else effect, place)


def effect_of(place: int, blocked: Sequence[Blocked]) -> str:
    """Return what the application notices of a statement: the worst of its locks."""
    effects = {one.effect for one in blocked if one.statement == place}
    return next((effect for effect in (ALL_WAIT, WRITES_WAIT, BRIEF) if effect in effects), FREE)
