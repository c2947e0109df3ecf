"""What a review finds in the revisions that are rehearsed: it knows which call to write instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alembic.config import Config

from safeops.errors import SafeOpsError
from safeops.judging.finding import UNSAFE, Finding
from safeops.review.reviewing import review


def findings_of(config: Config, revisions: Sequence[str]) -> tuple[Mapping[str, Sequence[Finding]], tuple[str, ...]]:
    """Review revisions offline; return the unsafe findings by revision, and why there are none if it was not possible.

    Args:
        config: The configuration of the project, for the copy.
        revisions: The revisions.
    """
    try:
        reviewed = review(config, revisions)
    except SafeOpsError as error:
        return {}, (f"The revisions were not reviewed, so no calls to write instead are shown: {error.problem}",)
    return {
        one.revision: [finding for finding in one.all if finding.verdict == UNSAFE] for one in reviewed.revisions
    }, ()


def finding_of(sql: str, found: Sequence[Finding]) -> Finding | None:
    """Return the finding about a statement; that with a call to write instead, if there are several."""
    same = [one for one in found if one.statement and _plain(one.statement) == _plain(sql)]
    return next((one for one in same if one.replacement), next(iter(same), None))


def _plain(sql: str) -> str:
    return " ".join(sql.split()).rstrip(";")
