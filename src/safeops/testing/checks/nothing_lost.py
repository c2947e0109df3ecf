"""Nothing lost: what the application writes next to the upgrade, and the database acknowledges, is there after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from safeops.errors import SafeOpsError
from safeops.planned import summary
from safeops.testing.checks.words import is_lock_failure
from safeops.testing.failing import Failed, Untestable
from safeops.testing.later_drops import drop_after
from safeops.testing.ledger import written_beside
from safeops.testing.touched import touched_by

if TYPE_CHECKING:
    from safeops.testing.kit import Kit, Trial
    from safeops.testing.project import Revision


def check(kit: Kit, revision: Revision) -> None:
    """Upgrade while clients write each table that the revision touches, and compare with what was acknowledged."""
    touched = touched_by(kit, revision)
    if not touched.tables:
        return
    with kit.before(revision) as trial:
        if not trial.has_rows:
            raise Untestable(" ".join(["There are no sample rows to write to.", *trial.notes]))
        with written_beside(trial, touched=touched, dropped_by=drop_after(kit, revision, touched)) as writes:
            if not writes.can_write:
                raise Untestable(" ".join(["No row of the tables that it touches can be written.", *writes.notes]))
            _upgrade(trial, revision, writes.pause)


def _upgrade(trial: Trial, revision: Revision, pause: Callable[[], object]) -> None:
    try:
        trial.upgrade()
        return
    except Exception as error:
        if not isinstance(error, SafeOpsError) and not is_lock_failure(trial, error):
            raise _fails(revision, error) from error
    # A helper that gives up, and a statement that does not get its lock, run again, as the next deploy does.
    pause()
    try:
        trial.upgrade()
    except Exception as error:
        raise Untestable(
            f"It gave up while the application wrote, and cannot run again: {summary(error)}. See test_stopped_anywhere."
        ) from error


def _fails(revision: Revision, error: Exception) -> Failed:
    return Failed(
        f"Revision {revision.revision} fails while the application writes: {summary(error)}",
        why="It succeeds on the same rows without these writes. Rows that the application adds or changes between two of its"
        " statements are not as it expects.",
        remedy="Write it with helpers that allow for such rows: they fill and check again what is written while they run.",
    )
