"""A large table of PostgreSQL is filled along its pages; rows that move during the backfill are swept up by their keys."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from tests.projects import log_lines, migrate, statements_of

from safeops import BackfillIncomplete, LockNotAcquired, ViolatingRows, backfill, backfill_status, reads, settings
from safeops.backfilling import pages, parallel, scan
from safeops.backfilling.pages import bound, cut

pytestmark = pytest.mark.only("pg14", "pg15", "pg18")

FILLED = {"v": sa.func.upper(sa.column("a"))}


@reads("a", writes=("v",))
def in_python(rows):
    return [{"v": row["a"].upper()} for row in rows]


by_each = pytest.mark.parametrize("values", [FILLED, in_python], ids=["in the database", "in Python"])
ROWS = 4000
OF_PAGES = json.dumps({"along": "pages"})


@pytest.fixture(autouse=True)
def small_tables(monkeypatch):
    monkeypatch.setattr(pages, "SMALLEST_TABLE", 0)
    monkeypatch.setattr(scan, "LISTED_FROM", 0)


class Enough(Exception):
    pass


def made(database, rows=ROWS, key="id bigint PRIMARY KEY", options="", value="i"):
    database.execute(
        f"CREATE TABLE t ({key}, a text NOT NULL, n integer NOT NULL DEFAULT 0, v text) {options}",
        f"INSERT INTO t (id, a) SELECT {value}, 'a' || i FROM generate_series(1, {rows}) i",
    )


def filled(database, values=FILLED, **options):
    return migrate(database, lambda: backfill("t", values, name="it", **options))


def stopped(database, batches=2, action=None, values=FILLED, **options):
    """Stops it after some batches."""

    def tell(progress):
        if progress.batches == batches:
            if action:
                action()
            raise Enough

    with pytest.raises(Enough):
        filled(database, values, progress=tell, **options)


def between(batches, action):
    """A progress= that acts once, between two batches."""
    left = [action]

    def tell(progress):
        if progress.batches >= batches and left:
            left.pop()()

    return tell


def ranges(database):
    """Of each range: its kind, which sweep it is of, and how many rows it had."""
    return database.query("SELECT work, sweep, processed FROM safeops_backfill WHERE part > 0 ORDER BY part")


def assert_filled(database, rows=ROWS):
    assert database.query("SELECT count(*), count(CASE WHEN v = upper(a) THEN 1 END) FROM t") == [(rows, rows)]


# --- its ranges ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [("id bigint PRIMARY KEY", "i"), ("id uuid PRIMARY KEY", "gen_random_uuid()")],
    ids=["int", "uuid"],
)
def test_each_row_is_updated_once(database, key, value):
    made(database, 8_000, key, value=value)
    database.execute("CREATE INDEX ix ON t (a)", "ANALYZE t")
    with statements_of(database) as sent:
        report = filled(database)
    assert_filled(database, 8_000)
    assert (report.rows, report.remaining) == (8_000, 0)
    assert ranges(database) == [(OF_PAGES, 0, 8_000)]
    ((walked,),) = database.query("SELECT walked FROM safeops_backfill WHERE part = 1")
    assert 7_200 <= walked <= 8_800
    updates = [one for one in sent if one.startswith(("UPDATE t SET", "UPDATE public.t SET"))]
    assert len(updates) >= report.batches
    assert all("ctid >=" in one for one in updates)


def test_a_batch_reads_the_pages_of_its_range_alone(database):
    made(database, 20_000)
    with statements_of(database) as sent, pytest.raises(Enough):
        filled(database, progress=between(4, enough))
    updates = [one for one in sent if "ctid >=" in one]
    with database.observer().connect() as connection:
        driven = connection.execution_options(no_parameters=True)
        for update in updates:
            plan = "\n".join(driven.exec_driver_sql(f"EXPLAIN {update}").scalars())
            assert "Tid Range Scan" in plan, plan


def enough():
    raise Enough


WITHOUT_PAGES = {
    "a key is named": ("", {"key": "id"}),
    "a batch has a number of rows": ("", {"batch_size": 500}),
    "each row once": ("", {"where": True}),
    "a condition": ("", {"where": "v IS NULL"}),
    "partitions": ("PARTITION BY RANGE (id)", {}),
    "children": ("", {}),
    "few pages": ("", {}),
    "a function that does not name what it writes": (
        "",
        {"values": lambda rows: in_python(rows), "where": "v IS NULL"},
    ),
}


@pytest.mark.parametrize("what", WITHOUT_PAGES)
def test_all_others_are_walked_along_the_key(database, what, monkeypatch):
    options, arguments = WITHOUT_PAGES[what]
    if what == "partitions":
        database.execute(
            "CREATE TABLE t (id bigint PRIMARY KEY, a text NOT NULL, n integer NOT NULL DEFAULT 0, v text) " + options,
            "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (1000)",
            "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (1000) TO (10000)",
            f"INSERT INTO t (id, a) SELECT i, 'a' || i FROM generate_series(1, {ROWS}) i",
        )
    else:
        made(database)
    if what == "children":
        database.execute("CREATE TABLE child () INHERITS (t)", "INSERT INTO child (id, a) VALUES (-1, 'a')")
    if what == "few pages":
        monkeypatch.setattr(pages, "SMALLEST_TABLE", 256)
    filled(database, **arguments)
    assert_filled(database, ROWS + (what == "children"))
    assert {work for work, *_ in ranges(database)} == {None}


def test_an_empty_table(database):
    made(database, 0)
    assert filled(database).rows == 0


# --- stopped and continued ----------------------------------------------------------------------------------------


def test_it_continues_along_the_pages(database):
    made(database, 20_000)
    stopped(database, 4)
    (one,) = migrate(database, backfill_status)
    assert (one.status, one.key, one.ranges) == ("stopped", (), 1)
    assert one.rows > 0
    report = filled(database)
    assert (report.rows, report.resumed) == (20_000 - one.rows, True)
    assert_filled(database, 20_000)
    assert [work for work, *_ in ranges(database)] == [OF_PAGES]


def test_what_began_along_the_key_continues_along_it(database, monkeypatch):
    """As after an upgrade from a release that knows keys alone."""
    made(database)
    monkeypatch.setattr(pages, "SMALLEST_TABLE", 10**9)
    stopped(database)
    monkeypatch.setattr(pages, "SMALLEST_TABLE", 0)
    ((after,),) = database.query("SELECT after_key FROM safeops_backfill WHERE part = 1")
    with statements_of(database) as sent:
        assert filled(database).resumed
    assert int(json.loads(after)[0]) > 1
    assert not [one for one in sent if "ctid" in one]
    assert_filled(database)
    assert [work for work, *_ in ranges(database)] == [None]


REWRITTEN = {
    "VACUUM FULL": ("VACUUM FULL t",),
    "CLUSTER backwards": ("CREATE INDEX back ON t (id DESC)", "CLUSTER t USING back"),
    "another table": (
        "ALTER TABLE t RENAME TO old",
        "CREATE TABLE t (LIKE old INCLUDING ALL)",
        "INSERT INTO t SELECT * FROM old ORDER BY id DESC",
    ),
    "a partitioned table": (
        "ALTER TABLE t RENAME TO old",
        "CREATE TABLE t (LIKE old INCLUDING ALL) PARTITION BY RANGE (id)",
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (1000)",
        "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (1000) TO (100000)",
        "INSERT INTO t SELECT * FROM old",
    ),
}


@by_each
@pytest.mark.parametrize("listed", [20_000, 10], ids=["few remain", "many remain"])
@pytest.mark.parametrize("how", REWRITTEN)
def test_a_table_that_is_rewritten_between_two_runs(database, how, listed, values, monkeypatch):
    made(database)
    stopped(database, 3, values=values)
    # Those that are left are more, or fewer: then they are swept along the pages.
    monkeypatch.setattr(scan, "LISTED", listed)
    for statement in REWRITTEN[how]:
        with database.observer().connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(statement)
    assert filled(database, values).remaining == 0
    assert_filled(database)


# --- rows that move -----------------------------------------------------------------------------------------------


def test_rows_that_move_behind_the_walk_are_found_by_their_keys(database):
    made(database, 20_000, options="WITH (fillfactor = 50)")

    def move():
        # The room in the first pages is free: new versions go there, as rows without a value.
        database.execute("DELETE FROM t WHERE id <= 200")
        with database.observer().connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM t")
        database.execute("INSERT INTO t (id, a) SELECT i, 'b' || i FROM generate_series(1, 200) i")
        database.execute("UPDATE t SET n = 1 WHERE id > 19900")

    with log_lines() as said, statements_of(database) as sent:
        report = filled(database, progress=between(3, move))
    assert_filled(database, 20_000)
    assert report.remaining == 0
    assert any("sweeping up" in line for line in said)
    # Read by their keys, not along the whole key.
    assert [one for one in sent if "id IN (" in one]
    assert not [one for one in sent if "OFFSET" in one and "ctid" not in one]
    assert ranges(database)[-1][:2] == (None, 1)


def test_many_rows_that_appear_are_swept_along_the_pages_and_then_along_the_key(database, monkeypatch):
    monkeypatch.setattr(scan, "LISTED", 5)
    made(database)

    def insert(start):
        database.execute(f"INSERT INTO t (id, a) SELECT {start} + i, 'b' || i FROM generate_series(1, 300) i")

    seen = []

    def tell(progress):
        sweep = max((sweep for _, sweep, _ in ranges(database)), default=0)
        if sweep not in seen and len(seen) < 3:
            seen.append(sweep)
            insert(100_000 * len(seen))

    filled(database, progress=tell)
    assert_filled(database, ROWS + 900)
    assert [(work, sweep) for work, sweep, _ in ranges(database)][:3] == [(OF_PAGES, 0), (OF_PAGES, 1), (None, 2)]


def test_a_sweep_of_listed_keys_that_is_stopped_continues_along_the_key(database, monkeypatch):
    made(database)
    monkeypatch.setattr("safeops.backfilling.walks.LISTED_AT_ONCE", 10)
    left = "INSERT INTO t (id, a) SELECT 100000 + i, 'b' || i FROM generate_series(1, 100) i"
    swept = []

    def tell(progress):
        if not swept and progress.batches >= 3:
            swept.append(database.execute(left))
        if len(ranges(database)) == 2 and ranges(database)[1][2] >= 20:
            raise Enough

    with pytest.raises(Enough):
        filled(database, progress=tell)
    assert ranges(database)[1] == (None, 1, 20)
    report = filled(database)
    assert (report.rows, report.remaining) == (80, 0)
    assert_filled(database, ROWS + 100)


@pytest.mark.parametrize(
    "key", ["a integer, b text, PRIMARY KEY (a, b)", "a integer, b timestamptz, PRIMARY KEY (b, a)"]
)
def test_keys_of_several_columns_are_listed(database, key):
    value = "'it''s ' || i" if "text" in key else "timestamptz '2024-10-27 02:30+02' + i * interval '7 min'"
    database.execute(
        f"CREATE TABLE t (v integer, {key})",
        f"INSERT INTO t (a, b) SELECT i % 7, {value} FROM generate_series(1, 1000) i",
    )
    new = f"INSERT INTO t (a, b) SELECT i % 5, {value} FROM generate_series(1001, 2200) i"
    with statements_of(database) as sent:
        migrate(database, lambda: backfill("t", {"v": 1}, progress=between(1, lambda: database.execute(new))))
    assert database.query("SELECT v, count(*) FROM t GROUP BY v") == [(1, 2200)]
    assert [one for one in sent if " OR (" in one]


# --- others write the rows of a batch -----------------------------------------------------------------------------

CHANGES = {
    "touches them": "UPDATE t SET n = n + 1 WHERE id {}",
    "moves them far": "UPDATE t SET n = n + 1, a = a || repeat('x', 1500) WHERE id {}",
    "gives them a value": "UPDATE t SET v = 'own' WHERE id {}",
    "deletes them": "DELETE FROM t WHERE id {}",
    "gives them another key": "UPDATE t SET id = id + 1000000 WHERE id {}",
    "locks them": "SELECT 1 FROM t WHERE id {} FOR UPDATE",
    "replaces them": "WITH old AS (DELETE FROM t WHERE id {} RETURNING id) INSERT INTO t (id, a) SELECT id, 'new' FROM old",
}


@by_each
@pytest.mark.parametrize("ends", ["COMMIT", "ROLLBACK"])
@pytest.mark.parametrize("what", CHANGES)
def test_rows_of_a_batch_that_another_session_has_changed_but_not_committed(database, what, ends, values):
    """The batch waits for it; then the newest version of a row gets its value if it still needs one."""
    for table in ("t", "twin"):
        database.execute(
            f"CREATE TABLE {table} (id bigint PRIMARY KEY, a text NOT NULL, n integer NOT NULL DEFAULT 0, v text)",
            f"INSERT INTO {table} (id, a) SELECT i, 'a' || i FROM generate_series(1, {ROWS}) i",
        )
    some = "BETWEEN 1 AND 900"
    with database.observer().connect() as other:
        other.exec_driver_sql(CHANGES[what].format(some))
        timer = threading.Timer(0.4, lambda: other.exec_driver_sql(ends))
        timer.start()
        try:
            with settings(lock_timeout=5.0, target_seconds=2.0):
                report = filled(database, values)
        finally:
            timer.join()
        if ends == "COMMIT":
            twin = CHANGES[what].format(some).replace(" t ", " twin ")
            database.execute(twin)
    assert report.remaining == 0
    database.execute("UPDATE twin SET v = upper(a) WHERE v IS NULL")
    differences = "SELECT * FROM {0} EXCEPT SELECT * FROM {1}"
    assert database.query(differences.format("t", "twin")) == []
    assert database.query(differences.format("twin", "t")) == []


@pytest.mark.only("pg18")
@pytest.mark.parametrize(("row", "values"), [(2000, FILLED), (2001, in_python)], ids=["in the database", "in Python"])
def test_a_row_that_stays_locked_is_waited_for_alone_and_reported(database, row, values):
    made(database)

    def impatient():
        # Long enough to come to one row on a busy machine too.
        with settings(lock_timeout=0.05, retry_budget=12.0):
            backfill("t", values, name="it")

    with database.observer().connect() as other:
        other.exec_driver_sql(f"SELECT 1 FROM t WHERE id = {row} FOR UPDATE")
        with log_lines() as said, pytest.raises(LockNotAcquired, match="made no progress for"):
            migrate(database, impatient)
        other.rollback()
    assert any("blocked by other sessions, retrying with 1 rows" in line for line in said)
    ((left,),) = database.query("SELECT count(*) FROM t WHERE v IS NULL")
    assert 0 < left < ROWS
    assert filled(database, values).rows == left
    assert_filled(database)


@by_each
@pytest.mark.parametrize("row", [1, 1234, 2345, 3456, 4000])
def test_the_refused_row_is_named_by_its_key(database, row, values):
    made(database)
    database.execute(f"ALTER TABLE t ADD CHECK (v <> 'A{row}')")
    with pytest.raises(ViolatingRows, match=rf"cannot write the row of .* with id = {row}: ") as raised:
        filled(database, values)
    assert "rows are done and kept" in str(raised.value)
    database.execute(f"UPDATE t SET a = 'b' WHERE id = {row}")
    assert filled(database, values).resumed
    assert_filled(database)


# --- a function ---------------------------------------------------------------------------------------------------


def test_no_row_is_locked_while_a_function_runs(database):
    """What the application changes in the meantime is filled later, from the new values."""
    made(database)
    changed = []

    @reads("id", "a", writes=("v",))
    def meanwhile(rows):
        if not changed:
            changed.extend(row["id"] for row in rows[:7])
            database.execute(
                "SET lock_timeout = '1s'",
                f"UPDATE t SET a = 'new' || id WHERE id = {changed[0]}",
                f"UPDATE t SET v = 'OWN', a = 'own' WHERE id = {changed[1]}",
                f"DELETE FROM t WHERE id = {changed[2]}",
                f"UPDATE t SET n = 1 WHERE id IN ({', '.join(map(str, changed[3:]))})",
            )
        return in_python(rows)

    report = filled(database, meanwhile)
    assert database.query(f"SELECT v FROM t WHERE id IN ({changed[0]}, {changed[1]}) ORDER BY id") == [
        (f"NEW{changed[0]}",),
        ("OWN",),
    ]
    assert_filled(database, ROWS - 1)
    assert (report.rows, report.remaining) == (ROWS - 2, 0)
    assert ranges(database)[0][0] == OF_PAGES


def test_a_row_that_takes_the_place_of_another_gets_its_own_value(database):
    made(database)
    places = []

    @reads("id", "a", writes=("v",))
    def meanwhile(rows):
        if not places:
            some = f"id IN ({', '.join(str(row['id']) for row in rows[:50])})"
            places.extend(place for (place,) in database.query(f"SELECT ctid::text FROM t WHERE {some}"))
            database.execute(f"DELETE FROM t WHERE {some}")
            with database.observer().connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM t")
            database.execute("INSERT INTO t (id, a) SELECT 100000 + i, 'new' || i FROM generate_series(1, 300) i")
            reused = f"SELECT count(*) FROM t WHERE id > 100000 AND ctid::text = ANY ('{{{_listed(places)}}}')"
            assert database.query(reused) != [(0,)]
        return in_python(rows)

    assert filled(database, meanwhile).remaining == 0
    assert_filled(database, ROWS + 250)


def _listed(texts):
    return ",".join(f'"{text}"' for text in texts)


def test_rows_for_which_a_function_returns_no_value(database):
    """One that was written without a value may come again, on a later page; then they are swept up, to be sure."""
    made(database)
    calls, without = [], {1, 2000, 4000}

    @reads("id", "a", writes=("v",))
    def but_three(rows):
        calls.extend(row["id"] for row in rows)
        return [{"v": None if row["id"] in without else row["a"].upper()} for row in rows]

    with pytest.raises(BackfillIncomplete, match="3 rows"):
        filled(database, but_three)
    assert ROWS <= len(calls) <= ROWS + 6
    assert set(calls) == set(range(1, ROWS + 1))
    assert len(ranges(database)) <= 2
    without.clear()
    assert filled(database, but_three).rows == 3
    assert_filled(database)


def test_a_row_without_a_value_that_is_corrected_then_is_swept_up(database):
    made(database, 10)
    corrected = []

    @reads("id", "a", writes=("v",))
    def but_one(rows):
        if not corrected:
            corrected.append(database.execute("UPDATE t SET a = 'good' WHERE id = 10"))
        return [{"v": None if row["a"] == "a10" else row["a"].upper()} for row in rows]

    assert filled(database, but_one).remaining == 0
    assert_filled(database, 10)


def test_wide_rows_that_change_between_two_portions(database, monkeypatch):
    monkeypatch.setattr("safeops.backfilling.by_function.PORTION", 20_000)
    made(database, 40)
    database.execute("UPDATE t SET a = repeat('x', 5000) || id")
    portions = []

    @reads("id", "a", writes=("v",))
    def meanwhile(rows):
        portions.append(rows)
        if len(portions) == 1:
            database.execute("UPDATE t SET a = repeat('y', 5000) || id WHERE id > 30", "DELETE FROM t WHERE id = 25")
        return in_python(rows)

    filled(database, meanwhile)
    assert_filled(database, 39)
    assert len(portions) > 5


# --- workers ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_ranges(monkeypatch):
    monkeypatch.setattr(parallel, "SMALLEST", 50)


@by_each
def test_workers_go_along_ranges_of_pages(database, small_ranges, values):
    made(database)
    with ThreadPoolExecutor(2) as executor:
        filled(database, values, executor=executor)
    assert_filled(database)
    own = ranges(database)
    assert {(work, sweep) for work, sweep, _ in own} == {(OF_PAGES, 0)}
    assert len(own) == 8
    assert sum(processed for *_, processed in own) == ROWS


def test_the_rest_of_a_range_is_split_for_workers(database, small_ranges):
    made(database)
    stopped(database, 4)
    with ThreadPoolExecutor(2) as executor:
        report = filled(database, executor=executor)
    assert report.resumed
    assert_filled(database)
    assert len(ranges(database)) > 4
    assert {work for work, *_ in ranges(database)} == {OF_PAGES}


# --- places -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "stop", "pieces", "expected"),
    [
        ((0, 0), (10, 0), 1, [10]),
        ((0, 0), (10, 0), 4, [2, 5, 7, 10]),
        ((0, 0), (2, 0), 8, [1, 2]),
        ((7, 12), (8, 0), 8, [8]),
        ((7, 12), (17, 0), 2, [12, 17]),
    ],
)
def test_ranges_of_pages_are_cut_evenly(start, stop, pieces, expected):
    assert cut(bound(start), bound(stop), pieces) == [bound((page, 0)) for page in expected]
