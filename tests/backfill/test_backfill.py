"""backfill: its arguments, what is known of it, others who hold its rows, --sql, and drivers."""

import re
import threading
import time
from functools import partial

import pytest
import sqlalchemy as sa
from tests.catalogue import all_rows, assert_same
from tests.concurrency.harness import once_logged
from tests.projects import log_lines, migrate, render, run_sql, statements_of

from safeops import (
    BackfillConflict,
    BackfillReport,
    InvalidArgument,
    LockNotAcquired,
    OnlineOnly,
    UnknownColumn,
    UnknownTable,
    UnsupportedOnDatabase,
    ViolatingRows,
    backfill,
    backfill_status,
    forget_backfill,
    reads,
    settings,
)

pytestmark = pytest.mark.only("pg18", "mysql", "sqlite")

WORLD = (
    "CREATE TABLE users (id integer PRIMARY KEY, a varchar(30), b varchar(30), n integer)",
    *(f"INSERT INTO users VALUES ({i}, 'a{i}', NULL, 0)" for i in range(1, 11)),
)
UPPER = {"b": sa.func.upper(sa.column("a"))}
ONCE = {"n": sa.column("n") + 1}


def fill(database, values=UPPER, **options):
    options = {"batch_size": 3, **options}
    return migrate(database, lambda: backfill("users", values, **options))


def status(database):
    return migrate(database, backfill_status)


class Enough(Exception):
    pass


def stop_after(batches):
    def tell(progress):
        if progress.batches == batches:
            raise Enough

    return tell


def stop(database, batches=2, **options):
    with pytest.raises(Enough):
        fill(database, progress=stop_after(batches), **options)


@reads("a", writes=("b",))
def upper(rows):
    return [{"b": row["a"].upper()} for row in rows]


# --- arguments -------------------------------------------------------------------------------------------

