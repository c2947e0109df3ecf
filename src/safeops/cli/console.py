"""What the commands print: lines as wide as the terminal, and colour for failure, attention and pending work only."""

from __future__ import annotations

import logging
import os
import sys
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

FAILURE, ATTENTION, PENDING = "red", "yellow", "cyan"
"""The colours of lines. Each line also states in words what its colour marks."""
NARROWEST, DEFAULT, WIDEST = 60, 80, 120
CODE = " " * 4
"""The indentation of code in a message; quoted prose is indented by two spaces."""


class Line(str):
    """A line with a colour."""

    colour: str

    def __new__(cls, text: str, colour: str) -> Line:
        line = super().__new__(cls, text)
        line.colour = colour
        return line


def width() -> int:
    """Return the width of the terminal, from 60 to 120 characters; 80 if there is none."""
    for stream in (sys.stdout, sys.stderr):
        # A stream that is not a terminal, is closed, or is replaced by another object.
        with suppress(OSError, ValueError, AttributeError):
            if columns := os.get_terminal_size(stream.fileno()).columns:
                return min(max(columns, NARROWEST), WIDEST)
    return DEFAULT


def fitting(text: str, hanging: str | None = None, colour: str = "") -> Iterator[str]:
    """Break the long lines of a message; longer words, such as paths, are kept whole.

    Args:
        text: The message.
        hanging: The indentation of continuation lines; by default that of the line, and two spaces more. Without it, lines
            that begin with four spaces are code to copy, which is never broken.
        colour: The colour of all lines.
    """
    for line in text.splitlines():
        for part in _broken(line, hanging):
            yield Line(part, colour) if colour else part


def _broken(line: str, hanging: str | None) -> list[str]:
    if hanging is None and line.startswith(CODE):
        return [line]
    indent = " " * (len(line) - len(line.lstrip()))
    hang = indent + ("  " if indent else "") if hanging is None else hanging
    wrapped = textwrap.wrap(line, width(), subsequent_indent=hang, break_long_words=False, break_on_hyphens=False)
    return wrapped or [""]


def row(name: str, value: str, column: int, indent: str = "", colour: str = "") -> Iterator[str]:
    """Write a name, and next to it what it is, from a column on; nothing if there is no value."""
    if value:
        yield from fitting(f"{indent}{name:<{column}}{value}", " " * (len(indent) + column), colour)


# Printing -------------------------------------------------------------------------------------------------------


def show(lines: Iterable[str], out: TextIO | None = None) -> None:
    """Print lines: with their colours on a terminal if ``rich`` is installed, unless NO_COLOR or TERM=dumb is set."""
    out = sys.stdout if out is None else out
    try:
        if not out.isatty() or not _show_in_colour(lines, out):
            for line in lines:
                print(line, file=out)
        out.flush()
    except BrokenPipeError:
        _discard(out)


def _show_in_colour(lines: Iterable[str], out: TextIO) -> bool:
    """Print with ``rich``, which follows NO_COLOR and TERM; return False if it is not installed."""
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        return False
    console = Console(file=out, soft_wrap=True)
    for line in lines:
        console.print(Text(line, style=getattr(line, "colour", "")))
    return True


def _discard(out: TextIO) -> None:
    """Write to nowhere from now on: the reader has closed the pipe, as ``head`` does, and the command must not end by it."""
    with suppress(OSError, ValueError), open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), out.fileno())


def show_message(text: str, colour: str, out: TextIO | None = None) -> None:
    """Print a message, its first paragraph in a colour."""
    first, *rest = text.splitlines() or [""]
    show([*fitting(first, colour=colour), *fitting("\n".join(rest))], sys.stderr if out is None else out)


def show_warning(text: str) -> None:
    show_message(f"Warning: {text}", ATTENTION)


def shown_path(path: str) -> str:
    """Return a path relative to the working directory, if it is below it."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path


# The log --------------------------------------------------------------------------------------------------------


@contextmanager
def shown_log() -> Iterator[None]:
    """Show the log of safeops, such as which lock it waits for, unless env.py sets up logging."""
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
