"""What a plan reports: each call of a revision, what it would do, which locks it takes, and what exists after it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from safeops.errors import SafeOpsError
from safeops.naming import Name

NOTHING, WRITES, ALL, ROWS = "nothing", "writes", "reads and writes", "writes to those rows"
"""What a lock can block."""
BRIEFLY, LONG = "briefly", "for as long as it takes"


@dataclass(frozen=True)
class Lock:
    """A lock on a table by its name in the database, and what of the application it blocks for how long."""

    name: str | None
    blocked: str = NOTHING
    duration: str = ""

    @property
    def blocks(self) -> str:
        return f"{self.blocked}, {self.duration}" if self.duration else self.blocked

    def for_long(self) -> Lock:
        return replace(self, duration=LONG)


NO_LOCK = Lock(None)
"""The lock of a step that locks no table."""


@dataclass(frozen=True)
class Effect:
    """What exists after a step and not before: a table, a type, or with ``column`` a column of a table."""

    name: Name
    column: str | None = None


SKIP, RUN, UNKNOWN = "skip", "run", "unknown"
_VERBS = """
added:add attached:attach brought:bring built:build changed:change checked:check commented:comment completed:complete
copied:copy created:create deleted:delete detached:detach discarded:discard dropped:drop enforced:enforce
exchanged:exchange filled:fill finished:finish gave:give granted:grant kept:keep looked:look made:make
moved:move noted:note put:put ran:run read:read rebuilt:rebuild recorded:record released:release removed:remove
renamed:rename renewed:renew replaced:replace restored:restore reverted:revert revoked:revoke saved:save set:set
started:start stopped:stop swapped:swap took:take untied:untie updated:update validated:validate
"""
INFINITIVES = dict(pair.split(":") for pair in _VERBS.split())
"""The past tenses with which step texts begin, and their infinitives."""


def infinitive(does: str) -> str:
    """Return a step text as what is left to do: "add column users.x" for "added column users.x"."""
    first, _, rest = does.partition(" ")
    return f"{INFINITIVES[first]} {rest}" if first in INFINITIVES else f"complete this step: {does}"


def could_not(does: str) -> str:
    """Return how a message about a failed step begins: "Could not add column users.x"."""
    return f"Could not {infinitive(does)}"


@dataclass(frozen=True)
class PlannedStatement:
    """What would be done, as one statement or as many that belong together.

    Args:
        does: What would be true afterwards, as the text of a step: "added column users.email".
        lock: How it locks its tables.
        tables: The tables that it locks.
        rows: The rows that it reads, writes or loses.
        size: The bytes of those.
        seconds: How long it would take, if that is known.
        loses: It drops or overwrites what cannot be restored.
        rewrites: It rewrites or scans the table under its lock.
        effect: What it makes that a later call may need.
        names_rows: What it does names the rows already.
    """

    does: str
    lock: Lock = NO_LOCK
    tables: tuple[Name, ...] = ()
    rows: int | None = None
    size: int | None = None
    seconds: float | None = None
    loses: bool = False
    rewrites: bool = False
    effect: Effect | None = None
    names_rows: bool = False

    @property
    def text(self) -> str:
        return infinitive(self.does.replace("(rebuilt ", "(rebuild ")) + self._measured()

    def _measured(self) -> str:
        if self.names_rows:
            return ""
        if self.rows == 0:
            return " with no rows" if self.loses else ""
        found = [f"about {counted(self.rows)}"] if self.rows else []
        found += [size_text(self.size)] if self.size is not None else []
        return f" {'with' if self.loses else 'over'} {', '.join(found)}" if found else ""


@dataclass(frozen=True)
class RawStatement:
    """What the text of a statement that a revision sends itself shows.

    Args:
        names: The names in it.
        hides: It runs code that its text does not show.
        makes_table: It creates or renames one of the tables that it names.
        loses: It drops or overwrites values.
    """

    names: frozenset[str]
    hides: bool = False
    makes_table: bool = False
    loses: bool = False

    def names_table(self, table: str) -> bool:
        return table.lower() in {name.lower() for name in self.names}


@dataclass(frozen=True)
class PlannedCall:
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
    ends_revision: bool = field(default=False, repr=False)
    """The revision ended here while it was planned: what it would do from here on is not known."""
    table_locks: tuple[tuple[Name, Lock], ...] = field(default=(), repr=False)
    """The tables that it locks, and how, in the order of its steps."""
    rewrites: bool = field(default=False, repr=False)
    """It rewrites or scans a table under its lock."""
    effects: tuple[Effect, ...] = field(default=(), repr=False)
    """What exists after it and not before."""
    needs_earlier: bool = field(default=False, repr=False)
    """It has nothing to do before an earlier call has run."""
    raw: RawStatement | None = field(default=None, repr=False, compare=False)
    """What is known of the statement, if the revision sends one itself."""

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


def size_text(size: float) -> str:
    """Write a number of bytes for people."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit in ("bytes", "kB") or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TB"
