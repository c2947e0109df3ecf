"""Tables of the report: their cells in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from safeops.rehearse.impact import ALL_WAIT, FREE, WRITES_WAIT
from safeops.rehearse.reports.timeline import Lane, Timeline, numbers_of
from safeops.rehearse.reports.wording import between, clean, shortened, took

MOST_TABLES, MOST_WAITS = 200, 20
"""The most that the page lists."""
PHASES = ("before", "during", "after", "back")
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


def revisions_of(rehearsal: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what is known of each revision."""
    return [one if isinstance(one, Mapping) else {"revision": one} for one in rehearsal.get("revisions") or ()]


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
    known = (rehearsal.get("copy") or {}).get("rows") or {}
    rows = known.get(name, known.get(name.rpartition(".")[2]))
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


def waits_table(rehearsal: Mapping[str, Any]) -> Table | None:
    """Return who waited longest for a lock, and behind which statement."""
    waits = sorted(rehearsal.get("waits") or (), key=lambda wait: wait.get("seconds") or 0, reverse=True)
    numbers = list(numbers_of(rehearsal.get("statements") or ()))
    rows = [
        [
            Cell(clean(wait.get("table") or "a row"), "code"),
            Cell(took(wait.get("seconds") or 0), "number"),
            Cell(clean(wait.get("lock") or ""), "lock"),
            Cell(_behind(wait, numbers), "number" if wait.get("statement") is not None else "code"),
            Cell(shortened(clean(wait.get("who") or ""), 300), "code"),
        ]
        for wait in waits[:MOST_WAITS]
    ]
    more = len(waits) - len(rows)
    heads = ("Table", "Waited", "For lock", "Behind", "Who waited")
    return (
        Table("Waits for locks", heads, rows, f"{more:,} shorter waits are left out." if more else "") if rows else None
    )


def _behind(wait: Mapping[str, Any], numbers: Sequence[int]) -> str:
    place = wait.get("statement")
    if place is not None and place < len(numbers):
        return f"statement {numbers[place]}"
    return shortened(clean(wait.get("behind") or "not known"), 200)


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
    keys = ("table", "key", "what", "column", "expected", "found")
    lost = (rehearsal.get("traffic") or {}).get("lost_rows") or ()
    rows = [[Cell(_value(one.get(key)), "code") for key in keys] for one in lost]
    return Table("Acknowledged writes that were lost", [key.capitalize() for key in keys], rows) if rows else None


def _value(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
    return "none" if text is None else shortened(clean(text), 200)


def production_table(rehearsal: Mapping[str, Any]) -> Table | None:
    """Return how long each revision takes with production's rows."""
    sizes = rehearsal.get("at_production_size") or {}
    here = {str(one.get("revision")): float(one.get("seconds") or 0) for one in revisions_of(rehearsal)}
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
