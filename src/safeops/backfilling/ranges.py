"""The ranges of a backfill: along the pages of its table if the order of the rows does not matter, else along its key."""

from __future__ import annotations

from concurrent.futures import Executor

from safeops.backfilling import pages, parallel
from safeops.backfilling.batch import Limits
from safeops.backfilling.pages import Heap, bound
from safeops.backfilling.parallel import cut, pieces_for
from safeops.backfilling.port import Batches, Bound
from safeops.backfilling.spec import BackfillSpec
from safeops.backfilling.state import BY_PAGES, Part, Ranges
from safeops.databases.base import Database


def ranges_of_pages(database: Database, spec: BackfillSpec, limits: Limits, executor: Executor | None) -> Ranges | None:
    """Return ranges of the pages that the table has now; None if it must be walked along its key."""
    if not (_can_be_of_pages(spec, limits) and Heap.serves(database)):
        return None
    size = Heap.of(database).size(spec.table)
    if size is None or size.pages < max(pages.SMALLEST_TABLE, 1):
        return None
    first, stop = bound((0, 0)), bound((size.pages, 0))
    return Ranges(first, _cut_pages(database, spec, executor, first, stop), BY_PAGES)


def _can_be_of_pages(spec: BackfillSpec, limits: Limits) -> bool:
    # A fixed number of rows is a promise, and a page can have more.
    return spec.any_order and limits.batch_size is None


def ranges_of_keys(database: Database, spec: BackfillSpec, executor: Executor | None) -> Ranges | None:
    """Return ranges from the current first key of the table to its last; None if it has no rows."""
    first = Batches.of(database).edge(spec.table, spec.key, spec.index)
    last = Batches.of(database).edge(spec.table, spec.key, spec.index, last=True)
    if first is None or last is None:
        return None
    return Ranges(first, cut(database, spec, executor, first, None, last))


def cut_rest(database: Database, spec: BackfillSpec, executor: Executor | None, part: Part, upto: Bound) -> list[Bound]:
    """Cut what is left of a range into pieces for the workers; return the end of each."""
    if part.is_by_pages:
        return _cut_pages(database, spec, executor, part.after or part.first, upto)
    return cut(database, spec, executor, part.first, part.after, upto)


def _cut_pages(
    database: Database, spec: BackfillSpec, executor: Executor | None, start: Bound | None, stop: Bound
) -> list[Bound]:
    rows = database.sizes.estimated_rows(spec.table) or 0
    return pages.cut(start, stop, max(min(pieces_for(executor), rows // parallel.SMALLEST), 1))
