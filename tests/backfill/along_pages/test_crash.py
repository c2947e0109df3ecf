"""See ``tests.backfill.test_crash``: of the backfill that fills, since the others go along a key."""

import pytest
from tests.backfill.test_crash import BODIES, ROWS
from tests.lifecycle.harness import crash_everywhere


@pytest.mark.only("pg18")
def test_stopped_anywhere_it_continues(new_database):
    assert 8 <= crash_everywhere(new_database, BODIES["the default"], ROWS, kills=1, every_checkpoint=True) <= 2000
