"""Refusals of a revision: the whole text reaches the author, and no file is written."""

from __future__ import annotations

import sys

from alembic.util import CommandError

from safeops.authoring.revisions.requests import NO_FILE
from safeops.errors import InvalidArgument


class RevisionRefused(CommandError):
    """No revision is written, and the command ends with this.

    Alembic answers whatever a template raises by "Template rendering failed; see" a file in the temporary folder. It asks
    the error for its text to write that file: asked there for the first time, the error raises itself, past that answer.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._text: str | None = text
        self._asked = False

    def __str__(self) -> str:
        if not self._asked:
            self._asked = True
            raise self
        return str(self._text)


def refuse_long(revision: str, longest: int) -> None:
    if len(revision) > longest:
        raise InvalidArgument(
            f"The revision id {revision} has {len(revision)} letters; alembic_version.version_num takes {longest}.",
            why="SQLite takes it all the same, PostgreSQL and MariaDB do not: the upgrade would fail there.",
            state=NO_FILE,
            remedy="Give a shorter one, or leave it out; where your version table is wider, say so in script.py.mako:",
            code=f"--rev-id {revision[:longest]}\npage = Page(context, longest_revision_id={len(revision)})",
        )


def refused(error: InvalidArgument, *, by_command: bool) -> RevisionRefused:
    """Show the whole message on a terminal, where Alembic would fill its lines up to one paragraph."""
    if not by_command:
        return RevisionRefused(str(error))
    print(f"\n{error}\n", file=sys.stderr)
    return RevisionRefused(f"{error.problem} {NO_FILE}")
