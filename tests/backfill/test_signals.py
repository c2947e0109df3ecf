"""Signals to `alembic upgrade head` in a separate process, and connections that are lost in the middle."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from tests.backfill.workers import HUNDREDFOLD, Slow, accounts, is_filled, sums, until
from tests.projects import Project, log_lines, migrate
from tests.whole import one_in

from safeops import backfill, backfill_status
from safeops.backfilling.interruption import Stop, stopping_on_signals
from safeops.errors import BackfillStopped

ROWS = 2000

RUN = """
import logging, signal, sys
from alembic import command
from alembic.config import CommandLine, Config
from sqlalchemy import make_url

# A shell starts what runs in the background with SIGINT ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
logging.basicConfig(level=logging.INFO, format="%(message)s")
config = Config("alembic.ini")
config.attributes.update(url=make_url(sys.argv[1]), foreign_keys=False, configure={"transaction_per_migration": True})
try:
    command.upgrade(config, "head")
finally:
    for one in (signal.SIGINT, signal.SIGTERM):
        print("restored" if signal.getsignal(one) in (signal.default_int_handler, signal.SIG_DFL) else "kept", flush=True)
"""

IMPORTS = """
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from tests.backfill.workers import HUNDREDFOLD, Slow
from safeops import backfill, pause_file
"""


class Run:
    """`alembic upgrade head` in a separate process, the leader of a process group."""

    def __init__(self, project):
        url = project.database.url.render_as_string(hide_password=False)
        root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
        self.database = project.database
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, url],
            cwd=project.folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def after_batches(self, count=1):
        until(lambda: self.batches() >= count, f"{count} batches")
        return self

    def batches(self):
        if self.process.poll() is not None:
            raise AssertionError(self.process.communicate()[0])
        if not has_state(self.database):
            return 0
        return self.database.query("SELECT coalesce(sum(batches), 0) FROM safeops_backfill")[0][0]

    def at_work(self):
        """Waits for it to be in the middle of its work, though no batch may come to its end."""
        until(lambda: self.process.poll() is not None or has_claimed_range(self.database), "a range to be claimed")
        return self

    def output(self, seconds=20):
        try:
            return self.process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise AssertionError("it did not end: " + self.process.communicate()[0]) from None


def has_state(database):
    if database.kind == "sqlite":
        return database.query("SELECT 1 FROM sqlite_master WHERE name = 'safeops_backfill'")
    return database.query(
        "SELECT 1 FROM information_schema.tables WHERE table_name = 'safeops_backfill'"
        + (f" AND table_schema = '{database.name}'" if database.kind == "mysql" else "")
    )


def has_claimed_range(database):
    return has_state(database) and database.query("SELECT 1 FROM safeops_backfill WHERE part > 0 AND runner > ''")


@pytest.fixture
def run(database, tmp_path):
    """Starts a project whose one revision has the call; the database has the table already."""
    accounts(database, ROWS)
    runs = []

    def start(call):
        indented = call.strip()
        runs.append(Run(Project(tmp_path, database, {"r1": (indented, "pass")}, imports=IMPORTS)))
        return runs[-1]

    yield start
    for one in runs:
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGKILL)
            one.process.communicate()


def finishes(run, call):
    """A second run without the slowness fills what is left, exactly once."""
    again = run(call)
    assert again.output() is not None
    assert again.process.returncode == 0
    assert is_filled(again.database)


SLOW = 'backfill("accounts", Slow({}), where=True, name="fill", batch_size=50{})'


@pytest.mark.only("pg18", "mysql", "sqlite")
@pytest.mark.parametrize("number", one_in(2, [signal.SIGTERM, signal.SIGINT]), ids=["SIGTERM", "SIGINT"])
def test_a_signal_stops_it_after_the_current_batch(run, database, number):
    stopped = run(SLOW.format(0.2, "")).after_batches(2)
    stopped.process.send_signal(number)
    output = stopped.output()
    assert stopped.process.returncode == 1
    done, left = sums(database)
    assert done % 50 == 0
    assert done >= 100
    assert left
    assert f"Backfill fill was stopped by {number.name} after the key {done}." in output
    assert f"{done:,} rows are done and kept" in output
    assert "Run the same command again." in output
    assert output.rstrip().count("\nrestored") == 2 or output.count("restored") == 2
    finishes(run, SLOW.format(0, ""))


@pytest.mark.only("pg18")
@pytest.mark.parametrize(
    "wait",
    one_in(3, ["throttles=[lambda _: 'never']", "pause=60", "throttles=[lambda _: time.sleep(0.05) or 'x']"]),
)
def test_it_reacts_at_once_while_it_waits(run, database, wait):
    stopped = run(SLOW.format(0, f", {wait}"))
    stopped.after_batches() if "pause" in wait else stopped.at_work()
    time.sleep(0.3)
    began = time.monotonic()
    stopped.process.send_signal(signal.SIGINT)
    assert "was stopped by SIGINT" in stopped.output()
    assert time.monotonic() - began < 15
    finishes(run, SLOW.format(0, ""))


@pytest.mark.only("pg18")
def test_a_second_signal_acts_as_usual(run, database):
    stopped = run(SLOW.format(30, "")).at_work()
    stopped.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert stopped.process.poll() is None
    stopped.process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in stopped.output()
    assert stopped.process.returncode
    assert sums(database) == (0, ROWS)
    finishes(run, SLOW.format(0, ""))


POOLS = {"threads": "ThreadPoolExecutor(2)", "processes": "ProcessPoolExecutor(2)"}


@pytest.mark.only("pg18")
@pytest.mark.parametrize("pool", one_in(3, ["processes", "threads"]))
@pytest.mark.parametrize("busy", one_in(3, [True, False]), ids=["all at work", "one idle"])
def test_ctrl_c_stops_the_workers_too(run, database, pool, busy):
    workers = POOLS[pool] if busy else POOLS[pool].replace("2", "6")
    call = f"""
