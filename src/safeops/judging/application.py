"""What breaks the running application, or loses what it has stored, however short its lock is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from safeops.judging.operations import (
    ALTER_TYPE,
    DROP_COLUMN,
    DROP_SCHEMA,
    DROP_TABLE,
    RENAME_COLUMN,
    RENAME_ENUM_VALUE,
    RENAME_TABLE,
    REVOKE,
    ROW_LEVEL_SECURITY,
    TRUNCATE,
    Operation,
)
from safeops.naming import Name

Uses = Callable[[Name, str | None], bool | None]
"""Tells whether the released application uses a table, or a column of it; None if that is not known."""


@dataclass(frozen=True)
class Breaks:
    """Why a kind of operation breaks the application.

    Args:
        rule: The rule of its findings.
        why: Why, as a sentence.
        unless_unused: It is fine once no released code uses the thing.
    """

    rule: str
    why: str
    unless_unused: bool = False


BREAKS = {
    DROP_COLUMN: Breaks(
        "drop-column",
        "The released application still reads the column, and fails; its values are gone, and downgrade() cannot bring"
        " them back.",
        unless_unused=True,
    ),
    DROP_TABLE: Breaks(
        "drop-table",
        "The released application still uses the table, and fails; its rows are gone, and downgrade() cannot bring them"
        " back.",
        unless_unused=True,
    ),
    DROP_SCHEMA: Breaks("drop-table", "All tables of the schema are gone with their rows."),
    RENAME_COLUMN: Breaks(
        "rename-column", "The released application uses the old name until the last of its processes has ended.", True
    ),
    RENAME_TABLE: Breaks(
        "rename-table", "The released application uses the old name until the last of its processes has ended.", True
    ),
    RENAME_ENUM_VALUE: Breaks(
        "rename-enum-value", "The released application still writes and expects the old value, and fails."
    ),
    TRUNCATE: Breaks("truncate", "All rows are gone, and downgrade() cannot bring them back."),
    REVOKE: Breaks("revoke", "The released application loses a right that it may use."),
    ROW_LEVEL_SECURITY: Breaks(
        "row-level-security", "Roles other than the owner see no rows until there is a policy for them."
    ),
}


RENAMED_TYPE = Breaks(
    "rename-enum-value",
    "Drivers cast values to the type by its name: the released application uses the old one, and fails.",
)


def breaks(operation: Operation, uses: Uses | None) -> Breaks | None:
    """Return how an operation breaks the application; None if it does not, or if nothing uses the thing any more."""
    is_renamed = operation.kind == ALTER_TYPE and "rename" in operation.traits
    found = RENAMED_TYPE if is_renamed else BREAKS.get(operation.kind)
    if found is None or not found.unless_unused or uses is None or operation.table is None:
        return found
    column = operation.column if operation.kind in (DROP_COLUMN, RENAME_COLUMN) else None
    return None if uses(operation.table, column) is False else found
