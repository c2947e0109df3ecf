"""Who may work on a backfill: two runners at once, dead ones, stopped ones, slow ones."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from tests.backfill.workers import HUNDREDFOLD, Slow, accounts, from_id, is_filled, sums, until
from tests.concurrency.harness import other_process
from tests.projects import log_lines, migrate

from safeops import backfill, backfill_status
from safeops.backfilling import interruption, state
from safeops.backfilling.port import Batches

ROWS = 2000
LEASE, EVERY = 1.5, 0.3

pytestmark = pytest.mark.only("pg18", "mysql", "sqlite")


@pytest.fixture(autouse=True)
def short_lease(monkeypatch):
    # Forked children have it too.
    monkeypatch.setattr(state, "LEASE", LEASE)
    monkeypatch.setattr(interruption, "RENEW_EVERY", EVERY)


def run(database, values=HUNDREDFOLD, **options):
    """A whole run; returns its report and its log."""
    options = {"where": True, "name": "fill", "batch_size": 100, **options}
    with log_lines() as said:
        # Two runners of one revision would clash over its version.
        report = migrate(database, lambda: backfill("accounts", values, **options), revision=f"r{os.getpid()}")
    return report, said


def rows_done(database):
    """The rows of the batches that were committed."""
    with suppress(Exception):
        return int(database.query("SELECT coalesce(sum(processed), 0) FROM safeops_backfill")[0][0])
    return 0


def waits(said):
    return [line for line in said if "waiting for another runner" in line]


@pytest.mark.parametrize("everything", [True, False], ids=["where=True", "default where"])
def test_two_at_once_do_the_work_once(database, everything, monkeypatch):
    # A busy machine may renew a short lease too late: the second runner would rightly take over.
    monkeypatch.setattr(state, "LEASE", 600.0)
    accounts(database, ROWS, filled=everything)
    values = Slow(0.05) if everything else from_id
    where = True if everything else None

    def first():
        return run(database, values, where=where, pause=0.05)[0]

    with other_process(first) as other:
        until(lambda: rows_done(database), "the first batch")
        report, said = run(database, values, where=where)
        assert other.result().rows == ROWS
    assert is_filled(database)
    assert (report.rows, report.resumed, report.remaining) == (0, True, 0)
    assert len(waits(said)) == 1
    assert waits(said)[0].startswith("backfill fill: waiting for another runner that works on it (")


@pytest.mark.parametrize("place", ["in a batch", "between batches"])
def test_a_killed_one_is_followed_at_once(database, place, monkeypatch):
    # If the session shows that it has ended, no runner waits for the lease.
    if database.kind != "sqlite":
        monkeypatch.setattr(state, "LEASE", 600.0)
    accounts(database, ROWS)
    options = {"values": Slow(0.3)} if place == "in a batch" else {"pause": 0.5}
    with other_process(lambda: run(database, **options)) as other:
        until(lambda: rows_done(database) >= 100, "a batch")
        other.kill9()
        done = rows_done(database)
        report, _ = run(database, Slow(0.0) if place == "in a batch" else HUNDREDFOLD)
    assert is_filled(database)
    assert 0 < report.rows <= ROWS - done
    assert report.resumed
    (whole,) = migrate(database, backfill_status)
    assert (whole.status, whole.rows, whole.runner) == ("finished", ROWS, None)


def with_a_child(database, noted, **options):
    """Runs after a child was forked that keeps the sockets open."""

    def progress(given):
        if given.batches == 2:
            child = os.fork()
            if not child:
                time.sleep(60)
                os._exit(0)
            noted.write_text(str(child))

    run(database, progress=progress, **options)


def test_forked_children_do_not_keep_a_claim(database, tmp_path):
    accounts(database, ROWS)
    noted = tmp_path / "child"
    with other_process(lambda: with_a_child(database, noted, pause=0.2)) as other:
        until(noted.exists, "the child")
        until(lambda: rows_done(database) >= 300, "a batch after it")
        # Waiting for its end would wait for the child.
        os.kill(other.process.pid, signal.SIGKILL)
        child = int(until(noted.read_text, "its number"))
        try:
            report, _ = run(database)
            os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)
    assert is_filled(database)
    assert report.resumed
    assert report.rows <= ROWS - 300


@pytest.mark.parametrize("everything", [True, False], ids=["where=True", "default where"])
def test_one_that_sleeps_too_long_is_followed_and_does_no_harm(database, everything):
    if database.kind == "sqlite":
        pytest.skip("a process that sleeps in a transaction keeps the file")
    accounts(database, ROWS, filled=everything)
    where = True if everything else None

    def first():
        return run(database, HUNDREDFOLD if everything else {"balance": 0}, where=where, pause=0.2)

    values = HUNDREDFOLD if everything else {"balance": 0}
    with other_process(first) as other:
        until(lambda: rows_done(database) >= 200, "two batches")
        os.kill(other.process.pid, signal.SIGSTOP)
        try:
            done = rows_done(database)
            with other_process(lambda: run(database, values, where=where, pause=0.05)) as second:
                until(lambda: rows_done(database) > done, "the second to go on")
                os.kill(other.process.pid, signal.SIGCONT)
                report, said = second.result()
                _, first_said = other.result()
        finally:
            with suppress(ProcessLookupError):
                os.kill(other.process.pid, signal.SIGCONT)
    assert sums(database, 100 if everything else 0) == (ROWS, 0)
    assert waits(said)
    assert report.resumed
    assert any("another runner took over" in line for line in first_said)
    (whole,) = migrate(database, backfill_status)
    assert (whole.status, whole.rows, whole.runner) == ("finished", ROWS, None)


def test_one_that_sleeps_until_all_is_finished_finds_it_so(database):
    if database.kind == "sqlite":
        pytest.skip("a process that sleeps in a transaction keeps the file")
    accounts(database, ROWS)
    with other_process(lambda: run(database, pause=0.2)) as other:
        until(lambda: rows_done(database) >= 200, "two batches")
        os.kill(other.process.pid, signal.SIGSTOP)
        try:
            run(database)
            assert is_filled(database)
        finally:
            os.kill(other.process.pid, signal.SIGCONT)
        report, _ = other.result()
    assert is_filled(database)
    assert report.remaining == 0
    assert migrate(database, backfill_status)[0].rows == ROWS


def test_a_batch_longer_than_the_lease_keeps_its_claim(database):
    if database.kind == "sqlite":
        pytest.skip("a batch holds the file: nobody else writes meanwhile, and nobody can renew")
    accounts(database, 200)
    with other_process(lambda: run(database, Slow(LEASE * 1.75))) as other:
        until(lambda: rows_done(database) >= 100, "a batch")
        report, said = run(database, Slow(LEASE * 1.75))
        first, first_said = other.result()
    assert is_filled(database)
    assert (first.rows, report.rows) == (200, 0)
    assert len(waits(said)) == 1
    assert not any("another runner took over" in line for line in first_said)


def test_on_sqlite_a_batch_longer_than_the_lease_is_done_once(database):
    if database.kind != "sqlite":
        pytest.skip("of the file that nobody else can write")
    accounts(database, 200)
    with other_process(lambda: run(database, Slow(LEASE * 1.2), pause=0.6)) as other:
        until(lambda: rows_done(database) >= 100, "a batch")
        run(database, Slow(LEASE * 1.2))
        other.result()
    assert is_filled(database)


@pytest.mark.parametrize("where", [0, 1], ids=["before the first key is known", "before the ranges are laid"])
def test_one_that_was_taken_for_dead_lays_no_ranges(database, where, monkeypatch):
    """Between its look at the keys and its note of them the whole work is done by another one."""
    accounts(database, 300)
    monkeypatch.setattr(interruption, "RENEW_EVERY", 100.0)
    looks = []
    edge = Batches.edge

    def looked(self, *arguments, **options):
        found = edge(self, *arguments, **options)
        looks.append(found)
        if len(looks) == where + 1:
            database.execute("UPDATE safeops_backfill SET lease_until = 0")
            with other_process(lambda: run(database)[0]) as other:
                assert other.result().rows == 300
        return found

    monkeypatch.setattr(Batches, "edge", looked)
    report, said = run(database)
    assert is_filled(database)
    assert (report.rows, report.resumed) == (0, True)
    assert [line for line in said if "another runner took over" in line]


@pytest.mark.only("pg18", "mysql")
def test_a_range_that_a_worker_still_processes_is_not_cut(database):
    accounts(database, 3000)

    def enough(progress):
        if progress.batches == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(database, progress=enough)
    until_then = time.time() + 3
    database.execute(f"UPDATE safeops_backfill SET runner = 'a worker', lease_until = {until_then} WHERE part = 1")
    with ThreadPoolExecutor(2) as executor:
        report, _ = run(database, executor=executor)
    assert is_filled(database)
    assert report.rows == 3000 - 300
    assert migrate(database, backfill_status)[0].ranges == 1
