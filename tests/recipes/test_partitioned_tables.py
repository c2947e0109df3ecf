"""Renames and type changes of the columns of partitioned tables, and of those that refer to them."""

import random
import re
import threading

import pytest
import sqlalchemy as sa
from tests.catalogue import assert_same
from tests.lifecycle.harness import crash_everywhere, prepared, state
from tests.projects import migrate

from safeops import ColumnRename, PhaseMissing, TypeChange, UnsafeOperation

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


# --- keys of partitioned tables --------------------------------------------------------------------------

EVENTS = (
    "CREATE TABLE kinds (kid int PRIMARY KEY)",
    "INSERT INTO kinds SELECT generate_series(0, 9)",
    'CREATE TABLE "Ev" (id serial, day int, sub int, a int, kid int CONSTRAINT fk_kind REFERENCES kinds, pid int,'
    " CONSTRAINT uq_a UNIQUE (a, day, sub), PRIMARY KEY (id, day, sub),"
    ' CONSTRAINT fk_self FOREIGN KEY (pid, day, sub) REFERENCES "Ev") PARTITION BY RANGE (day)',
    'CREATE INDEX "Ix id" ON "Ev" (id)',
    'CREATE TABLE ev_d PARTITION OF "Ev" DEFAULT',
    'CREATE TABLE ev_1 PARTITION OF "Ev" FOR VALUES FROM (0) TO (10) PARTITION BY LIST (sub)',
    "CREATE TABLE ev_1a PARTITION OF ev_1 FOR VALUES IN (1)",
    # With its columns in another order, a key of another name, no default, and one that was dropped.
    "CREATE TABLE ev_1b (kid int, pid int, a int, sub int NOT NULL, id int NOT NULL, x int, day int NOT NULL,"
    " CONSTRAINT own PRIMARY KEY (id, day, sub))",
    "ALTER TABLE ev_1b DROP COLUMN x",
    "ALTER TABLE ev_1 ATTACH PARTITION ev_1b DEFAULT",
    "CREATE INDEX ev_d_own ON ev_d (id) WHERE id > 10",
    "ALTER TABLE ev_d REPLICA IDENTITY USING INDEX ev_d_pkey",
    'INSERT INTO "Ev" (day, sub, a, kid) SELECT g % 20, g % 3, g, g % 10 FROM generate_series(1, 60) g',
    'UPDATE "Ev" SET pid = id',
    'CREATE TABLE o (ev_id int, d int, s int, CONSTRAINT fk_o FOREIGN KEY (ev_id, d, s) REFERENCES "Ev")',
    "COMMENT ON CONSTRAINT fk_o ON o IS 'mine'",
    "INSERT INTO o SELECT id, day, sub FROM ev_1",
    "CREATE TABLE p (ev_id int, CONSTRAINT fk_p FOREIGN KEY (ev_id, d, s) REFERENCES ev_1a, d int, s int)",
    "INSERT INTO p SELECT id, day, sub FROM ev_1a",
)
RENAME, TYPE = (
    ("expand", "contract", "undo_contract", "undo_expand"),
    ("expand", "switch", "contract", "undo_contract", "undo_switch", "undo_expand"),
)
KEYS = {
    "type of a primary key": (TypeChange("Ev", "id", sa.BigInteger), TYPE),
    "name of a primary key": (ColumnRename("Ev", "id", "New id"), RENAME),
    "type of a unique key": (TypeChange("Ev", "a", sa.BigInteger), TYPE),
    "name of a foreign key": (ColumnRename("Ev", "kid", "kind_id"), RENAME),
}


def meaning(database):
    """The schema without the order of columns, the names of NOT NULL, and the names of the server's own keys."""
    lines = (line.strip().rstrip(",") for line in schema(database).splitlines())
    own = re.compile(r"constraint (\S*not_null|fk_self_\d\S*|.*fkey\d*) on |order of columns ")
    return sorted(re.sub(r" CONSTRAINT \S+ NOT NULL", " NOT NULL", one) for one in lines if not own.match(one))