BAD = {
    "no table": (lambda: backfill("userz", UPPER), UnknownTable, ["userz", "users"]),
    "no name": (lambda: backfill("", UPPER), InvalidArgument, ["table name"]),
    "a number": (lambda: backfill(3, UPPER), InvalidArgument, ["table name is 3"]),
    "no column": (lambda: backfill("users", {"c": 1}), UnknownColumn, ["no column c"]),
    "a column that is none": (lambda: backfill("users", {3: 1}), InvalidArgument, ["column name is 3"]),
    "no values": (lambda: backfill("users", {}), InvalidArgument, ["values of the backfill are empty"]),
    "text": (lambda: backfill("users", "upper(a)"), InvalidArgument, ["values of the backfill are 'upper(a)'"]),
    "a value of None": (lambda: backfill("users", {"b": None}), InvalidArgument, ["value of b is None", "where=True"]),
    "where=False": (
        lambda: backfill("users", UPPER, where=False),
        InvalidArgument,
        ["where is False", "True for each row"],
    ),
    "where=1": (lambda: backfill("users", UPPER, where=1), InvalidArgument, ["where is 1"]),
    "where=list": (lambda: backfill("users", UPPER, where=["a"]), InvalidArgument, ["where is ['a']"]),
    "where=empty": (lambda: backfill("users", UPPER, where=""), InvalidArgument, ["where is ''"]),
    "a wrong condition": (lambda: backfill("users", UPPER, where="nope = 1"), InvalidArgument, ["nope"]),
    "a wrong expression": (lambda: backfill("users", {"b": sa.text("nope + 1")}), InvalidArgument, ["nope"]),
    "an open parameter": (lambda: backfill("users", {"b": sa.text(":x")}), InvalidArgument, ["colon", "parameter"]),
    "an object": (lambda: backfill("users", {"b": object()}), InvalidArgument, ["object"]),
    "an aggregate": (lambda: backfill("users", {"b": sa.func.max(sa.column("a"))}), InvalidArgument, ["max"]),
    "no key": (lambda: backfill("users", UPPER, key="x"), UnknownColumn, ["no column x"]),
    "a key of nothing": (lambda: backfill("users", UPPER, key=[]), InvalidArgument, ["key is []"]),
    "a key that is none": (lambda: backfill("users", UPPER, key=3), InvalidArgument, ["key is 3"]),
    "an empty name": (lambda: backfill("users", UPPER, name=" "), InvalidArgument, ["name is ' '"]),
    "a long name": (lambda: backfill("users", UPPER, name="é" * 100), InvalidArgument, ["190 bytes"]),
    "a name that is none": (lambda: backfill("users", UPPER, name=5), InvalidArgument, ["name is 5"]),
    "batch_size=0": (lambda: backfill("users", UPPER, batch_size=0), InvalidArgument, ["batch_size is 0"]),
    "batch_size=True": (lambda: backfill("users", UPPER, batch_size=True), InvalidArgument, ["batch_size is True"]),
    "batch_size=2.5": (lambda: backfill("users", UPPER, batch_size=2.5), InvalidArgument, ["batch_size is 2.5"]),
    "target_seconds=0": (lambda: backfill("users", UPPER, target_seconds=0), InvalidArgument, ["target_seconds is 0"]),
    "target_seconds=nan": (
        lambda: backfill("users", UPPER, target_seconds=float("nan")),
        InvalidArgument,
        ["target_seconds is nan"],
    ),
    "pause=-1": (lambda: backfill("users", UPPER, pause=-1), InvalidArgument, ["pause is -1"]),
    "pause=text": (lambda: backfill("users", UPPER, pause="1"), InvalidArgument, ["pause is '1'"]),
    "an open parameter in where": (lambda: backfill("users", UPPER, where="a = :x"), InvalidArgument, ["parameter :x"]),
    "a bindparam": (lambda: backfill("users", {"b": sa.bindparam("q")}), InvalidArgument, ["parameter :q"]),
    "throttles=callable": (lambda: backfill("users", UPPER, throttles=print), InvalidArgument, ["throttles is"]),
    "throttles=3": (lambda: backfill("users", UPPER, throttles=3), InvalidArgument, ["throttles is 3"]),
    "throttles=[3]": (lambda: backfill("users", UPPER, throttles=[3]), InvalidArgument, ["throttles is [3]"]),
    "executor=3": (lambda: backfill("users", UPPER, executor=3), InvalidArgument, ["executor is 3"]),
    "progress=3": (lambda: backfill("users", UPPER, progress=3), InvalidArgument, ["progress is 3"]),
    "schema=3": (lambda: backfill("users", UPPER, schema=3), InvalidArgument, ["schema is 3"]),
    "a view": (lambda: backfill("seen", UPPER), UnknownTable, ["seen is a view"]),
    "forget nothing": (lambda: forget_backfill(""), InvalidArgument, ["name of the backfill is ''"]),
}


def test_bad_arguments_are_reported_and_nothing_is_touched(database):
    database.execute(*WORLD, "CREATE VIEW seen AS SELECT * FROM users")
    before, wrong = all_rows(database), []
    for what, (call, error, words) in BAD.items():
        try:
            migrate(database, call)
        except error as raised:
            wrong += [f"{what}: {word!r} not in: {raised}" for word in words if word not in str(raised)]
        except Exception as raised:
            wrong.append(f"{what}: {type(raised).__name__}: {raised}")
        else:
            wrong.append(f"{what}: no error")
    assert not wrong, "\n\n".join(wrong)
    assert_same(before, all_rows(database), "after the refusals")
    assert "safeops_backfill" not in sa.inspect(database.observer()).get_table_names()


def test_values_that_break_a_constraint(database):
    database.execute(*WORLD, "CREATE UNIQUE INDEX ux ON users (b)")
    with pytest.raises(ViolatingRows, match=r"cannot write the row of .* with id = 2: ") as raised:
        fill(database, {"b": "x"})
    assert 'forget_backfill("' in str(raised.value)
    assert "1 rows are done and kept" in str(raised.value)
    assert database.query("SELECT count(b) FROM users") == [(1,)]


