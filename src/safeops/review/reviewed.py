"""The result of a review by revision, and its exit status."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safeops.judging.finding import BRIEF, UNSAFE, Finding
from safeops.judging.sent import Place
from safeops.runner.revision_run import ATTENTION, DONE, PENDING, Result

UNSEEN = "unseen"
"""The rule for unknown effects, and the rung on which nothing of a revision was seen."""


@dataclass(frozen=True)
class Accepted:
    """An accepted finding.

    Args:
        finding: What was found.
        by: "comment", "assured" or "baseline".
        reason: The reason; empty for a baseline.
    """

    finding: Finding
    by: str
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        return {**note_as_json(self.finding), "by": self.by, "reason": self.reason}


@dataclass(frozen=True)
class ReviewedRevision:
    """What was found in a revision.

    Args:
        revision: The revision.
        file: Its file.
        message: The first line of its docstring.
        seen: On which rung it was seen: "offline", "live", "scratch" or "unseen".
        findings: What is unsafe, and what is brief, by line.
        notes: What is worth knowing.
        accepted: What was found, and is accepted.
    """

    revision: str
    file: str
    message: str = ""
    seen: str = "offline"
    findings: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()
    accepted: tuple[Accepted, ...] = ()

    @property
    def all(self) -> tuple[Finding, ...]:
        """What is not accepted, notes last."""
        return (*self.findings, *self.notes)

    def as_json(self) -> dict[str, Any]:
        return {
            "revision": self.revision,
            "file": shown_path(self.file),
            "message": self.message,
            "seen": self.seen,
            "findings": [finding_as_json(finding) for finding in self.findings],
            "notes": [note_as_json(note) for note in self.notes],
            "accepted": [accepted.as_json() for accepted in self.accepted],
        }


@dataclass(frozen=True)
class Reviewed(Result):
    """What a review found.

    Args:
        revisions: The revisions that were reviewed, the oldest first.
        database: What they were judged for, as "PostgreSQL 18".
        remarks: Remarks about the review itself, such as a rung that was not available.
    """

    revisions: tuple[ReviewedRevision, ...]
    database: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is unsafe or brief, in all revisions."""
        return tuple(finding for revision in self.revisions for finding in revision.findings)

    @property
    def exit_status(self) -> int:
        unsafe = [finding for finding in self.findings if finding.verdict == UNSAFE]
        if any(finding.rule != UNSEEN for finding in unsafe):
            return PENDING
        return ATTENTION if unsafe else DONE

    def as_json(self) -> dict[str, Any]:
        return {
            "database": self.database,
            "revisions": [revision.as_json() for revision in self.revisions],
            "remarks": list(self.remarks),
        }

    def count(self, verdict: str) -> int:
        """Return how many findings have a verdict; unknown effects do not count as unsafe."""
        return sum(finding.verdict == verdict and finding.rule != UNSEEN for finding in self.findings)

    def summary(self) -> str:
        """Return what was found, in one line."""
        accepted = sum(len(revision.accepted) for revision in self.revisions)
        notes = sum(len(revision.notes) for revision in self.revisions)
        unseen = sum(finding.rule == UNSEEN for finding in self.findings)
        outcome = ", ".join(
            part
            for part in (
                _counted(self.count(UNSAFE), "unsafe"),
                _counted(unseen, "not seen"),
                _counted(self.count(BRIEF), "brief"),
                _counted(notes, "note" if notes == 1 else "notes"),
                _counted(accepted, "accepted"),
            )
            if part
        )
        number = len(self.revisions)
        return f"{number} revision{'' if number == 1 else 's'}: {outcome or 'all well'}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number else ""


# As JSON --------------------------------------------------------------------------------------------------------


def finding_as_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as the object of ``--json``."""
    return {
        "rule": finding.rule,
        "verdict": finding.verdict,
        "line": line_of(finding),
        "statement": finding.statement,
        "table": finding.table,
        "lock": finding.lock,
        "work": finding.work,
        "blocks": finding.blocks,
        "rows": finding.rows,
        "seconds": finding.seconds,
        "known_from": finding.known_from,
        "seen": finding.seen,
        "why": finding.why,
        "replacement": finding.replacement,
        "replacement_downgrade": finding.replacement_downgrade,
        "advice": finding.advice,
        "tried": finding.tried,
    }


def note_as_json(finding: Finding) -> dict[str, Any]:
    """Return a note as the object of ``--json``."""
    return {
        "rule": finding.rule,
        "line": line_of(finding),
        "statement": finding.statement,
        "table": finding.table,
        "why": finding.why,
    }


def line_of(finding: Finding) -> int | None:
    """Return the line of a finding; None if it is about a revision as a whole."""
    return finding.place.line if finding.place is not None else None


# Places ---------------------------------------------------------------------------------------------------------


def place_of(revision: ReviewedRevision, finding: Finding) -> Place:
    """Return the line to show a finding at; the first one of its revision if it has none."""
    return finding.place or Place(revision.file, 1)


def shown_path(file: str) -> str:
    """Return a path relative to the working directory, if it is below it."""
    return _below(Path(file), Path.cwd())


def path_in_repository(file: str) -> str:
    """Return a path relative to the root of its repository, as the pages of a pull request name it."""
    path = Path(file).absolute()
    return _below(path, next((folder for folder in path.parents if (folder / ".git").exists()), Path.cwd()))


def _below(path: Path, folder: Path) -> str:
    try:
        return path.absolute().relative_to(folder).as_posix()
    except ValueError:
        return path.as_posix()


def by_line(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings in the order of their lines; those without a line come first."""
    return tuple(sorted(findings, key=lambda finding: line_of(finding) or 0))
