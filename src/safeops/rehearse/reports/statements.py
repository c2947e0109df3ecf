"""The table of the statements of each revision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from safeops.planned import counted, size_text
from safeops.rehearse.impact import FREE, UNKNOWN
from safeops.rehearse.reports.tables import Cell, Table, revisions_of
from safeops.rehearse.reports.timeline import BLOCKING, EFFECTS, effect_of, lanes_of, numbers_of, worst
from safeops.rehearse.reports.wording import clean, shortened, took
from safeops.rehearse.statement import NOT_SEEN, ROWS_WAIT, SAMPLED

MOST_STATEMENTS, MOST_LOCKS = 250, 8
"""The most that the page lists."""
NOTICED = 0.1
"""Seconds that a lock is held after its statement, from which on it is worth knowing."""
ROOM_FOR_SQL, LONGEST_SQL = 120_000, 4000
"""In characters: of all statements, and of one."""


@dataclass
class Statements:
    """Equal statements of a revision, such as the batches of a backfill, as one."""

    number: int
    first: Mapping[str, Any]
    effects: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    times: int = 0
    rows: int = 0
    wal_bytes: int = 0
    since: int | None = None
    """The number of an earlier statement of the transaction that holds the lock which blocks."""

    def add(self, statement: Mapping[str, Any], effect: str) -> None:
        self.effects.append(effect)
        self.seconds.append(float(statement.get("seconds") or 0))
        self.waits.append(float(statement.get("longest_wait") or 0))
        self.times += statement.get("times") or 1
        self.rows += statement.get("rows") or 0
        self.wal_bytes += statement.get("wal_bytes") or 0

    @property
    def revision(self) -> str:
        return str(self.first.get("revision", ""))

    @property
    def direction(self) -> str:
        return str(self.first.get("direction", "up"))

    @property
    def weight(self) -> tuple[int, float, float]:
        return EFFECTS.index(worst(self.effects)), max(self.waits), sum(self.seconds)


def statement_tables(rehearsal: Mapping[str, Any], direction: str) -> Iterator[Table]:
    """Yield the statements of each revision, up or down."""
    every = [one for one in _together(rehearsal) if one.direction == direction]
    listed = sorted(every, key=lambda one: one.weight, reverse=True)[:MOST_STATEMENTS]
    room = min(LONGEST_SQL, ROOM_FOR_SQL // max(1, len(listed)))
    messages = {one.get("revision"): one.get("message") for one in revisions_of(rehearsal)}
    for revision in dict.fromkeys(one.revision for one in every):
        rows = [one for one in sorted(listed, key=lambda one: one.number) if one.revision == revision]
        left_out = sum(one.revision == revision for one in every) - len(rows)
        message = f": {messages[revision]}" if messages.get(revision) else ""
        yield Table(
            clean(f"{'Upgrade' if direction == 'up' else 'Downgrade'} of {revision}{message}"),
            ("#", "Statement", "Blocks", "Locks", "Work", "Time", "Longest wait"),
            [_statement_row(one, room) for one in rows],
            f"{left_out:,} more statements, which block and take less, are left out; --json lists them."
            if left_out
            else "",
        )


def _together(rehearsal: Mapping[str, Any]) -> list[Statements]:
    timeline = rehearsal.get("timeline") or {}
    lanes, spans = lanes_of(timeline), timeline.get("statements") or ()
    holder: tuple[float, str, int] = (0.0, FREE, 0)
    found: dict[int, Statements] = {}
    statements = rehearsal.get("statements") or ()
    for index, (number, statement) in enumerate(zip(numbers_of(statements), statements, strict=True)):
        span = spans[index] if index < len(spans) else None
        effect = effect_of(statement, span, lanes)
        one = found.setdefault(number, Statements(number, statement))
        until, held, by = holder
        if span and span[0] < until and EFFECTS.index(held) > EFFECTS.index(effect):
            effect, one.since = held, by
        elif span and effect in BLOCKING:
            holder = span[0] + (statement.get("held_seconds") or 0), effect, number
        one.add(statement, effect)
    return list(found.values())


def _statement_row(one: Statements, room: int) -> list[Cell]:
    effect, longest = worst(one.effects), max(one.waits)
    return [
        Cell(str(one.number), "number"),
        Cell(shortened(clean(one.first.get("sql", "")), room), "code"),
        Cell(
            _blocks(one, effect),
            f"effect {effect.replace(' ', '-')}",
            f"since statement {one.since}" if one.since else "",
        ),
        Cell(
            "\n".join(_locks(one.first)) or ("no new one" if one.since else "none"),
            note="sampled" if one.first.get("seen") == SAMPLED else _held(one.first),
        ),
        Cell("\n".join(_work(one)) or "catalogue only"),
        Cell(took(sum(one.seconds)), "number", f"{one.times:,} times" if one.times > 1 else ""),
        Cell(took(longest) if longest else "none", "number"),
    ]


def _blocks(one: Statements, effect: str) -> str:
    if effect != FREE:
        return effect
    return next((named for named in (UNKNOWN, ROWS_WAIT) if one.first.get("effect") == named), "nothing")


def _locks(statement: Mapping[str, Any]) -> list[str]:
    locks = [clean(f"{table}: {lock}") for table, lock in (statement.get("locks") or {}).items()]
    if not locks and statement.get("seen") == NOT_SEEN:
        return ["not seen"]
    more = len(locks) - MOST_LOCKS
    return [*locks[:MOST_LOCKS], f"and {more} more"] if more > 0 else locks


def _held(statement: Mapping[str, Any]) -> str:
    held, seconds = statement.get("held_seconds") or 0, statement.get("seconds") or 0
    return f"held for {took(held)}" if statement.get("locks") and held - seconds >= NOTICED else ""


def _work(one: Statements) -> Iterator[str]:
    yield from (clean(f"rewrites {table}") for table in one.first.get("rewrote") or ())
    yield from (clean(f"builds an index of {table}") for table in one.first.get("built") or ())
    for table, rows in (one.first.get("scanned") or {}).items():
        yield clean(f"scans {table} ({counted(rows)})")
    if one.first.get("error"):
        yield clean(f"failed: {one.first['error']}")
    if one.rows:
        yield f"writes {counted(one.rows)}"
    if one.wal_bytes:
        yield f"{size_text(one.wal_bytes)} of log (WAL)"
