"""What the errors of a server mean."""

from __future__ import annotations

from typing import Literal, TypeAlias

from sqlalchemy.exc import DBAPIError

from safeops.databases.ports import Port
from safeops.databases.steps import Step
from safeops.errors import SafeOpsError

Kind: TypeAlias = Literal[
    "lost",
    "held",
    "rights",
    "read only",
    "resources",
    "cancelled",
    "values",
    "rule",
    "violation",
    "dependents",
    "unsupported",
    "statement",
    "other",
]
OF_ROWS: frozenset[Kind] = frozenset({"values", "rule", "violation"})
"""Errors that certain rows cause: other rows of the same statement do not."""
OF_STATEMENT: frozenset[Kind] = frozenset({"statement", "unsupported", "values", "other"})
"""Errors that what was written causes: the same statement fails again, for any role and at any time."""


class ServerErrors(Port):
    """What the errors of a server mean."""

    place = "safeops.databases.{family}.errors:ServerErrors"

    def taught(self, error: DBAPIError) -> SafeOpsError | None:
        """Return what to say of an error that the server raises for what was asked of it, not for how it was done."""
        return None

    def is_lock_failure(self, error: BaseException) -> bool:
        """Tell whether a statement gave up waiting for a lock, or lost a deadlock: trying again may help."""
        return False

    def is_cut_short(self, error: BaseException) -> bool:
        """Tell whether a statement was ended for the time that it took, waiting for locks included."""
        return False

    def is_race(self, error: BaseException, step: Step) -> bool:
        """Tell whether what the step makes or drops came or went since the look before it."""
        return False

    def kind_of(self, error: DBAPIError) -> Kind:
        """Tell what kind of error a server or its driver gave."""
        return "lost" if error.connection_invalidated else "other"

    def is_violation(self, error: BaseException) -> bool:
        """Tell whether rows broke a constraint."""
        return False

    def is_dependency(self, error: BaseException) -> bool:
        """Tell whether the server refused to drop something because others depend on it."""
        return False

    def is_unconvertible(self, error: BaseException) -> bool:
        """Tell whether the server knows no conversion from a column's type to the one that was asked for."""
        return False

    def is_refusal(self, error: BaseException) -> bool:
        """Tell whether the server refused to do it online."""
        return False
