"""The tests of backfills once more, with tables that are walked along their pages, however small, in batches of any size."""

import pytest

from safeops.backfilling import pages, ranges

MANY = 40
"""Passes over the rows of a page: as many batches of a few rows each."""


@pytest.fixture(autouse=True, params=[pages.PASSES, MANY], ids=["by lines", "by pages"])
def along_pages(request, monkeypatch):
    # Forked children have it too.
    monkeypatch.setattr(pages, "SMALLEST_TABLE", 0)
    monkeypatch.setattr(pages, "PASSES", request.param)
    monkeypatch.setattr(ranges, "_can_be_of_pages", lambda spec, limits: spec.any_order)
