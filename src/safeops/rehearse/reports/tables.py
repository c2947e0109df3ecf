"""Tables of the report: their cells in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from safeops.planned import counted, size_text
from safeops.rehearse.reports.timeline import (
    ALL_WAIT,
    EFFECTS,
    FREE,
    WRITES_WAIT,
    Lane,
    Timeline,
    effect_of,
    lanes_of,
    numbers_of,
    worst,
)
from safeops.rehearse.reports.wording import between, clean, shortened, took

MOST_STATEMENTS = 250
"""The most that the page lists."""
ROOM_FOR_SQL, LONGEST_SQL = 120_000, 4000
"""In characters: of all statements, and of one."""
MOST_TABLES, MOST_LOCKS = 200, 8
PHASES = ("before", "during", "back", "after")
TITLES = {"during": "during the upgrade", "back": "during the downgrade"}


@dataclass(frozen=True)
class Cell:
    """A cell: ``kind`` is the class of its style, "code" or "number" or an effect."""

    text: str
    kind: str = ""
    note: str = ""


@dataclass(frozen=True)
class Table:
    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


# The statements -------------------------------------------------------------------------------------------------


@dataclass
class Statements:
    """Equal statements of a revision, such as the batches of a backfill, as one."""

    number: int
    first: Mapping[str, Any]
    effects: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    rows: int = 0
    wal_bytes: int = 0

    def add(self, statement: Mapping[str, Any], effect: str) -> None:
        self.effects.append(effect)
        self.seconds.append(float(statement.get("seconds") or 0))
        self.waits.append(float(statement.get("longest_wait") or 0))
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
    messages = {one.get("revision"): one.get("message") for one in _revisions(rehearsal)}
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
    found: dict[int, Statements] = {}
    statements = rehearsal.get("statements") or ()
    for index, (number, statement) in enumerate(zip(numbers_of(statements), statements, strict=True)):
        span = spans[index] if index < len(spans) else None
        found.setdefault(number, Statements(number, statement)).add(statement, effect_of(statement, span, lanes))
    return list(found.values())


def _statement_row(one: Statements, room: int) -> list[Cell]:
    effect, times = worst(one.effects), len(one.seconds)
    unseen = one.first.get("unseen") if one.first.get("exact") is False else ""
    longest = max(one.waits)
    return [
        Cell(str(one.number), "number"),
        Cell(shortened(clean(one.first.get("sql", "")), room), "code"),
        Cell("nothing" if effect == FREE else effect, f"effect {effect.replace(' ', '-')}"),
        Cell("\n".join(_locks(one.first)) or "none", note=clean(unseen or "")),
        Cell("\n".join(_work(one)) or "catalogue only"),
        Cell(
            took(sum(one.seconds)), "number", f"{times:,} times, at most {took(max(one.seconds))}" if times > 1 else ""
        ),
        Cell(took(longest) if longest else "none", "number"),
    ]


def _locks(statement: Mapping[str, Any]) -> list[str]:
    locks = [clean(f"{table}: {lock}") for table, lock in (statement.get("locks") or {}).items()]
    more = len(locks) - MOST_LOCKS
    return [*locks[:MOST_LOCKS], f"and {more} more"] if more > 0 else locks


def _work(one: Statements) -> Iterator[str]:
    yield from (clean(f"rewrites {table}") for table in one.first.get("rewrote") or ())
    yield from (clean(f"builds {index}") for index in one.first.get("built") or ())
    for table, rows in (one.first.get("scanned") or {}).items():
        # 1 is a scan of which the rows are not known.
        yield clean(f"scans {table}" + (f" ({counted(rows)})" if rows > 1 else ""))
    if one.rows:
        yield f"writes {counted(one.rows)}"
    if one.wal_bytes:
        yield f"{size_text(one.wal_bytes)} of log (WAL)"


def _revisions(rehearsal: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one if isinstance(one, Mapping) else {"revision": one} for one in rehearsal.get("revisions") or ()]


# The tables of the database, the traffic ------------------------------------------------------------------------


def requests_table(rehearsal: Mapping[str, Any], timeline: Timeline | None) -> Table | None:
    """Return how long the upgrade blocked each table, and how long its requests took in each phase."""
    traffic = rehearsal.get("traffic") or {}
    phases = [phase for phase in PHASES if traffic.get(phase)]
    lanes = {lane.name: lane for lane in timeline.lanes} if timeline else {}
    names = dict.fromkeys([*lanes, *(name for phase in phases for name in traffic[phase])])
    if not names:
        return None
    ordered = sorted(names, key=lambda name: lanes[name].weight if name in lanes else (0, 0.0), reverse=True)
    heads = ["Table", "Rows", "Blocked by the upgrade", *(TITLES.get(phase, phase) for phase in phases)]
    return Table(
        "How long the requests took: the 99th percentile, and the slowest",
        heads,
        [_table_row(name, lanes.get(name), rehearsal, phases) for name in ordered[:MOST_TABLES]],
        f"{len(ordered) - MOST_TABLES:,} more tables, blocked less, are left out."
        if len(ordered) > MOST_TABLES
        else "",
    )


def _table_row(name: str, lane: Lane | None, rehearsal: Mapping[str, Any], phases: Iterable[str]) -> list[Cell]:
    rows = ((rehearsal.get("copy") or {}).get("rows") or {}).get(name)
    effect = lane.effect if lane else FREE
    measured = [(rehearsal["traffic"].get(phase) or {}).get(name) or {} for phase in phases]
    return [
        Cell(clean(name), "code"),
        Cell(f"{rows:,}" if rows is not None else "not known", "number"),
        Cell(_blocked(lane), f"effect {effect.replace(' ', '-')}"),
        *(_latency(one) for one in measured),
    ]


def _blocked(lane: Lane | None) -> str:
    if lane is None or lane.effect == FREE:
        return "no"
    waits = [f"{effect} {took(lane.seconds(effect))}" for effect in (ALL_WAIT, WRITES_WAIT) if lane.seconds(effect)]
    return ", ".join(waits) or "briefly"


def _latency(phase: Mapping[str, Any]) -> Cell:
    if not phase.get("count"):
        return Cell("none", "number")
    return Cell(took(phase["p99"]), "number", f"slowest {took(phase['longest'])}")


def errors_table(rehearsal: Mapping[str, Any]) -> Table | None:
    """Return the errors that the application would see."""
    errors = (rehearsal.get("traffic") or {}).get("errors") or ()
    rows = [
        [
            Cell(clean(error.get("table", "")), "code"),
            Cell(shortened(clean(error.get("message", "")), 500)),
            Cell(shortened(clean(error.get("code") or ""), 12), "code number"),
            Cell(f"{error.get('count', 1):,}", "number"),
            Cell(shortened(clean(error.get("sql", "")), 500), "code"),
        ]
        for error in errors
    ]
    return Table("Requests that failed", ("Table", "Error", "Code", "Times", "Statement"), rows) if rows else None


def lost_table(rehearsal: Mapping[str, Any]) -> Table | None:
    """Return the first of the acknowledged writes that are not in the tables."""
    keys = ("table", "key", "column", "expected", "found")
    lost = (rehearsal.get("traffic") or {}).get("lost_rows") or ()
    rows = [[Cell(_value(one.get(key)), "code") for key in keys] for one in lost]
    return Table("Acknowledged writes that were lost", [key.capitalize() for key in keys], rows) if rows else None


def _value(value: object) -> str:
    return "none" if value is None else shortened(clean(value), 200)


def production_table(rehearsal: Mapping[str, Any]) -> Table | None:
    """Return how long each revision takes with production's rows."""
    sizes = rehearsal.get("at_production_size") or {}
    here = {str(one.get("revision")): float(one.get("seconds") or 0) for one in _revisions(rehearsal)}
    rows = [
        [
            Cell(clean(revision), "code"),
            Cell(took(here[revision]) if here.get(revision) else "not known", "number"),
            Cell(f"{size['rows']:,}" if size.get("rows") is not None else "not known", "number"),
            Cell(between(size["low"], size["high"]), "number"),
        ]
        for revision, size in sizes.items()
        if isinstance(size, Mapping) and "low" in size
    ]
    heads = ("Revision", "In this rehearsal", "Rows in production", "Time in production")
    return Table("Time at production's size", heads, rows) if rows else None
