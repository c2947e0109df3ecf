"""How the verbs tell what they found or did, and what went wrong: in 80 columns, or as one JSON object."""

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
from typing import Any, Protocol

from alembic.util import CommandError

from safeops.cli.shown import show
from safeops.databases.reaching import of_a_url
from safeops.errors import LockNotAcquired, NotReady, SafeOpsError
from safeops.runner.revision_run import GAVE_UP, RAISED, Applied, is_giving_up

WIDTH = 80
CODE = " " * 4
"""What a line of code in a message begins with; prose that is quoted in it begins with two spaces."""


class Outcome(Protocol):
    """What a verb of ``safeops.runner`` returns."""

    @property
    def exit_status(self) -> int: ...

    def as_json(self) -> dict[str, Any]: ...


def told(options: Namespace, do: Callable[[], Outcome], lines_of: Callable[[Any], Iterator[str]]) -> int:
    """Do it, print what came of it, and return the exit status."""
    try:
        # What env.py prints is no part of it.
        with redirect_stdout(sys.stderr), _log_shown():
            found = do()
    except KeyboardInterrupt:
        return _failed(options, NotReady("Stopped by Ctrl-C or SIGTERM.", remedy="Run it again."))
    except Exception as error:
        return _failed(options, error)
    show(json.dumps(found.as_json(), indent=2, ensure_ascii=False) if options.json else "\n".join(lines_of(found)))
    return found.exit_status


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
    """Spell an error of others, with the line of env.py that it came through."""
    lines = [one for one in traceback.extract_tb(error.__traceback__) if Path(one.filename).name == "env.py"]
    place = f" ({shown_path(lines[-1].filename)}:{lines[-1].lineno})" if lines else ""
    return f"{type(error).__name__}: {error}{place}"


@contextmanager
def _log_shown() -> Iterator[None]:
    """Show what safeops says, as for whom it waits, where env.py has set up no logging."""
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


def fitting(text: str, hanging: str | None = None) -> Iterator[str]:
    """Break long lines of a message; words that are longer, as paths, are left whole.

    Args:
        text: The message.
        hanging: What the lines that a long one goes on in begin with; by default what it does, and two spaces more. Without
            it, lines that four spaces begin are code, which is never broken: it is there to be copied.
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


def show_progress(options: Namespace) -> Callable[[Applied], None]:
    """Return what prints each revision that is done."""
    # Not sys.stdout of the moment when it is called, which is led elsewhere then.
    out = sys.stderr if options.json else sys.stdout

    def show_revision(one: Applied) -> None:
        show("\n".join(revision_line(one)), out)

    return show_revision


def show_warning(text: str) -> None:
    show("\n".join(fitting(f"Beware: {text}")), sys.stderr)


def revision_line(one: Applied) -> Iterator[str]:
    seconds = f"{one.seconds:.1f} s"
    room = WIDTH - len(one.revision) - len(seconds) - 6
    message = one.message if len(one.message) <= room else f"{one.message[: room - 3]}..."
    yield f"  {one.revision}  {message:<{room}}  {seconds}"


def revisions(found: tuple[str, ...]) -> str:
    return ", ".join(found) or "no revision"


def shown_path(path: str) -> str:
    """Spell a file from here, where it is below."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
