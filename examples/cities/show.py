"""What a person sees: a chapter for each command, a line for each revision, and what was verified."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from alembic.runtime.migration import RevisionStep
from typing_extensions import Self

WIDTH = 80
_LOGGERS = ("alembic.runtime.migration", "safeops")
_NOT_YET = float("inf")
_STYLED = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def bold(text: str) -> str:
    """The text, emphasised on a terminal."""
    return f"\033[1m{text}\033[0m" if _STYLED else text


def heading(text: str) -> None:
    """Prints a heading, after an empty line."""
    say()
    say(bold(text))


def dim(text: str) -> str:
    """The text, in the background on a terminal."""
    return f"\033[2m{text}\033[0m" if _STYLED else text


def say(text: str = "") -> None:
    """Prints a line at once, also into a pipe."""
    print(text, flush=True)


def duration(seconds: float) -> str:
    """Milliseconds below a second, else seconds."""
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.2f} s"


def clipped(text: str, width: int) -> str:
    """The first line of a text, cut to a width."""
    line = text.partition("\n")[0]
    return line if len(line) <= width else line[: width - 1] + "…"


@dataclass
class Revision:
    """One revision on its way up or down: when it ran, and what its helpers reported."""

    id: str
    title: str
    started: float
    ended: float = _NOT_YET
    reports: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.started

    def overlap(self, start: float, end: float) -> float:
        """For how many seconds of a span it ran."""
        return min(self.ended, end) - max(self.started, start)


def tell(revision: Revision) -> None:
    """Prints a revision with its time, and below it what its helpers did."""
    say(f"  {bold(revision.id)}  {clipped(revision.title, 60):<60} {duration(revision.seconds):>11}")
    for report in revision.reports:
        say(dim(f"        {clipped(report, WIDTH - 8)}"))


def tell_both(first: Revision, again: Revision) -> None:
    """Prints a revision that ran twice, with both times."""
    title = f"{bold(first.id)}  {clipped(first.title, 48):<48}"
    say(f"  {title} {duration(first.seconds):>11} {duration(again.seconds):>11}")


class Story(logging.Handler):
    """Listens to the log of Alembic and safeops, and reports each revision when it ends."""

    def __init__(self, tell: Callable[[Revision], None]) -> None:
        super().__init__(logging.INFO)
        self.revisions: list[Revision] = []
        self._tell = tell

    def __enter__(self) -> Self:
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.INFO)
            logging.getLogger(name).addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._end_revision()
        for name in _LOGGERS:
            logging.getLogger(name).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Begins a revision when Alembic logs it, and keeps the log lines of safeops."""
        match record.args:
            case (RevisionStep() as step,):
                self._end_revision()
                title = (step.doc or "").rstrip(".")
                self.revisions.append(Revision(step.revision.revision, title, time.perf_counter()))
            case _ if record.name.startswith("safeops") and self.revisions:
                self.revisions[-1].reports.append(record.getMessage())

    def _end_revision(self) -> None:
        if self.revisions and self.revisions[-1].ended == _NOT_YET:
            self.revisions[-1].ended = time.perf_counter()
            self._tell(self.revisions[-1])
