"""What pg8000 does otherwise than other drivers, shown without it: its autocommit, and the fields of its errors."""

import pytest
import sqlalchemy as sa

from safeops import create_index_if_missing
from safeops.databases.postgresql.types import sqlstate
from safeops.databases.server_errors import message_of
from tests.projects import migrate


@pytest.mark.only("pg18")
def test_a_transaction_that_the_driver_keeps_in_autocommit_is_ended(database, monkeypatch):
    database.execute("CREATE TABLE t (id int PRIMARY KEY, a int)", "INSERT INTO t VALUES (1, 1)")
    engine = database.engine()
    change = engine.dialect.set_isolation_level

    def beginning(driver, level):
        change(driver, level)
        if level == "AUTOCOMMIT":
            driver.execute("BEGIN")

    monkeypatch.setattr(engine.dialect, "set_isolation_level", beginning)
    with engine.connect() as connection:
        migrate(database, lambda: create_index_if_missing("ix", "t", ["a"]), connection=connection)
    assert database.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix'::regclass") == [(True,)]


def test_the_fields_of_an_error_are_read():
    refused = Exception({"S": "ERROR", "C": "55P03", "M": "lock timeout", "D": "of t"})
    error = sa.exc.OperationalError("SELECT 1", {}, refused)
    assert (sqlstate(error), message_of(error)) == ("55P03", "lock timeout DETAIL: of t")