@pytest.mark.parametrize("what", KEYS)
def test_there_and_back(database, what):
    before = meaning(prepared(database, EVENTS))
    change, phases = KEYS[what]
    for phase in phases:
        assert [migrate(database, getattr(change, phase)) for _ in "12"] == [True, False], phase
        invalid = "SELECT conname FROM pg_constraint WHERE NOT convalidated AND conparentid = 0"
        assert database.query(invalid) == []
        assert database.query("SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid") == []
        database.execute(
            'INSERT INTO "Ev" (day, sub, a) SELECT g, g % 3, 1000 + g FROM generate_series(1, 20) g',
            'DELETE FROM "Ev" WHERE a > 1000',
        )
    assert_same("\n".join(before), "\n".join(meaning(database)), "there and back")


def test_an_identity_continues_counting(database):
    database.execute(
        "CREATE TABLE ev (id int GENERATED BY DEFAULT AS IDENTITY, day int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)",
        "CREATE TABLE ev_d PARTITION OF ev DEFAULT",
        "INSERT INTO ev (day) SELECT g FROM generate_series(1, 5) g",
    )
    change = TypeChange("ev", "id", sa.BigInteger)
    for phase in TYPE:
        assert migrate(database, getattr(change, phase)) is True
        database.execute("INSERT INTO ev (day) VALUES (0)")
    assert database.query("SELECT id FROM ev ORDER BY id") == [(number,) for number in range(1, 12)]


@pytest.mark.parametrize("column", ["day", "at", "sub"])
def test_columns_of_a_partition_key_are_refused_at_once(database, column):
    database.execute(
        "CREATE TABLE ev (id int, day int, at int, sub int) PARTITION BY RANGE (day, (at / 10))",
        "CREATE TABLE ev_d PARTITION OF ev DEFAULT PARTITION BY LIST (sub)",
        "CREATE TABLE ev_d1 PARTITION OF ev_d DEFAULT",
    )
    before = state(database)
    for change in (TypeChange("ev", column, sa.BigInteger), ColumnRename("ev", column, "other")):
        with pytest.raises(UnsafeOperation, match="partition key of"):
            migrate(database, change.expand)
    with pytest.raises(UnsafeOperation, match="inherits id from"):
        migrate(database, ColumnRename("ev_d1", "id", "other").expand)
    assert_same(before, state(database), "refused")


def test_partitions_that_are_attached_or_created_between_the_phases(database):
    database.execute(
        "CREATE TABLE ev (id int, day int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)",
        "CREATE TABLE ev_0 PARTITION OF ev FOR VALUES FROM (0) TO (100)",
        "INSERT INTO ev SELECT g, g FROM generate_series(0, 50) g",
    )
    change = TypeChange("ev", "id", sa.BigInteger)
    assert migrate(database, change.expand) is True
    database.execute(
        "CREATE TABLE ev_1 (LIKE ev INCLUDING ALL)",
        "INSERT INTO ev_1 (id, day) SELECT g, g FROM generate_series(100, 150) g",
        "ALTER TABLE ev ATTACH PARTITION ev_1 FOR VALUES FROM (100) TO (200)",
        "CREATE TABLE ev_2 PARTITION OF ev FOR VALUES FROM (200) TO (300)",
        "INSERT INTO ev VALUES (200, 200)",
    )
    with pytest.raises(PhaseMissing):
        migrate(database, change.switch)
    assert [migrate(database, change.expand) for _ in "12"] == [True, False]
    database.execute(
        "CREATE TABLE ev_3 PARTITION OF ev FOR VALUES FROM (300) TO (400)", "INSERT INTO ev VALUES (300, 300)"
    )
    assert migrate(database, change.switch) is True
    assert migrate(database, change.contract) is True
    assert database.query("SELECT count(*), count(id), sum(id - day) FROM ev") == [(104, 104, 0)]
    assert primary_keys(database) == {"ev": True, "ev_0": True, "ev_1": True, "ev_2": True, "ev_3": True}


