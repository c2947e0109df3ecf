"""What a forecast tells: each call of a revision, and what it would do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from safeops.errors import SafeOpsError

SKIP, RUN, UNKNOWN = "skip", "run", "unknown"
INFINITIVES = {
    "added": "add",
    "attached": "attach",
    "brought": "bring",
    "built": "build",
    "changed": "change",
    "checked": "check",
    "commented": "comment",
    "completed": "complete",
    "copied": "copy",
    "created": "create",
    "dropped": "drop",
    "enforced": "enforce",
    "exchanged": "exchange",
    "filled": "fill",
    "forgot": "forget",
    "gave": "give",
    "kept": "keep",
    "looked": "look",
    "made": "make",
    "moved": "move",
    "noted": "note",
    "put": "put",
    "removed": "remove",
    "renamed": "rename",
    "replaced": "replace",
    "set": "set",
    "took": "take",
    "untied": "untie",
    "validated": "validate",
    "finished": "finish",
    "renewed": "renew",
}
"""The first words of what steps do. What begins with another one tells what is true afterwards."""


@dataclass(frozen=True)
class Deed:
    """What would be done, as one statement or as many that belong together.

    Args:
        does: What would be true afterwards, as a step tells it: "added column users.email".
        locks: What it locks.
        blocks: What of the application that holds up.
        rows: The rows that it reads, writes or loses.
        size: The bytes of those.
        seconds: How long it would take, where that is known.
        loses: It drops what nobody gives back.
    """

    does: str
    locks: str | None = None
    blocks: str | None = None
    rows: int | None = None
    size: int | None = None
    seconds: float | None = None
    loses: bool = False

    @property
    def told(self) -> str:
        does = self.does.replace("(rebuilt ", "(rebuild ")
        first, _, rest = does.partition(" ")
        return (f"{INFINITIVES[first]} {rest}" if first in INFINITIVES else f"see to it that {does}") + self._measured()

    def _measured(self) -> str:
        if self.does.startswith("filled "):
            return ""
        if self.rows == 0:
            return " with no rows" if self.loses else ""
        found = [f"about {counted(self.rows)}"] if self.rows else []
        found += [spelled_size(self.size)] if self.size is not None else []
        return f" {'with' if self.loses else 'over'} {', '.join(found)}" if found else ""


@dataclass(frozen=True)
class Foretold:
    """One call of a revision: what it would do."""

    helper: str
    target: str | None
    action: str
    detail: str
    locks: str | None = None
    blocks: str | None = None
    rows: int | None = None
    seconds: float | None = None
    loses: bool = field(default=False, repr=False)
    table: str | None = field(default=None, repr=False)
    refusal: SafeOpsError | None = field(default=None, repr=False, compare=False)
    """The error that it is certain to end in; None if it may go well, or a step before it may change that."""
    ends: bool = field(default=False, repr=False)
    """The revision ended here while it was planned: what it would do from here on is not known."""

    def as_json(self) -> dict[str, Any]:
        names = ("helper", "target", "action", "detail", "locks", "blocks", "rows", "seconds")
        return {name: getattr(self, name) for name in names}


def summary(error: BaseException) -> str:
    """Return the first line of an error, and its number."""
    if isinstance(error, SafeOpsError):
        problem = " ".join(error.problem.split("\n")[: 3 if error.problem.splitlines()[0].endswith(":") else 1])
        return f"{' '.join(problem.split())} [{error.number}]"
    said = str(getattr(error, "orig", None) or error).strip()
    first = said.splitlines()[0] if said else ""
    return first if getattr(error, "orig", None) is not None else f"{type(error).__name__}: {first}".rstrip(": ")


def counted(rows: int) -> str:
    return f"{rows:,} row{'' if rows == 1 else 's'}"


def spelled_size(size: float) -> str:
    """Write a number of bytes for people."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit in ("bytes", "kB") or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TB"
