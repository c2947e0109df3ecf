"""A review as a GitLab code quality report, which shows findings in a merge request.

https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from __future__ import annotations

import json
from typing import Any

from safeops.judging.finding import BRIEF, NOTE, UNSAFE, Finding
from safeops.review.baseline import fingerprints
from safeops.review.reports.words import with_instead
from safeops.review.reviewed import Reviewed, ReviewedRevision, path_in_repository, place_of

SEVERITIES = {UNSAFE: "critical", BRIEF: "minor", NOTE: "info"}


def render(reviewed: Reviewed) -> str:
    issues = [
        _issue(revision, finding, fingerprint)
        for revision in reviewed.revisions
        for finding, fingerprint in fingerprints(revision.revision, revision.all)
    ]
    return json.dumps(issues, indent=2, ensure_ascii=False)


def _issue(revision: ReviewedRevision, finding: Finding, fingerprint: str) -> dict[str, Any]:
    place = place_of(revision, finding)
    return {
        "description": f"{finding.rule}: {with_instead(finding)}",
        "check_name": f"safeops/{finding.rule}",
        "fingerprint": fingerprint,
        "severity": SEVERITIES[finding.verdict],
        "location": {"path": path_in_repository(place.file), "lines": {"begin": place.line}},
    }
