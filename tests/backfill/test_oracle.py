"""A table and its twin agree exactly, however often a backfill is killed, while an application writes both.

Each test does so with a few seeds; SAFEOPS_ORACLE_SEEDS=100 lets it run for long.
"""

import os
import random

import pytest
from tests.backfill.oracle import TALLY, Backfill, Child, Runners, Table, runners, writing

SEEDS = int(os.environ.get("SAFEOPS_ORACLE_SEEDS", "2"))
FIRST = int(os.environ.get("SAFEOPS_ORACLE_FIRST_SEED", "1"))

seeds = pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
in_python = pytest.mark.parametrize("in_python", [False, True], ids=["in the database", "in Python"])


@pytest.fixture(scope="module", autouse=True)
def told():
    yield
    print(f"\n{dict(TALLY)}")


@pytest.fixture
def chance(seed):
    return random.Random(seed)


@pytest.fixture
def make(database, chance):
    def make(rows, *, fills):
        table = Table(database, fills)
        table.create(rows, chance)
        return table

    return make


def finish(backfill):
    """Nobody writes any more: a last run leaves nothing to do for one after it."""
    assert backfill().remaining == 0
    again = backfill()
    assert (again.rows, again.batches, again.remaining, again.resumed) == (0, 0, 0, True)
    backfill.table.assert_exact()


@seeds
@in_python
def test_rows_are_filled_and_what_the_application_wrote_stands(make, chance, seed, in_python):
    backfill = Backfill(make(400, fills=True), in_python)
    with writing(backfill.table, seed) as writers, runners(backfill, chance) as started:
        while started.kills < 12:
            started.killed()
    assert writers.done["committed"] and writers.done["rolled back"]
    finish(backfill)


@seeds
@in_python
def test_each_row_is_processed_exactly_once(make, chance, seed, in_python):
    backfill = Backfill(make(1500, fills=False), in_python)
    with writing(backfill.table, seed) as writers, runners(backfill, chance) as started:
        while started.killed():
            pass
    assert writers.done["committed"] and writers.done["rolled back"]
    finish(backfill)
