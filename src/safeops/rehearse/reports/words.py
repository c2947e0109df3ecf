"""The parts of a rehearsal in words, the same in each report for people; they are read from its JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from safeops.planned import counted, size_text
from safeops.rehearse.impact import FREE
from safeops.rehearse.projection import Projected, duration_text

Report = Mapping[str, Any]
"""The JSON of a rehearsal."""
NOTICED = 0.1
"""Seconds: a faster statement that blocks nothing is only counted."""
MOST = 20
"""Statements of a revision that are shown."""
PHASES = ("before", "during", "after", "back")


def copy_text(report: Report) -> str:
    """Describe the copy."""
    copy = report["copy"]
    kinds = {"filled": "filled", "backup": "restored from a backup", "as is": "as it was"}
    tables, rows = len(copy["rows"]), sum(copy["rows"].values())
    kind = kinds.get(copy["kind"], copy["kind"])
    return f"{report['server']}, {tables} table{'' if tables == 1 else 's'} with {counted(rows)}, {kind}"


def statements_of(report: Report, revision: str) -> tuple[list[Mapping[str, Any]], int]:
    """Return the statements of a revision that are worth showing, in order, and how many others there are."""
    own = [one for one in report["statements"] if one["revision"] == revision and one["direction"] == "up"]
    noticed = [
        one for one in own if one["effect"] != FREE or one["seconds"] >= NOTICED or one["longest_wait"] >= NOTICED
    ]
    worst = sorted(noticed, key=lambda one: -max(one["longest_wait"], one["seconds"]))[:MOST]
    return [one for one in own if one in worst], len(own) - len(worst)


def work_text(statement: Mapping[str, Any]) -> str:
    """Return what a statement rewrote, built and read."""
    parts = [f"{word} {' and '.join(names)}" for word, names in _work(statement) if names]
    if statement.get("wal_bytes"):
        parts.append(f"{size_text(statement['wal_bytes'])} of WAL")
    return ", ".join(parts)


def _work(statement: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    yield "rewrote", list(statement.get("rewrote") or ())
    yield "built an index of", list(statement.get("built") or ())
    yield "scanned", [table for table in statement.get("scanned") or () if table not in statement.get("rewrote", ())]


def traffic_text(report: Report) -> str:
    """Return what the traffic did, in one line."""
    traffic = report["traffic"]
    if traffic is None:
        return "none"
    errors = sum(error["count"] for error in traffic["errors"])
    done = f"{traffic['reads']:,} reads and {traffic['writes']:,} writes"
    lost = f"{traffic['lost']:,} acknowledged writes lost" if traffic["compared_rows"] else "no writes compared"
    return f"{done}; {errors:,} failed, {lost}"


def others_text(others: int, shown: int) -> str:
    """Count the statements that are not shown; empty if there are none."""
    if not others:
        return ""
    return f"{others} {'more ' if shown else ''}{'statement blocks' if others == 1 else 'statements block'} nothing"


def latencies(report: Report) -> Iterator[tuple[str, list[tuple[str, float, float]]]]:
    """Yield for each table with traffic: phase, 99th percentile and the longest statement, in seconds."""
    traffic = report["traffic"] or {}
    tables = dict.fromkeys(table for phase in PHASES for table in traffic.get(phase, {}))
    for table in tables:
        known = [(phase, traffic[phase][table]) for phase in PHASES if table in traffic.get(phase, {})]
        yield table, [(phase, figures["p99"], figures["longest"]) for phase, figures in known]


def back_text(report: Report) -> str:
    """Return what the downgrade did, in one line."""
    back = report["back"]
    if back is None:
        return "not tried"
    if back["why"]:
        return f"{'none, as declared' if back['irreversible'] else 'none'}: {back['why']}"
    how = {True: "as before", False: "not as before", None: "not compared"}
    parts = [f"{name} {how[back[key]]}" for name, key in (("schema", "same_schema"), ("rows", "same_rows"))]
    again = {True: "; the upgrade, run again, leads to the same schema", False: "; the upgrade, run again, does not"}
    return f"{', '.join(parts)}{again.get(back['again_same'], '')}; {duration_text(back['seconds'])}"


def production_rows(report: Report) -> Iterator[tuple[str, str, str]]:
    """Yield for each revision how long it took here, and how long it would take with the rows of production."""
    for one in report["revisions"]:
        projected = (report["at_production_size"] or {}).get(one["revision"])
        if projected is not None:
            text = f"{Projected(**projected)} with {counted(projected['rows'])}"
            yield one["revision"], duration_text(one["seconds"]), text
