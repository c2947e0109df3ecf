"""Traffic: what the application would notice, on every database, and each acknowledged write found again."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.projects import migrate
from tests.servers import Database
from tests.whole import alike

from safeops import ColumnRename, TableRename, TypeChange, add_column_if_missing
from safeops.naming import Name
from safeops.rehearse.traffic import Replacements, Traffic, TrafficPlan, following_recipes, plan_of
from safeops.rehearse.traffic.comparison import compare
from safeops.rehearse.traffic.latencies import Latencies, Sample
from safeops.rehearse.traffic.ledger import Ledger, entries

USERS = Name("users")
DEADLOCK = "1213"
"""The code of MariaDB and MySQL, which roll back one of two transactions that wait for each other."""
FURTHER_BY_HAND = pytest.mark.by_hand("mysql97", "sqlite")


@pytest.fixture
def users(database: Database) -> Database:
    if database.kind == "sqlite":
        database.execute("PRAGMA journal_mode = wal")
    number = {"postgresql": "serial", "mysql": "integer AUTO_INCREMENT", "sqlite": "integer"}[database.kind]
    database.execute(
        f"CREATE TABLE users (id {number} PRIMARY KEY, email varchar(60) NOT NULL UNIQUE, name varchar(40),"
        " age integer NOT NULL, born date, level integer DEFAULT 1 NOT NULL,"
        " CONSTRAINT levels CHECK (level BETWEEN 1 AND 9))"
    )
    for number in range(300):
        database.execute(
            f"INSERT INTO users (email, name, age, born) VALUES ('user{number}@example.org', 'name {number}',"
            f" {18 + number % 60}, '1990-01-{1 + number % 28:02}')"
        )
    return database


@contextlib.contextmanager
def traffic_on(database: Database, plan: TrafficPlan | None = None, **options):
    given = {"rate": 300.0, **options}
    with Traffic(database.url, plan or plan_of(database.observer(), [USERS]), **given) as traffic:
        yield traffic


def busy(traffic: Traffic, writes: int = 60) -> None:
    """Waits until so many more writes are through."""
    wanted = traffic.latest.get("writes", 0) + writes
    deadline = time.monotonic() + 120
    while traffic.latest.get("writes", 0) < wanted and time.monotonic() < deadline:
        time.sleep(0.02)


def wait_for_waiting(traffic: Traffic, *clients: str) -> None:
    """Waits until the traffic reports that each of these clients waits."""
    deadline = time.monotonic() + 60
    while not {name for name, _, _ in traffic.latest["waiting"]} >= {*clients}:
        assert time.monotonic() < deadline, traffic.latest
        time.sleep(0.02)


@pytest.mark.by_hand("mysql97")
def test_every_write_is_found_again(users):
    with traffic_on(users) as traffic:
        assert not traffic.notes
        traffic.mark("during")
        busy(traffic, 200)
        traffic.mark("after")
        busy(traffic, 50)
        result = traffic.stop()
        comparison = traffic.compare(users.observer())
    assert not result.errors
    assert result.writes >= 250 and result.reads > 0
    assert (comparison.lost, comparison.notes) == (0, ())
    assert comparison.rows > 50
    figures = result.phases["during"]["users"]["writes"]
    assert 0 < figures["p50"] <= figures["p99"] <= figures["longest"] <= result.longest_wait
    assert {"writes", "reads"} == set(result.phases["after"]["users"])


@FURTHER_BY_HAND
def test_a_row_that_is_lost_is_found(users):
    with traffic_on(users) as traffic:
        busy(traffic, 100)
        traffic.pause()
        users.execute("UPDATE users SET name = 'changed by another'", "DELETE FROM users WHERE id > 305")
        comparison = traffic.compare(users.observer())
        traffic.resume()
        busy(traffic, 20)
        traffic.stop()
    whats = {loss.what for loss in comparison.losses}
    assert comparison.lost > 5 and len(comparison.losses) == 5
    assert whats <= {"other value", "missing"} and whats


@FURTHER_BY_HAND
def test_a_column_that_a_rename_adds_is_compared(users):
    with traffic_on(users) as traffic, following_recipes() as replacements:
        busy(traffic, 30)
        migrate(users, lambda: ColumnRename("users", "name", "full_name").expand())
        busy(traffic, 60)
        result = traffic.stop()
        comparison = traffic.compare(users.observer(), replacements)
    # A client that changes two rows in one transaction can meet a batch that has locked the second one.
    assert {error.code for error in result.errors} <= {DEADLOCK}
    assert comparison.lost == 0


@FURTHER_BY_HAND
def test_a_column_is_compared_under_the_name_that_replaced_it(users):
    rename = ColumnRename("users", "name", "full_name")
    with traffic_on(users) as traffic, following_recipes() as replacements:
        busy(traffic, 60)
        migrate(users, lambda: [rename.expand(), rename.contract()])
        traffic.pause()
        comparison = traffic.compare(users.observer(), replacements)
        users.execute("UPDATE users SET full_name = NULL")
        lossy = traffic.compare(users.observer(), replacements)
        traffic.resume()
        busy(traffic, 20)
        result = traffic.stop()
    assert (comparison.lost, comparison.notes) == (0, ())
    assert {loss.column for loss in lossy.losses} == {"full_name"}
    # The running release still uses the old name.
    assert result.errors and all("name" in error.message for error in result.errors)


@pytest.mark.only("postgresql", "mysql")
def test_a_table_is_compared_under_its_new_name(users):
    rename = TableRename("users", "people")
    with traffic_on(users) as traffic, following_recipes() as replacements:
        busy(traffic, 30)
        migrate(users, rename.expand)
        busy(traffic, 30)
        assert not traffic.latest["waiting"]
        result = traffic.stop()
        migrate(users, rename.contract)
        comparison = traffic.compare(users.observer(), replacements)
        users.execute("DELETE FROM people")
        emptied = traffic.compare(users.observer(), replacements)
    assert not result.errors
    assert (comparison.lost, comparison.notes) == (0, ())
    assert {(loss.table.rpartition(".")[2], loss.what) for loss in emptied.losses} == {("people", "missing")}


@FURTHER_BY_HAND
def test_a_write_that_disabled_triggers_lose_is_found(users):
    with traffic_on(users) as traffic, following_recipes() as replacements:
        migrate(users, lambda: ColumnRename("users", "name", "full_name").expand())
        disable_triggers(users)
        busy(traffic, 120)
        traffic.stop()
        comparison = traffic.compare(users.observer(), replacements)
    assert comparison.lost
    assert {loss.column for loss in comparison.losses} == {"full_name"}
    assert {loss.what for loss in comparison.losses} == {"old value"}


def disable_triggers(database: Database) -> None:
    if database.kind == "postgresql":
        database.execute("ALTER TABLE users DISABLE TRIGGER USER")
        return
    listed = {
        "mysql": "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = database()",
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    }
    for (name,) in database.query(listed[database.kind]):
        database.execute(f"DROP TRIGGER {database.quoted(name)}")


@FURTHER_BY_HAND
def test_a_column_of_another_type_is_compared_in_it(users):
    with traffic_on(users) as traffic, following_recipes() as replacements:
        for change in (TypeChange("users", "age", sa.Numeric(9, 2)), TypeChange("users", "born", sa.DateTime())):
            migrate(users, lambda change=change: [change.expand(), change.switch()])
        busy(traffic, 60)
        traffic.stop()
        comparison = traffic.compare(users.observer(), replacements)
    assert (comparison.lost, comparison.notes) == (0, ())


@pytest.mark.only("postgresql", "mysql")
def test_a_column_that_is_rewritten_in_place_is_compared_by_value(users):
    change = {
        "postgresql": "ALTER TABLE users ALTER age TYPE numeric(12, 3), ALTER id TYPE numeric(12, 1),"
        " ALTER born TYPE timestamp",
        "mysql": "ALTER TABLE users MODIFY age numeric(12, 3) NOT NULL, MODIFY born datetime",
    }
    with traffic_on(users) as traffic:
        busy(traffic, 100)
        traffic.pause()
        users.execute(change[users.kind])
        comparison = traffic.compare(users.observer())
        users.execute("UPDATE users SET age = age + 0.5")
        lossy = traffic.compare(users.observer())
    assert (comparison.lost, comparison.notes) == (0, ()) and comparison.rows
    assert {loss.column for loss in lossy.losses} == {"age"}


def test_a_column_that_is_dropped_fails_the_running_release(users):
    with traffic_on(users) as traffic:
        traffic.mark("during")
        users.execute("ALTER TABLE users DROP COLUMN born")
        busy(traffic)
        result = traffic.stop()
        comparison = traffic.compare(users.observer())
    assert result.errors and {error.table for error in result.errors} == {"users"}
    assert all("born" in error.message and error.count for error in result.errors)
    assert comparison.lost == 0
    assert comparison.notes == ("users.born no longer exists, and nothing is known to replace it.",)


@pytest.mark.only("postgresql")
def test_statements_that_no_longer_fit_their_plan_are_counted(users):
    with traffic_on(users) as traffic:
        busy(traffic)
        users.execute("ALTER TABLE users ALTER COLUMN age TYPE bigint")
        busy(traffic)
        result = traffic.stop()
        assert traffic.compare(users.observer()).lost == 0
    assert {(error.code, error.message) for error in result.errors} == {
        ("0A000", "cached plan must not change result type")
    }
    # Each client prepares its statement again after the error.
    assert sum(error.count for error in result.errors) <= 3


@pytest.mark.only("postgresql")
def test_a_blocking_build_shows_as_the_wait_of_an_independent_writer(users):
    # A build that sleeps takes as long on a busy machine: 300 rows of 10 ms.
    users.execute(
        "CREATE FUNCTION slowly(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(0.01); RETURN $1; END $$"
    )
    waits: list[tuple[float, float]] = []
    done = threading.Event()

    def write() -> None:
        with users.observer().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while not done.is_set():
                began = time.monotonic()
                connection.execute(sa.text("UPDATE users SET age = age + 1 WHERE id = 1"))
                waits.append((began, time.monotonic() - began))
                time.sleep(0.002)

    with traffic_on(users) as traffic:
        writer = threading.Thread(target=write)
        writer.start()
        busy(traffic)
        traffic.mark("during")
        users.execute("CREATE INDEX slow ON users (slowly(email))")
        traffic.mark("after")
        busy(traffic)
        done.set()
        writer.join()
        result = traffic.stop()
    longest = max(seconds for _, seconds in waits)
    assert longest > 2 and alike(result.phases["during"]["users"]["writes"]["longest"], longest)
    assert result.longest_sql.startswith(("UPDATE", "INSERT", "DELETE"))
    assert "writes wait" in {stretch.how for stretch in result.blocked("users", brief=longest / 2)}
    assert result.phases["during"]["users"]["reads"]["longest"] < longest / 2


@pytest.mark.parametrize("both", [False, True])
def test_the_process_ends_with_its_parent(users, tmp_path, both):
    script = f"""
        import os, sys, time
        sys.path[:0] = {sys.path!r}
        import sqlalchemy as sa
        from safeops.naming import Name
        from safeops.rehearse.traffic import Traffic, plan_of
        url = {users.url.render_as_string(hide_password=False)!r}
        with Traffic(url, plan_of(sa.create_engine(url), [Name("users")])) as traffic:
            # A child that keeps the traffic's input open.
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
            print(traffic.process_id, traffic._folder, flush=True)
            time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert parent.stdout is not None
    process, folder = parent.stdout.readline().split()
    try:
        parent.kill()
        if both:
            os.kill(int(process), signal.SIGKILL)
        parent.wait()
        deadline = time.monotonic() + 120
        while (is_running(int(process)) or Path(folder).exists()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not is_running(int(process))
        assert not Path(folder).exists()
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
        parent.stdout.close()


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.only("postgresql", "mysql")
def test_a_statement_that_never_ends_counts_as_long_as_it_waited(users):
    lock = {"postgresql": "LOCK TABLE users IN ACCESS EXCLUSIVE MODE", "mysql": "LOCK TABLES users WRITE"}
    with traffic_on(users) as traffic, users.observer().connect() as holder:
        busy(traffic)
        holder.exec_driver_sql(lock[users.kind])
        wait_for_waiting(traffic, "users writes 1", "users reads 1")
        time.sleep(0.6)
        result = traffic.stop()
        holder.exec_driver_sql({"postgresql": "ROLLBACK", "mysql": "UNLOCK TABLES"}[users.kind])
        assert traffic.compare(users.observer()).lost == 0
    assert result.longest_wait >= 0.5
    assert "all wait" in {stretch.how for stretch in result.blocked("users")}
    assert not result.errors


@pytest.mark.only("postgresql")
def test_a_lost_connection_is_an_error_and_no_loss(users):
    with traffic_on(users) as traffic:
        busy(traffic)
        users.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'safeops traffic%'"
        )
        busy(traffic)
        result = traffic.stop()
        assert traffic.compare(users.observer()).lost == 0
    # A statement that is sent when the server has already closed the connection gets no code.
    assert {"57P01"} <= {error.code for error in result.errors} <= {"57P01", ""}


