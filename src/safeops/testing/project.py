"""The project whose revisions are tested, and the revisions in the order in which an upgrade runs them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.script import Script
from alembic.util import CommandError

from safeops import _alembic
from safeops.authoring.project import find_project
from safeops.errors import InvalidArgument
from safeops.review.selection import selected
from safeops.runner.revisions import MERGE, scripts_of, unmerged_heads

LONGEST = 40
"""Alembic's own limit for the part of a file's name that is made from the message."""


@dataclass(frozen=True)
class Revision:
    """A revision of the project.

    Args:
        revision: Its identifier.
        down: The revisions that it follows.
        message: The first line of its docstring.
        path: Its file.
    """

    revision: str
    down: tuple[str, ...]
    message: str
    path: Path

    @property
    def id(self) -> str:
        """What tests call it: the identifier and the message, as in the names of files."""
        slug = "_".join(re.findall(r"\w+", self.message)).lower()
        if len(slug) > LONGEST:
            slug = slug[:LONGEST].rpartition("_")[0]
        return self.revision if not slug or self.revision.endswith(slug) else f"{self.revision}_{slug}"

    def __str__(self) -> str:
        return f"{self.revision} ({self.message})" if self.message else self.revision


class Project:
    """An Alembic project whose revisions can be loaded.

    Args:
        config: Its configuration.

    Raises:
        SafeOpsError: The revisions cannot be loaded, have several heads, or there is no env.py.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.script = scripts_of(config)
        if not (Path(self.script.dir) / "env.py").is_file():
            raise InvalidArgument(
                f"There is no env.py in {self.script.dir}.",
                why="Alembic reaches the database by it.",
                remedy="Check script_location in the configuration, or restore the file.",
            )
        if heads := unmerged_heads(self.script):
            raise InvalidArgument(
                f"The revisions have {len(heads)} heads: {', '.join(heads)}.",
                why="alembic upgrade head fails, and the order of the revisions is not known.",
                remedy=MERGE,
            )

    @classmethod
    def at(cls, path: Path, arguments: Sequence[str] = ()) -> Project:
        """Return the project of a configuration file.

        Args:
            path: alembic.ini, or a pyproject.toml with ``[tool.alembic]``.
            arguments: The values of Alembic's ``-x``, for env.py.
        """
        found = find_project([str(path)], arguments=list(arguments))
        _anchor(found.config, path)
        if not found.config.get_alembic_option("script_location"):
            if (path.parent / "env.py").is_file():
                # Flask-Migrate sets the folder in a program.
                found.config.set_main_option("script_location", str(path.absolute().parent).replace("%", "%%"))
                return cls(found.config)
            raise InvalidArgument(
                f"{path} names no Alembic project: script_location is missing.",
                remedy="Name the configuration of the project:",
                code="pytest --safeops --safeops-config path/to/alembic.ini",
            )
        return cls(found.config)

    @cached_property
    def _ordered(self) -> tuple[Revision, ...]:
        try:
            steps = _alembic.upgrade_steps(self.script, "heads", ())
        except CommandError as error:
            raise InvalidArgument(f"The revisions have no order: {error}.") from error
        return tuple(_revision(step.revision) for step in steps)

    def revisions(self, since: str | None = None) -> tuple[Revision, ...]:
        """Return the revisions, in the order in which ``alembic upgrade heads`` runs them on an empty database.

        Args:
            since: A revision: those that follow it; or a ref of git: those whose files were added or changed since then.
        """
        if since is None:
            return self._ordered
        chosen = {one.revision for one in selected(self.config, since=since).scripts}
        return tuple(one for one in self._ordered if one.revision in chosen)

    def revision(self, name: str) -> Revision:
        """Return the revision that a name means, which may be shortened as for Alembic."""
        try:
            found = self.script.get_revision(name)
        except CommandError as error:
            raise InvalidArgument(f"There is no revision {name}: {error}.") from error
        if found is None:
            raise InvalidArgument(
                f"{name!r} names no revision.", remedy="To list the revisions:", code="alembic history"
            )
        return next(one for one in self._ordered if one.revision == found.revision)


def _revision(script: Any) -> Revision:
    assert isinstance(script, Script)
    message = (script.doc or "").strip().partition("\n")[0]
    return Revision(script.revision, _alembic.parents(script), message, Path(script.path))


def _anchor(config: Config, path: Path) -> None:
    """Have a folder that is relative to the current one be looked for next to the configuration file too."""
    folder = path.absolute().parent
    for option in ("script_location", "version_locations", "prepend_sys_path"):
        value = config.file_config.get(config.config_ini_section, option, fallback=None)
        if value and ":" not in value and not Path(value).exists() and (folder / value).exists():
            config.set_main_option(option, str(folder / value).replace("%", "%%"))
        elif value == "." and folder != Path.cwd():
            config.set_main_option(option, str(folder).replace("%", "%%"))
