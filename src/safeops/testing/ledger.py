"""Writers next to an upgrade, and a ledger of what the database acknowledged to them: none of it may be lost."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from safeops.rehearse.traffic import following_recipes
from safeops.testing.filling import tables_in
from safeops.testing.losses import Lost, losses_of
from safeops.testing.lost_writes import lost_writes
from safeops.testing.touched import Touched
from safeops.testing.writers import Writers

if TYPE_CHECKING:
    from safeops.testing.kit import Trial
    from safeops.testing.project import Revision


class WriteLedger:
    """What the database has acknowledged to the clients that write next to an upgrade.

    Args:
        acknowledged: How many writes were acknowledged.
        lost: Those of them that are lost.
        notes: What the clients do not write, and why, in sentences.
        can_write: Whether the clients can write any row.
    """

    def __init__(self, writers: Writers) -> None:
        self.notes, self.can_write = tuple(writers.notes), writers.can_write
        self.pause = writers.pause
        """Lets the clients write nothing until the block has ended."""
        self.acknowledged = 0
        self.lost: tuple[Lost, ...] = ()


class Ledger(Protocol):
    """Writes single rows next to the statements of a block; it raises Failed after it if an acknowledged write is lost."""

    def __call__(self, trial: Trial, tables: Collection[str] | None = None) -> AbstractContextManager[WriteLedger]: ...


@contextmanager
def written_beside(
    trial: Trial,
    tables: Collection[str] | None = None,
    *,
    touched: Touched | None = None,
    dropped_by: Revision | None = None,
) -> Iterator[WriteLedger]:
    """Write single rows next to the statements of the block: before the first, between each two, and after the last.

    Args:
        trial: The database.
        tables: The tables that are written, as "users" or "sales.orders"; None writes all.
        touched: What the revision does to tables, if that is known; only those that it touches are written then.
        dropped_by: A later revision that may drop what was written; the writes are compared after it too.

    Raises:
        Failed: A write that was acknowledged is lost after the block.

    Example:
        with written_beside(database) as writes:
            database.upgrade("0042")
    """
    before = tables_in(trial.engine)
    chosen = list(touched.tables if touched is not None else before)
    if tables is not None:
        chosen = [name for name in chosen if str(name) in tables]
    later = touched.later if touched is not None else None
    apart = touched.apart if touched is not None else None
    with Writers(trial.engine, chosen, later, apart) as writers:
        written = WriteLedger(writers)
        with following_recipes() as replacements, writers.beside():
            yield written
        writers.stop()
        written.acknowledged = writers.ledger.acknowledged
        written.lost = tuple(losses_of(trial, writers, replacements, before))
        if written.lost:
            raise lost_writes(trial, written.lost, before, replacements, writers.ledger.statements)
        if dropped_by is not None:
            # Whether the later revisions succeed with these rows, their own tests show.
            with following_recipes() as replacements, suppress(Exception):
                trial.upgrade(dropped_by.revision)
            written.lost = tuple(losses_of(trial, writers, replacements, before))
        if written.lost:
            raise lost_writes(trial, written.lost, before, replacements, writers.ledger.statements, dropped_by)
