"""Which lines of the log are shown: those of the revisions that a command runs, and not those of its inspections."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

ALEMBIC, SAFEOPS = "alembic", "safeops"
_all_shown: ContextVar[bool] = ContextVar("safeops_all_logs_shown", default=False)


@contextmanager
def all_logs_shown() -> Iterator[None]:
    """Also show what ``quiet_logs`` would hide."""
    token = _all_shown.set(True)
    try:
        yield
    finally:
        _all_shown.reset(token)


@contextmanager
def quiet_logs(*names: str) -> Iterator[None]:
    """Hide the INFO lines of these loggers and of those below them, also if env.py sets their levels."""
    if _all_shown.get():
        yield
        return
    known = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in names]
    loggers = [logging.getLogger(name) for name in known]
    # A filter of a logger, as fileConfig() replaces handlers and levels; it does not hold for the loggers below.
    quiet = _Quiet()
    for logger in loggers:
        logger.addFilter(quiet)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(quiet)


class _Quiet(logging.Filter):
    """One for each block, as blocks are nested."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno > logging.INFO
