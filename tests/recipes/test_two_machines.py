"""Two machines run the same phase at the same time: both succeed, or one reports that the other was faster."""

from __future__ import annotations

import os

import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from tests.backfill.oracle import Child
from tests.catalogue import assert_same, unordered
from tests.whole import one_in

from safeops import ColumnRename, SafeOpsError, TypeChange

ROUNDS = int(os.environ.get("SAFEOPS_ORACLE_SEEDS", "1"))

pytestmark = pytest.mark.only("pg18")

WORLD = (
    "CREATE TABLE teams (id serial PRIMARY KEY, name text NOT NULL UNIQUE)",
    "CREATE TABLE users (id serial PRIMARY KEY, team text NOT NULL DEFAULT 'red' REFERENCES teams (name), team_id integer"
    " REFERENCES teams)",
    "CREATE INDEX ON users (lower(team), team)",
    "INSERT INTO teams (name) VALUES ('red'), ('blue')",
    "INSERT INTO users (team, team_id) SELECT CASE WHEN i < 9 THEN 'red' ELSE 'blue' END, 1 FROM generate_series(1, 60) i",
)
CHANGES = {
    "a column with foreign keys": (ColumnRename("users", "team", "group"), 'ALTER TABLE users RENAME team TO "group"'),
    "a column that others refer to": (ColumnRename("teams", "name", "title"), "ALTER TABLE teams RENAME name TO title"),
    "a key": (
        TypeChange("teams", "id", sa.BigInteger()),
        "ALTER TABLE teams ALTER id TYPE bigint; ALTER SEQUENCE teams_id_seq AS bigint",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_same_phase_twice_at_once(new_database, what):
    change, in_place = CHANGES[what]
    database, altered = new_database(), new_database()
    database.execute(*WORLD)
    altered.execute(*WORLD, in_place)
    before, after = unordered(database), unordered(altered)
    rows = rows_of(database)
    engine = database.engine()
    engine.connect().close()
    is_type = isinstance(change, TypeChange)
    up = ("expand", "switch", "contract") if is_type else ("expand", "contract")
    down = ("undo_contract", "undo_switch", "undo_expand") if is_type else ("undo_contract", "undo_expand")
    for _ in range(ROUNDS):
        for phase in (*up, *down):
            both(engine, getattr(change, phase))
            assert rows_of(database) == rows
            if phase in ("contract", "undo_expand"):
                assert_same(after if phase == "contract" else before, unordered(database), phase)


def test_another_machine_attaches_the_index_first(new_database):
    """The server reports that the index already belongs to a constraint: the phase looks again and continues."""
    database = new_database()
    database.execute(*WORLD)
    engine, other, attached = database.engine(), database.engine(), []
    index = "safeops_title_teams_name_key"

    def attach(connection, cursor, statement, *_):
        if "SHARE UPDATE EXCLUSIVE" not in statement or attached:
            return
        with other.begin() as faster:
            if faster.scalar(sa.text(f"SELECT to_regclass('{index}') IS NOT NULL")):
                attached.append(index)
                faster.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
                faster.exec_driver_sql(f"ALTER TABLE teams ADD CONSTRAINT {index} UNIQUE USING INDEX {index}")

    sa.event.listen(engine, "before_cursor_execute", attach)
    assert run(engine, ColumnRename("teams", "name", "title").expand) is True
    assert attached


@pytest.mark.parametrize("later", one_in(2, range(1, 6)))
def test_another_machine_hands_a_key_over_after_our_look_at_it(new_database, later):
    """And it exchanges the columns when this runner continues: no second key may be left on the kept one."""
    change, in_place = CHANGES["a key"]
    database, altered = new_database(), new_database()
    database.execute(*WORLD)
    altered.execute(*WORLD, in_place)
    ours, others = database.engine(), database.engine()
    assert run(ours, change.expand) is True
    copy, statements, ended = "safeops_safeops_id_users_team_id_fkey", [], []

    def interrupt(connection, cursor, statement, *_):
        statements.append(statement)
        looks = [place for place, one in enumerate(statements) if "k.conname, pg_catalog.pg_describe_object" in one]
        if len(looks) >= 2 and len(statements) - 1 == looks[1] + later:
            drop = "ALTER TABLE users DROP CONSTRAINT users_team_id_fkey"
            database.execute(drop, f"ALTER TABLE users RENAME CONSTRAINT {copy} TO users_team_id_fkey")
        added = any(f"ADD CONSTRAINT {copy}" in one for one in statements[:-1])
        if added and not ended and not database.query(LOCKED):
            ended.append(Child(lambda: run(others, change.switch)).value())

    sa.event.listen(ours, "before_cursor_execute", interrupt)
    run(ours, change.switch)
    assert run(others, change.contract) is True
    assert_same(unordered(altered), unordered(database), "contract")


LOCKED = "SELECT 1 FROM pg_locks WHERE relation = 'users'::regclass AND mode = 'ShareRowExclusiveLock' LIMIT 1"


def run(engine, phase):
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"transaction_per_migration": True})
        with Operations.context(context), context.begin_transaction(_per_migration=True):
            return phase()


def both(engine, phase):
    """Run a phase twice at once, and once more if neither could end it."""

    def told():
        try:
            return run(engine, phase)
        except SafeOpsError as error:
            return f"{type(error).__name__}: {error}"

    machines = [Child(told), Child(told)]
    ended = [machine.value() for machine in machines]
    assert ended.count(True) >= 1, ended
    assert not [one for one in ended if isinstance(one, str)], ended
    assert Child(told).value() is False


def rows_of(database):
    [(columns,)] = database.query(
        "SELECT array_agg(attname ORDER BY attname) FROM pg_attribute WHERE attrelid = 'users'::regclass AND attnum > 0"
        " AND NOT attisdropped AND attname IN ('team', 'group')"
    )
    found = database.query(f'SELECT id, "{columns[0]}", "{columns[-1]}", team_id FROM users ORDER BY id')
    assert all(one == other for _, one, other, _ in found)
    return [(key, one, team) for key, one, _, team in found]
