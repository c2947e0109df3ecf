"""A revision that cannot be undone, and says so."""

from __future__ import annotations

from typing import NoReturn

from safeops.errors import InvalidArgument, Irreversible
from safeops.execution.helper import Said, described
from safeops.naming import call

NOTHING_TO_UNDO = "# Nothing to undo"
"""A comment that begins with this marks a downgrade without a statement as intended."""


@described(Said("is refused: {0}", "Nothing is done."))
def irreversible(reason: str) -> NoReturn:
    """The downgrade has stopped before it changed anything, and the version stays where it is.

    For a ``downgrade()`` that nobody can write, as the only thing in it. What safeops drops with ``archive=True`` can be
    brought back, and so need not be irreversible.

    Steps: raises.

    Args:
        reason: Why there is no way back, for whoever reads it while a deploy is being rolled back.

    Returns:
        Never.

    Raises:
        Irreversible: Always.
        InvalidArgument: There is no reason.

    Locks: none.

    Running it again: raises again.

    Offline: raises too, so that no script pretends to be a way back.

    Example:
        irreversible("The addresses were made anonymous; the old ones are in the backup of 2026-11-20.")
    """
    if not isinstance(reason, str) or not reason.strip():
        raise InvalidArgument(
            f"{call('irreversible', reason)} gives no reason.",
            why="It is read by the one who wants to roll back and cannot.",
            remedy="Say why there is no way back, and what is left to do:",
            code='irreversible("Rows were merged; the old ones are in the backup before this revision.")',
        )
    raise Irreversible(
        f"This revision cannot be undone: {reason.strip()}",
        why="Its author wrote irreversible() into downgrade().",
        state="From here on nothing was changed, and the version stays where it is. Running it again ends here again.",
        remedy="Go forward by a new revision, or restore the backup that was made before it:",
        code='alembic revision -m "put right what came of it"',
    )
