"""Runs that are observed on an empty copy, which shows what they would do to tables with rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_observed: ContextVar[bool] = ContextVar("safeops_observed", default=False)


@contextmanager
def observed() -> Iterator[None]:
    """Have helpers do, for the block, what they do to tables with rows."""
    token = _observed.set(True)
    try:
        yield
    finally:
        _observed.reset(token)


def is_observed() -> bool:
    """Return whether a table without rows represents one that has some."""
    return _observed.get()
