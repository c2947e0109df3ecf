"""An event trigger of PostgreSQL that logs the statements of a migration, or refuses some of them."""

from __future__ import annotations

from functools import partial

import pytest
import sqlalchemy as sa

from safeops import ColumnRename, ViolatingRows, backfill, drop_column_if_exists, restore_column
from tests.projects import migrate
from tests.servers import Database

pytestmark = pytest.mark.only("pg18", "pg14")

WORLD = (
    "CREATE TABLE ddl_log (tag text, name text)",
    "CREATE TABLE t (id int PRIMARY KEY, a int, b varchar(5) DEFAULT 'x')",
    "INSERT INTO t VALUES (1, NULL), (2, 4)",
)
BODIES = {
    "logs": "INSERT INTO public.ddl_log SELECT command_tag, object_identity FROM pg_event_trigger_ddl_commands();",
    "refuses": "IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE '%safeops%')"
    " THEN RAISE EXCEPTION 'ask an administrator'; END IF;",
}
CALLS = (
    lambda: backfill("t", {"a": 7}),
    lambda: ColumnRename("t", "a", "aa").expand(),
    lambda: drop_column_if_exists("t", "b", archive=True),
)


def equipped(database: Database, what: str) -> None:
    function = f"CREATE FUNCTION ev() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN {BODIES[what]} END $$"
    database.execute(*WORLD, function, "CREATE EVENT TRIGGER ev ON ddl_command_end EXECUTE FUNCTION ev()")


def test_one_that_logs_meets_no_error(database: Database) -> None:
    equipped(database, "logs")
    for call in (*CALLS, ColumnRename("t", "a", "aa").contract):
        assert migrate(database, call)
    assert migrate(database, lambda: restore_column("t", sa.Column("b", sa.String(5)))) is True
    assert database.query("SELECT id, aa, b FROM t ORDER BY id") == [(1, 7, "x"), (2, 4, "x")]
    assert database.query("SELECT count(*) > 0 FROM ddl_log WHERE name LIKE '%safeops%'") == [(True,)]


@pytest.mark.parametrize("call", CALLS)
def test_one_that_refuses_is_reported_and_left_alone(database: Database, call: object) -> None:
    equipped(database, "refuses")
    run = partial(migrate, database, call)
    before = database.query("SELECT * FROM t ORDER BY id")
    with pytest.raises(ViolatingRows, match="ask an administrator") as error:
        run()
    assert "An event trigger must accept the statements" in str(error.value)
    assert "Nothing was changed" in str(error.value)
    assert database.query("SELECT * FROM t ORDER BY id") == before
    database.execute("DROP EVENT TRIGGER ev")
    assert run()