def test_keys_of_every_kind(database):
    key = {"postgresql": "uuid", "mysql": "char(36)", "sqlite": "char(36)"}[database.kind]
    database.execute(
        f"CREATE TABLE parents (code {key} PRIMARY KEY, size integer)",
        f"CREATE TABLE children (parent {key} NOT NULL REFERENCES parents (code), place integer NOT NULL,"
        " label varchar(20), note text, PRIMARY KEY (parent, place))",
        f"CREATE TABLE links (parent {key} NOT NULL REFERENCES parents (code), PRIMARY KEY (parent))",
        "CREATE TABLE heap (a integer)",
        "CREATE TABLE empty_one (id integer PRIMARY KEY)",
    )
    for number in range(1, 21):
        code = f"00000000-0000-4000-8000-0000000000{number:02}"
        database.execute(f"INSERT INTO parents VALUES ('{code}', {number})")
        database.execute(f"INSERT INTO links VALUES ('{code}')")
        database.execute(f"INSERT INTO children VALUES ('{code}', {number}, '10%', ':b ''quoted''')")
    database.execute("INSERT INTO heap VALUES (1)")
    names = [Name(one) for one in ("parents", "children", "links", "heap", "empty_one", "nowhere")]
    with traffic_on(database, plan_of(database.observer(), names)) as traffic:
        notes = traffic.notes
        busy(traffic, 200)
        result = traffic.stop()
        comparison = traffic.compare(database.observer())
    assert not result.errors
    assert comparison.lost == 0
    # A table of which no row can be written shows how long a write would wait.
    assert set(result.phases["before"]) == {"parents", "children", "links", "heap", "empty_one"}
    assert all({"writes", "reads"} == set(kinds) for kinds in result.phases["before"].values())
    assert database.query("SELECT a FROM heap") == [(1,)]
    assert notes == (
        "nowhere does not exist before the upgrade: it gets no traffic.",
        "heap has no key: its writes change no row.",
        "links: no new rows, because parent must be unique and no value can be made for it.",
        "empty_one has no rows: its writes change none.",
    )


