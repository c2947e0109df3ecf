"""Renames and type changes of the columns of partitioned tables, and of those that refer to them."""

import pytest
import sqlalchemy as sa
from tests.catalogue import assert_same
from tests.lifecycle.harness import prepared, state
from tests.projects import migrate

from safeops import ColumnRename, TypeChange

pytestmark = pytest.mark.only("pg18", "pg14")

LONG = "fk_of_a_name_that_leaves_the_server_no_room_for_a_number_at_end"
REFERRING = (
    "CREATE TABLE bp (id int PRIMARY KEY) PARTITION BY RANGE (id)",
    "CREATE TABLE bp1 PARTITION OF bp FOR VALUES FROM (0) TO (100)",
    "CREATE TABLE bp2 PARTITION OF bp FOR VALUES FROM (100) TO (200)",
    "INSERT INTO bp SELECT generate_series(0, 199)",
    f'CREATE TABLE q (id int PRIMARY KEY, bid int CONSTRAINT "{LONG}" REFERENCES bp)',
    "INSERT INTO q SELECT i, i FROM generate_series(1, 50) i",
)
CHANGES = {
    "rename": (ColumnRename("q", "bid", "bpid"), ("expand", "contract", "undo_contract", "undo_expand")),
    "type": (
        TypeChange("q", "bid", sa.BigInteger),
        ("expand", "switch", "contract", "undo_contract", "undo_switch", "undo_expand"),
    ),
}


def schema(database):
    """Before PostgreSQL 18 the server's own rows of a key keep NOT VALID when the key is validated."""
    return "\n".join(line.removesuffix(" NOT VALID") for line in state(database)["schema"])


def referents(database, table):
    return database.query(
        "SELECT confrelid::regclass::text, convalidated FROM pg_constraint WHERE contype = 'f' AND conparentid = 0"
        f" AND conrelid = '{table}'::regclass ORDER BY conname"
    )


@pytest.mark.parametrize("kind", CHANGES)
def test_a_key_that_refers_to_a_partitioned_table(database, kind):
    before = schema(prepared(database, REFERRING))
    change, phases = CHANGES[kind]
    for place, phase in enumerate(phases):
        assert migrate(database, getattr(change, phase)) is True
        assert set(referents(database, "q")) == {("bp", True)}
        database.execute(f"INSERT INTO q (id, {bid(database)}) VALUES ({1000 + place}, 150)")
    database.execute("DELETE FROM q WHERE id >= 1000")
    assert_same(before, schema(database), "there and back")


def bid(database):
    names = {row[0] for row in database.query("SELECT attname FROM pg_attribute WHERE attrelid = 'q'::regclass")}
    return "bid" if "bid" in names else "bpid"


@pytest.mark.parametrize("phase", ["expand", "undo_expand"])
def test_keys_to_one_partition_that_an_earlier_release_left_are_taken_away(database, phase):
    before = state(prepared(database, REFERRING))
    change, _ = CHANGES["rename"]
    migrate(database, change.expand)
    database.execute("ALTER TABLE q ADD CONSTRAINT safeops_bpid_q_bid_fkey FOREIGN KEY (bpid) REFERENCES bp1 NOT VALID")
    assert migrate(database, getattr(change, phase)) is True
    database.execute("INSERT INTO q (id, bid) VALUES (1000, 120)", "DELETE FROM q WHERE id = 1000")
    if phase == "expand":
        migrate(database, change.undo_expand)
    assert_same(before, state(database), "undone")
