"""What commands print: results and errors, in 80 columns or as one JSON object."""

from __future__ import annotations

import json
import logging
import sys
import textwrap
import traceback
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, Protocol, TextIO

from alembic.util import CommandError

from safeops.databases.reaching import of_a_url
from safeops.errors import LockNotAcquired, NotReady, SafeOpsError
from safeops.runner.revision_run import GAVE_UP, RAISED, Applied, is_giving_up

WIDTH = 80
CODE = " " * 4
"""The indentation of code in a message; quoted prose is indented by two spaces."""


class Result(Protocol):
    """What a function of ``safeops.runner`` returns."""

    @property
    def exit_status(self) -> int: ...

    def as_json(self) -> dict[str, Any]: ...


def report(options: Namespace, do: Callable[[Namespace], Result], lines_of: Callable[[Any], Iterator[str]]) -> int:
    """Run a command, print its result or its error, and return the exit status."""
    # With --json, standard output is for the object alone.
    options.out = sys.stderr if options.json else sys.stdout
    try:
        # What env.py prints is no part of the result.
        with redirect_stdout(sys.stderr), _log_shown():
            result = do(options)
    except KeyboardInterrupt:
        return _failed(options, NotReady("Stopped by Ctrl-C or SIGTERM.", remedy="Run it again."))
    except Exception as error:
        return _failed(options, error)
    show(json.dumps(result.as_json(), indent=2, ensure_ascii=False) if options.json else "\n".join(lines_of(result)))
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
    message = applied.message if len(applied.message) <= room else f"{applied.message[: room - 3]}..."
    show(f"  {applied.revision}  {message:<{room}}  {seconds}", out)


def show_warning(text: str) -> None:
    show("\n".join(fitting(f"Beware: {text}")), sys.stderr)


def shown_path(path: str) -> str:
    """Return a path relative to the working directory, if it is below it."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
