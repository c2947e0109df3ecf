"""Finds the Alembic project of a command, as Alembic itself finds it, and writes its files."""

from __future__ import annotations

import configparser
import difflib
import os
import shlex
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

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
    """The folder of env.py and versions/."""
    names: tuple[str, ...] = ()
    """The files for Alembic's ``-c``; none if Alembic finds them automatically."""
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
    """Return the project that a configuration names, or that is in a directory, or the place for a new one.

    Args:
        names: The values of ``-c``: an ini file, a pyproject.toml, or both.
        section: The value of ``-n``.
        directory: The argument DIRECTORY.
        arguments: The values of ``-x``, for env.py.

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
        # A program may name the directory, instead of a file (Flask-Migrate).
        return Project(config, place, given, configured=(place / "env.py").exists())
    config.cmd_opts = Namespace(x=arguments)
    found = Path(_directory(config))
    if directory is not None and Path(directory).resolve() != found.resolve():
        raise InvalidArgument(
            f"{config.config_file_name} sets the folder of the migrations to {display_path(found)}, not to {directory}.",
            remedy="Omit DIRECTORY, or use a separate configuration for the new project:",
            code=f"python -m safeops -c {directory}.ini init {directory}",
        )
    return Project(config, found, given)


def display_path(path: Path) -> str:
    """Spell a path as a reader would: relative to the current folder, if it is below."""
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
            remedy="Pass at most one ini file and one pyproject.toml.",
        )
    toml, ini = "pyproject.toml", "alembic.ini"
    if default := os.environ.get("ALEMBIC_CONFIG"):
        toml, ini = (default, ini) if Path(default).name == "pyproject.toml" else (toml, default)
    return Config(inis[0] if inis else ini, tomls[0] if tomls else toml, ini_section=section)


def _configuration_near(directory: Path) -> tuple[str, ...]:
    """Find the ini file in or next to a directory, for a project below the current folder."""
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


# Files ----------------------------------------------------------------------------------------------------------

Say = Callable[[str], None]


@dataclass(frozen=True)
class WantedFile:
    """A file as it should be."""

    path: Path
    text: str
    untouched: Callable[[str], bool] | None = None
    """Returns whether the existing text was written by a tool and is unchanged; None: an existing file is kept."""


def rendered(template: str, **values: str) -> str:
    """Fill in one of the templates that safeops ships."""
    return Template(template_text(template)).substitute(values)


def template_text(template: str) -> str:
    return (files("safeops.authoring") / "templates" / template).read_text(encoding="utf-8")


def write_or_show(wanted: WantedFile, *, force: bool, say: Say) -> bool:
    """Write a file if it is missing or may be replaced, else show the difference; return whether it is as it should be."""
    name = display_path(wanted.path)
    if not wanted.path.exists():
        _write(wanted)
        say(f"  wrote     {name}")
        return True
    current = wanted.path.read_text(encoding="utf-8")
    if wanted.untouched is None or normalised(current) == normalised(wanted.text):
        say(f"  unchanged {name}")
        return True
    if force or wanted.untouched(current):
        _write(wanted)
        say(f"  replaced  {name}")
        return True
    say(f"  differs   {name}")
    say(f"\n{name} was changed by hand, so it was not replaced.")
    say("init --force replaces it, which makes these changes:\n")
    say(difference(current, wanted.text, name))
    return False


def _write(wanted: WantedFile) -> None:
    wanted.path.parent.mkdir(parents=True, exist_ok=True)
    wanted.path.write_text(wanted.text, encoding="utf-8", newline="\n")


def normalised(text: str) -> str:
    """Remove what editors and version control change automatically: line ends and trailing blanks."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def difference(before: str, after: str, name: str) -> str:
    """Show a change as ``patch`` reads it."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm="")
    return "\n".join(lines) + "\n"
