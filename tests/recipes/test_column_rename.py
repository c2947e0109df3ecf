"""ColumnRename: both names exist and are written, and the final schema equals that of a rename in place."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.catalogue import assert_same, unordered
from tests.lifecycle.harness import crash_everywhere, prepared, state, up_up_down_down_up
from tests.projects import migrate, render, run_sql
from tests.whole import one_in

from safeops import (
    ColumnRename,
    DefinitionMismatch,
    DependentObjects,
    InvalidArgument,
    OnlineOnly,
    PhaseMissing,
    UnknownColumn,
    UnknownTable,
    ViolatingRows,
)

RENAME = ColumnRename("users", "name", "full_name")

WORLD = (
    "CREATE TABLE users (id integer PRIMARY KEY, name varchar(50) DEFAULT 'anon' NOT NULL, age integer,"
    " CONSTRAINT users_name_age UNIQUE (name, age))",
    "CREATE INDEX ix_users_name ON users (name)",
    "INSERT INTO users (id, name, age) VALUES (1, 'Ann', 20), (2, 'Bob', 30), (5, 'Cy', NULL), (9, 'Dee', 40)",
)


def expand():
    return RENAME.expand(batch_size=2)


def contract():
    return RENAME.contract()


def undo_contract():
    return RENAME.undo_contract(batch_size=2)


def undo_expand():
    return RENAME.undo_expand()


def there_and_back():
    """What a revision with both phases does; a project has them in two."""
    return [expand(), contract()]


def back():
    return [undo_contract(), undo_expand()]


PHASES = {
    "expand": (expand, ()),
    "contract": (contract, (expand,)),
    "undo_contract": (undo_contract, (expand, contract)),
    "undo_expand": (undo_expand, (expand,)),
    "undo_expand after undo_contract": (undo_expand, (expand, contract, undo_contract)),
}


def after(*phases):
    def prepare(database):
        prepared(database, WORLD)
        for phase in phases:
            migrate(database, phase)

    return prepare


@pytest.mark.every_postgresql
def test_up_and_down_restores_the_schema(database):
    assert up_up_down_down_up(database, expand, undo_expand, WORLD) == [True, False, True, False, True]


def test_the_contracted_column_is_as_if_renamed_in_place(new_database):
    renamed, changed = prepared(new_database(), WORLD), prepared(new_database(), WORLD)
    renamed.execute(f"ALTER TABLE users RENAME COLUMN {renamed.quoted('name')} TO full_name")
    migrate(changed, there_and_back)
    assert_same(unordered(renamed), unordered(changed), "contracted, beside renamed in place")


def test_undoing_both_phases_restores_the_schema(database):
    before = unordered(prepared(database, WORLD))
    migrate(database, there_and_back)
    assert migrate(database, back) == [True, True]
    assert_same(before, unordered(database), "undone")
    assert migrate(database, back) == [False, False]


# On MariaDB and SQLite, whose statements are others: test_mariadb_shadow_columns, test_sqlite_shadow_columns.
@pytest.mark.only("pg18")
@pytest.mark.parametrize("phase", PHASES)
def test_stopped_anywhere_it_continues(new_database, phase):
    body, before = PHASES[phase]
    assert crash_everywhere(new_database, body, after(*before), kills=1) >= 1


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("INSERT INTO users (id, name, age) VALUES (20, 'old', 1)", ["old"]),
        ("INSERT INTO users (id, full_name, age) VALUES (20, 'new', 1)", ["new"]),
        ("INSERT INTO users (id, age) VALUES (20, 1)", ["anon"]),
        ("INSERT INTO users (id, name, full_name, age) VALUES (20, 'one', 'two', 1)", ["two"]),
        ("INSERT INTO users (id, name) VALUES (20, 'a'), (21, 'b')", ["a", "b"]),
        ("INSERT INTO users (id, full_name) SELECT id + 20, full_name FROM users WHERE id < 3", ["Ann", "Bob"]),
    ],
)
def test_an_insert_by_either_application_fills_both(database, written, read):
    prepared(database, WORLD)
    migrate(database, expand)
    database.execute(written)
    assert [*database.query("SELECT name, full_name FROM users WHERE id >= 20 ORDER BY id")] == [
        (value, value) for value in read
    ]


@pytest.mark.parametrize("phases", [(expand,), (expand, contract, undo_contract)], ids=["expanded", "undone"])
@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("UPDATE users SET name = 'old' WHERE id = 1", "old"),
        ("UPDATE users SET full_name = 'new' WHERE id = 1", "new"),
        ("UPDATE users SET name = 'one', full_name = 'two' WHERE id = 1", "two"),
        ("UPDATE users SET full_name = 'ann' WHERE id = 1", "ann"),
        ("UPDATE users SET name = upper(full_name) WHERE id < 9", "ANN"),
        ("UPDATE users SET age = 77 WHERE id = 1", "Ann"),
    ],
)
def test_an_update_by_either_application_changes_both(database, phases, written, read):
    after(*phases)(database)
    database.execute(written)
    assert [*database.query("SELECT name, full_name FROM users WHERE id = 1")] == [(read, read)]


def test_null_is_a_value(database):
    database.execute(
        "CREATE TABLE users (id integer PRIMARY KEY, name varchar(50) DEFAULT 'anon')",
        "INSERT INTO users VALUES (1, 'Ann'), (2, 'Bob'), (3, NULL)",
    )
    migrate(database, expand)
    database.execute(
        "UPDATE users SET name = NULL WHERE id = 1",
        "UPDATE users SET full_name = NULL WHERE id = 2",
        "INSERT INTO users (id, full_name) VALUES (4, NULL)",
        "INSERT INTO users (id, name) VALUES (5, NULL)",
        "UPDATE users SET full_name = 'Cy' WHERE id = 3",
    )
    found = [*database.query("SELECT id, name, full_name FROM users ORDER BY id")]
    assert found == [(1, None, None), (2, None, None), (3, "Cy", "Cy"), (4, None, None), (5, None, None)]
    assert migrate(database, contract) is True


def test_a_value_written_before_the_fill_is_kept(database):
    """A row that an application writes between the phases of expand() keeps what it wrote."""
    prepared(database, WORLD)
    seen = []

    def write(progress):
        if not seen:
            seen.append(progress)
            database.execute(
                "UPDATE users SET full_name = 'by the new one' WHERE id = 9",
                "UPDATE users SET name = 'by the old one' WHERE id = 5",
            )

    if database.kind == "sqlite":
        pytest.skip("SQLite takes one writer at a time")
    migrate(database, lambda: RENAME.expand(batch_size=1, progress=write))
    found = [*database.query("SELECT name, full_name FROM users WHERE id IN (5, 9) ORDER BY id")]
    assert found == [("by the old one", "by the old one"), ("by the new one", "by the new one")]


# --- wrong use -----------------------------------------------------------------------------------------------------


def test_a_phase_whose_predecessor_is_missing_names_it(database):
    prepared(database, WORLD)
    before = state(database)
    with pytest.raises(PhaseMissing, match=r'ColumnRename\("users", "name", "full_name"\)\.expand\(\)'):
        migrate(database, contract)
    assert migrate(database, undo_expand) is False
    assert migrate(database, undo_contract) is False
    assert_same(before, state(database), "nothing was done")


def test_contracting_a_column_that_was_added_manually(database):
    prepared(database, (*WORLD, "ALTER TABLE users ADD COLUMN full_name varchar(50)"))
    with pytest.raises(PhaseMissing, match=r'ColumnRename\("users", "name", "full_name"\)\.expand\(\)'):
        migrate(database, contract)
    with pytest.raises(DefinitionMismatch, match="full_name"):
        migrate(database, expand)


def test_undoing_expand_of_a_contracted_rename(database):
    after(expand, contract)(database)
    with pytest.raises((PhaseMissing, UnknownColumn)):
        migrate(database, undo_expand)


def test_an_interrupted_expand_is_missing(database, monkeypatch):
    prepared(database, WORLD)

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        migrate(database, lambda: RENAME.expand(batch_size=1, progress=stop))
    with pytest.raises(PhaseMissing, match="in sync"):
        migrate(database, contract)
    assert migrate(database, expand) is True
    assert migrate(database, contract) is True


def test_a_view_on_the_old_name_is_in_the_way(database):
    after(expand)(database)
    database.execute("CREATE VIEW grown AS SELECT id, name FROM users WHERE age > 17")
    with pytest.raises(DependentObjects, match="grown"):
        migrate(database, contract)
    assert [*database.query("SELECT count(*) FROM grown")] == [(3,)]
    database.execute("DROP VIEW grown", "CREATE VIEW grown AS SELECT id, full_name FROM users WHERE age > 17")
    assert migrate(database, contract) is True
    assert [*database.query("SELECT count(*) FROM grown")] == [(3,)]


def test_unknown_tables_and_columns(database):
    prepared(database, WORLD)
    with pytest.raises(UnknownTable, match="users"):
        migrate(database, lambda: ColumnRename("user", "name", "full_name").expand())
    with pytest.raises(UnknownColumn, match="name"):
        migrate(database, lambda: ColumnRename("users", "nam", "full_name").expand())
    with pytest.raises(InvalidArgument, match="batch_sise"):
        migrate(database, lambda: RENAME.expand(batch_sise=3))
    with pytest.raises(InvalidArgument):
        migrate(database, lambda: ColumnRename("users", "name", "").expand())


@pytest.mark.only("mysql", "sqlite")
def test_to_render_it_the_live_table_is_needed(database):
    for phase in (expand, contract, undo_contract, undo_expand):
        with pytest.raises(OnlineOnly, match="ColumnRename"):
            render(database, phase)


@pytest.mark.only("pg18", "pg14")
@pytest.mark.parametrize("world", ["plain", "rich"])
def test_the_scripts_of_sql_do_it_as_well_and_once(new_database, world):
    world = WORLD if world == "plain" else RICH
    database, renamed = prepared(new_database(), world), prepared(new_database(), world)
    before, rows = unordered(database), [*database.query("SELECT id, name FROM users ORDER BY id")]
    renamed.execute("ALTER TABLE users RENAME COLUMN name TO full_name")

    def run(phase):
        script = render(database, phase)
        for _ in range(2):
            run_sql(database, script)

    run(expand)
    assert [*database.query("SELECT id, full_name FROM users ORDER BY id")] == rows
    required = (
        "SELECT attnotnull FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname IN ('name', 'full_name')"
    )
    assert len(set(database.query(required))) == 1
    assert not database.query("SELECT FROM pg_constraint WHERE conname LIKE 'safeops_not_null%'")
    database.execute("UPDATE users SET full_name = 'new' WHERE id = 1", "UPDATE users SET name = 'old' WHERE id = 2")
    assert [*database.query("SELECT name, full_name FROM users WHERE id < 3 ORDER BY id")] == [
        ("new",) * 2,
        ("old",) * 2,
    ]
    run(undo_expand)
    assert_same(before, unordered(database), "undone by scripts")
    for phase in (expand, contract):
        run(phase)
    assert_same(unordered(renamed), unordered(database), "contracted by scripts")
    for phase in (undo_contract, undo_expand):
        run(phase)
    assert_same(before, unordered(database), "undone by scripts again")
    # A migration continues what a script began, and the other way round.
    run(expand)
    migrate(database, expand)
    run(contract)
    assert_same(unordered(renamed), unordered(database), "contracted by a script after a migration")


@pytest.mark.only("pg18")
def test_a_script_refuses_what_the_migration_does(database):
    prepared(database, WORLD)
    with pytest.raises(Exception, match="expand"):
        run_sql(database, render(database, contract))
    run_sql(database, render(database, expand))
    database.execute("SET session_replication_role = replica; UPDATE users SET name = 'past' WHERE id = 2")
    with pytest.raises(Exception, match="disagree"):
        run_sql(database, render(database, contract))
    database.execute(
        "UPDATE users SET name = 'x', full_name = 'x' WHERE id = 2", "CREATE VIEW v AS SELECT name FROM users"
    )
    with pytest.raises(Exception, match="view v"):
        run_sql(database, render(database, contract))


# --- PostgreSQL ----------------------------------------------------------------------------------------------------

RICH = (
    "CREATE TYPE mood AS ENUM ('sad', 'ok')",
    "CREATE TABLE teams (code varchar(9) PRIMARY KEY)",
    "CREATE TABLE users (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " name varchar(50) COLLATE \"C\" DEFAULT 'anon' NOT NULL CHECK (length(name) > 0), team varchar(9),"
    " code varchar(20) NOT NULL, serial serial, feeling mood DEFAULT 'ok', tags text[], at timestamptz DEFAULT now(),"
    " CONSTRAINT users_code UNIQUE (code), CONSTRAINT differ CHECK (name <> code),"
    " CONSTRAINT team_fk FOREIGN KEY (team) REFERENCES teams ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE)",
    "CREATE INDEX lower_name ON users (lower(name) text_pattern_ops DESC) INCLUDE (code) WHERE name <> 'x'",
    "CREATE INDEX tags_gin ON users USING gin (tags) WITH (fastupdate = off)",
    "COMMENT ON COLUMN users.name IS 'it''s a \"name\"'",
    "COMMENT ON INDEX lower_name IS 'for the search'",
    *(
        f"COMMENT ON CONSTRAINT {name} ON users IS 'it''s {name}'"
        for name in ("users_code", "users_pkey", "differ", "team_fk")
    ),
    "ALTER TABLE users ALTER name SET STATISTICS 77, ALTER name SET (n_distinct = 5), ALTER name SET STORAGE EXTERNAL",
    "CREATE TABLE orders (id integer PRIMARY KEY, code varchar(20), user_id integer REFERENCES users ON DELETE CASCADE,"
    " CONSTRAINT by_code FOREIGN KEY (code) REFERENCES users (code) ON UPDATE CASCADE)",
    "COMMENT ON CONSTRAINT by_code ON orders IS 'of another table'",
    "GRANT SELECT (name), UPDATE (name) ON users TO PUBLIC",
    "INSERT INTO teams VALUES ('red')",
    "INSERT INTO users (name, code, team, tags, at) SELECT 'n' || i, 'c' || i, 'red', ARRAY['a'], timestamp '2026-01-02'"
    " FROM generate_series(1, 7) i",
    "INSERT INTO orders SELECT i, 'c' || i, i FROM generate_series(1, 5) i",
)


@pytest.mark.only("pg18")
@pytest.mark.parametrize("column", one_in(3, ["name", "feeling", "tags", "id", "team", "code", "serial", "at"]))
def test_all_that_depends_on_the_column_moves(new_database, column):
    renamed, changed = prepared(new_database(), RICH), prepared(new_database(), RICH)
    rename = ColumnRename("users", column, "New %:x")
    renamed.execute(f'ALTER TABLE users RENAME COLUMN {column} TO "New %:x"')
    for phase in (rename.expand, rename.contract):
        assert migrate(changed, phase) is True
        assert migrate(changed, phase) is False
    assert_same(unordered(renamed), unordered(changed), "contracted, beside renamed in place")
    before = unordered(prepared(new_database(), RICH))
    for phase in (rename.undo_contract, rename.undo_expand):
        assert migrate(changed, phase) is True
        assert migrate(changed, phase) is False
    assert_same(before, unordered(changed), "undone")


@pytest.mark.only("pg14")
@pytest.mark.parametrize("column", ["name", "code"])
def test_all_of_it_comes_along_on_the_oldest_server(new_database, column):
    test_all_that_depends_on_the_column_moves(new_database, column)


@pytest.mark.whole
@pytest.mark.only("pg18")
@pytest.mark.parametrize("phase", ["contract", "undo_expand"])
def test_stopped_anywhere_with_foreign_keys_both_ways(new_database, phase):
    rename = ColumnRename("users", "code", "sign")
    before = [] if phase == "expand" else [rename.expand]

    def prepare(database):
        prepared(database, RICH)
        for one in before:
            migrate(database, one)

    assert crash_everywhere(new_database, getattr(rename, phase), prepare, kills=1) >= 1


@pytest.mark.only("pg18")
def test_a_promotion_that_was_interrupted_can_be_undone(new_database):
    """The foreign keys that the new column has by then are moved back to the old one."""
    rename = ColumnRename("users", "code", "sign")
    before = unordered(prepared(new_database(), RICH))

    def interrupted(database):
        prepared(database, RICH)
        migrate(database, rename.expand)

    def contract_or_undo():
        return rename.contract()

    database = new_database()
    interrupted(database)
    with database.engine().connect() as holder:
        holder.exec_driver_sql("SELECT 1")
    # As a kill right after the foreign key of orders was handed over leaves it.
    database.execute(
        "ALTER TABLE orders DROP CONSTRAINT by_code",
        "ALTER TABLE orders RENAME CONSTRAINT safeops_sign_by_code TO by_code",
        "COMMENT ON CONSTRAINT by_code ON orders IS 'of another table'",
    )
    assert migrate(database, rename.undo_expand) is True
    assert_same(before, unordered(database), "undone after an interrupted contract")


@pytest.mark.only("pg18")
def test_what_writes_past_the_triggers_is_found_on_contract(database):
    after(expand)(database)
    database.execute("SET session_replication_role = replica; UPDATE users SET name = 'past' WHERE id = 2")
    with pytest.raises(ViolatingRows, match=r"1 row .*disagree.*: 2"):
        migrate(database, contract)
    with pytest.raises(ViolatingRows, match="session_replication_role"):
        migrate(database, contract)
    database.execute("UPDATE users SET name = 'past', full_name = 'past' WHERE id = 2")
    assert migrate(database, contract) is True


@pytest.mark.only("pg18")
@pytest.mark.parametrize("trigger", ["a_lower", "z_lower", "zzz_lower"])
def test_triggers_of_others_run_before_ours(database, trigger):
    prepared(
        database,
        (
            *WORLD,
            "CREATE FUNCTION lowered() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.name := lower(NEW.name); RETURN NEW; END $$",
            f"CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION lowered()",
        ),
    )
    migrate(database, expand)
    database.execute(
        "INSERT INTO users (id, name) VALUES (20, 'OLD')",
        "UPDATE users SET name = 'BOB' WHERE id = 2",
    )
    assert [*database.query("SELECT name, full_name FROM users WHERE id IN (2, 20) ORDER BY id")] == [
        ("bob", "bob"),
        ("old", "old"),
    ]


@pytest.mark.only("pg18")
def test_values_that_are_equal_but_not_the_same(database):
    """1.0 and 1.00 are equal, and so are json texts that no operator compares."""
    database.execute(
        "CREATE TABLE users (id integer PRIMARY KEY, name numeric, doc json)",
        "INSERT INTO users VALUES (1, 1.0, '{}')",
    )
    migrate(database, expand)
    migrate(database, ColumnRename("users", "doc", "document").expand)
    database.execute("UPDATE users SET name = 1.00", "UPDATE users SET document = '{ }'")
    assert [*database.query("SELECT name::text, full_name::text, doc::text, document::text FROM users")] == [
        ("1.00", "1.00", "{ }", "{ }")
    ]


@pytest.mark.only("pg18", "pg14")
def test_upserts_returning_and_copy(database):
    prepared(database, ("CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL UNIQUE, n integer DEFAULT 0)",))
    migrate(database, expand)
    for column in ("name", "full_name"):
        sql = f"INSERT INTO users ({column}) VALUES ('a') ON CONFLICT ({column}) DO UPDATE SET n = users.n + 1"
        assert [*database.query(f"{sql} RETURNING name, full_name")] == [("a", "a")]
        database.execute(sql)
    with database.engine().connect() as connection:
        cursor = connection.connection.cursor()
        with cursor.copy("COPY users (full_name) FROM STDIN") as copy:
            copy.write("b\nc\n")
        connection.connection.commit()
    assert [*database.query("SELECT name, full_name, n FROM users ORDER BY id")] == [
        ("a", "a", 1),
        ("b", "b", 0),
        ("c", "c", 0),
    ]


@pytest.mark.only("pg18", "pg14")
def test_a_partitioned_table(database):
    prepared(
        database,
        (
            "CREATE TABLE users (id integer, name varchar(50) NOT NULL, PRIMARY KEY (id)) PARTITION BY RANGE (id)",
            "CREATE TABLE users_1 PARTITION OF users FOR VALUES FROM (0) TO (10)",
            "CREATE TABLE users_2 PARTITION OF users FOR VALUES FROM (10) TO (30)",
            "CREATE INDEX ix_name ON users (name)",
            "INSERT INTO users SELECT i, 'n' || i FROM generate_series(1, 19) i",
        ),
    )
    assert migrate(database, expand) is True
    database.execute("UPDATE users SET full_name = 'x' WHERE id = 12", "INSERT INTO users VALUES (20, 'old')")
    assert [*database.query("SELECT name, full_name FROM users WHERE id IN (12, 20) ORDER BY id")] == [
        ("x", "x"),
        ("old", "old"),
    ]
    assert migrate(database, contract) is True
    assert [*database.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_name'::regclass")] == [(True,)]
    assert migrate(database, undo_contract) is True
    assert migrate(database, undo_expand) is True


@pytest.mark.only("pg18")
def test_a_publication_with_a_list_of_columns(database):
    prepared(database, (*WORLD, "CREATE PUBLICATION p FOR TABLE users (id, name)"))
    before = state(database)
    with pytest.raises(DependentObjects, match="Publication p"):
        migrate(database, expand)
    assert_same(before, state(database), "refused")


@pytest.mark.only("pg18")
def test_a_policy_a_trigger_and_a_generated_column_are_in_the_way(database):
    prepared(database, WORLD)
    migrate(database, expand)
    database.execute(
        "ALTER TABLE users ADD COLUMN shout text GENERATED ALWAYS AS (upper(name)) STORED",
        "CREATE POLICY own ON users USING (name = current_user)",
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
        "CREATE TRIGGER watch AFTER UPDATE OF name ON users FOR EACH ROW EXECUTE FUNCTION nothing()",
    )
    with pytest.raises(DependentObjects) as caught:
        migrate(database, contract)
    for named in ("shout", "policy own", "trigger watch"):
        assert named in str(caught.value)


@pytest.mark.only("pg18")
def test_hostile_names(database):
    table, old, new = 'us"ers %s', "na:me é", "x" * 63
    database.execute(
        'CREATE SCHEMA "sch%"',
        'CREATE TABLE "sch%"."us""ers %s" ("i\'d" integer PRIMARY KEY, "na:me é" varchar(9) UNIQUE)',
        'INSERT INTO "sch%"."us""ers %s" VALUES (1, \'a\')',
    )
    rename = ColumnRename(table, old, new, schema="sch%")
    for phase in (rename.expand, rename.contract, rename.undo_contract, rename.undo_expand):
        assert migrate(database, phase) is True
        assert migrate(database, phase) is False


@pytest.mark.only("pg18")
def test_the_application_needs_no_rights_on_objects_of_safeops(database):
    """A role with rights on the table alone writes as before."""
    prepared(database, (*WORLD, "DROP ROLE IF EXISTS app_of_rename", "CREATE ROLE app_of_rename"))
    database.execute("GRANT SELECT, INSERT, UPDATE ON users TO app_of_rename")
    migrate(database, expand)
    database.execute("SET ROLE app_of_rename; SET search_path = pg_catalog; INSERT INTO public.users (id) VALUES (77)")
    assert [*database.query("SELECT name, full_name FROM users WHERE id = 77")] == [("anon", "anon")]
    database.execute("DROP OWNED BY app_of_rename", "DROP ROLE app_of_rename")


def test_autogenerate_ignores_objects_of_safeops(database):
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    prepared(database, WORLD)
    migrate(database, expand)
    metadata = sa.MetaData()
    with database.engine().connect() as connection:
        metadata.reflect(connection, only=["users"])
        ours = {one for one in metadata.tables["users"].indexes if str(one.name).startswith("safeops")}
        metadata.tables["users"].indexes -= ours
        for one in [*metadata.tables["users"].constraints]:
            if str(one.name).startswith("safeops"):
                metadata.tables["users"].constraints.discard(one)
        found = compare_metadata(MigrationContext.configure(connection), metadata)
    assert not [one for one in found if "safeops" in str(one) and "alembic_version" not in str(one)]