@FURTHER_BY_HAND
def test_columns_that_a_revision_rewrites_on_purpose_are_not_lost(users):
    replacements = Replacements(rewritten={(USERS, "name")})
    with traffic_on(users) as traffic:
        busy(traffic, 60)
        traffic.stop()
        users.execute("UPDATE users SET name = 'a longer one'")
        comparison = traffic.compare(users.observer(), replacements)
    assert comparison.lost == 0 and comparison.altered > 0


@FURTHER_BY_HAND
def test_adding_a_column_is_not_noticed(users):
    with traffic_on(users) as traffic:
        busy(traffic)
        migrate(users, lambda: add_column_if_missing("users", sa.Column("phone", sa.String(20))))
        busy(traffic)
        result = traffic.stop()
    assert not result.errors


@pytest.mark.only("pg18")
@pytest.mark.parametrize("driver", ["psycopg2", "asyncpg"])
def test_the_driver_of_the_project(users, driver):
    plan = plan_of(users.observer(), [USERS])
    with traffic_on(users.with_driver(driver), plan) as traffic:
        busy(traffic)
        users.execute("ALTER TABLE users ALTER COLUMN age TYPE bigint")
        busy(traffic)
        result = traffic.stop()
        assert traffic.compare(users.observer()).lost == 0
    assert {error.code for error in result.errors} <= {"0A000"}


