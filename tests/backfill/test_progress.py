"""What a backfill reports while it runs: to a callable, to the log, by a bar on a terminal."""

import fcntl
import os
import pty
import re
import sqlite3
import struct
import sys
import termios
from contextlib import contextmanager, suppress
from functools import partial

import pytest
import sqlalchemy as sa
from alembic import op
from tests.backfill.workers import HUNDREDFOLD, accounts, is_filled, sums, until
from tests.projects import log_lines, migrate

from safeops import backfill, backfill_status
from safeops.backfilling import progress as progress_module
from safeops.backfilling import range_walker
from safeops.backfilling.progress import BackfillProgress
from safeops.databases import database_for
from safeops.errors import LockNotAcquired

ROWS = 3000


def fill(database, **options):
    options = {"where": True, "name": "fill", "batch_size": 100, **options}
    with log_lines() as said:
        report = migrate(database, lambda: backfill("accounts", HUNDREDFOLD, **options))
    return report, said


def holding(*reasons):
    """A throttle that gives each of the reasons once, before the second batch."""
    left = list(reasons)

    def throttle(progress):
        return left.pop(0) if left and progress.batches == 1 else None

    return throttle


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(range_walker, "ASK_FIRST", 0.01)
    monkeypatch.setattr(range_walker, "ASK_LAST", 0.01)


@pytest.mark.only("pg18", "mysql", "sqlite")
class TestCallable:
    def test_is_called_after_each_batch(self, database):
        accounts(database, ROWS)
        told = []
        report, _ = fill(database, progress=told.append)
        assert all(isinstance(one, BackfillProgress) for one in told)
        assert [one.rows for one in told] == list(range(100, ROWS + 1, 100))
        assert [one.batches for one in told] == list(range(1, report.batches + 1))
        assert [one.key for one in told] == [(str(one.rows),) for one in told]
        assert {one.batch_size for one in told} == {100}
        assert all(one.waiting is None for one in told)
        assert [one.seconds for one in told] == sorted(one.seconds for one in told)
        assert (told[0].name, told[0].table.split(".")[-1]) == ("fill", "accounts")

    def test_knows_about_how_many_there_are_without_statistics(self, database):
        accounts(database, ROWS)
        told = []
        fill(database, progress=told.append)
        if told[0].total is not None:
            assert ROWS / 3 < told[0].total < ROWS * 3
        assert told[0].total is not None or database.kind == "sqlite"

    def test_knows_when_it_will_be_over(self, database):
        accounts(database, ROWS)
        told = []
        fill(database, progress=told.append)
        if told[0].total is None:
            assert {one.seconds_left for one in told} == {None}
        else:
            rest = [max(one.total - one.walked, 0) / one.rows_per_second for one in told]
            assert [one.seconds_left for one in told] == pytest.approx(rest)
            assert told[0].seconds_left > 0

    def test_a_second_run_counts_its_own_rows(self, database):
        accounts(database, ROWS)

        def enough(progress):
            if progress.batches == 10:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            fill(database, progress=enough)
        told = []
        fill(database, progress=told.append)
        assert (told[0].rows, told[0].walked, told[-1].rows, told[-1].walked) == (100, 1100, ROWS - 1000, ROWS)

    def test_hears_what_is_waited_for(self, database, impatient):
        accounts(database, ROWS)
        told = []
        fill(database, progress=told.append, throttles=[holding("lunch", "lunch", "coffee")])
        assert [one.waiting for one in told if one.waiting] == ["lunch", "lunch", "coffee"]
        assert told[-1].waiting is None


@pytest.mark.only("pg18", "mysql", "sqlite")
class TestWhatRaises:
    @pytest.mark.parametrize("place", ["progress", "throttles"])
    def test_is_raised_and_everything_is_kept(self, database, place):
        accounts(database, ROWS)

        def failing(progress):
            if progress.batches == 7:
                raise ZeroDivisionError("mine")

        with pytest.raises(ZeroDivisionError, match="mine"):
            fill(database, **{place: failing if place == "progress" else [failing]})
        assert sums(database) == (700, ROWS - 700)
        (state,) = migrate(database, backfill_status)
        assert (state.status, state.rows, state.runner) == ("stopped", 700, None)
        report, said = fill(database)
        assert (report.rows, report.resumed, is_filled(database)) == (ROWS - 700, True, True)
        assert not any("another runner" in line for line in said)

    def test_an_error_of_another_database_is_not_that_of_the_batch(self, database):
        accounts(database, ROWS)
        locked = {
            "postgresql": _postgresql_error(),
            "mysql": Exception(1205, "Lock wait timeout exceeded"),
            "sqlite": _sqlite_error(),
        }[database.kind]
        raised = []

        def failing(progress):
            if progress.batches == 7 and not raised:
                raised.append(sa.exc.OperationalError("INSERT INTO metrics", {}, locked))
                raise raised[0]

        with pytest.raises(sa.exc.OperationalError, match="metrics"):
            fill(database, progress=failing)
        assert sums(database) == (700, ROWS - 700)
        fill(database)
        assert is_filled(database)

    @pytest.mark.only("pg18")
    def test_an_error_of_the_connection_of_the_migration_is_reported(self, database):
        accounts(database, ROWS)
        database.execute("CREATE TABLE held (id int)", "INSERT INTO held VALUES (1)")

        def failing(_):
            op.get_bind().exec_driver_sql("SELECT 1 FROM held FOR UPDATE NOWAIT")

        with database.observer().connect() as other:
            other.begin()
            other.exec_driver_sql("SELECT 1 FROM held FOR UPDATE")
            with pytest.raises(LockNotAcquired, match="did not get a lock: could not obtain lock on row"):
                fill(database, progress=failing)


