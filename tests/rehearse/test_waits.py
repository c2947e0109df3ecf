"""Who waits for whom is seen by a second connection, with the statement that took the lock."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field

import pytest
from tests.servers import Database
from tests.whole import alike

from safeops.rehearse import effects, waits
from safeops.rehearse.statement import NOT_SEEN, SAMPLED
from safeops.rehearse.waits import TRAFFIC, Held, Wait, Waiting, Watch, blamed, watching_waits, with_sampled


@dataclass
class Statement:
    """What is needed of a statement of the migration."""

    sql: str
    began: float
    seconds: float
    held_seconds: float
    locks: dict[str, str] = field(default_factory=dict)


class Writer(threading.Thread):
    """A client of the application: how long its one statement took, as it measures it."""

    def __init__(self, database: Database, name: str, sql: str) -> None:
        super().__init__()
        self.engine, self.session, self.sql, self.took = database.engine(), name, sql, 0.0
        self.is_sending = threading.Event()

    def run(self) -> None:
        with self.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SET application_name = '{self.session}'")
            self.is_sending.set()
            began = time.monotonic()
            connection.exec_driver_sql(f"/* {self.session} */ {self.sql}")
            self.took = time.monotonic() - began


def blocked(
    database: Database, lock: str, table: str, mode: str, holds: float, *writers: Writer, release: str = "COMMIT"
) -> Statement:
    """Holds a lock in a transaction for a while, as a migration does: since the writers have sent their statements."""
    with database.engine().connect() as connection:
        began = time.monotonic()
        connection.exec_driver_sql(lock)
        for writer in writers:
            writer.start()
        for writer in writers:
            assert writer.is_sending.wait(60)
        time.sleep(holds)
        connection.exec_driver_sql(release)
        held = time.monotonic() - began
    return Statement(lock, began, 0.001, held, {table: mode})


@pytest.mark.only("pg15", "pg18")
def test_a_wait_of_the_application_is_as_long_as_the_application_measures(database: Database) -> None:
    database.execute("CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE other (id int)")
    writers = [Writer(database, f"{TRAFFIC} 1", "INSERT INTO t VALUES (1)"), Writer(database, "psql", "TABLE other")]
    with watching_waits(database.engine()) as watch:
        first = Statement("LOCK TABLE other", time.monotonic(), 0.0, 0.0, {"public.other": "SHARE"})
        locking = blocked(database, "LOCK TABLE t IN SHARE MODE", "public.t", "SHARE", 3.0, *writers)
        [writer.join() for writer in writers]
    (wait,) = blamed(watch.waits, [first, locking])
    assert (wait.table, wait.lock, wait.statement) == ("public.t", "ROW EXCLUSIVE", 1)
    assert not wait.by_migration and "INSERT INTO t" in wait.who
    assert alike(wait.seconds, writers[0].took)


@pytest.mark.parametrize(
    ("gone", "seconds"),
    # It ends with the lock; or earlier, as one that is cancelled; or the lock is released after the last sample.
    [(16.0, 4.9), (13.0, 0.2), (math.inf, 4.9)],
)
def test_a_wait_that_rare_samples_have_seen_lasts_as_long_as_the_lock(gone: float, seconds: float) -> None:
    locking = Statement("LOCK TABLE t IN SHARE MODE", 10.0, 0.1, 5.0, {"public.t": "SHARE"})
    seen = Wait(10.1, 0.2, "public.t", "ROW EXCLUSIVE", "INSERT INTO t VALUES (1)", gone=gone)
    (wait,) = blamed([seen], [locking])
    assert wait.seconds == pytest.approx(seconds)


def test_a_wait_has_ended_by_the_first_sample_that_lacks_it() -> None:
    watch = Watch()
    watch._note(Waiting((1,), 0.1, "public.t", "SHARE", "INSERT", True, ("LOCK TABLE t",)), 5.0)
    for waiting, sampled in (({(1,)}, 5.0), (set(), 6.0), (set(), 7.0)):
        watch._note_gone(waiting, sampled)
    assert [wait.gone for wait in watch.waits] == [6.0]


@pytest.mark.only("pg18")
def test_the_migration_waits_for_the_application(database: Database) -> None:
    database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    migration = Writer(database, "alembic", "ALTER TABLE t ADD COLUMN a int")
    with watching_waits(database.engine()) as watch:
        blocked(database, "LOCK TABLE t IN ROW EXCLUSIVE MODE", "public.t", "", 0.5, migration)
        migration.join()
    (wait,) = watch.waits
    assert wait.by_migration and wait.lock == "ACCESS EXCLUSIVE" and "ALTER TABLE" in wait.sql


@pytest.mark.only("pg18")
def test_two_statements_of_the_application_that_wait_for_each_other_are_not_counted(database: Database) -> None:
    database.execute("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    holder = Writer(database, f"{TRAFFIC} 1", "DO $$BEGIN UPDATE t SET id = 1; PERFORM pg_sleep(0.5); END$$")
    waiter = Writer(database, f"{TRAFFIC} 2", "UPDATE t SET id = 1")
    with watching_waits(database.engine()) as watch:
        holder.start()
        assert holder.is_sending.wait(60)
        waiter.start()
        [writer.join() for writer in (holder, waiter)]
    assert watch.waits == []


@pytest.mark.only("mysql")
def test_a_wait_for_a_table_on_mariadb_and_mysql(database: Database) -> None:
    database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    writer = Writer(database, TRAFFIC, "INSERT INTO t VALUES (1)")
    with watching_waits(database.engine()) as watch:
        locking = blocked(database, "LOCK TABLES t READ", "t", "READ", 3.0, writer, release="UNLOCK TABLES")
        writer.join()
    (wait,) = blamed(watch.waits, [locking])
    assert (wait.table, wait.statement, wait.by_migration) == ("t", 0, False)
    assert "metadata lock" in wait.lock
    # The server does not know since when: a wait is as long as it is seen, and a busy machine takes fewer samples.
    assert writer.took / 2 < wait.seconds < writer.took + 0.05


@pytest.mark.only("sqlite")
def test_a_server_that_shows_no_waits(database: Database) -> None:
    with watching_waits(database.engine()) as watch:
        time.sleep(0.2)
    assert watch.waits == [] and "the traffic measures" in watch.unseen


def test_samples_take_a_twentieth_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, pauses = Watch(), list[float]()

    class Slow:
        unseen, sees_waits = "", True

        def now(self) -> list[Waiting]:
            time.sleep(0.01)
            return []

    def paused(seconds: float) -> bool:
        pauses.append(seconds)
        return len(pauses) == 3

    monkeypatch.setattr(waits, "database_on", lambda connection: connection)
    monkeypatch.setattr(waits.LockWaits, "of", lambda database: Slow())
    monkeypatch.setattr(watch._over, "wait", paused)
    watch.run(None)  # type: ignore[arg-type]
    assert min(pauses[1:]) >= 0.01 * waits.IDLE


def test_a_statement_has_only_samples_from_while_it_ran():
    watch = Watch()
    watch.held[Held("public.users", "SHARE UPDATE EXCLUSIVE")] = [5.5]
    sampled, missed = (effects.Statement("r1", "up", "CREATE INDEX", began, 1.0) for began in (5.0, 7.0))
    with_sampled([sampled, missed], watch, len)
    assert (sampled.seen, sampled.locks) == (SAMPLED, {"public.users": "SHARE UPDATE EXCLUSIVE"})
    assert (missed.seen, missed.locks) == (NOT_SEEN, {})


def test_of_very_many_waits_the_longest_are_kept() -> None:
    watch = Watch()
    for number in range(waits.MOST + 1):
        watch._note(Waiting((number,), number / 100, "public.users", "SHARE", "INSERT", True, ("ALTER",)), 1000.0)
    assert len(watch.waits) == waits.MOST // 2
    assert min(wait.seconds for wait in watch.waits) > waits.MOST / 2 / 100
