"""Adds to each finding the result of its replacement on a scratch copy; a replacement that fails there is not shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from alembic.config import Config

from safeops.judging.finding import Finding
from safeops.judging.replacements import Replacement
from safeops.judging.sent import Recording
from safeops.review.reviewed import ReviewedRevision
from safeops.review.trials import Trial, Trials
from safeops.runner.revisions import scripts_of

SAME, DIFFERS, FAILED = "same", "differs", "failed"
SHOWN = 3
"""Lines of a difference that are shown."""


def with_trials(
    config: Config, revisions: Iterable[ReviewedRevision], measured: Mapping[str, Recording], scratch_url: str | None
) -> Iterator[ReviewedRevision]:
    """Yield the revisions with what came of their replacements.

    Args:
        config: The configuration of the project.
        revisions: The revisions, the oldest first.
        measured: What they did on an empty copy.
        scratch_url: An empty database; None makes one on the project's server.
    """
    script = scripts_of(config)
    with Trials(config, scratch_url) as trials:
        for one in revisions:
            asked = [finding for finding in one.findings if finding.replacement and finding.sent is not None]
            recording = measured.get(one.revision)
            if not asked or recording is None:
                yield one
                continue
            written = [(finding.sent, _replacement(finding)) for finding in asked if finding.sent is not None]
            found = trials.tried(script.get_revision(one.revision), recording, written)
            told = {id(finding): _told(finding, trial) for finding, trial in zip(asked, found, strict=True)}
            yield replace(one, findings=tuple(told.get(id(finding), finding) for finding in one.findings))


def _replacement(finding: Finding) -> Replacement:
    return Replacement(finding.replacement or "", finding.replacement_downgrade or "", note=finding.advice)


def _told(finding: Finding, trial: Trial | None) -> Finding:
    if trial is None:
        return finding
    if trial.error is not None:
        why = f"There is no tested replacement: the usual one failed on the scratch copy: {trial.error}"
        return finding.with_(replacement=None, replacement_downgrade=None, tried=FAILED, advice=why)
    if trial.is_same:
        return finding.with_(tried=SAME)
    lines = "; ".join(" ".join(line.split()) for line in trial.differences[:SHOWN])
    # If the author must decide, the advice already states that.
    advice = finding.advice or f"On the scratch copy, the replacement results in a different schema: {lines}"
    return finding.with_(tried=DIFFERS, advice=advice)
