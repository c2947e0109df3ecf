"""The newest revisions of a project, and the one that brings several of them together."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import Script

from safeops.runner.loading import scripts_of
from safeops.runner.pending import Pending


def heads(config: Config) -> list[Pending]:
    """Return the newest revisions that there are files for; no database is asked."""
    script = scripts_of(config)
    found = [script.get_revision(one) for one in sorted(script.get_heads())]
    return [Pending(one.revision, one.doc or "") for one in found]


def merge(config: Config, message: str | None = None) -> Path | None:
    """Write the revision that merges all heads; None where there are no two.

    Args:
        config: The configuration of the project.
        message: Its message; by default which revisions it merges.
    """
    found = [one.revision for one in heads(config)]
    if len(found) < 2:
        return None
    # Alembic prints what it does.
    with redirect_stdout(io.StringIO()):
        made = command.merge(config, found, message=message or f"merge {' and '.join(found)}")
    assert isinstance(made, Script)
    return Path(made.path)
