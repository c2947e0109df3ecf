"""Which revisions a database has, and which are still to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alembic.script import ScriptDirectory
from alembic.util import CommandError


@dataclass(frozen=True)
class Pending:
    """A revision that is still to run."""

    revision: str
    message: str


def unknown_revisions(script: ScriptDirectory, current: Sequence[str]) -> list[str]:
    """Return those of the revisions that no file has."""
    return [one for one in current if not _is_known(script, one)]


def pending_revisions(script: ScriptDirectory, current: Sequence[str]) -> list[Pending]:
    """Return what an upgrade to all heads would run, in order; nothing where no file has what the database is at."""
    known = tuple(one for one in current if _is_known(script, one))
    if current and not known:
        return []
    return [described(step) for step in steps_between(script, "heads", known)]


def steps_between(script: ScriptDirectory, revision: str, current: Sequence[str], *, down: bool = False) -> list[Any]:
    """Return the steps that Alembic would take, as its own commands ask for them."""
    between = script._downgrade_revs if down else script._upgrade_revs
    try:
        return list(between(revision, tuple(current)))  # type: ignore[arg-type]
    except AssertionError as error:
        # Alembic does not expect an empty name, or one that leads past the last revision.
        raise CommandError(f"{revision!r} names no revision") from error


def described(step: Any) -> Pending:
    return Pending(step.revision.revision, step.revision.doc or "")


def _is_known(script: ScriptDirectory, revision: str) -> bool:
    try:
        return script.get_revision(revision) is not None
    except CommandError:
        return False