def _postgresql_error():
    import psycopg

    return psycopg.errors.LockNotAvailable("canceling statement due to lock timeout")


def _sqlite_error():
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


@pytest.mark.only("pg18")
class TestLog:
    def test_has_a_line_now_and_then(self, database, monkeypatch):
        monkeypatch.setattr(progress_module, "REPORT_EVERY", 0.0)
        accounts(database, ROWS)
        _, said = fill(database)
        lines = [line for line in said if "rows/s" in line]
        assert len(lines) == ROWS / 100
        assert re.fullmatch(
            r"backfilling accounts.balance: \d+ % \(1,000 of about [\d,]+ rows\), [\d,]+ rows/s, about \d+ s left,"
            r" batches of 100",
            lines[9],
        )

    def test_has_no_line_before_its_time(self, database):
        accounts(database, ROWS)
        _, said = fill(database)
        assert [line for line in said if "rows/s" in line] == []
        assert re.fullmatch(r"finished backfill fill: 3,000 rows in 30 batches \(\d+\.\d s\)", said[-1])

    def test_has_each_kind_of_reason_once(self, database, impatient):
        accounts(database, ROWS)
        reasons = [
            "4 sessions, more than 3",
            "5 sessions, more than 3",
            "it is 10:59",
            "it is 11:00",
            "6 sessions, more than 3",
        ]
        _, said = fill(database, throttles=[holding(*reasons)])
        assert [line for line in said if "waiting" in line or "continuing" in line] == [
            "backfill fill: waiting: 4 sessions, more than 3",
            "backfill fill: waiting: it is 10:59",
            "backfill fill: waiting: 6 sessions, more than 3",
            "backfill fill: continuing",
        ]

    def test_with_workers_it_shows_the_size_of_their_batches(self, database, monkeypatch):
        from concurrent.futures import ThreadPoolExecutor

        from safeops.backfilling import parallel

        monkeypatch.setattr(progress_module, "REPORT_EVERY", 0.0)
        monkeypatch.setattr(parallel, "LOOK_EVERY", 0.01)
        accounts(database, ROWS)
        with ThreadPoolExecutor(2) as executor:
            _, said = fill(database, executor=executor)
        lines = [line for line in said if "rows/s" in line]
        assert lines
        assert not any("batches of 0" in line for line in lines)


def database_of(database):
    with database.engine().connect() as connection:
        return database_for(connection.dialect, lambda: connection)


@contextmanager
def terminal():
    """stderr as a terminal; gives a function that waits for what is written there. No fixture: pytest has stderr back."""
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    # One without columns shows nothing.
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
    try:
        with os.fdopen(slave, "w") as stream, pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stderr", stream)
            yield partial(written_to, master)
    finally:
        os.close(master)


def written_to(master, wanted):
    """Reads the terminal until the output is the expected one: it comes a little later."""
    found = []

    def read():
        with suppress(BlockingIOError):
            found.append(os.read(master, 1_000_000).decode())
        return re.search(wanted, "".join(found))

    until(read, f"{wanted!r} on the terminal", seconds=5)
    return "".join(found)


@pytest.fixture(params=["rich", "plain"])
def look(request, monkeypatch):
    monkeypatch.setattr(progress_module, "SHOW_AFTER", 0.0)
    if request.param == "plain":
        monkeypatch.setitem(sys.modules, "rich.console", None)


@pytest.mark.only("pg18", "mysql", "sqlite")
@pytest.mark.usefixtures("look")
class TestLine:
    def test_is_drawn_on_a_terminal(self, database):
        accounts(database, 500)
        with terminal() as written:
            _, said = fill(database)
            assert "backfilling accounts" in written("500 rows")
        assert is_filled(database)
        assert said[-1].startswith("finished backfill fill: 500 rows")

    def test_shows_what_is_waited_for(self, database, impatient, monkeypatch):
        monkeypatch.setattr(progress_module, "DRAW_EVERY", 0.0)
        accounts(database, 500)
        with terminal() as written:
            fill(database, throttles=[holding("lunch")])
            written("waiting: lunch")
        assert is_filled(database)

    @pytest.mark.parametrize("total", [None, 0])
    def test_is_drawn_if_the_number_of_rows_is_unknown(self, database, total, monkeypatch):
        accounts(database, 500)
        monkeypatch.setattr(type(database_of(database).sizes), "estimated_rows", lambda *_: total)
        with terminal() as written:
            fill(database)
            written("500 rows")
        assert is_filled(database)

    def test_a_short_backfill_shows_none(self, database, monkeypatch):
        monkeypatch.setattr(progress_module, "SHOW_AFTER", 60.0)
        accounts(database, 500)
        with terminal() as written:
            fill(database)
            sys.stderr.write("no line")
            sys.stderr.flush()
            assert written("no line") == "no line"
