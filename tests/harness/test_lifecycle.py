"""The harness distinguishes migrations that can be run again from those that cannot."""

import pytest
import sqlalchemy as sa
from alembic import op
from tests.lifecycle.harness import crash_everywhere, up_up_down_down_up

TABLE = ["CREATE TABLE t (id integer PRIMARY KEY, name varchar(20))", "INSERT INTO t VALUES (1, 'a')"]


def has_index():
    return any(index["name"] == "ix" for index in sa.inspect(op.get_bind()).get_indexes("t"))


def guarded():
    if has_index():
        return False
    op.create_index("ix", "t", ["name"])
    return True


def guarded_drop():
    if not has_index():
        return False
    op.drop_index("ix", "t")
    return True


def two_indexes():
    guarded()
    op.create_index("iy", "t", ["id", "name"])


@pytest.mark.smoke
def test_what_looks_first_passes(database):
    assert up_up_down_down_up(database, guarded, guarded_drop, TABLE)[0] is True


def test_what_does_not_look_fails(database):
    with pytest.raises(sa.exc.DBAPIError):
        up_up_down_down_up(database, lambda: op.create_index("ix", "t", ["name"]), guarded_drop, TABLE)


def test_rows_that_do_not_come_back_are_seen(database):
    def lossy_drop():
        op.execute("DELETE FROM t")
        return guarded_drop()

    with pytest.raises(AssertionError, match=r"rows of t: \(1, 'a'\)"):
        up_up_down_down_up(database, guarded, lossy_drop, TABLE)


@pytest.mark.smoke
def test_restartable_after_every_statement(new_database):
    def body():
        guarded()
        op.execute("UPDATE t SET name = 'b' WHERE name = 'a'")

    # The index, its commit if DDL commits later, the update, the version.
    assert crash_everywhere(new_database, body, TABLE) >= 3


@pytest.mark.only("mysql", "sqlite")
def test_half_done_is_found_if_ddl_commits(new_database):
    with pytest.raises(AssertionError, match=r"(?s)stopped at point 2 of .*iy"):
        crash_everywhere(new_database, two_indexes, TABLE, kills=0)


@pytest.mark.only("postgresql")
def test_half_done_is_found_in_autocommit(new_database):
    def body():
        with op.get_context().autocommit_block():
            two_indexes()

    with pytest.raises(AssertionError, match=r"(?s)stopped at point 2 of .*iy"):
        crash_everywhere(new_database, body, TABLE, kills=0)
    crash_everywhere(new_database, two_indexes, TABLE, kills=0)


@pytest.mark.only("pg18", "mysql", "sqlite")
def test_sigkill_leaves_what_was_committed(new_database):
    def body():
        op.execute("UPDATE t SET id = id + 1")

    left = []
    crash_everywhere(
        new_database, body, TABLE, kills=3, after_crash=lambda db: left.append(db.query("SELECT id FROM t"))
    )
    assert set(map(tuple, left)) == {((1,),)}


@pytest.mark.only("pg18", "sqlite")
def test_of_a_transaction_it_stops_before_and_after_the_commit(new_database):
    def body():
        with op.get_context().autocommit_block():
            for statement in ("BEGIN", "CREATE TABLE a (id int)", "INSERT INTO a VALUES (1)", "COMMIT", "DROP TABLE a"):
                op.execute(statement)
            op.execute("CREATE TABLE b (id int)")

    tables = []

    def look(database):
        tables.append("".join(sorted(set(sa.inspect(database.observer()).get_table_names()) & {"a", "b"})))
        database.execute("DROP TABLE IF EXISTS a", "DROP TABLE IF EXISTS b")

    assert crash_everywhere(new_database, body, TABLE, kills=0, after_crash=look) > 6
    assert tables[:4] == ["", "a", "", "b"]


@pytest.mark.only("postgresql", "sqlite")
def test_an_asynchronous_driver_crashes_too(new_database, server):
    driver = "asyncpg" if server.kind == "postgresql" else "aiosqlite"
    crash_everywhere(new_database, guarded, TABLE, driver=driver, kills=1)


def test_a_downgrade_crashes_too(new_database):
    crash_everywhere(new_database, guarded_drop, [*TABLE, "CREATE INDEX ix ON t (name)"], down=True)
