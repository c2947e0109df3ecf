"""Rehearse runs the pending revisions on a copy of the database, under traffic, and reports what they would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeops.homes import on_demand

if TYPE_CHECKING:
    from safeops.rehearse.rehearsal import rehearse
    from safeops.rehearse.result import Rehearsal
    from safeops.rehearse.statement import TracedStatement
    from safeops.rehearse.tracing import Traced, TracedRevision, trace
    from safeops.rehearse.verdict import Missed, Verdict
    from safeops.rehearse.way_back import Back

__all__ = [
    "Back",
    "Missed",
    "Rehearsal",
    "Traced",
    "TracedRevision",
    "TracedStatement",
    "Verdict",
    "rehearse",
    "trace",
]

# Loaded when first used: the process of the traffic pays for none of it.
_HOMES = {
    "Back": "safeops.rehearse.way_back",
    "Missed": "safeops.rehearse.verdict",
    "Rehearsal": "safeops.rehearse.result",
    "Traced": "safeops.rehearse.tracing",
    "TracedRevision": "safeops.rehearse.tracing",
    "TracedStatement": "safeops.rehearse.statement",
    "Verdict": "safeops.rehearse.verdict",
    "rehearse": "safeops.rehearse.rehearsal",
    "trace": "safeops.rehearse.tracing",
}
__getattr__ = on_demand(__name__, _HOMES)
