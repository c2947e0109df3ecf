"""Helpers that are recorded, before they run or instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Record = Callable[[str, Mapping[str, Any]], bool]
_record: ContextVar[Record | None] = ContextVar("safeops_helpers_recorded", default=None)


@contextmanager
def helpers_recorded_by(record: Record) -> Iterator[None]:
    """Record each helper that the block calls.

    Args:
        record: Gets the name of the helper and its arguments by name. If it returns True, the helper does not run, and
            returns what it returns after a change.
    """
    token = _record.set(record)
    try:
        yield
    finally:
        _record.reset(token)


def recorded_instead(name: str, given: Mapping[str, Any]) -> bool:
    """Record a helper that is called, if helpers are recorded; return True if it must not run."""
    record = _record.get()
    return record is not None and record(name, given)
