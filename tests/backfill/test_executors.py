"""Backfills through executors: threads, processes, and the worker processes of a real dask cluster."""

import logging
import multiprocessing
import os
import pickle
import re
import signal
import threading
import time
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest
from tests.backfill.workers import (
    HUNDREDFOLD,
    AskedBy,
    Engines,
    FailsWhile,
    KilledOnce,
    Refusing,
    Slow,
    accounts,
    hundredfold,
    is_filled,
    sums,
    until,
)
from tests.projects import Project, log_lines, migrate
from tests.whole import one_in

from safeops import backfill, backfill_status, pause_file
from safeops.backfilling import parallel
from safeops.errors import (
    BackfillFunctionFailed,
    BackfillStopped,
    UnsupportedOnDatabase,
    ViolatingRows,
)

ROWS = 3000


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch):
    monkeypatch.setattr(parallel, "SMALLEST", 250)
    monkeypatch.setattr(parallel, "LOOK_EVERY", 0.05)


@pytest.fixture(scope="module")
def pools():
    """Pools of spawned processes: the last one is in use, until a test breaks it."""
    made = []
    yield made
    for pool in made:
        pool.shutdown()


@pytest.fixture
def spawned(pools):
    if not pools or not works(pools[-1]):
        pools.append(ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")))
    return pools[-1]


def works(pool):
    try:
        return pool.submit(os.getpid).result() > 0
    except BrokenExecutor:
        return False


@pytest.fixture(scope="module")
def dask():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=logging.CRITICAL
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def forking():
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork"))


@pytest.fixture(
    params=["threads", "spawn", *(pytest.param(name, marks=pytest.mark.whole) for name in ("fork", "dask"))]
)
def executor(request, database):
    if database.kind != "postgresql" and request.param in ("fork", "dask"):
        pytest.skip("travels as on PostgreSQL")
    if request.param == "spawn":
        yield request.getfixturevalue("spawned")
    elif request.param == "dask":
        yield request.getfixturevalue("dask").get_executor()
    else:
        with ThreadPoolExecutor(2) if request.param == "threads" else forking() as made:
            yield made


def fill(database, values=HUNDREDFOLD, **options):
    options = {"where": True, "name": "fill", "batch_size": 100, **options}
    with log_lines() as said:
        report = migrate(database, lambda: backfill("accounts", values, **options))
    return report, said


def done_here(said):
    return [line for line in said if "a worker stopped" in line]


@pytest.mark.only("pg18", "mysql", "sqlite")
class TestEachExecutor:
    @pytest.mark.parametrize("values", [HUNDREDFOLD, hundredfold], ids=["expression", "function"])
    def test_fills_a_table_exactly_once(self, database, executor, values):
        accounts(database, ROWS)
        report, said = fill(database, values, executor=executor)
        assert is_filled(database)
        assert done_here(said) == []
        assert (report.rows, report.resumed, report.remaining) == (ROWS, False, 0)
        assert report.batches >= ROWS // 100
        state = migrate(database, backfill_status)[0]
        assert (state.status, state.rows, state.runner) == ("finished", ROWS, None)
        assert state.ranges == state.ranges_finished >= 4


@pytest.mark.only("pg18")
class TestFunctions:
    REVISION = """
    from pathlib import Path
    from safeops import backfill, reads

    HERE = Path(__file__).parent.name
    FACTOR = 100

    @reads("balance", writes=("balance",))
    def made(rows):
        assert HERE == "versions"
        return [{"balance": row["balance"] * FACTOR} for row in rows]
    """

    def test_of_a_revision_that_cannot_be_imported(self, database, executor, tmp_path, monkeypatch):
        accounts(database, ROWS)
        monkeypatch.setitem(EXECUTORS, "one", executor)
        upgrade = """
        from tests.backfill.test_executors import EXECUTORS
        backfill("accounts", made, where=True, batch_size=100, executor=EXECUTORS["one"])
        """
        project = Project(tmp_path, database, {"r1": (upgrade, "pass")}, imports=self.REVISION)
        project.upgrade()
        assert is_filled(database)
        assert done_here(project.log) == []

    DECORATED = """
    from tests.backfill.workers import logged
    from safeops import backfill

    @logged
    def made(rows):
        return [{"balance": row["balance"] * 100} for row in rows]
    """

    def test_of_a_revision_behind_a_decorator_from_elsewhere(self, database, spawned, tmp_path, monkeypatch):
        accounts(database, ROWS)
        monkeypatch.setitem(EXECUTORS, "one", spawned)
        upgrade = """
        from tests.backfill.test_executors import EXECUTORS
        backfill("accounts", made, where=True, batch_size=100, executor=EXECUTORS["one"])
        """
        project = Project(tmp_path, database, {"r1": (upgrade, "pass")}, imports=self.DECORATED)
        project.upgrade()
        assert is_filled(database)
        assert done_here(project.log) == []

    def test_a_local_one_works_on_threads(self, database):
        accounts(database, ROWS)
        with ThreadPoolExecutor(2) as executor:
            _, said = fill(database, lambda rows: hundredfold(rows), executor=executor)
        assert is_filled(database)
        assert done_here(said) == []

    def test_a_local_one_is_called_here_instead_of_in_processes(self, database, spawned):
        accounts(database, ROWS)
        _, said = fill(database, lambda rows: hundredfold(rows), executor=spawned)
        assert is_filled(database)
        assert "pickle" in done_here(said)[0]
        assert len(done_here(said)) == 1, "one reason, said once"

    @pytest.mark.whole
    def test_dask_takes_a_local_one(self, database, dask):
        accounts(database, ROWS)
        _, said = fill(database, lambda rows: hundredfold(rows), executor=dask.get_executor())
        assert is_filled(database)
        assert done_here(said) == []


EXECUTORS = {}


@pytest.mark.only("pg18")
class TestWhatTravels:
    def test_throttles_are_called_in_each_worker(self, database, executor, tmp_path):
        accounts(database, ROWS)
        _, said = fill(database, Slow(0.005), executor=executor, throttles=[AskedBy(str(tmp_path))])
        assert is_filled(database)
        assert done_here(said) == []
        asked = {int(one.name) for one in tmp_path.iterdir()}
        assert asked == {os.getpid()} if isinstance(executor, ThreadPoolExecutor) else os.getpid() not in asked

    def test_a_throttle_holds_all_workers(self, database, executor, tmp_path):
        accounts(database, ROWS)
        pause = tmp_path / "pause"
        pause.touch()
        held = []

        def go_on():
            until(lambda: database.query("SELECT 1 FROM safeops_backfill WHERE part > 0 AND runner > ''"), "workers")
            held.append(sums(database))
            pause.unlink()

        with ThreadPoolExecutor(1) as other:
            watching = other.submit(lambda: until(lambda: _has_state(database), "the state") and go_on())
            _, said = fill(database, executor=executor, throttles=[pause_file(pause)])
            watching.result()
        assert held == [(0, ROWS)]
        assert is_filled(database)
        assert done_here(said) == []

    def test_a_throttle_that_fails_in_a_worker_has_the_work_done_here(self, database, spawned):
        accounts(database, ROWS)
        _, said = fill(database, executor=spawned, throttles=[Refusing(os.getpid())])
        assert is_filled(database)
        assert "no throttle here" in done_here(said)[0]

    def test_tasks_are_small_and_have_no_connection(self, database, monkeypatch):
        accounts(database, ROWS)
        seen = []
        walked = parallel.run_tasks

        def noted(executor, tasks, *rest):
            seen.extend(tasks)
            return walked(executor, tasks, *rest)

        monkeypatch.setattr("safeops.backfilling.scan.run_tasks", noted)
        with ThreadPoolExecutor(2) as executor:
            fill(database, hundredfold, executor=executor, throttles=[AskedBy("/tmp")])
        for task in seen:
            copy = pickle.loads(pickle.dumps(task))
            assert replace(copy, spec=task.spec) == task
            assert (copy.spec.name, copy.spec.fingerprints) == (task.spec.name, task.spec.fingerprints)
            assert len(pickle.dumps(task)) < 4000
        assert len(seen) >= 4


def _has_state(database):
    tables = {"postgresql": "SELECT 1 FROM pg_class WHERE relname = 'safeops_backfill'"}[database.kind]
    return database.query(tables)


@pytest.mark.only("pg18", "mysql")
class TestConnect:
    def with_password(self, database):
        url = database.url.set(password="s3cret") if database.kind == "postgresql" else database.url
        return url.render_as_string(hide_password=False), url.password

    def test_a_url(self, database, executor):
        accounts(database, ROWS)
        url, _ = self.with_password(database)
        _, said = fill(database, executor=executor, connect=url)
        assert is_filled(database)
        assert done_here(said) == []

    def test_a_callable(self, database, executor, tmp_path):
        accounts(database, ROWS)
        url, _ = self.with_password(database)
        _, said = fill(database, executor=executor, connect=Engines(url, str(tmp_path)))
        assert is_filled(database)
        assert done_here(said) == []
        callers = {int(one.name) for one in tmp_path.iterdir()}
        assert callers == {os.getpid()} if isinstance(executor, ThreadPoolExecutor) else os.getpid() not in callers

    def test_the_password_is_nowhere_to_be_seen(self, database, executor, caplog):
        accounts(database, ROWS)
        url, password = self.with_password(database)
        wrong = url.replace(f":{database.url.port}/", ":1/")
        caplog.set_level(logging.DEBUG)
        _, said = fill(database, executor=executor, connect=wrong)
        assert is_filled(database)
        assert "refused" in done_here(said)[0]
        assert f":{password}@" not in caplog.text
        assert "s3cret" not in caplog.text
        task = parallel.EngineSource(url, url, "key")
        assert password not in repr(task).replace("postgresql", "")

    def test_no_url_is_refused_before_anything_begins(self, database):
        accounts(database, 10)
        with ThreadPoolExecutor(1) as executor, pytest.raises(ValueError, match="connect"):
            fill(database, executor=executor, connect="no url")


@pytest.mark.only("pg18")
class TestAsync:
    @pytest.mark.parametrize("kind", one_in(3, ["threads", "fork", "spawn"]))
    @pytest.mark.parametrize("values", [HUNDREDFOLD, hundredfold], ids=["expression", "function"])
    def test_an_asynchronous_env(self, database, kind, values, spawned):
        accounts(database, ROWS)
        other = database.with_driver("asyncpg")
        if kind == "spawn":
            _, said = fill(other, values, executor=spawned)
        else:
            with ThreadPoolExecutor(2) if kind == "threads" else forking() as executor:
                _, said = fill(other, values, executor=executor)
        assert is_filled(database)
        assert done_here(said) == []

    def test_connect_may_make_an_asynchronous_engine(self, database):
        accounts(database, ROWS)
        with ThreadPoolExecutor(2) as executor:
            _, said = fill(database, executor=executor, connect=database.with_driver("asyncpg").async_engine)
        assert is_filled(database)
        assert done_here(said) == []


@pytest.mark.only("pg18", "mysql", "sqlite")
class TestKilledWorkers:
    def test_a_pool_that_breaks_has_the_rest_done_here(self, database, tmp_path):
        accounts(database, ROWS)
        # The parent must not be the one that is killed: it is the second to call.
        with forking() as executor:
            _, said = fill(database, KilledOnce(str(tmp_path / "killed")), executor=executor)
        assert is_filled(database)
        assert "terminated abruptly" in done_here(said)[0]
        assert (tmp_path / "killed").exists()

    def test_a_pool_that_is_broken_before_has_all_done_here(self, database):
        accounts(database, ROWS)
        with forking() as executor:
            with pytest.raises(Exception, match="abruptly"):
                executor.submit(os._exit, 1).result()
            _, said = fill(database, executor=executor)
        assert is_filled(database)
        assert len(done_here(said)) == 1

    def test_dask_gives_the_range_to_another_worker(self, database, dask, tmp_path):
        accounts(database, ROWS)
        _, said = fill(database, KilledOnce(str(tmp_path / "killed")), executor=dask.get_executor())
        assert is_filled(database)
        assert done_here(said) == []
        assert (tmp_path / "killed").exists()


def killed_later():
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


def failing():
    raise BackfillStopped("enough")


def test_a_pool_that_breaks_while_it_is_stopped_ends_all_the_same():
    raised = []

    def stop():
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as executor:
            try:
                parallel.run_tasks(executor, [killed_later] * 8, failing, lambda: None)
            except BackfillStopped as error:
                raised.append(error)

    # It must not hang the tests.
    threading.Thread(target=stop, daemon=True).start()
    until(lambda: raised, "the end of it", seconds=10)


def stopping_at(batches, how=BackfillStopped):
    """A progress callable that ends the run."""

    def tell(progress):
        if progress.batches >= batches:
            raise how("enough")

    return tell


@pytest.mark.only("pg18")
class TestStoppedAndResumed:
    def test_a_serial_run_is_resumed_by_workers(self, database, executor):
        accounts(database, ROWS)
        with pytest.raises(BackfillStopped, match="enough"):
            fill(database, progress=stopping_at(5))
        assert sums(database) == (500, ROWS - 500)
        report, said = fill(database, executor=executor)
        assert is_filled(database)
        assert done_here(said) == []
        assert (report.rows, report.resumed) == (ROWS - 500, True)
        assert migrate(database, backfill_status)[0].ranges > 5

    def test_workers_are_resumed_by_a_serial_run(self, database, executor):
        accounts(database, ROWS)
        with pytest.raises(BackfillStopped, match="enough"):
            fill(database, Slow(0.05), executor=executor, progress=stopping_at(3))
        done, left = sums(database)
        assert done
        assert left
        report, _ = fill(database, Slow(0.0))
        assert is_filled(database)
        assert report.resumed
        # A worker elsewhere may have ended its batch after the count.
        assert report.rows <= left


def is_free(database):
    return not database.query("SELECT runner FROM safeops_backfill WHERE runner IS NOT NULL")


@pytest.mark.only("pg18")
class TestStopping:
    def test_the_workers_stop_too(self, database, executor):
        accounts(database, ROWS)
        with pytest.raises(BackfillStopped, match="enough"):
            fill(database, Slow(0.05), batch_size=10, executor=executor, progress=stopping_at(3))
        until(lambda: is_free(database), "the workers to let go", seconds=10)
        assert sums(database)[0] < ROWS / 2

    def test_during_a_long_pause(self, database, executor):
        accounts(database, ROWS)
        began = time.monotonic()

        def tell(progress):
            raise BackfillStopped("enough")

        with pytest.raises(BackfillStopped, match="enough"):
            fill(database, executor=executor, pause=60.0, progress=tell)
        until(lambda: is_free(database), "the workers to let go", seconds=30)
        assert time.monotonic() - began < 40


@pytest.mark.only("pg18")
class TestErrorsInWorkers:
    def test_a_function_that_raises(self, database, executor, tmp_path):
        accounts(database, ROWS)
        flaw = tmp_path / "flaw"
        flaw.touch()
        function = FailsWhile(str(flaw), 1200)
        with pytest.raises(BackfillFunctionFailed) as raised:
            fill(database, function, executor=executor)
        assert "tests.backfill.workers.FailsWhile raised ValueError: 1200 is not to be" in str(raised.value)
        assert "The batch has the keys from" in str(raised.value)
        assert raised.value.number == "S604"
        until(lambda: is_free(database), "the last of its workers to let go")
        done, left = sums(database)
        assert left
        flaw.unlink()
        report, said = fill(database, function, executor=executor)
        assert is_filled(database)
        assert done_here(said) == []
        assert report.rows == left
        assert done + left == ROWS

    def test_its_message_does_not_count_one_worker_for_all(self, database, executor, tmp_path):
        accounts(database, ROWS)
        (tmp_path / "flaw").touch()
        with pytest.raises(BackfillFunctionFailed) as raised:
            fill(database, FailsWhile(str(tmp_path / "flaw"), 2500), executor=executor)
        done = sums(database)[0]
        assert done
        (said,) = re.findall(r"([\d,]+) rows are done and kept", str(raised.value)) or [f"{done:,}"]
        assert said == f"{done:,}"

    def test_rows_that_break_a_constraint(self, database, executor):
        if database.kind == "sqlite":
            pytest.skip("SQLite adds no check to a table")
        accounts(database, ROWS)
        database.execute("ALTER TABLE accounts ADD CONSTRAINT small CHECK (balance <> 250000)")
        with pytest.raises(ViolatingRows) as raised:
            fill(database, executor=executor)
        assert "cannot write the row of" in str(raised.value)
        assert "small" in str(raised.value)
        assert "accounts" in str(raised.value)
        database.execute("ALTER TABLE accounts DROP CONSTRAINT small")
        fill(database, executor=executor)
        assert is_filled(database)


@pytest.mark.only("sqlite")
def test_a_private_database_has_no_workers(database):
    import sqlalchemy as sa
    from sqlalchemy.pool import StaticPool

    with closing(sa.create_engine("sqlite://", poolclass=StaticPool).connect()) as connection:
        connection.exec_driver_sql("CREATE TABLE accounts (id int PRIMARY KEY NOT NULL, balance bigint)")
        connection.exec_driver_sql("INSERT INTO accounts VALUES (1, 1)")
        connection.commit()
        with ThreadPoolExecutor(2) as executor, pytest.raises(UnsupportedOnDatabase, match="executor="):
            migrate(
                database,
                lambda: backfill("accounts", HUNDREDFOLD, where=True, executor=executor),
                connection=connection,
            )
