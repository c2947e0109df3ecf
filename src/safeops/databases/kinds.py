"""The kinds of errors that a server gives, whatever the code that it gives them."""

from __future__ import annotations

from typing import Literal, TypeAlias

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
