"""Writers on both names note what was acknowledged: no phase loses any of it on MariaDB and MySQL."""

import threading
import time
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from tests.projects import migrate

from safeops import ColumnRename, TypeChange

pytestmark = pytest.mark.only("mysql")

RENAME = ColumnRename("t", "old", "new")
CHANGE = TypeChange("t", "old", sa.BigInteger())


class Writer:
    """Writes numbers under one name, each in a row of its own, and keeps a ledger of what the server acknowledged."""

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
        # Each has rows of its own to update.
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
def test_no_acknowledged_write_is_lost_when_a_name_goes(database, phase, survivor, column):
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
    # The one learns it from the first write that would be lost, the other never.
    assert (stays.errors, goes.errors) == ([], [1054])
