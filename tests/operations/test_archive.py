"""archive=True and the restore: the same catalogue and the same values, while the application writes."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql
from tests.catalogue import snapshot
from tests.concurrency.harness import Traffic, idle_holder, other_process
from tests.lifecycle.harness import crash_everywhere, state
from tests.operations.shape import impatient
from tests.projects import is_watched, listening, migrate, render

from safeops import (
    DefinitionMismatch,
    LockNotAcquired,
    OnlineOnly,
    UnknownColumn,
    UnknownTable,
    UnsafeOperation,
    UnsupportedOnDatabase,
    ViolatingRows,
    archives,
    assured,
    backfill_status,
    drop_archives,
    drop_column_if_exists,
    drop_table_if_exists,
    restore_column,
    restore_table,
)
from safeops.backfilling import state as backfill_state

pytestmark = pytest.mark.only("pg18", "mysql", "sqlite")

WORLD = (
    "CREATE TABLE teams (id integer PRIMARY KEY, name varchar(20))",
    "CREATE TABLE users (id integer PRIMARY KEY, name varchar(50) DEFAULT 'x' NOT NULL, team_id integer,"
    " age integer, CONSTRAINT users_team FOREIGN KEY (team_id) REFERENCES teams (id) ON DELETE CASCADE,"
    " CONSTRAINT users_name_key UNIQUE (name))",
    "CREATE INDEX ix_users_team ON users (team_id)",
    "CREATE INDEX ix_users_age ON users (age)",
    "INSERT INTO teams VALUES (1, 'one'), (2, 'two')",
    "INSERT INTO users VALUES (1, 'ann', 1, 30), (2, 'bob', 2, NULL), (5, 'eve', NULL, 7), (9, 'zed', 1, 8)",
)


@pytest.fixture(autouse=True)
def short_lease(monkeypatch, request):
    # The runner that crashes is this process, so its claim looks like that of a living one.
    if "server" in request.fixturenames and request.getfixturevalue("server").kind == "sqlite":
        monkeypatch.setattr(backfill_state, "LEASE", 0.1)


def without_times(database):
    """Schema and rows; of an archive not when it was made."""
    found = state(database)
    return {name: None if name == "rows of safeops_archives" else rows for name, rows in found.items()}


def name_column():
    return sa.Column("name", sa.String(50), server_default="x", nullable=False)


def drop_name():
    return drop_column_if_exists("users", "name", archive=True)


def restore_name():
    return restore_column("users", name_column())


def drop_users():
    return drop_table_if_exists("users", archive=True)


def drop_team():
    return drop_column_if_exists("users", "team_id", archive=True)


def restore_team():
    return restore_column("users", sa.Column("team_id", sa.Integer))


def shape(database):
    """The catalogue, but for the places of columns and indexes."""
    return sorted(line.strip().rstrip(",") for line in snapshot(database).splitlines())


def ordered(database, table="users"):
    return sorted(database.query(f"SELECT * FROM {table}"), key=str)


class TestColumn:
    @pytest.mark.parametrize("column", ["name", "team_id", "age"])
    def test_up_down_up(self, database, column):
        types = {"name": sa.String(50), "team_id": sa.Integer(), "age": sa.Integer()}
        database.execute(*WORLD)
        before = shape(database)
        rows = database.query(f"SELECT id, {column} FROM users ORDER BY id")
        for _ in range(2):
            assert migrate(database, lambda: drop_column_if_exists("users", column, archive=True)) is True
            assert column not in {one["name"] for one in sa.inspect(database.observer()).get_columns("users")}
            assert migrate(database, lambda: drop_column_if_exists("users", column, archive=True)) is False
            (one,) = migrate(database, archives)
            assert (one.table, one.column, one.rows) == ("users", column, 4)
            assert migrate(database, backfill_status) == []
            assert migrate(database, lambda: restore_column("users", sa.Column(column, types[column])), down=True)
            assert shape(database) == before
            assert database.query(f"SELECT id, {column} FROM users ORDER BY id") == rows
            assert migrate(database, lambda: restore_column("users", sa.Column(column, types[column]))) is False
            assert migrate(database, archives) == []

    @pytest.mark.only("pg18", "mysql", "sqlite")
    def test_interrupted_anywhere_the_drop_continues(self, new_database):
        assert crash_everywhere(new_database, drop_name, WORLD, kills=1, compare=without_times) > 8

    @pytest.mark.only("pg18", "mysql", "sqlite")
    def test_interrupted_anywhere_the_restore_continues(self, new_database):
        def archived(database):
            database.execute(*WORLD)
            migrate(database, drop_name)

        assert crash_everywhere(new_database, restore_name, archived, kills=1, down=True, compare=without_times) > 8

    @pytest.mark.whole
    @pytest.mark.only("pg18", "mysql")
    def test_stopped_anywhere_a_column_with_a_foreign_key(self, new_database):
        crash_everywhere(new_database, drop_team, WORLD, kills=1, compare=without_times)

    def test_interrupted_anywhere_and_reverted(self, database):
        """A drop that was stopped in its copy, then the downgrade."""
        database.execute(*WORLD)
        before, rows = shape(database), ordered(database)

        def stopped():
            from safeops.archive import archiving

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(archiving, "_count", lambda *_: 1 / 0)
                drop_team()

        with pytest.raises(ZeroDivisionError):
            migrate(database, stopped)
        database.execute("INSERT INTO users VALUES (10, 'new', 2, 3)", "UPDATE users SET team_id = 2 WHERE id = 5")
        assert migrate(database, restore_team, down=True) is True
        assert shape(database) == before
        assert len(ordered(database)) == len(rows) + 1

    def test_stopped_and_then_dropped_without_an_archive(self, database):
        database.execute(*WORLD)

        def stopped():
            from safeops.archive import archiving

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(archiving, "_count", lambda *_: 1 / 0)
                drop_name()

        with pytest.raises(ZeroDivisionError):
            migrate(database, stopped)
        assert migrate(database, lambda: drop_column_if_exists("users", "name")) is True
        database.execute("INSERT INTO users (id, age) VALUES (20, 1)")
        assert "safeops" not in snapshot(database)

    def test_the_application_keeps_writing_and_no_write_is_lost(self, database):
        database.execute(*WORLD[:1], WORLD[1].replace(", CONSTRAINT users_name_key UNIQUE (name)", ""))
        for number in range(0, 3000, 500):
            values = ", ".join(f"({one}, 'n{one}', NULL, {one % 90})" for one in range(number, number + 500))
            database.execute(f"INSERT INTO users VALUES {values}")
        traffic = Traffic(database, "users", columns=["name"])
        with traffic.running():
            traffic.settle(20)
            migrate(database, drop_name)
        migrate(database, restore_name, down=True)
        # Writes after the drop have failed, and with them those on the oracle's table.
        traffic.assert_no_rows_lost()

    def test_what_the_application_wrote_since_is_kept(self, database):
        database.execute(*WORLD)
        migrate(database, drop_name)
        database.execute("DELETE FROM users WHERE id = 2", "INSERT INTO users (id, age) VALUES (30, 1)")
        assert migrate(database, restore_name, down=True) is True
        assert database.query("SELECT id, name FROM users ORDER BY id") == [
            (1, "ann"), (5, "eve"), (9, "zed"), (30, "x"),
        ]  # fmt: skip

    def test_new_rows_without_a_value_are_reported(self, database):
        database.execute(
            "CREATE TABLE t (id integer PRIMARY KEY, v varchar(9) NOT NULL)", "INSERT INTO t VALUES (1, 'a')"
        )
        before = snapshot(database)
        migrate(database, lambda: drop_column_if_exists("t", "v", archive=True))
        database.execute("INSERT INTO t VALUES (2)")

        def restore():
            return restore_column("t", sa.Column("v", sa.String(9), nullable=False))

        with pytest.raises(ViolatingRows, match="new since the drop") as error:
            migrate(database, restore, down=True)
        assert "archive is kept" in str(error.value)
        assert database.query("SELECT id, v FROM t ORDER BY id") == [(1, "a"), (2, None)]
        database.execute("UPDATE t SET v = 'b' WHERE id = 2")
        assert migrate(database, restore, down=True) is True
        assert snapshot(database) == before

    def test_rows_that_break_a_constraint_are_reported(self, database):
        database.execute(*WORLD)
        before = shape(database)
        migrate(database, drop_team)
        database.execute("DELETE FROM teams WHERE id = 2")
        with pytest.raises(ViolatingRows, match="is restored, but rows break"):
            migrate(database, restore_team, down=True)
        assert database.query("SELECT id, team_id FROM users ORDER BY id") == [(1, 1), (2, 2), (5, None), (9, 1)]
        database.execute("UPDATE users SET team_id = NULL WHERE id = 2")
        assert migrate(database, restore_team, down=True) is True
        assert shape(database) == before

    def test_refusals(self, database):
        database.execute(*WORLD, "CREATE TABLE bare (a integer, b integer)")
        before = snapshot(database)
        with pytest.raises(UnsafeOperation, match="no unique key"):
            migrate(database, lambda: drop_column_if_exists("bare", "a", archive=True))
        with pytest.raises(UnsafeOperation, match="no unique key"):
            migrate(database, lambda: drop_column_if_exists("bare", "b", archive=True))
        assert migrate(database, lambda: restore_column("users", sa.Column("name", sa.Text))) is False
        with pytest.raises(UnknownColumn, match="There are no archives"):
            migrate(database, lambda: restore_column("users", sa.Column("nothing", sa.Text)))
        with pytest.raises(UnknownTable):
            migrate(database, lambda: restore_table("nothing"))
        assert snapshot(database) == before
        migrate(database, drop_name)
        with pytest.raises(UnknownColumn, match='restore_column\\("users"'):
            migrate(database, lambda: restore_column("users", sa.Column("nothing", sa.Text)))
        with pytest.raises(DefinitionMismatch, match="type"):
            migrate(database, lambda: restore_column("users", sa.Column("name", sa.Integer)))

    def test_offline(self, database):
        for body in (drop_name, restore_name, archives, lambda: drop_archives(older_than=1), lambda: restore_table("t"),
                     lambda: drop_table_if_exists("t", archive=True)):  # fmt: skip
            with pytest.raises(OnlineOnly):
                render(database, body)

    def test_hostile_names(self, database):
        table, column = 'we"ird %s :x tbl', "cö%l :y \"q'"
        key, other = 'k %"1', "k:2"
        q = database.quoted
        text = "varchar(40)"
        database.execute(
            f"CREATE TABLE {q(table)} ({q(key)} {text} NOT NULL, {q(other)} integer NOT NULL, {q(column)} {text},"
            f" PRIMARY KEY ({q(key)}, {q(other)}))",
            f"INSERT INTO {q(table)} VALUES ('a''b', 1, 'x%'), ('ü', 2, NULL), ('ü', 3, ':z')",
        )
        before, rows = snapshot(database), ordered(database, q(table))
        assert migrate(database, lambda: drop_column_if_exists(table, column, archive=True))
        database.execute(f"UPDATE {q(table)} SET {q(other)} = {q(other)}")
        assert migrate(database, lambda: restore_column(table, sa.Column(column, sa.String(40))), down=True)
        assert (snapshot(database), ordered(database, q(table))) == (before, rows)

    def test_drop_archives(self, database):
        database.execute(*WORLD)
        migrate(database, drop_name)
        migrate(database, lambda: drop_table_if_exists("users", archive=True))
        assert len(migrate(database, archives)) == 2
        assert migrate(database, lambda: drop_archives(older_than=3600)) is False
        assert migrate(database, lambda: drop_archives(older_than=0)) is True
        assert "safeops" not in snapshot(database)
        assert migrate(database, lambda: drop_archives(older_than=0)) is False

    @pytest.mark.only("postgresql", "mysql")
    @pytest.mark.parametrize("faster", ["ALTER TABLE users DROP COLUMN age", "recorded"])
    def test_the_archive_of_a_faster_runner_is_not_hidden(self, database, faster):
        database.execute(*WORLD)
        columns = "number, of_table, of_column, status, definition, kept_rows, created_at"
        recorded = f"INSERT INTO safeops_archives ({columns}) VALUES (1, 'users', 'age', 'copying', '{{}}', 0, 0)"
        found = [recorded if faster == "recorded" else faster]

        def overtake(connection, _cursor, statement, *_rest):
            if statement.startswith("INSERT INTO safeops_archives") and is_watched(connection, database) and found:
                database.execute(found.pop())

        with listening({"before_cursor_execute": overtake}), pytest.raises(DefinitionMismatch, match="another runner"):
            migrate(database, lambda: drop_column_if_exists("users", "age", archive=True))
        assert not found
        migrate(database, lambda: drop_column_if_exists("users", "age", archive=True))
        assert len(migrate(database, archives)) == (faster == "recorded")

    @pytest.mark.only("pg18", "mysql")
    def test_the_archive_that_a_faster_runner_has_finished_stays(self, database):
        database.execute(*WORLD)

        def drop():
            return migrate(database, lambda: drop_column_if_exists("users", "age", archive=True))

        def stop(connection, _cursor, statement, *_rest):
            if "DROP COLUMN" in statement and is_watched(connection, database):
                raise RuntimeError

        with listening({"before_cursor_execute": stop}), pytest.raises(RuntimeError):
            drop()
        faster = [drop]

        def overtake(connection, _cursor, statement, *_rest):
            is_look = re.search("tgname.*'safeops_archive_1'|TRIGGERS.*TRIGGER_NAME IN", statement, re.S)
            if is_look and faster and is_watched(connection, database):
                with other_process(faster.pop()) as other:
                    assert other.result() is True

        with listening({"before_cursor_execute": overtake}), pytest.raises(DefinitionMismatch, match="another runner"):
            drop()
        assert not faster
        assert migrate(database, lambda: restore_column("users", sa.Column("age", sa.Integer))) is True
        assert database.query("SELECT id, age FROM users ORDER BY id") == [(1, 30), (2, None), (5, 7), (9, 8)]


@pytest.mark.only("pg18", "mysql")
class TestGivingUp:
    @pytest.mark.parametrize("drop", [drop_name, drop_users])
    def test_giving_up_names_the_record_that_is_kept(self, database, drop):
        database.execute(*WORLD)
        with idle_holder(database, "users", "ROW EXCLUSIVE"), pytest.raises(LockNotAcquired) as error:
            migrate(database, impatient(drop))
        recorded = "safeops_archives" in sa.inspect(database.observer()).get_table_names()
        assert ("Completed and kept: recorded archive" in str(error.value)) is recorded
        assert ("Nothing was changed" in str(error.value)) is not recorded

    def test_a_table_that_is_then_dropped_without_its_archive(self, database):
        """The record that was begun would promise a table that no longer exists."""
        database.execute(*WORLD)
        with idle_holder(database, "users", "ROW EXCLUSIVE"), pytest.raises(LockNotAcquired):
            migrate(database, impatient(drop_users))
        assert migrate(database, lambda: drop_table_if_exists("users")) is True
        assert migrate(database, archives) == []
        assert "safeops_archives" not in sa.inspect(database.observer()).get_table_names()


@pytest.mark.only("pg18", "mysql")
class TestTwoRunners:
    """Without migration_lock the slower of two restores finds that there is nothing left to do."""

    def overtaken(self, database, restore, place):
        faster = [lambda: migrate(database, restore, down=True)]

        def overtake(connection, _cursor, statement, *_rest):
            if statement.startswith(place) and faster and is_watched(connection, database):
                with other_process(faster.pop()) as other:
                    assert other.result() is True

        with listening({"before_cursor_execute": overtake}):
            assert migrate(database, restore) is False
        assert not faster
        assert not {"safeops_archives", "safeops_backfill"} & {*sa.inspect(database.observer()).get_table_names()}

    @pytest.mark.parametrize(
        "place",
        ["UPDATE safeops_archives", "ALTER TABLE", "INSERT INTO safeops_backfill", "DELETE FROM safeops_archives"],
    )
    def test_restore_column(self, database, place):
        database.execute(*WORLD)
        migrate(database, drop_name)
        self.overtaken(database, restore_name, place)
        assert database.query("SELECT name FROM users ORDER BY id") == [("ann",), ("bob",), ("eve",), ("zed",)]

    @pytest.mark.parametrize(
        "place", ["ALTER TABLE", "RENAME TABLE", "UPDATE safeops_archives", "DELETE FROM safeops_archives"]
    )
    def test_restore_table(self, database, place):
        if place == ("ALTER TABLE" if database.kind == "mysql" else "RENAME TABLE"):
            pytest.skip("it is the other statement that moves the table")
        database.execute(*WORLD)
        rows = ordered(database)
        migrate(database, drop_users)
        self.overtaken(database, lambda: restore_table("users"), place)
        assert ordered(database) == rows


class TestTable:
    def test_up_down_up(self, database):
        database.execute(*WORLD)
        before, rows = snapshot(database), ordered(database)
        for _ in range(2):
            assert migrate(database, lambda: drop_table_if_exists("users", archive=True)) is True
            assert migrate(database, lambda: drop_table_if_exists("users", archive=True)) is False
            assert not sa.inspect(database.observer()).has_table("users")
            assert migrate(database, lambda: restore_table("users"), down=True) is True
            assert (snapshot(database), ordered(database)) == (before, rows)
            assert migrate(database, lambda: restore_table("users"), down=True) is False

    @pytest.mark.only("pg18", "mysql", "sqlite")
    def test_stopped_anywhere(self, new_database):
        def archived(database):
            database.execute(*WORLD)
            migrate(database, lambda: drop_table_if_exists("users", archive=True))

        drop = crash_everywhere(
            new_database, lambda: drop_table_if_exists("users", archive=True), WORLD, kills=1, compare=without_times
        )
        restore = crash_everywhere(
            new_database, lambda: restore_table("users"), archived, kills=1, down=True, compare=without_times
        )
        assert drop > 3
        assert restore > 3

    def test_its_names_are_free_and_no_table_refers_to_it(self, database):
        database = database.with_foreign_keys()
        database.execute(*WORLD)
        migrate(database, lambda: drop_table_if_exists("users", archive=True))
        database.execute(*WORLD[1:4], "DELETE FROM teams WHERE id = 2")
        with pytest.raises(DefinitionMismatch, match="another table has this name"):
            migrate(database, lambda: restore_table("users"), down=True)
        migrate(database, lambda: drop_table_if_exists("users"))
        with pytest.raises(ViolatingRows, match="rows break"):
            migrate(database, lambda: restore_table("users"), down=True)
        assert len(ordered(database)) == 4
        database.execute("UPDATE users SET team_id = 1 WHERE id = 2")
        assert migrate(database, lambda: restore_table("users"), down=True) is True
        assert migrate(database, archives) == []


@pytest.mark.only("postgresql")
class TestPostgreSQL:
    def both_ways(self, database, column, type_):
        def dumped():
            lines = database.server.dump(database.name).splitlines()
            return sorted(line.strip().rstrip(",") for line in lines if not line.startswith("\\"))

        values = f"SELECT id, {column}::text FROM t ORDER BY id"
        before, rows = dumped(), database.query(values)
        assert migrate(database, lambda: drop_column_if_exists("t", column, archive=True))
        assert migrate(database, lambda: restore_column("t", sa.Column(column, type_)), down=True)
        assert (dumped(), database.query(values)) == (before, rows)

    @pytest.mark.parametrize(
        ("spec", "values", "type_"),
        [
            ("text COLLATE \"C\" DEFAULT 'd''%' NOT NULL", ["'x'", "'ü'"], sa.Text()),
            ("numeric", ["'NaN'", "1.50", "NULL"], sa.Numeric()),
            ("timestamptz", ["'infinity'", "'-infinity'"], sa.DateTime(timezone=True)),
            ("bytea", ["'\\x00ff'"], sa.LargeBinary()),
            ("jsonb DEFAULT '{}'", ["'{\"a\": 1}'", "'null'"], postgresql.JSONB()),
            ("integer[]", ["'{1,2}'", "'{}'"], postgresql.ARRAY(sa.Integer)),
            ("serial", ["7", "9"], sa.Integer()),
            ("integer GENERATED BY DEFAULT AS IDENTITY (START WITH 5 INCREMENT BY 3)", ["DEFAULT", "DEFAULT"], sa.Integer()),
            ("integer UNIQUE DEFERRABLE INITIALLY DEFERRED", ["1", "2"], sa.Integer()),
            ("integer CHECK (c > 0) CHECK (c < 100)", ["1", "2"], sa.Integer()),
            ("mood NOT NULL DEFAULT 'ok'", ["'ok'", "'bad'"], sa.Enum("ok", "bad", name="mood")),
            ("daterange, EXCLUDE USING gist (c WITH &&)", ["'[2020-01-01,2020-02-01)'", "NULL"], postgresql.DATERANGE()),
        ],
    )  # fmt: skip
    def test_everything_comes_back(self, database, spec, values, type_):
        database.execute(
            "CREATE TYPE mood AS ENUM ('ok', 'bad')",
            f"CREATE TABLE t (id bigint PRIMARY KEY, c {spec})",
            *(f"INSERT INTO t VALUES ({place}, {one})" for place, one in enumerate(values)),
            "CREATE INDEX ix_t ON t USING btree (c) WHERE c IS NOT NULL" if "json" not in spec else "SELECT 1",
            "COMMENT ON COLUMN t.c IS 'it''s'",
            "ALTER TABLE t ALTER c SET STATISTICS 300",
            "ALTER TABLE t ALTER c SET (n_distinct = 5, n_distinct_inherited = 7)",
            "GRANT SELECT (c) ON t TO PUBLIC",
        )
        self.both_ways(database, "c", type_)

    def test_the_counter_continues(self, database):
        database.execute("CREATE TABLE t (id bigint PRIMARY KEY, c serial)", "INSERT INTO t VALUES (1), (2), (3)")
        migrate(database, lambda: drop_column_if_exists("t", "c", archive=True))
        database.execute("INSERT INTO t VALUES (4)")
        migrate(database, lambda: restore_column("t", sa.Column("c", sa.Integer)), down=True)
        assert database.query("SELECT * FROM t ORDER BY id") == [(1, 1), (2, 2), (3, 3), (4, 4)]

    def test_in_a_schema(self, database):
        database.execute(
            "CREATE SCHEMA own",
            "CREATE TABLE own.t (id integer PRIMARY KEY, v text)",
            "INSERT INTO own.t VALUES (1, 'a')",
        )
        before = snapshot(database)
        migrate(database, lambda: drop_column_if_exists("t", "v", schema="own", archive=True))
        with pytest.raises(UnknownTable):
            migrate(database, lambda: restore_column("t", sa.Column("v", sa.Text)))
        migrate(database, lambda: restore_column("t", sa.Column("v", sa.Text), schema="own"), down=True)
        migrate(database, lambda: drop_table_if_exists("t", schema="own", archive=True))
        migrate(database, lambda: restore_table("t", schema="own"), down=True)
        assert snapshot(database) == before

    @pytest.mark.parametrize("kind", ["STORED", "VIRTUAL"])
    def test_a_computed_column(self, database, kind):
        if kind == "VIRTUAL" and database.version < (18,):
            pytest.skip("virtual columns came with PostgreSQL 18")
        database.execute(
            f"CREATE TABLE t (id integer PRIMARY KEY, c integer GENERATED ALWAYS AS (id * 2) {kind})",
            "INSERT INTO t VALUES (1), (2)",
        )
        column = sa.Column("c", sa.Integer, sa.Computed("id * 2", persisted=kind == "STORED"))

        def restore():
            with assured("two rows"):
                return restore_column("t", column)

        self.both_ways(database, "c", sa.Integer()) if kind == "VIRTUAL" else None
        migrate(database, lambda: drop_column_if_exists("t", "c", archive=True))
        if kind == "STORED":
            with pytest.raises(UnsafeOperation, match="rewrites"):
                migrate(database, lambda: restore_column("t", column))
        assert migrate(database, restore) is True
        assert database.query("SELECT id, c FROM t ORDER BY id") == [(1, 2), (2, 4)]

    def test_a_table_with_all_that_is_its_own(self, database):
        database.execute(
            "CREATE TABLE p (id integer PRIMARY KEY)",
            "CREATE TABLE t (id serial PRIMARY KEY, n integer GENERATED ALWAYS AS IDENTITY, p integer REFERENCES p,"
            " parent integer REFERENCES t DEFERRABLE, v text CHECK (v <> ''), UNIQUE (v))",
            "CREATE STATISTICS t_stats ON id, v FROM t",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            "CREATE TRIGGER own BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
            "COMMENT ON TABLE t IS 'mine'",
            "INSERT INTO p VALUES (1)",
            "INSERT INTO t (p, v) VALUES (1, 'a')",
        )
        before = database.server.dump(database.name)
        clean = lambda text: [one for one in text.splitlines() if not one.startswith("\\")]  # noqa: E731
        migrate(database, lambda: drop_table_if_exists("t", archive=True))
        database.execute(
            "CREATE TABLE t (id serial PRIMARY KEY, v text UNIQUE)", "CREATE STATISTICS t_stats ON id, v FROM t"
        )
        database.execute("DROP TABLE t")
        assert migrate(database, lambda: restore_table("t"), down=True) is True
        assert clean(database.server.dump(database.name)) == clean(before)

    def test_partitions_are_refused(self, database):
        database.execute(
            "CREATE TABLE t (id integer PRIMARY KEY, v text) PARTITION BY RANGE (id)",
            "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10)",
        )
        for body in (
            lambda: drop_column_if_exists("t", "v", archive=True),
            lambda: drop_table_if_exists("t", archive=True),
            lambda: drop_table_if_exists("t1", archive=True),
        ):
            with pytest.raises(UnsupportedOnDatabase, match="archive"):
                migrate(database, body)

    def test_a_role_without_rights_on_the_archive(self, database):
        database.execute(*WORLD)
        from safeops.archive import archiving

        def stopped():
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(archiving, "_count", lambda *_: 1 / 0)
                drop_name()

        with pytest.raises(ZeroDivisionError):
            migrate(database, stopped)
        database.execute(
            "DO $$ BEGIN CREATE ROLE safeops_app; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
            "GRANT ALL ON users TO safeops_app",
            "SET ROLE safeops_app",
            "UPDATE users SET name = 'changed' WHERE id = 1",
            "RESET ROLE",
        )
        migrate(database, drop_name)
        migrate(database, restore_name, down=True)
        assert database.query("SELECT name FROM users WHERE id = 1") == [("changed",)]


@pytest.mark.only("mysql")
class TestMariaDB:
    @pytest.mark.parametrize(
        ("spec", "values", "type_"),
        [
            ("int unsigned NOT NULL DEFAULT 5 COMMENT 'it''s'", ["4294967295"], mysql.INTEGER(unsigned=True)),
            ("timestamp NULL DEFAULT NULL ON UPDATE current_timestamp()", ["'2020-01-01 00:00:00'", "NULL"], sa.TIMESTAMP()),
            ("datetime NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()", ["'2020-01-01'"], sa.DateTime()),
            ("int GENERATED ALWAYS AS (id + 1) VIRTUAL", ["DEFAULT"], sa.Integer()),
            ("varchar(20) CHARACTER SET latin1 COLLATE latin1_bin", ["'a'", "'A'"], sa.String(20)),
            ("bit(7)", ["b'1010101'"], mysql.BIT(7)),
            ("json", ["'{\"a\": 1}'"], sa.JSON()),
            ("decimal(20,10)", ["1.5000000001"], sa.Numeric(20, 10)),
            ("varbinary(9)", ["x'00ff'"], sa.VARBINARY(9)),
            ("enum('x','y') DEFAULT 'y'", ["'x'"], sa.Enum("x", "y")),
        ],
    )  # fmt: skip
    def test_everything_comes_back(self, database, spec, values, type_):
        database.execute(
            f"CREATE TABLE t (id bigint PRIMARY KEY, c {spec},"
            " touched timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(), last int)",
            *(f"INSERT INTO t VALUES ({place}, {one}, '2020-02-02', 1)" for place, one in enumerate(values)),
        )
        before, rows = snapshot(database), ordered(database, "t")
        assert migrate(database, lambda: drop_column_if_exists("t", "c", archive=True))
        assert migrate(database, lambda: restore_column("t", sa.Column("c", type_)), down=True)
        assert snapshot(database) == before
        assert ordered(database, "t") == rows

    @pytest.mark.parametrize(
        ("spec", "type_"),
        [
            ("bit(9) NOT NULL DEFAULT b'101'", mysql.BIT(9)),
            ("float NOT NULL DEFAULT '0.5'", sa.Float()),
            ("double NULL DEFAULT '0.5'", sa.Double()),
        ],
    )
    def test_numbers_come_back_next_to_a_default_of_another_type(self, database, spec, type_):
        database.execute(
            f"CREATE TABLE t (id int PRIMARY KEY, c {spec}, same double)",
            "INSERT INTO t (id, c) VALUES (1, 1), (2, 56), (3, 10 + 1e0 / 7), (4, 257)",
            "UPDATE t SET same = c + 0e0",
        )
        migrate(database, lambda: drop_column_if_exists("t", "c", archive=True))
        database.execute("INSERT INTO t (id) VALUES (5)")
        assert migrate(database, lambda: restore_column("t", sa.Column("c", type_)), down=True)
        assert database.query("SELECT id FROM t WHERE NOT c + 0e0 <=> same") == [(5,)]
        assert database.query("SELECT c + 0e0 FROM t WHERE id = 5") == [(5.0,) if "bit" in spec else (0.5,)]

    @pytest.mark.parametrize("type_", ["", "CHARACTER SET latin1", "COLLATE utf8mb4_unicode_ci"])
    def test_texts_come_back_next_to_a_default_that_is_an_identifier(self, database, type_):
        """MariaDB would read them as identifiers, too."""
        database.execute(
            f"CREATE TABLE t (id int PRIMARY KEY, c varchar(40) {type_} NOT NULL DEFAULT (uuid()))",
            "INSERT INTO t VALUES (1, 'ñ'), (2, '550e8400e29b41d4a716446655440000')",
        )
        rows = ordered(database, "t")
        migrate(database, lambda: drop_column_if_exists("t", "c", archive=True))
        assert migrate(database, lambda: restore_column("t", sa.Column("c", sa.String(40))), down=True)
        assert ordered(database, "t") == rows

    def test_a_timestamp_that_is_not_null_needs_an_assurance(self, database):
        """MariaDB copies the table, with every default."""
        database.execute(
            "CREATE TABLE t (id bigint PRIMARY KEY, c timestamp NOT NULL DEFAULT current_timestamp())",
            "INSERT INTO t VALUES (1, '2020-01-01')",
        )
        before, rows = snapshot(database), ordered(database, "t")
        migrate(database, lambda: drop_column_if_exists("t", "c", archive=True))

        def restore():
            return restore_column("t", sa.Column("c", sa.TIMESTAMP()))

        def restore_assured():
            with assured("the table is small"):
                return restore()

        if database.server.product == "mysql":
            assert migrate(database, restore, down=True)
            assert (snapshot(database), ordered(database, "t")) == (before, rows)
            return
        with pytest.raises(UnsafeOperation, match="cannot do this online"):
            migrate(database, restore, down=True)
        assert ordered(database, "t") == rows
        assert migrate(database, restore_assured, down=True) is True
        assert (snapshot(database), ordered(database, "t")) == (before, rows)

    def test_a_key_that_changes_unseen(self, database):
        """A foreign key changes it ON UPDATE, and fires no trigger."""
        database.execute(
            "CREATE TABLE p (id int PRIMARY KEY)",
            "CREATE TABLE t (p int PRIMARY KEY, c int, FOREIGN KEY (p) REFERENCES p (id) ON UPDATE CASCADE)",
        )
        with pytest.raises(UnsafeOperation, match="ON UPDATE"):
            migrate(database, lambda: drop_column_if_exists("t", "c", archive=True))

    def test_giving_up_follows_on(self, database):
        """The triggers exist as long as the column does."""
        database.execute(*WORLD)
        with idle_holder(database, "users", "ROW EXCLUSIVE"), pytest.raises(LockNotAcquired):
            migrate(database, impatient(drop_name))
        assert "name" in {one["name"] for one in sa.inspect(database.observer()).get_columns("users")}
        assert migrate(database, drop_name) is True


@pytest.mark.only("sqlite")
class TestSQLite:
    def test_any_value_and_the_text_come_back(self, database):
        database.execute(
            "CREATE TABLE t (k TEXT COLLATE NOCASE, v  DECIMAL(3) /* hm */ NOT NULL DEFAULT 1.5 CHECK (v<>9), n int,"
            " PRIMARY KEY (k, n)) WITHOUT ROWID",
            "INSERT INTO t VALUES ('a', 1, 1), ('B', 'text', 2), ('c', x'00ff', 3), ('d', 2.5, 4)",
        )
        before = snapshot(database, exact=True)
        rows = database.query("SELECT k, n, v, typeof(v) FROM t ORDER BY n")
        assert migrate(database, lambda: drop_column_if_exists("t", "v", archive=True))
        assert migrate(database, lambda: restore_column("t", sa.Column("v", sa.DECIMAL(3))), down=True)
        assert database.query("SELECT k, n, v, typeof(v) FROM t ORDER BY n") == rows
        assert snapshot(database, exact=True) == before