def primary_keys(database):
    sql = "SELECT indrelid::regclass::text, indisvalid FROM pg_index WHERE indisprimary AND indrelid::regclass::text ~ '^ev'"
    return dict(database.query(sql))


def test_what_was_built_while_others_write_is_what_the_key_is_made_of(database):
    """Under the strong lock nothing is built and no table is read: the files of the indexes are those from before."""
    prepared(database, EVENTS)
    change, _ = KEYS["type of a primary key"]
    migrate(database, change.expand)
    files = "SELECT relname, pg_relation_filenode(oid) FROM pg_class WHERE relkind = 'i' AND relname ~ '{}' ORDER BY 1"
    built = {file for _, file in database.query(files.format("^safeops_safeops_id_(ev_|own)"))}
    assert len(built) == 4
    migrate(database, change.switch)
    assert built == {file for _, file in database.query(files.format("^(ev_.*_pkey|own|ev_d_own)$"))}


def test_what_an_earlier_release_built_is_taken_away(database):
    prepared(database, EVENTS)
    change, _ = KEYS["type of a primary key"]
    migrate(database, change.expand)
    database.execute(
        'CREATE UNIQUE INDEX "safeops_safeops_id_Ev_pkey" ON "Ev" (safeops_id, day, sub)',
        "ALTER TABLE o ADD CONSTRAINT safeops_safeops_id_fk_o FOREIGN KEY (ev_id, d, s)"
        ' REFERENCES "Ev" (safeops_id, day, sub)',
    )
    assert [migrate(database, phase) for phase in (change.expand, change.switch, change.contract)] == [True] * 3
    assert database.query("SELECT relname FROM pg_class WHERE relname ~ 'safeops_safeops'") == []
    assert referents(database, "o") == [('"Ev"', True)]


def test_parts_of_an_index_that_an_earlier_release_named_after_its_copy_do_not_stop_the_downgrade(database):
    """It renamed the index of the whole when it switched, and not those of the partitions, at any level."""
    database.execute(
        'CREATE TABLE "Ev" (id int, day int, "W" int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)',
        'CREATE TABLE ev_d PARTITION OF "Ev" DEFAULT PARTITION BY RANGE (day)',
        "CREATE TABLE ev_d1 PARTITION OF ev_d DEFAULT",
        'INSERT INTO "Ev" SELECT g, g, g FROM generate_series(1, 20) g',
        'CREATE INDEX "Ix" ON "Ev" ("W")',
    )
    change = TypeChange("Ev", "W", sa.BigInteger)
    assert [migrate(database, phase) for phase in (change.expand, change.switch)] == [True, True]
    database.execute(
        'ALTER INDEX "ev_d_W_idx" RENAME TO "ev_d_safeops_safeops_W_Ix"',
        'ALTER INDEX "ev_d1_W_idx" RENAME TO "ev_d1_ev_d_safeops_safeops_W_Ix"',
    )
    assert [migrate(database, phase) for phase in (change.undo_switch, change.undo_expand)] == [True, True]
    assert database.query("SELECT relname FROM pg_class WHERE relname ~ 'safeops_safeops'") == []
    parts = "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid IN ('ev_d'::regclass, 'ev_d1'::regclass)"
    assert {'"ev_d_Ix"', '"ev_d1_ev_d_Ix"'} <= {row[0] for row in database.query(parts)}


FEW = (
    "CREATE TABLE kinds (kid int PRIMARY KEY)",
    'CREATE TABLE "Ev" (id int, day int, kid int CONSTRAINT fk_kind REFERENCES kinds, pid int, PRIMARY KEY (id, day),'
    ' CONSTRAINT fk_self FOREIGN KEY (pid, day) REFERENCES "Ev") PARTITION BY RANGE (day)',
    'CREATE TABLE ev_d PARTITION OF "Ev" DEFAULT PARTITION BY RANGE (day)',
    "CREATE TABLE ev_d1 PARTITION OF ev_d DEFAULT",
    'INSERT INTO "Ev" (id, day) SELECT g, g FROM generate_series(1, 20) g',
    'CREATE TABLE o (ev_id int, d int, CONSTRAINT fk_o FOREIGN KEY (ev_id, d) REFERENCES "Ev")',
    'INSERT INTO o SELECT id, day FROM "Ev"',
)


