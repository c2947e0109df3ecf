"""Rehearse runs the pending revisions on a copy of the database, under traffic, and reports what they would do."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from safeops.rehearse.statement import TracedStatement
    from safeops.rehearse.tracing import Traced, TracedRevision, trace

__all__ = ["Traced", "TracedRevision", "TracedStatement", "trace"]

# Loaded when first used: the process of the traffic pays for none of it.
_HOMES = {
    "Traced": "safeops.rehearse.tracing",
    "TracedRevision": "safeops.rehearse.tracing",
    "TracedStatement": "safeops.rehearse.statement",
    "trace": "safeops.rehearse.tracing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
