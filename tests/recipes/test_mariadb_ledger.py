"""Writers on both names note what was acknowledged: no phase loses any of it on MariaDB and MySQL."""

import threading
import time
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from tests.projects import migrate

from safeops import ColumnRename, TypeChange, add_required_column, drop_column_if_exists, restore_column

pytestmark = pytest.mark.only("mysql")

RENAME = ColumnRename("t", "old", "new")
CHANGE = TypeChange("t", "old", sa.BigInteger())


class Writer:
    """Writes numbers under one name, each in a separate row, and keeps a ledger of what the server acknowledged."""

    def __init__(self, database, column, first):
        self.database, self.column, self.first = database, column, first
        self.ledger, self.errors = {}, []
        self.over, self.wanted = threading.Event(), threading.Event()

    def write(self):
        with self.database.observer().connect() as connection:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            for number in range(self.first, self.first + 50_000):
                if self.over.is_set():
                    return
                row, value = number % 50 + 1 if number % 3 else number, number
                sql = f"UPDATE t SET {self.column} = {value} WHERE id = {self.row(row)}"
                if not number % 3:
                    sql = f"INSERT INTO t (id, {self.column}) VALUES ({row}, {value})"
                try:
                    connection.exec_driver_sql(sql)
                    self.ledger[row if not number % 3 else self.row(row)] = value
                except sa.exc.DBAPIError as error:
                    self.errors.append(error.orig.args[0])
                    if error.orig.args[0] == 1054:
                        return
                if len(self.ledger) > 20:
                    self.wanted.set()

    def row(self, row):
        # Each has separate rows to update.
        return row * 2 + (self.column == "new")


@contextmanager
def writing(*writers):
    threads = [threading.Thread(target=one.write) for one in writers]
    for one in threads:
        one.start()
    try:
        for one in writers:
            assert one.wanted.wait(10)
        yield
        time.sleep(0.02)
    finally:
        for one in writers:
            one.over.set()
        for one in threads:
            one.join(10)


def kept(database, column, *writers):
    found = dict(database.query(f"SELECT id, {column} FROM t"))
    return {key: found.get(key) for one in writers for key in one.ledger}


@pytest.mark.parametrize(("phase", "survivor"), [("undo_expand", "old"), ("contract", "new")])
@pytest.mark.parametrize("column", ["int", "int NOT NULL"])
def test_no_acknowledged_write_is_lost_when_a_name_is_dropped(database, phase, survivor, column):
    database.execute(
        f"CREATE TABLE t (id int PRIMARY KEY, old {column})",
        f"INSERT INTO t VALUES {', '.join(f'({n}, {n})' for n in range(1, 200))}",
    )
    migrate(database, RENAME.expand)
    writers = [Writer(database, "old", 1_000), Writer(database, "new", 1_000_001)]
    with writing(*writers):
        assert migrate(database, getattr(RENAME, phase)) is True
    assert kept(database, survivor, *writers) == {key: value for one in writers for key, value in one.ledger.items()}
    stays, goes = writers if survivor == "old" else writers[::-1]
    # The first write that would be lost fails in the one; the other never fails.
    assert (stays.errors, goes.errors) == ([], [1054])


def test_no_acknowledged_write_is_lost_when_a_column_is_archived(database):
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, n int, old int)",
        f"INSERT INTO t VALUES {', '.join(f'({n}, 0, {n})' for n in range(1, 200))}",
    )
    goes, stays = Writer(database, "old", 1_000), Writer(database, "n", 1_000_001)
    with writing(goes, stays):
        assert migrate(database, lambda: drop_column_if_exists("t", "old", archive=True)) is True
    assert (goes.errors, stays.errors) == ([1054], [])
    assert migrate(database, lambda: restore_column("t", sa.Column("old", sa.Integer)), down=True) is True
    for column, one in (("old", goes), ("n", stays)):
        assert kept(database, column, one) == one.ledger


def test_no_acknowledged_write_is_lost_while_types_are_exchanged(database):
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, old int)",
        f"INSERT INTO t VALUES {', '.join(f'({n}, {n})' for n in range(1, 200))}",
    )
    writer = Writer(database, "old", 1_000)
    with writing(writer):
        for phase in ("expand", "switch", "contract", "undo_contract", "undo_switch", "undo_expand"):
            assert migrate(database, getattr(CHANGE, phase)) is True
    assert writer.errors == []
    assert kept(database, "old", writer) == writer.ledger


def test_a_required_column_is_added_without_losing_a_write(database):
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, old int)",
        f"INSERT INTO t VALUES {', '.join(f'({n}, {n})' for n in range(1, 200))}",
    )
    column = sa.Column("r", sa.Integer, nullable=False)
    writer = Writer(database, "old", 1_000)
    with writing(writer):
        migrate(database, lambda: add_required_column("t", column, populate=sa.text("old"), keep_filled=True))
    assert writer.errors == []
    assert kept(database, "old", writer) == writer.ledger
    assert database.query("SELECT count(*) FROM t WHERE r IS NULL") == [(0,)]
