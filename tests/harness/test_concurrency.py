"""The traffic sees waits and losses; the holder holds."""

import os
import time

import pytest
import sqlalchemy as sa
from tests.concurrency.harness import Traffic, idle_holder, other_process

TABLE = "CREATE TABLE t (id integer PRIMARY KEY, name varchar(20), amount integer)"


@pytest.fixture
def traffic(database):
    database.execute(TABLE, "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)")
    return Traffic(database, "t")


@pytest.mark.smoke
def test_no_writer_waits_on_a_quiet_table(traffic):
    with traffic.running():
        traffic.settle(50)
    assert 0 < traffic.longest_wait.seconds < 1
    traffic.assert_no_errors()
    traffic.assert_no_rows_lost()


def test_a_held_lock_is_a_wait(database, traffic):
    with traffic.running():
        with idle_holder(database, "t", "ACCESS EXCLUSIVE"):
            time.sleep(0.4)
        traffic.settle()
    assert 0.3 < traffic.longest_wait.seconds < 3
    traffic.assert_no_rows_lost()


def test_a_lost_row_is_seen(database, traffic):
    with traffic.running():
        traffic.settle()
    database.execute("DELETE FROM t WHERE id = (SELECT max(id) FROM t_twin)")
    with pytest.raises(AssertionError, match="1 of"):
        traffic.assert_no_rows_lost()


@pytest.mark.only("postgresql", "mysql")
def test_a_reader_in_an_idle_transaction_stops_ddl(database):
    database.execute(TABLE)
    timeout = {"postgresql": "SET lock_timeout = '100ms'", "mysql": "SET lock_wait_timeout = 1"}[database.kind]
    with idle_holder(database, "t") as holder:
        assert holder.pid > 0
        with pytest.raises(sa.exc.OperationalError), database.engine().connect() as connection:
            connection.exec_driver_sql(timeout)
            connection.exec_driver_sql("ALTER TABLE t DROP COLUMN amount")
    database.execute("ALTER TABLE t DROP COLUMN amount")


def test_a_holder_releases_its_lock(database):
    database.execute(TABLE)
    with idle_holder(database, "t", "ROW EXCLUSIVE") as holder:
        holder.release_after(0.1)
        database.execute("DROP TABLE t")


def test_another_process():
    with other_process(os.getpid) as other:
        assert other.result() != os.getpid()
    with other_process(lambda: 1 / 0) as other, pytest.raises(AssertionError, match="ZeroDivisionError"):
        other.result()