# --- what is known ---------------------------------------------------------------------------------------


@pytest.mark.smoke
def test_a_finished_backfill_is_not_run_again(database):
    database.execute(*WORLD)
    report = fill(database, ONCE, where=True)
    assert (report.rows, report.batches, report.resumed, report.remaining) == (10, 4, False, 0)
    assert report.seconds > 0
    with statements_of(database) as sent, log_lines() as log:
        again = fill(database, ONCE, where=True)
    asked = [one for one in sent.sql if not one.startswith("PRAGMA")]
    assert (again.rows, again.batches, again.resumed) == (0, 0, True)
    assert any("skipped backfill" in line for line in log)
    assert len(asked) <= 30
    assert not [one for one in asked if re.match("UPDATE|DELETE", one)]
    assert database.query("SELECT n, count(*) FROM users GROUP BY n") == [(1, 10)]


def test_its_name_is_made_of_the_revision_the_table_and_the_columns(database):
    database.execute(*WORLD)
    fill(database, {"b": "x", "n": 1})
    fill(database, {"b": "x"}, name="mine", where="1 = 0")
    names = [one.name for one in status(database)]
    assert names[0] == "mine"
    assert re.fullmatch(r"r1/(\w+\.)?users/b,n", names[1])


def test_what_is_known_before_while_and_after(database):
    database.execute(*WORLD)
    assert status(database) == []
    seen = []

    def tell(progress):
        if progress.batches == 2:
            rows = database.query("SELECT status, after_key, processed FROM safeops_backfill WHERE part = 1")
            seen.append((progress, rows))
            raise Enough

    with pytest.raises(Enough):
        fill(database, progress=tell, name="it")
    (progress, rows), (stands,) = seen[0], status(database)
    assert rows == [("running", '["6"]', 6)]
    assert (progress.name, progress.rows, progress.batches, progress.batch_size) == ("it", 6, 2, 3)
    assert (progress.key, progress.walked, progress.waiting) == (("6",), 6, None)
    assert progress.table.endswith("users")
    assert progress.rows_per_second > 0
    assert (stands.name, stands.columns, stands.status, stands.runner) == ("it", ("b",), "stopped", None)
    assert stands.table.endswith("users")
    assert (stands.rows, stands.batches, stands.ranges, stands.ranges_finished, stands.key) == (6, 2, 1, 0, ("6",))
    assert abs(stands.started_at - time.time()) < 60
    assert stands.started_at <= stands.updated_at
    fill(database, name="it")
    (stands,) = status(database)
    assert (stands.status, stands.rows, stands.batches, stands.ranges_finished) == ("finished", 10, 4, 1)


def test_a_name_of_another_backfill(database):
    database.execute(*WORLD)
    stop(database, name="it")
    others = [
        lambda: backfill("users", {"b": "x"}, name="it"),
        lambda: backfill("users", UPPER, where=True, name="it"),
        lambda: backfill("users", {"n": 1}, name="it"),
        lambda: backfill("users", upper, name="it"),
    ]
    for other in others:
        with pytest.raises(BackfillConflict, match=r'forget_backfill\("it"\)'):
            migrate(database, other)
    assert fill(database, name="it").rows == 4


def test_after_its_progress_is_discarded_it_starts_again(database):
    database.execute(*WORLD)
    assert migrate(database, lambda: forget_backfill("it")) is False
    fill(database, ONCE, where=True, name="it")
    fill(database, name="other")
    assert migrate(database, lambda: forget_backfill("it")) is True
    assert migrate(database, lambda: forget_backfill("it")) is False
    assert fill(database, ONCE, where=True, name="it").rows == 10
    assert database.query("SELECT n, count(*) FROM users GROUP BY n") == [(2, 10)]


