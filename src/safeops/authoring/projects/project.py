"""Finds the Alembic project that a command is about, as Alembic itself finds it."""

from __future__ import annotations

import configparser
import os
import shlex
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from safeops.errors import InvalidArgument

DEFAULT_DIRECTORY = "migrations"

_RUNNERS = {"poetry.lock": "poetry run ", "uv.lock": "uv run ", "pdm.lock": "pdm run ", "Pipfile.lock": "pipenv run "}


@dataclass(frozen=True)
class Project:
    """An Alembic project, or the place for a new one."""

    config: Config
    directory: Path
    """Where env.py and versions/ are, or will be."""
    names: tuple[str, ...] = ()
    """The files to give to Alembic's ``-c``; none where Alembic finds them by itself."""
    configured: bool = True
    """A configuration names the directory."""

    @property
    def ini(self) -> Path:
        return Path(self.config.config_file_name or "alembic.ini")

    @property
    def env(self) -> Path:
        return self.directory / "env.py"

    @property
    def runner(self) -> str:
        """What the team types before a command: ``poetry run `` or nothing."""
        folder = self.ini.absolute().parent
        for place in (folder, *folder.parents):
            for lock, runner in _RUNNERS.items():
                if (place / lock).exists():
                    return runner
            if (place / ".git").exists():
                break
        return ""

    @property
    def alembic(self) -> str:
        """The command, as the team types it."""
        return self._typed("alembic")

    @property
    def safeops(self) -> str:
        return self._typed("safeops")

    def _typed(self, program: str) -> str:
        section = self.config.config_ini_section
        options = [*(("-c", name) for name in self.names), *([] if section == "alembic" else [("-n", section)])]
        return " ".join([f"{self.runner}{program}", *map(shlex.join, options)])

    @property
    def is_multidb(self) -> bool:
        """One revision migrates several databases, as in Alembic's template "multidb"."""
        return bool(self.option("databases"))

    def option(self, name: str) -> str | None:
        try:
            return self.config.get_main_option(name)
        except (CommandError, configparser.Error):
            # No such section, or a value that env.py completes: %(DB_PASSWORD)s.
            return None


def find_project(
    names: Sequence[str] | None,
    section: str = "alembic",
    directory: str | None = None,
    arguments: Sequence[str] | None = None,
) -> Project:
    """Return the project that a configuration names, or that stands in a directory, or the place for a new one.

    Args:
        names: What was given to ``-c``: an ini file, a pyproject.toml, or both.
        section: What was given to ``-n``.
        directory: What was given as DIRECTORY.
        arguments: What was given to ``-x``, for env.py.

    Raises:
        InvalidArgument: The configuration names another directory than the one given.
    """
    given = tuple(names or ())
    config = _configuration(given, section)
    if _location(config) is None and directory is not None and not given:
        given = _configuration_near(Path(directory))
        config = _configuration(given, section)
    if _location(config) is None:
        place = Path(directory or DEFAULT_DIRECTORY)
        # Also where a program, and no file, names the directory (Flask-Migrate).
        return Project(config, place, given, configured=(place / "env.py").exists())
    config.cmd_opts = Namespace(x=arguments)
    found = Path(_directory(config))
    if directory is not None and Path(directory).resolve() != found.resolve():
        raise InvalidArgument(
            f"{config.config_file_name} says that the migrations are in {shown(found)}, not in {directory}.",
            remedy="Leave DIRECTORY out, or give the new project a configuration of its own:",
            code=f"python -m safeops -c {directory}.ini init {directory}",
        )
    return Project(config, found, given)


def shown(path: Path) -> str:
    """Spell a path as the reader would: from where they stand, if it is below."""
    try:
        return path.absolute().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()


def _configuration(names: Sequence[str], section: str) -> Config:
    tomls = [name for name in names if Path(name).name == "pyproject.toml"]
    inis = [name for name in names if name not in tomls]
    if len(tomls) > 1 or len(inis) > 1:
        raise InvalidArgument(
            f"-c was given {len(names)} times: {', '.join(names)}.",
            remedy="One ini file and one pyproject.toml at most.",
        )
    toml, ini = "pyproject.toml", "alembic.ini"
    if default := os.environ.get("ALEMBIC_CONFIG"):
        toml, ini = (default, ini) if Path(default).name == "pyproject.toml" else (toml, default)
    return Config(inis[0] if inis else ini, tomls[0] if tomls else toml, ini_section=section)


def _configuration_near(directory: Path) -> tuple[str, ...]:
    """Find the ini file inside or beside a directory, for a project that stands below this one."""
    for place in (directory, directory.parent):
        if (place / "alembic.ini").is_file() and place != Path():
            return ((place / "alembic.ini").as_posix(),)
    return ()


def _location(config: Config) -> str | None:
    return config.get_alembic_option("script_location")


def _directory(config: Config) -> str:
    location = _location(config) or ""
    if ":" not in location or Path(location).is_absolute():
        return location
    # package:folder, for which Alembic looks along prepend_sys_path.
    return str(ScriptDirectory.from_config(config).dir)