@pytest.mark.only("pg18")
def test_rows_that_are_wide_stay_in_the_database(database):
    database.execute(
        "CREATE TABLE pages (id integer PRIMARY KEY, body text)",
        "INSERT INTO pages SELECT n, repeat(md5(n::text), 100000) FROM generate_series(1, 60) n",
    )
    with traffic_on(database, plan_of(database.observer(), [Name("pages")]), rate=30) as traffic:
        busy(traffic, 10)
        held = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{traffic.process_id}/status").read_text())[1])
        assert not traffic.stop().errors
    # 60 rows of 3 MB.
    assert held < 150_000


@pytest.mark.only("postgresql", "mysql")
def test_a_write_of_a_table_without_a_key_waits_too(database):
    database.execute("CREATE TABLE heap (a integer)")
    with traffic_on(database, plan_of(database.observer(), [Name("heap")])) as traffic:
        busy(traffic)
        with database.observer().connect() as holder:
            holder.exec_driver_sql(
                "LOCK TABLE heap IN SHARE MODE" if database.kind == "postgresql" else "LOCK TABLES heap READ"
            )
            wait_for_waiting(traffic, "heap writes 1")
            time.sleep(0.6)
        busy(traffic)
        result = traffic.stop()
    assert "writes wait" in {stretch.how for stretch in result.blocked("heap", brief=0.3)}