def test_the_table_of_the_progress_is_dropped_with_the_last(database):
    database.execute(*WORLD)
    fill(database, name="it")
    fill(database, ONCE, where=True, name="other")

    def tables():
        return sa.inspect(database.observer()).get_table_names()

    assert migrate(database, lambda: forget_backfill("it", drop_table=True)) is True
    assert "safeops_backfill" in tables()
    assert migrate(database, lambda: forget_backfill("other", drop_table=True)) is True
    assert "safeops_backfill" not in tables()


@pytest.mark.only("postgresql")
def test_the_progress_is_kept_in_a_schema_of_choice(database):
    database.execute(*WORLD, "CREATE SCHEMA ops")

    def body():
        with settings(schema_for_state="ops"):
            backfill("users", UPPER, name="it")
            return backfill_status(), forget_backfill("it")

    stands, gone = migrate(database, body)
    assert ([one.name for one in stands], gone) == (["it"], True)
    assert sa.inspect(database.observer()).get_table_names("ops") == ["safeops_backfill"]
    assert "safeops_backfill" not in sa.inspect(database.observer()).get_table_names()


# --- others hold its rows --------------------------------------------------------------------------------


@pytest.fixture
def held(database):
    """A second session that holds a row."""
    database.execute(*WORLD)
    with database.observer().connect() as connection:
        if database.kind == "sqlite":
            connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        connection.exec_driver_sql("UPDATE users SET a = 'held' WHERE id = 5")
        yield connection


def test_a_brief_lock_is_outlasted(database, held):
    if database.kind == "sqlite":
        # Its one lock is the file's: the state could not be written either.
        held.commit()
    with log_lines() as log, once_logged("blocked by other sessions", held.commit):
        report = fill(database, batch_size=8)
    assert report.rows == 10
    assert database.query("SELECT b FROM users WHERE id = 5") == [("HELD",)]
    if database.kind != "sqlite":
        assert any("blocked by other sessions, retrying with 4 rows" in line for line in log)


@pytest.mark.only("postgresql", "mysql")
def test_a_lasting_lock_is_reported(database, held):
    def body():
        with settings(lock_timeout=0.2, retry_budget=1.0):
            backfill("users", UPPER, batch_size=2, name="it")

    with pytest.raises(LockNotAcquired) as raised:
        migrate(database, body)
    message = str(raised.value)
    assert "Backfill it made no progress for" in message
    assert "4 rows are done and kept" in message
    assert re.search(r"(pid|session) \d+, user", message)
    held.rollback()
    assert database.query("SELECT count(b) FROM users") == [(4,)]
    assert fill(database, name="it").rows == 6


@pytest.mark.only("postgresql", "mysql")
def test_a_deadlock_is_tried_again(database):
    """The other session holds row 8, then requests row 1, which the batch holds while it waits for row 8."""
    database.execute(*WORLD)
    slow = "pg_sleep(0.3)" if database.kind == "postgresql" else "SLEEP(0.3)"
    other = database.observer().connect()
    other.exec_driver_sql("UPDATE users SET a = 'other' WHERE id = 8")

    def cross():
        time.sleep(0.4)
        try:
            other.exec_driver_sql("UPDATE users SET n = 5 WHERE id = 1")
            other.commit()
        except sa.exc.DBAPIError:
            other.rollback()

    thread = threading.Thread(target=cross)
    value = sa.text(f"CASE WHEN id = 1 AND {slow} IS NULL THEN 'x' ELSE upper(a) END")

    def body():
        with settings(lock_timeout=5.0, target_seconds=2.5):
            return backfill("users", {"b": value}, batch_size=10)

    thread.start()
    try:
        report = migrate(database, body)
    finally:
        thread.join()
        other.close()
    assert (report.rows, report.remaining) == (10, 0)
    assert database.query("SELECT count(b) FROM users") == [(10,)]


# --- offline ---------------------------------------------------------------------------------------------


