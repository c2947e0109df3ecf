"""backfill stopped after any statement and run again ends as if undisturbed: no row twice, none left out."""

import pytest
import sqlalchemy as sa
from tests.lifecycle.harness import crash_everywhere
from tests.whole import one_in

from safeops import backfill, reads

pytestmark = pytest.mark.only("pg18", "mysql", "sqlite")

ROWS = (
    "CREATE TABLE t (id integer PRIMARY KEY, n integer, v varchar(20))",
    "INSERT INTO t VALUES (1, 0, NULL), (2, 0, 'mine'), (5, 0, NULL), (9, 0, NULL)",
)


@reads("id", "n", writes=("n",))
def one_more(rows):
    return [{"n": row["n"] + 1} for row in rows]


BODIES = {
    "the default": lambda: backfill("t", {"v": sa.cast(sa.column("id"), sa.String(9))}, batch_size=2),
    "each row once": lambda: backfill("t", {"n": sa.column("n") + 1}, where=True, batch_size=2),
    "a function, each row once": lambda: backfill("t", one_more, where=True, batch_size=2),
}


@pytest.mark.only("pg18")
@pytest.mark.parametrize("what", one_in(3, [*BODIES]))
def test_stopped_anywhere_it_continues_with_any_values(new_database, what):
    assert 8 <= crash_everywhere(new_database, BODIES[what], ROWS, kills=1, every_checkpoint=True) <= 40


@pytest.mark.only("mysql", "sqlite")
def test_stopped_anywhere_it_continues(new_database):
    points = crash_everywhere(new_database, BODIES["each row once"], ROWS, kills=1, every_checkpoint=True)
    assert 8 <= points <= 40
