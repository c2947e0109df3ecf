"""A command: how it declares itself, the project that it is about, and how it prints results and errors."""

from __future__ import annotations

import json
import logging
import sys
import textwrap
import traceback
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from alembic.config import Config
from alembic.util import CommandError

from safeops.authoring.project import Project, find_project
from safeops.databases.connections import of_a_url
from safeops.errors import InvalidArgument, LockNotAcquired, NotReady, SafeOpsError
from safeops.runner.environment import shorten
from safeops.runner.revision_run import GAVE_UP, RAISED, WAIT, Applied, Result, is_giving_up

WIDTH = 80
TEXT, JSON_FORMAT = "text", "json"
"""The formats of results that each command has, by ``--json``."""
CODE = " " * 4
"""The indentation of code in a message; quoted prose is indented by two spaces."""
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
    lines_of: Callable[[Any], Iterator[str]] | None = None
    formats: Mapping[str, Callable[[Any], str]] = field(default_factory=dict)

    def add_to(self, commands: Any, common: ArgumentParser) -> None:
        """Add its parser to those of all commands."""
        statuses = f"\n\nExit status: {self.exit_statuses}." if self.exit_statuses else ""
        parser: ArgumentParser = commands.add_parser(
            self.name,
            parents=[common],
            help=self.help,
            description="\n".join(fitting(self.description + statuses)),
            epilog=f"Example:\n  {self.example}",
            formatter_class=RawDescriptionHelpFormatter,
        )
        for argument in (*self.arguments, *self._output_arguments()):
            parser.add_argument(*argument.names, **argument.options)
        parser.set_defaults(run=self.run)

    def run(self, options: Namespace) -> int:
        """Run the command, and return the exit status."""
        if self.lines_of is None:
            status: int = self.do(options)
            return status
        return report(options, self.do, self.lines_of, self.formats)

    def _output_arguments(self) -> Iterator[Argument]:
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
    raise ArgumentTypeError(f"{text!r} is no number of seconds: give 0 or more")


JSON = Argument("--json", action="store_true", help="print one JSON object and nothing else")
BACKUP_FIRST = (
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


# Output ---------------------------------------------------------------------------------------------------------


def report(
    options: Namespace,
    do: Callable[[Namespace], Result],
    lines_of: Callable[[Any], Iterator[str]],
    formats: Mapping[str, Callable[[Any], str]],
) -> int:
    """Run a command, print its result or its error, and return the exit status."""
    chosen = getattr(options, "format", TEXT)
    options.json = options.json or chosen == JSON_FORMAT
    # In a format for programs, standard output is for the result alone.
    options.out = sys.stderr if options.json or chosen != TEXT else sys.stdout
    try:
        # What env.py prints is no part of the result.
        with redirect_stdout(sys.stderr), _log_shown():
            result = do(options)
    except KeyboardInterrupt:
        return _failed(options, NotReady("Stopped by Ctrl-C or SIGTERM.", remedy="Run it again."))
    except Exception as error:
        return _failed(options, error)
    if options.json:
        show(json.dumps(result.as_json(), indent=2, ensure_ascii=False))
    elif chosen in formats:
        print(formats[chosen](result), flush=True)
    else:
        show("\n".join(lines_of(result)))
    return result.exit_status


def _failed(options: Namespace, error: Exception) -> int:
    status = GAVE_UP if isinstance(error, (NotReady, LockNotAcquired)) or is_giving_up(error) else RAISED
    error = of_a_url(error) or error
    message = str(error) if isinstance(error, (SafeOpsError, CommandError)) else with_place(error)
    if options.json:
        number = getattr(error, "number", None)
        print(json.dumps({"error": {"number": number, "message": message}}, indent=2, ensure_ascii=False))
    print("\n".join(fitting(message)), file=sys.stderr)
    return status


def with_place(error: Exception) -> str:
    """Describe an error of other code, with the line of env.py that it came through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == "env.py"]
    place = f" ({shown_path(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


@contextmanager
def _log_shown() -> Iterator[None]:
    """Show the log of safeops, as which lock it waits for, unless env.py sets up logging."""
    logger = logging.getLogger("safeops")
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda _: not logging.getLogger().handlers)
    handler.setFormatter(_Fitting())
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(level or logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _Fitting(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(fitting(record.getMessage()))


# Text -----------------------------------------------------------------------------------------------------------


def show(text: str, out: TextIO | None = None) -> None:
    """Print text; on a terminal with ``rich`` installed, numbers, names and paths are highlighted."""
    out = sys.stdout if out is None else out
    if out.isatty():
        try:
            from rich.console import Console
        except ImportError:
            pass
        else:
            Console(file=out, soft_wrap=True).print(text, markup=False, emoji=False)
            return
    print(text, file=out, flush=True)


def fitting(text: str, hanging: str | None = None) -> Iterator[str]:
    """Break the long lines of a message; longer words, as paths, are kept whole.

    Args:
        text: The message.
        hanging: The indentation of continuation lines; by default that of the line, and two spaces more. Without it, lines
            that four spaces begin are code to copy, which is never broken.
    """
    for line in text.splitlines():
        if hanging is None and line.startswith(CODE):
            yield line
            continue
        indent = " " * (len(line) - len(line.lstrip()))
        hang = indent + ("  " if indent else "") if hanging is None else hanging
        yield from textwrap.wrap(
            line, WIDTH, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False
        ) or [""]


def show_revision(applied: Applied, out: TextIO) -> None:
    """Print a revision that was run."""
    seconds = f"{applied.seconds:.1f} s"
    room = WIDTH - len(applied.revision) - len(seconds) - 6
    show(f"  {applied.revision}  {shorten(applied.message, room):<{room}}  {seconds}", out)


def show_warning(text: str) -> None:
    show("\n".join(fitting(f"Beware: {text}")), sys.stderr)


def shown_path(path: str) -> str:
    """Return a path relative to the working directory, if it is below it."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