class TestOffline:
    @staticmethod
    def twice(database, body):
        script = render(database, body)
        run_sql(database, script)
        run_sql(database, script)
        return script

    def test_the_default(self, database):
        database.execute(*WORLD, "UPDATE users SET b = 'mine' WHERE id = 2")
        script = self.twice(database, lambda: backfill("users", {"b": sa.literal("it's 100% :x \\")}))
        assert "-- safeops: one UPDATE instead of batches" in script
        value = "it's 100% :x \\"
        assert database.query("SELECT id, b FROM users WHERE id < 4 ORDER BY id") == [
            (1, value),
            (2, "mine"),
            (3, value),
        ]
        assert fill(database, {"b": "x"}).rows == 0

    def test_plain_values(self, database):
        database.execute(*WORLD)
        self.twice(database, lambda: backfill("users", {"b": "it's 100% :x \\", "n": 7}, where=True, name="it"))
        assert database.query("SELECT DISTINCT b, n FROM users") == [("it's 100% :x \\", 7)]

    def test_each_row_once(self, database):
        database.execute(*WORLD)
        self.twice(database, lambda: backfill("users", ONCE, where=True, name="it"))
        assert database.query("SELECT n, count(*) FROM users GROUP BY n") == [(1, 10)]
        report = fill(database, ONCE, where=True, name="it")
        assert (report.rows, report.resumed) == (0, True)
        (stands,) = status(database)
        assert (stands.name, stands.status, stands.columns) == ("it", "finished", ("n",))
        assert stands.table.endswith("users")

    def test_a_condition(self, database):
        database.execute(*WORLD)
        self.twice(database, lambda: backfill("users", ONCE, where=sa.column("id") > 5, name="it"))
        assert database.query("SELECT n, count(*) FROM users GROUP BY n ORDER BY n") == [(0, 5), (1, 5)]

    def test_each_value_sees_the_row_as_it_was(self, database):
        database.execute(*WORLD, "UPDATE users SET b = 'b'")
        exchange = partial(backfill, "users", {"a": sa.column("b"), "b": sa.column("a")}, where=True)
        if database.server.product == "mysql":
            with pytest.raises(UnsupportedOnDatabase, match="Fill one column after the other"):
                render(database, exchange)
            return
        self.twice(database, exchange)
        assert database.query("SELECT a, b FROM users WHERE id = 3") == [("b", "a3")]

    def test_discarded(self, database):
        database.execute(*WORLD)
        fill(database, ONCE, where=True, name="it's")
        self.twice(database, lambda: forget_backfill("it's"))
        assert fill(database, ONCE, where=True, name="it's").rows == 10

    def test_discarded_before_any(self, database):
        database.execute(*WORLD)
        self.twice(database, lambda: forget_backfill("it"))
        assert status(database) == []

    def test_what_it_returns(self, database):
        reports = []
        render(database, lambda: reports.append(backfill("users", UPPER)))
        assert reports == [BackfillReport(0, 0, 0.0, False, 0)]

    def test_a_function_is_online_only(self, database):
        with pytest.raises(OnlineOnly, match="users cannot be rendered"):
            render(database, lambda: backfill("users", upper))


# --- drivers ---------------------------------------------------------------------------------------------


def works(database):
    database.execute(*WORLD)
    assert fill(database).rows == 10
    assert fill(database, ONCE, where=True).rows == 10
    assert fill(database, {"a": "100% :x it's"}, where="id < 4").rows == 3
    assert fill(database, upper, where=sa.column("a") == "100% :x it's", name="f").rows == 3
    assert database.query("SELECT b, n FROM users WHERE id IN (3, 4) ORDER BY id") == [("100% :X IT'S", 1), ("A4", 1)]


@pytest.mark.only("pg18")
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg2"])
def test_other_drivers_of_postgresql(database, driver):
    pytest.importorskip(driver)
    works(database.with_driver(driver))


@pytest.mark.only("sqlite")
def test_aiosqlite(database):
    pytest.importorskip("aiosqlite")
    works(database.with_driver("aiosqlite"))
