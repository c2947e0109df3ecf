"""An automatic vacuum is waited for under a lock that blocks no session."""

import threading
import time

import pytest
import sqlalchemy as sa
from tests.projects import migrate

from safeops import ColumnRename

pytestmark = pytest.mark.only("pg18", "pg14")

RENAME = ColumnRename("users", "name", "full_name")


@pytest.mark.parametrize("phase", ["expand", "contract"])
def test_writers_do_not_wait_behind_a_vacuum(database, phase):
    database.execute("CREATE TABLE users (id integer PRIMARY KEY, name text)", "INSERT INTO users VALUES (1, 'Ann')")
    if phase == "contract":
        migrate(database, RENAME.expand)
    with database.engine().connect() as vacuum, database.engine().connect() as writer:
        # What a vacuum holds, and no ordinary reader or writer minds.
        vacuum.execute(sa.text("LOCK TABLE users IN SHARE UPDATE EXCLUSIVE MODE"))
        runner = threading.Thread(target=lambda: migrate(database, getattr(RENAME, phase)))
        runner.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'ShareUpdateExclusiveLock'"
        for _ in range(100):
            if database.query(waiting) == [(1,)]:
                break
            time.sleep(0.02)
        assert database.query(waiting) == [(1,)]
        writer.execute(sa.text("SET lock_timeout = '50ms'"))
        writer.execute(sa.text("UPDATE users SET name = 'Bob'"))
        writer.commit()
        vacuum.rollback()
        runner.join(30)
    assert not runner.is_alive()
    assert database.query(f"SELECT {'full_name' if phase == 'contract' else 'name'} FROM users") == [("Bob",)]
