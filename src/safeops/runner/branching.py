"""The newest revisions of a project, and the one that brings several of them together."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory

from safeops.errors import NotReady, SafeOpsError
from safeops.runner.loading import scripts_of
from safeops.runner.pending import Pending

MERGE = "Merge them: safeops heads --merge. If they are meant to stay apart, give each a branch label of its own."


def heads(config: Config) -> list[Pending]:
    """Return the newest revisions that there are files for; no database is asked."""
    script = scripts_of(config)
    found = [script.get_revision(one) for one in sorted(script.get_heads())]
    return [Pending(one.revision, one.doc or "") for one in found]


def stay_apart(script: ScriptDirectory) -> bool:
    """Tell whether there are several heads, each with a branch label that no other has."""
    found = [script.get_revision(one).branch_labels for one in script.get_heads()]
    return len(found) > 1 and all(one.difference(*(it for it in found if it is not one)) for one in found)


def merge(config: Config, message: str | None = None) -> Path | None:
    """Write the revision that merges all heads; None where there are no two.

    Args:
        config: The configuration of the project.
        message: Its message; by default which revisions it merges.
    """
    script = scripts_of(config)
    found = sorted(script.get_heads())
    if len(found) < 2:
        return None
    if stay_apart(script):
        raise NotReady(
            f"The heads {', '.join(found)} have branch labels of their own: they are meant to stay apart.",
            why="Merging them would end the branches.",
            remedy="Upgrade all of them; to end the branches all the same, write the revision by Alembic:",
            code="safeops upgrade heads\nalembic merge heads",
        )
    template = Path(script.dir) / "script.py.mako"
    if not template.is_file():
        raise SafeOpsError(
            f"There is no file {template}, of which a revision is made.",
            remedy="Get it back, or have a new one written:",
            code="safeops init",
        )
    # Alembic prints what it does.
    with redirect_stdout(io.StringIO()):
        made = command.merge(config, found, message=message or f"merge {' and '.join(found)}")
    assert isinstance(made, Script)
    return Path(made.path)
