"""How a command declares itself, the arguments that several commands take, and the project that they are about."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.config import Config

from safeops.authoring.project import Project, find_project
from safeops.cli.console import report
from safeops.errors import InvalidArgument
from safeops.runner.revision_run import WAIT

USAGE = "safeops -c path/to/alembic.ini status"


class Argument:
    """The arguments of a call of ``ArgumentParser.add_argument``."""

    def __init__(self, *names: str, **options: Any) -> None:
        self.names, self.options = names, options


@dataclass(frozen=True)
class Command:
    """A command of ``safeops``.

    Args:
        name: Its name.
        do: Gets the options. Returns a result to print; without ``lines_of`` the exit status.
        help: What it does, in a few words.
        description: What it does, in lines of 80 columns, with its exit statuses.
        example: A call.
        arguments: What it takes.
        lines_of: Writes the result for people; the command then also takes ``--json``.
    """

    name: str
    do: Callable[[Namespace], Any]
    help: str
    description: str
    example: str
    arguments: tuple[Argument, ...] = ()
    lines_of: Callable[[Any], Iterator[str]] | None = None

    def add_to(self, commands: Any, common: ArgumentParser) -> None:
        """Add its parser to those of all commands."""
        parser: ArgumentParser = commands.add_parser(
            self.name,
            parents=[common],
            help=self.help,
            description=self.description,
            epilog=f"Example:\n  {self.example}",
            formatter_class=RawDescriptionHelpFormatter,
        )
        for argument in (*self.arguments, *((JSON,) if self.lines_of is not None else ())):
            parser.add_argument(*argument.names, **argument.options)
        parser.set_defaults(run=self.run)

    def run(self, options: Namespace) -> int:
        """Run the command, and return the exit status."""
        return self.do(options) if self.lines_of is None else report(options, self.do, self.lines_of)


# Arguments ------------------------------------------------------------------------------------------------------


def seconds(text: str) -> float:
    """Read a number of seconds."""
    with suppress(ValueError):
        # Also false for NaN.
        if (found := float(text)) >= 0:
            return found
    raise ArgumentTypeError(f"{text!r} is no number of seconds: give 0 or more")


JSON = Argument("--json", action="store_true", help="print one JSON object and nothing else")
BACKUP = (
    Argument("--backup", action="store_true", help="make a backup first, in backups/ beside alembic.ini"),
    # No optional value of --backup: it would take the revision.
    Argument("--backup-to", dest="backup", metavar="DIR", help="make a backup first, in DIR"),
)
WAITING = (
    Argument(
        "--wait",
        metavar="SECONDS",
        type=seconds,
        default=WAIT,
        help=f"seconds to wait for another runner (default: {WAIT:g})",
    ),
    Argument("--no-wait", dest="wait", action="store_const", const=0.0, help="give up at once"),
)
SCRATCH = Argument(
    "--scratch-url", metavar="URL", help="an empty database to run the revisions on; what they make stays there"
)


# The project ----------------------------------------------------------------------------------------------------


def config_of(options: Namespace) -> Config:
    """Return the configuration that ``-c``, ``-n`` and ``-x`` name, or raise InvalidArgument if there is no project."""
    missing = [name for name in options.config or () if not Path(name).is_file()]
    if missing:
        # Alembic would use pyproject.toml instead, which may be another project's.
        raise InvalidArgument(
            f"There is no file {missing[0]}.", remedy="Say which configuration the project has:", code=USAGE
        )
    project = find_project(options.config, options.name, arguments=options.x)
    config = project.config
    if not config.get_alembic_option("script_location"):
        raise InvalidArgument(
            f"There is no Alembic project here: {_missing_in(project)}.",
            why="script_location in alembic.ini, or in [tool.alembic] of pyproject.toml, names their folder.",
            remedy="Go to the project's folder, say which configuration it has, or set a project up:",
            code=f"{USAGE}\npython -m safeops init",
        )
    # A template of revisions may read more options than -x.
    config.cmd_opts = options
    return config


def _missing_in(project: Project) -> str:
    section = project.config.config_ini_section
    if not project.ini.is_file():
        return f"there is no file {project.ini}"
    if not project.config.file_config.has_section(section):
        return f"{project.ini} has no section [{section}]"
    return f"{project.ini} does not say where the revisions are"