with {workers} as executor:
    if {not busy}:
        list(executor.map(time.sleep, [0.1] * 12))
    {SLOW.format(0.2, ", executor=executor")}
"""
    stopped = run(call).after_batches(2)
    os.killpg(stopped.process.pid, signal.SIGINT)
    output = stopped.output()
    assert stopped.process.returncode == 1
    assert "Backfill fill was stopped by SIGINT" in output
    assert sums(database)[1]
    if busy or pool == "threads":
        # An idle process has no handler: it dies, its pool breaks, and ends the others without more ado.
        assert database.query("SELECT runner FROM safeops_backfill WHERE runner IS NOT NULL") == []
    finishes(run, call.replace("Slow(0.2)", "Slow(0)"))


@pytest.mark.only("sqlite")
def test_in_a_thread_signals_stay_what_they_are(database):
    accounts(database, ROWS)
    before = signal.getsignal(signal.SIGINT)
    seen, failed = [], []

    def work():
        try:
            migrate(
                database,
                lambda: backfill(
                    "accounts", HUNDREDFOLD, where=True, progress=lambda _: seen.append(signal.getsignal(signal.SIGINT))
                ),
            )
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert failed == []
    assert is_filled(database)
    assert set(seen) == {before}


class TestStop:
    def test_handlers_are_restored(self):
        before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        with stopping_on_signals() as stop:
            assert signal.getsignal(signal.SIGINT) not in before
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop
            assert stop.reason == "SIGTERM"
            assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before

    def test_a_signal_ends_a_sleep(self):
        with stopping_on_signals() as stop:
            threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGINT]).start()
            began = time.monotonic()
            stop.sleep(60)
            assert time.monotonic() - began < 30
        assert stop

    def test_a_signal_at_any_moment_of_a_sleep_does_no_harm(self):
        # The handler runs in the same thread, between any two lines of what sleep() does.
        for moment in itertools.count():
            stop, passed = Stop(), []
            ended = threading.Event()
            threading.Thread(target=asked_at, args=[stop, moment, passed, ended], daemon=True).start()
            assert ended.wait(5), f"at line {passed[-1]} ask() waits for a lock that the sleep beneath it holds"
            if len(passed) <= moment:
                break
        assert moment


def asked_at(stop, moment, passed, ended):
    """Sleeps, and stops the sleep before the line of that number is run."""

    def trace(frame, event, _):
        if event == "line" and len(passed) <= moment:
            passed.append(f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}")
            if len(passed) > moment:
                sys.settrace(None)
                stop.ask("SIGINT")
                return None
        return trace

    sys.settrace(trace)
    try:
        stop.sleep(0.01)
    finally:
        sys.settrace(None)
        ended.set()


def fill(database, values=HUNDREDFOLD, **options):
    options = {"where": True, "name": "fill", "batch_size": 100, **options}
    with log_lines() as said:
        report = migrate(database, lambda: backfill("accounts", values, **options))
    return report, said


@pytest.mark.only("pg18", "mysql")
class TestLostConnections:
    @pytest.mark.parametrize("place", ["between batches", "in a batch"])
    @pytest.mark.parametrize("driver", ["usual", "asyncpg"])
    def test_is_a_stop_that_can_be_resumed(self, database, place, driver):
        if driver == "asyncpg" and database.kind != "postgresql":
            pytest.skip("a driver of PostgreSQL")
        accounts(database, ROWS)
        ended = []

        def end(given):
            if not ended and (place == "in a batch" or given.batches == 5):
                ended.append(True)
                database.end_sessions()

        def function(rows):
            if rows[0]["id"] > 500:
                end(None)
            return [{"balance": row["balance"] * 100} for row in rows]

        values, options = (function, {}) if place == "in a batch" else (HUNDREDFOLD, {"progress": end})
        with pytest.raises(BackfillStopped, match="lost its connection") as raised:
            fill(database if driver == "usual" else database.with_driver(driver), values, **options)
        assert "500 rows are done and kept; running again continues from there." in str(raised.value)
        assert sums(database) == (500, ROWS - 500)
        report, said = fill(database, values)
        assert is_filled(database)
        assert (report.rows, report.resumed) == (ROWS - 500, True)
        assert not any("another runner" in line for line in said), "its session is gone, so that nobody waits for it"

    @pytest.mark.parametrize("pool", ["threads"])
    def test_with_workers_too(self, database, pool, monkeypatch):
        from concurrent.futures import ThreadPoolExecutor

        from safeops.backfilling import parallel

        monkeypatch.setattr(parallel, "SMALLEST", 250)
        monkeypatch.setattr(parallel, "LOOK_EVERY", 0.05)
        accounts(database, ROWS)
        ended = []

        def end(given):
            if not ended:
                ended.append(True)
                database.end_sessions()

        with ThreadPoolExecutor(2) as executor, pytest.raises(BackfillStopped, match="lost its connection"):
            fill(database, Slow(0.05), progress=end, executor=executor)
        assert sums(database)[1]
        report, _ = fill(database, Slow(0.0))
        assert report.resumed
        assert is_filled(database)


@pytest.mark.only("pg18", "mysql")
@pytest.mark.timeout(90)
def test_a_server_that_is_killed_and_comes_back(database, server):
    accounts(database, ROWS)
    killed = []

    def kill(progress):
        if progress.batches == 5 and not killed:
            killed.append(True)
            server.kill9()

    try:
        with pytest.raises(BackfillStopped, match="lost its connection"):
            fill(database, progress=kill)
    finally:
        server.start()
    # The newest batches may be lost, each together with its checkpoint.
    done, left = sums(database)
    report, _ = fill(database)
    assert is_filled(database)
    assert report.rows == left
    assert done <= 500
    assert migrate(database, backfill_status)[0].rows == ROWS
