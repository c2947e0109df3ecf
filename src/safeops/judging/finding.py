"""A finding and its verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from safeops.judging.operations import Operation
from safeops.judging.sent import Place, Sent

UNSAFE, BRIEF, NOTE = "unsafe", "brief", "note"
"""Blocks, breaks or loses; takes a strong lock for milliseconds; is worth knowing, and fails no pipeline."""


@dataclass(frozen=True)
class Finding:
    """One statement of a revision, and what is wrong with it.

    Args:
        rule: The name of its rule, such as "index-blocks-writes"; see ``rules``.
        verdict: "unsafe", "brief" or "note".
        why: The effect on production and the reason, in one or two sentences.
        place: The line of the revision.
        statement: Its SQL in one line.
        table: The table with its schema if that is known.
        lock: The lock as the server names it.
        work: The work under the lock, as named in ``truths.py``.
        blocks: "reads and writes", "writes", "writes to those rows" or "nothing".
        rows: How many rows the table, or the statement, has; None if that is not known.
        seconds: How long that takes, estimated; None if it is not known.
        known_from: The source of the size: "the live database", "stats.json", "assumed".
        replacement: The call of safeops to write instead.
        replacement_downgrade: Its inverse.
        advice: What to know about the replacement, or what to do if there is none.
        tried: The result of the replacement on a scratch copy: "same", "differs" or "failed"; None if it was not tried.
        seen: The rung that saw it.
        operation: What it does.
        sent: What was sent.
    """

    rule: str
    verdict: str
    why: str
    place: Place | None = None
    statement: str = ""
    table: str | None = None
    lock: str | None = None
    work: str | None = None
    blocks: str = "nothing"
    rows: int | None = None
    seconds: float | None = None
    known_from: str = "assumed"
    replacement: str | None = None
    replacement_downgrade: str | None = None
    advice: str = ""
    tried: str | None = None
    seen: str = "offline"
    operation: Operation | None = field(default=None, repr=False, compare=False)
    sent: Sent | None = field(default=None, repr=False, compare=False)

    def with_(self, **changes: Any) -> Finding:
        return replace(self, **changes)


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings with those of a loop as one: the last of each rule, line and table."""
    last = {(finding.rule, finding.place, finding.table, finding.verdict): finding for finding in findings}
    return list(last.values())
