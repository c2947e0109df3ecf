"""See ``tests.backfill.test_crash``: of the backfill that fills, since the others go along a key."""

import dataclasses

import pytest
from tests.backfill.test_crash import BODIES, ROWS
from tests.lifecycle.harness import crash_everywhere

from safeops.backfilling import pages
from safeops.backfilling.postgresql import Heap

LINES = 8
"""Lines of a page: the four rows and their new versions fit, and each further line would be a batch."""


@pytest.fixture(autouse=True)
def few_lines(along_pages, monkeypatch):
    size = Heap.size
    monkeypatch.setattr(Heap, "size", lambda heap, table: dataclasses.replace(size(heap, table), lines=LINES))
    # Batches of two rows: with four passes each has a page, with three some lines of it.
    monkeypatch.setattr(pages, "PASSES", min(pages.PASSES, LINES // 2))


@pytest.mark.only("pg18")
def test_stopped_anywhere_it_continues(new_database):
    assert 8 <= crash_everywhere(new_database, BODIES["the default"], ROWS, kills=1, every_checkpoint=True) <= 60