def test_what_a_lost_connection_has_sent_is_not_compared(users, tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    ledger.wrote(0, (1,), {"name": "never written"}, {})
    ledger.wrote(0, (2,), {"name": "never written"}, {})
    ledger.unsure(0, (1,))
    ledger.close()
    comparison = compare(tmp_path / "ledger", plan_of(users.observer(), [USERS]), users.observer())
    assert [loss.key for loss in comparison.losses] == [(2,)]
    assert [entry.key for entry in next(entries(tmp_path / "ledger", 0))] == [(1,), (2,)]


def test_memory_is_bounded_however_long_it_runs():
    latencies = Latencies()
    for number in range(200_000):
        latencies.add(Sample("t", number % 2 == 0, number * 0.01, 0.06 if number % 100 == 0 else 0.001), 0.01)
    latencies.add(Sample("t", True, 500.0, 3.0), 0.01)
    told = latencies.as_json()
    assert len(told["samples"]["t"]) <= 2000
    assert max(told["samples"]["t"], key=lambda point: point[1]) == (500.0, 3.0)
    assert len(told["waits"]) <= 1000


def test_the_quantiles_count_what_a_waiting_client_would_have_sent():
    latencies = Latencies()
    for number in range(100):
        latencies.add(Sample("t", True, number * 0.01, 0.001), 0.01)
    latencies.add(Sample("t", True, 1.0, 10.0), 0.01)
    figures = latencies.as_json()["phases"]["before"]["t"]["writes"]
    # 1,000 statements would have waited, most of them for seconds.
    assert figures["count"] == 101
    assert figures["p50"] == pytest.approx(4.5, rel=0.1)
    assert figures["longest"] == 10.0
