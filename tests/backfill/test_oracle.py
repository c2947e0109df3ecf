"""A table and its reference table agree exactly, however often a backfill is killed, while an application writes both.

Each test does so with one seed; SAFEOPS_ORACLE_SEEDS=100 lets it run for long.
"""

import os
import random
import signal

import pytest
from tests.backfill.oracle import TALLY, Backfill, Table, runners, writing

from safeops.backfilling import interruption, parallel, state

SEEDS = int(os.environ.get("SAFEOPS_ORACLE_SEEDS", 1))
FIRST = int(os.environ.get("SAFEOPS_ORACLE_FIRST_SEED", "1"))
SERVER_KILLS = int(os.environ.get("SAFEOPS_ORACLE_SERVER_KILLS", "1"))

pytestmark = pytest.mark.only("pg18", "mysql", "sqlite")

seeds = pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
in_python = pytest.mark.parametrize("in_python", [False, True], ids=["in the database", "in Python"])

fills = pytest.mark.parametrize("fills", [True, False], ids=["filled", "once"])


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
    """No application writes now: a last run leaves nothing to do for the next one."""
    assert backfill().remaining == 0
    again = backfill()
    assert (again.rows, again.batches, again.remaining, again.resumed) == (0, 0, 0, True)
    backfill.table.assert_exact()


@pytest.fixture
def hurried(monkeypatch):
    """Leases expire quickly, and ranges are small; children inherit it."""
    monkeypatch.setattr(state, "LEASE", 0.6)
    monkeypatch.setattr(interruption, "RENEW_EVERY", 0.15)
    monkeypatch.setattr(parallel, "SMALLEST", 25)


@seeds
@in_python
def test_rows_are_filled_and_what_the_application_wrote_is_kept(make, chance, seed, in_python):
    backfill = Backfill(make(300, fills=True), in_python)
    with writing(backfill.table, seed) as writers, runners(backfill, chance) as started:
        while started.kills < 10:
            started.killed()
    assert writers.done["committed"] and writers.done["rolled back"]
    finish(backfill)


@seeds
@in_python
def test_each_row_is_processed_exactly_once(make, chance, seed, in_python):
    backfill = Backfill(make(240, fills=False), in_python)
    with writing(backfill.table, seed) as writers, runners(backfill, chance) as started:
        while started.killed():
            pass
    assert writers.done["committed"] and writers.done["rolled back"]
    finish(backfill)


@seeds
@fills
def test_two_runners_at_once_one_of_which_is_killed(make, chance, seed, fills):
    backfill = Backfill(make(200, fills=fills))
    with writing(backfill.table, seed), runners(backfill, chance) as started:
        while started.kills < 3:
            pair = [started.start(), started.start()]
            chance.shuffle(pair)
            started.kill_after(pair[0], 0.3)
            if chance.random() < 0.5:
                started.kill_after(pair[1], 0.3)
            ended = [not started.died(one) for one in pair]
            if all(ended) and not fills:
                break
    finish(backfill)


@pytest.mark.only("postgresql", "mysql")
@seeds
def test_any_process_of_a_run_on_several_is_killed(make, chance, seed, hurried):
    backfill = Backfill(make(320, fills=False), workers=2)
    with writing(backfill.table, seed), runners(backfill, chance) as started:
        while True:
            run = started.start()
            # Then one is not killed: on a slow machine none would finish in that time.
            if started.kills < 12:
                run.wait(chance.uniform(0.02, 0.2))
                started.kill_one_of(run.family())
                if chance.random() < 0.5:
                    started.kill_after(run, 0.3)
            if not started.died(run):
                break
    assert started.kills
    finish(backfill)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + 2 * SEEDS))
@fills
def test_a_runner_that_was_taken_for_dead_wakes_up(make, chance, seed, fills, hurried):
    backfill = Backfill(make(40, fills=fills))
    with runners(backfill, chance) as started:
        first = started.start(started.signalling(signal.SIGSTOP, last=170))
        first.wait_until_stopped()
        second = started.start()
        second.wait(2 * state.LEASE)
        first.send(signal.SIGCONT)
        assert not started.died(first) and not started.died(second)
    finish(backfill)


@seeds
@pytest.mark.only("postgresql", "mysql")
@fills
def test_the_server_is_killed(server, make, chance, seed, fills):
    backfill = Backfill(make(200, fills=fills), server_dies=True)
    for generation in range(1, 1 + SERVER_KILLS):
        with writing(backfill.table, seed, generation) as writers, runners(backfill, chance) as started:
            run = started.start()
            run.wait(chance.uniform(0.05, 0.4))
            server.kill9()
            server.start()
            assert not started.died(run)
            TALLY["killed servers"] += 1
        assert writers.done["committed"]
    finish(backfill)
