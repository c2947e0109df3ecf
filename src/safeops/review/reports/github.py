"""A review as GitHub workflow commands, which annotate the lines of a pull request.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterator

from safeops.judging.finding import BRIEF, NOTE, UNSAFE
from safeops.review.reports.words import with_instead
from safeops.review.reviewed import Reviewed, path_in_repository, place_of

LEVELS = {UNSAFE: "error", BRIEF: "notice", NOTE: "notice"}


def render(reviewed: Reviewed) -> str:
    return "\n".join([*commands(reviewed), reviewed.summary()])


def commands(reviewed: Reviewed) -> Iterator[str]:
    """Yield a command for each finding."""
    for revision in reviewed.revisions:
        for finding in revision.all:
            place = place_of(revision, finding)
            yield command(
                LEVELS[finding.verdict],
                with_instead(finding),
                title=f"{finding.verdict}: {finding.rule}",
                file=path_in_repository(place.file),
                line=place.line,
            )


def command(level: str, message: str, *, title: str, file: str | None = None, line: int | None = None) -> str:
    """Return a command that shows a message."""
    place = f"file={_property(file)},line={line or 1}," if file else ""
    return f"::{level} {place}title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
