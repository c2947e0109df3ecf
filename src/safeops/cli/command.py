"""A command: how it declares itself, the project that it is about, and how it prints its result or its error."""

from __future__ import annotations

import configparser
import json
import sys
import traceback
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.util import CommandError

from safeops.authoring.project import Project, find_project
from safeops.cli.console import FAILURE, fitting, show, show_message, shown_log, shown_path
from safeops.cli.parser import WRONG_USAGE, Parser, UsageError
from safeops.databases.connections import of_a_url
from safeops.errors import InvalidArgument, LockNotAcquired, NotReady, SafeOpsError, error_as_json
from safeops.runner.logs import all_logs_shown
from safeops.runner.revision_run import GAVE_UP, RAISED, WAIT, Result, is_giving_up

TEXT, JSON_FORMAT = "text", "json"
"""The formats of results that each command has, by ``--json``."""
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
        description: What it does.
        example: A call.
        exit_statuses: Which exit statuses it has, and when.
        arguments: What it takes.
        lines_of: Writes the result for people; the command then also takes ``--json``.
        formats: Writes the result in another format, by the name that ``--format`` takes.
    """

    name: str
    do: Callable[[Namespace], Any]
    help: str
    description: str
    example: str
    exit_statuses: str = ""
    arguments: tuple[Argument, ...] = ()
    lines_of: Callable[[Any], Iterable[str]] | None = None
    formats: Mapping[str, Callable[[Any], str]] = field(default_factory=dict)

    def add_to(self, commands: Any, add_common: Callable[[Any], None]) -> None:
        """Add its parser to those of all commands."""
        statuses = f"\n\nExit status: {self.exit_statuses}." if self.exit_statuses else ""
        parser: Parser = commands.add_parser(
            self.name,
            description="\n".join(fitting(self.description + statuses)),
            epilog=f"Example:\n  {self.example}",
            example=self.example,
        )
        for argument in (*self.arguments, *self._output_arguments()):
            group = parser.options if argument.names[0].startswith("-") else parser.arguments
            group.add_argument(*argument.names, **argument.options)
        add_common(parser.add_argument_group("The project"))
        parser.set_defaults(run=self.run, parser=parser)

    def run(self, options: Namespace) -> int:
        """Run the command, and return the exit status."""
        options.json = getattr(options, "json", False) or getattr(options, "format", TEXT) == JSON_FORMAT
        try:
            if self.lines_of is None:
                status: int = self.do(options)
                return status
            return self._report(options, self.lines_of)
        except KeyboardInterrupt:
            return show_error(NotReady("Stopped by Ctrl-C or SIGTERM.", remedy="Run it again."), as_json=options.json)
        except Exception as error:
            return show_error(error, as_json=options.json)

    def _report(self, options: Namespace, lines_of: Callable[[Any], Iterable[str]]) -> int:
        chosen = getattr(options, "format", TEXT)
        # In a format for programs, standard output is for the result alone.
        options.out = sys.stderr if options.json or chosen != TEXT else sys.stdout
        verbose = all_logs_shown() if getattr(options, "verbose", False) else nullcontext()
        # What env.py prints does not belong to the result.
        with redirect_stdout(sys.stderr), shown_log(), verbose:
            result: Result = self.do(options)
        if options.json:
            show([_json(result.as_json())])
        elif chosen in self.formats:
            show([self.formats[chosen](result)])
        else:
            show(list(lines_of(result)))
        return result.exit_status

    def _output_arguments(self) -> Iterable[Argument]:
        if self.formats:
            names = [TEXT, JSON_FORMAT, *self.formats]
            yield Argument(
                "--format", metavar="FORMAT", choices=names, default=TEXT, help=f"{', '.join(names)} (default: {TEXT})"
            )
        if self.lines_of is not None:
            yield JSON


# Arguments ------------------------------------------------------------------------------------------------------


def seconds(text: str) -> float:
    """Read a number of seconds."""
    with suppress(ValueError):
        # Also false for NaN.
        if (number := float(text)) >= 0:
            return number
    raise ArgumentTypeError(f"{text!r} is not a number of seconds: give 0 or more")


JSON = Argument("--json", action="store_true", help="print one JSON object and nothing else")
BACKUP_FIRST = (
    Argument("--backup", action="store_true", help="make a backup first, in backups/ next to alembic.ini"),
    # No optional value of --backup: it would take the revision.
    Argument("--backup-to", dest="backup", metavar="DIR", help="make a backup first, in DIR"),
)
WAITING = (
    Argument(
        "--wait",
        metavar="SECONDS",
        type=seconds,
        default=WAIT,
        help=f"how long to wait for another runner (default: {WAIT:g})",
    ),
    Argument(
        "--no-wait",
        dest="wait",
        action="store_const",
        const=0.0,
        help="if another runner is migrating, give up immediately",
    ),
)
SCRATCH = Argument(
    "--scratch-url",
    metavar="URL",
    help="an empty database to run the revisions on; it is not emptied afterwards",
)


# The project ----------------------------------------------------------------------------------------------------


def config_of(options: Namespace) -> Config:
    """Return the configuration that ``-c``, ``-n`` and ``-x`` name, or raise InvalidArgument if there is no project."""
    missing = [name for name in options.config or () if not Path(name).is_file()]
    if missing:
        # Alembic would use pyproject.toml instead, which may be another project's.
        raise InvalidArgument(
            f"There is no file {missing[0]}.", remedy="Give the path of the configuration of the project:", code=USAGE
        )
    project = find_project(options.config, options.name, arguments=options.x)
    config = project.config
    if not config.get_alembic_option("script_location"):
        raise InvalidArgument(
            f"There is no Alembic project here: {_missing_in(project)}.",
            why="script_location in alembic.ini, or in [tool.alembic] of pyproject.toml, names their folder.",
            remedy="Run the command in the folder of the project, give the path of its configuration, or set up a project:",
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
    return f"{project.ini} does not set script_location"


# Errors ---------------------------------------------------------------------------------------------------------


def show_error(error: Exception, *, as_json: bool) -> int:
    """Print an error, also as JSON if that is requested, and return the exit status."""
    status = _status_of(error)
    error = of_a_url(error) or error
    if as_json:
        show([_json({"error": _as_json(error)})])
    show_message(_text_of(error), FAILURE)
    return status


def _status_of(error: Exception) -> int:
    if isinstance(error, UsageError):
        return WRONG_USAGE
    return GAVE_UP if isinstance(error, (NotReady, LockNotAcquired)) or is_giving_up(error) else RAISED


def _text_of(error: Exception) -> str:
    if isinstance(error, UsageError):
        return error.lines()
    explained = isinstance(error, (SafeOpsError, CommandError, configparser.Error))
    return str(error) if explained else with_place(error)


def _as_json(error: Exception) -> dict[str, str | None]:
    found = error_as_json(error)
    return found if isinstance(error, SafeOpsError) else {**found, "message": _text_of(error)}


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def with_place(error: Exception) -> str:
    """Describe an error of other code, with the line of env.py that it came through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == "env.py"]
    place = f" ({shown_path(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
