"""Phases that go on where another runner was faster with a step of them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError

from safeops.errors import (
    BackfillConflict,
    DefinitionMismatch,
    DependentObjects,
    InvalidArgument,
    PhaseMissing,
    SafeOpsError,
    UnknownColumn,
)
from safeops.plan_mode import as_helper, foreseeing

log = logging.getLogger("safeops")

RACES = 10
"""How often a phase looks anew after another runner was faster."""


def whoever_else(phase: Callable[[], bool]) -> bool:
    """Run a phase; where another runner was faster with a step of it, look anew and go on."""
    said = ""
    for _ in range(RACES if foreseeing() is None else 0):
        try:
            return phase()
        except SafeOpsError as error:
            before, said = said, str(error)
            # What several looks told, while another runner went on between them, is told only once.
            if not _is_race(error) and (said == before or not _may_be_torn(error)):
                raise
            log.info("looking again, in case another runner has changed it: %s", said.splitlines()[0])
    with as_helper():
        return phase()
    return False


def _is_race(error: Exception) -> bool:
    """Tell whether another runner was faster; without a cause it is the author's to settle."""
    cause = isinstance(error.__cause__, (DBAPIError, LookupError))
    return cause and isinstance(error, (DefinitionMismatch, BackfillConflict))


def _may_be_torn(error: SafeOpsError) -> bool:
    # A statement that names what another runner has dropped is refused as one that was written so.
    refused = isinstance(error, InvalidArgument) or error.unexpected
    torn = refused and isinstance(error.__cause__, DBAPIError)
    return torn or isinstance(error, (PhaseMissing, DependentObjects, UnknownColumn))
