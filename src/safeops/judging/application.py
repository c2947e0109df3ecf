"""Operations that break the running application or lose its data, even if their lock is short."""

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
"""Returns whether the deployed application uses a table, or a column of it; None if that is not known."""


@dataclass(frozen=True)
class Breaks:
    """How a kind of operation breaks the application.

    Args:
        rule: The rule of its findings.
        why: The effect, as a sentence.
        unless_unused: It is safe once no deployed code uses the table or column.
    """

    rule: str
    why: str
    unless_unused: bool = False


BREAKS = {
    DROP_COLUMN: Breaks(
        "drop-column",
        "Breaks each query of the deployed application that names the column, and loses its values: downgrade() cannot"
        " restore them.",
        unless_unused=True,
    ),
    DROP_TABLE: Breaks(
        "drop-table",
        "Breaks each query of the deployed application on the table, and loses its rows: downgrade() cannot restore"
        " them.",
        unless_unused=True,
    ),
    DROP_SCHEMA: Breaks("drop-table", "Drops all tables of the schema, and loses their rows."),
    RENAME_COLUMN: Breaks(
        "rename-column",
        "Breaks queries of the deployed application, which uses the old name until its last process has been replaced.",
        unless_unused=True,
    ),
    RENAME_TABLE: Breaks(
        "rename-table",
        "Breaks queries of the deployed application, which uses the old name until its last process has been replaced.",
        unless_unused=True,
    ),
    RENAME_ENUM_VALUE: Breaks(
        "rename-enum-value", "Breaks the deployed application, which still writes and expects the old value."
    ),
    TRUNCATE: Breaks("truncate", "Deletes all rows: downgrade() cannot restore them."),
    REVOKE: Breaks("revoke", "Breaks the deployed application if it uses the privilege."),
    ROW_LEVEL_SECURITY: Breaks(
        "row-level-security", "Hides all rows from roles other than the owner until a policy exists for them."
    ),
}


RENAMED_TYPE = Breaks(
    "rename-enum-value",
    "Breaks the deployed application: drivers cast values to the type by its name, and it uses the old name.",
)


def breaks(operation: Operation, uses: Uses | None) -> Breaks | None:
    """Return how an operation breaks the application; None if it does not, or if no deployed code uses its target."""
    is_renamed = operation.kind == ALTER_TYPE and "rename" in operation.traits
    found = RENAMED_TYPE if is_renamed else BREAKS.get(operation.kind)
    if found is None or not found.unless_unused or uses is None or operation.table is None:
        return found
    column = operation.column if operation.kind in (DROP_COLUMN, RENAME_COLUMN) else None
    return None if uses(operation.table, column) is False else found
