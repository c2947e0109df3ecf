"""Accepted findings: by a comment, by ``assured(...)``, or by a baseline."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from safeops.judging.finding import NOTE, UNSAFE, Finding
from safeops.review.allowed import Allowed
from safeops.review.baseline import Key, key_of
from safeops.review.reviewed import Accepted, ReviewedRevision, by_line


class Acceptance:
    """Separates accepted findings from the others.

    Args:
        rules: The names of the rules.
        baseline: The findings that a baseline accepts.
    """

    def __init__(self, rules: Collection[str], baseline: Collection[Key] = ()) -> None:
        self._rules, self._baseline = rules, baseline
        self._comments: dict[str, Allowed] = {}

    def applied(self, revision: ReviewedRevision, findings: Iterable[Finding], *, complete: bool) -> ReviewedRevision:
        """Return a revision with its findings, and with the accepted ones.

        Args:
            revision: The revision.
            findings: Its findings, with notes.
            complete: Whether all its statements were judged.
        """
        open_, accepted = [], []
        for finding in findings:
            by = self._accepted(revision.revision, finding)
            if by is None:
                open_.append(finding)
            else:
                accepted.append(by)
        notes = [finding for finding in open_ if finding.verdict == NOTE]
        notes += self._allowed(revision.file).notes(self._rules, complete=complete)
        return replace(
            revision,
            findings=by_line(finding for finding in open_ if finding.verdict != NOTE),
            notes=by_line(notes),
            accepted=tuple(accepted),
        )

    def _accepted(self, revision: str, finding: Finding) -> Accepted | None:
        assured = finding.sent.assured if finding.sent is not None else None
        place = finding.place
        comment = self._allowed(place.file).reason_for(finding.rule, place.line) if place is not None else None
        if comment is not None:
            return Accepted(finding, "comment", comment)
        if assured is not None:
            return Accepted(finding, "assured", assured)
        known = finding.verdict == UNSAFE and key_of(revision, finding) in self._baseline
        return Accepted(finding, "baseline") if known else None

    def _allowed(self, file: str) -> Allowed:
        return self._comments.setdefault(file, Allowed(file))