def expanded(change):
    def prepare(database):
        database.execute(*FEW)
        migrate(database, change.expand)

    return prepare


def test_a_switch_stopped_anywhere_continues(new_database):
    change, _ = KEYS["type of a primary key"]
    crash_everywhere(new_database, change.switch, expanded(change), kills=0, compare=meaning)


@pytest.mark.only("pg18")
def test_a_contraction_stopped_anywhere_continues(new_database):
    change, _ = KEYS["name of a primary key"]
    crash_everywhere(new_database, change.contract, expanded(change), kills=0, compare=meaning)


@pytest.mark.only("pg14")
def test_the_expansion_of_a_foreign_key_stopped_anywhere_continues(new_database):
    change, _ = KEYS["name of a foreign key"]
    crash_everywhere(new_database, change.expand, FEW, kills=0, compare=meaning)


def test_no_write_fails_or_is_lost(database):
    """A writer with a ledger, and one that refers to its rows, while the type of the primary key changes and back."""
    database.execute(
        "CREATE TABLE ev (id serial, day int, note text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)",
        *(f"CREATE TABLE ev_{day} PARTITION OF ev FOR VALUES FROM ({day}) TO ({day + 1})" for day in range(3)),
        "CREATE TABLE o (ev_id int, d int, CONSTRAINT fk_o FOREIGN KEY (ev_id, d) REFERENCES ev ON DELETE CASCADE)",
        "CREATE TABLE ledger (id bigint, day int, note text)",
        "WITH made AS (INSERT INTO ev (day, note) SELECT g % 3, 'old' FROM generate_series(1, 300) g RETURNING *)"
        " INSERT INTO ledger SELECT * FROM made",
    )
    change, over, failed = TypeChange("ev", "id", sa.BigInteger), threading.Event(), []
    writers = [threading.Thread(target=write, args=(database, seed, over, failed)) for seed in (1, 2)]
    for writer in writers:
        writer.start()
    try:
        for phase in TYPE:
            assert migrate(database, getattr(change, phase)) is True
    finally:
        over.set()
        for writer in writers:
            writer.join()
    assert failed == []
    written = "SELECT id, day, note FROM {} ORDER BY 1, 2, 3"
    assert database.query(written.format("ev")) == database.query(written.format("ledger"))
    assert database.query("SELECT count(*) FROM ledger WHERE note <> 'old'")[0][0] > 20


def write(database, seed, over, failed):
    chance = random.Random(seed)
    # A prepared statement whose result has the column must be prepared again after the switch.
    with database.observer(connect_args={"prepare_threshold": None}).connect() as connection:
        while not over.is_set():
            day, old = chance.randrange(3), 4 * chance.randrange(1, 70) + 2 * seed
            try:
                with connection.begin():
                    number = connection.exec_driver_sql(
                        f"INSERT INTO ev (day, note) VALUES ({day}, 'new') RETURNING id"
                    ).scalar()
                    for table in ("ev", "ledger"):
                        # A row moves to another partition, and back.
                        connection.exec_driver_sql(f"UPDATE {table} SET day = 2 - day, note = 'moved' WHERE id = {old}")
                        connection.exec_driver_sql(f"DELETE FROM {table} WHERE id = {old + 1} AND note = 'moved'")
                    connection.exec_driver_sql(f"INSERT INTO ledger VALUES ({number}, {day}, 'new')")
                    connection.exec_driver_sql(f"INSERT INTO o VALUES ({number}, {day})")
            except sa.exc.DBAPIError as error:
                failed.append(str(error))
                return
