"""Rehearse runs the pending revisions on a copy of the database, under traffic, and reports what they would do."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
