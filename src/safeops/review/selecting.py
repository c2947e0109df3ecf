"""Which revisions are reviewed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alembic.script import Script
from alembic.util import CommandError

from safeops.review.offline import Environment
from safeops.runner.revisions import no_such_revision


@dataclass(frozen=True)
class Selection:
    """The revisions of a review.

    Args:
        scripts: The revisions, the oldest first.
        together: They are deployed together: a table that one of them makes is new to the others.
    """

    scripts: tuple[Script, ...]
    together: bool


def select(
    environment: Environment, what: Sequence[str], *, since: str | None = None, all_revisions: bool = False
) -> Selection:
    """Return the revisions that are named, those after one, or all."""
    script = environment.script
    try:
        wanted = {script.get_revision(name).revision for name in what}
        old = {one.revision for one in script.iterate_revisions(since, "base")} if since else set()
    except CommandError as error:
        raise no_such_revision("There is no such revision", error) from error
    known = [one for one in reversed(list(script.walk_revisions())) if one.revision not in old]
    return Selection(tuple(one for one in known if not what or one.revision in wanted), not all_revisions)
