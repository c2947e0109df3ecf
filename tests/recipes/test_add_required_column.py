"""add_required_column"""

import dataclasses
import random
import threading
import time
from contextlib import contextmanager, suppress

import pytest
import sqlalchemy as sa
from tests.catalogue import assert_same, rows, snapshot
from tests.concurrency.harness import other_process
from tests.lifecycle.harness import crash_everywhere, state, up_up_down_down_up
from tests.projects import Project, log_lines, migrate, render, run_sql, statements_of

from safeops import (
    BackfillIncomplete,
    DefinitionMismatch,
    DuplicateRows,
    InvalidArgument,
    OnlineOnly,
    OrphanedRows,
    UnknownColumn,
    UnknownTable,
    UnsafeOperation,
    UnsupportedOnDatabase,
    ViolatingRows,
    add_required_column,
    assured,
    drop_column_if_exists,
    drop_table_if_exists,
    reads,
)

ROWS = 40
WORLD = [
    "CREATE TABLE teams (id int NOT NULL PRIMARY KEY, title varchar(40) NOT NULL)",
    "INSERT INTO teams VALUES (1, 'Reds'), (2, 'Blues')",
    "CREATE TABLE users (id int NOT NULL PRIMARY KEY, name varchar(40), team_id int NOT NULL, visits int NOT NULL)",
    "INSERT INTO users VALUES " + ", ".join(f"({n}, 'Name{n}', {n % 2 + 1}, {n})" for n in range(1, ROWS + 1)),
]


def slug(**options):
    return sa.Column("slug", sa.String(60), **options)


LOWER = sa.func.lower(sa.column("name"))


@reads("name")
def lowered(rows):
    return [{"slug": row["name"].lower()} for row in rows]


@reads("name", writes=("slug",))
def lowered_too(rows):
    return [{"slug": row["name"].lower()} for row in rows]


users, teams = (
    sa.table("users", sa.column("name"), sa.column("team_id")),
    sa.table("teams", sa.column("id"), sa.column("title")),
)
TITLE = sa.select(sa.func.lower(teams.c.title)).where(teams.c.id == users.c.team_id).scalar_subquery()
POPULATES = {
    "expression": (LOWER, lambda n: f"name{n}"),
    "of the table": (sa.func.lower(users.c.name), lambda n: f"name{n}"),
    "text": (sa.text("lower(users.name)"), lambda n: f"name{n}"),
    "plain": ("it's\\ 100%: :x", lambda _: "it's\\ 100%: :x"),
    "subquery": (TITLE, lambda n: ["reds", "blues"][n % 2]),
    "function": (lowered, lambda n: f"name{n}"),
    "function that writes": (lowered_too, lambda n: f"name{n}"),
}


def required(populate=LOWER, column=None, **options):
    return add_required_column("users", slug() if column is None else column, populate=populate, **options)


def slugs(database):
    return dict(database.query("SELECT id, slug FROM users"))


def leftovers(database):
    """The objects of safeops other than its state."""
    return [line for line in snapshot(database).splitlines() if "safeops_fill" in line or "safeops_not_null" in line]


def is_not_null(database):
    columns = sa.inspect(database.observer()).get_columns("users")
    return next((not one["nullable"] for one in columns if one["name"] == "slug"), False)


# --- what it does ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", POPULATES)
def test_each_kind_of_populate(database, kind):
    populate, expected = POPULATES[kind]
    database.execute(*WORLD)
    report = migrate(database, lambda: required(populate))
    assert (report.rows, report.remaining, report.resumed) == (ROWS, 0, False)
    assert slugs(database) == {n: expected(n) for n in range(1, ROWS + 1)}
    assert is_not_null(database)
    assert leftovers(database) == []
    before = state(database)
    with statements_of(database) as sent:
        report = migrate(database, lambda: required(populate))
    assert (report.rows, report.batches, report.remaining) == (0, 0, 0)
    assert sent.ddl == []
    assert_same(before, state(database), "the second time")


def test_the_schema_is_that_of_the_plain_way(new_database):
    ours, plain = new_database(), new_database()
    for one in (ours, plain):
        one.execute(*WORLD)
    column = slug(nullable=False, index=True, comment=None if ours.kind == "sqlite" else "short")
    migrate(ours, lambda: (required(column=column), drop_state(ours)))
    migrate(plain, lambda: None)
    plain.execute(
        *{
            "postgresql": ["ALTER TABLE users ADD slug varchar(60)", "COMMENT ON COLUMN users.slug IS 'short'"],
            "mysql": ["ALTER TABLE users ADD slug varchar(60) COMMENT 'short'"],
            "sqlite": ["ALTER TABLE users ADD slug varchar(60)"],
        }[plain.kind]
    )
    plain.execute("UPDATE users SET slug = lower(name)", "CREATE INDEX ix_users_slug ON users (slug)")
    if plain.kind == "postgresql":
        plain.execute("ALTER TABLE users ALTER slug SET NOT NULL")
        assert snapshot(ours) == snapshot(plain)
    assert rows(ours, "users") == rows(plain, "users")


def drop_state(database):
    database.execute("DROP TABLE IF EXISTS safeops_backfill")


def test_up_and_down(database):
    database.execute(*WORLD, "CREATE TABLE safeops_backfill_seen (a int)")
    # The table of the progress is kept when a downgrade has discarded the progress.
    migrate(database, required)
    migrate(database, lambda: drop_column_if_exists("users", "slug"), down=True)
    column = lambda: slug(nullable=False, unique=True)  # noqa: E731
    up_up_down_down_up(database, lambda: required(column=column()), lambda: drop_column_if_exists("users", "slug"))
    assert slugs(database)[3] == "name3"


def test_companions_are_built(database):
    database.execute(*WORLD)
    column = sa.Column("lead_id", sa.Integer, sa.ForeignKey("teams.id"), index=True, nullable=False)

    def run():
        return add_required_column("users", column._copy(), populate=sa.column("team_id"))

    with statements_of(database) as sent:
        migrate(database, run)
    inspector = sa.inspect(database.observer())
    assert [one["referred_table"] for one in inspector.get_foreign_keys("users")] == ["teams"]
    assert "ix_users_lead_id" in [one["name"] for one in inspector.get_indexes("users")]
    # While they can still fail, the old application is not refused.
    last = next(i for i, one in enumerate(sent.ddl) if "ix_users_lead_id" in one)
    assert last < max(i for i, one in enumerate(sent.ddl) if "NOT NULL" in one)


def test_a_value_that_violates_a_companion_is_reported_before_not_null(database):
    database.execute(*WORLD)
    with pytest.raises(DuplicateRows, match="Completed and kept"):
        migrate(database, lambda: required("same", slug(unique=True)))
    assert not is_not_null(database)
    database.execute("INSERT INTO users (id, name, team_id, visits) VALUES (100, 'Old', 1, 1)")
    lead = sa.Column("lead_id", sa.Integer, sa.ForeignKey("teams.id"))
    with pytest.raises(OrphanedRows):
        migrate(database, lambda: add_required_column("users", lead, populate=sa.column("visits")))


def test_a_server_default_is_for_new_rows_and_populate_for_old_ones(database):
    database.execute(*WORLD)
    migrate(database, lambda: required(column=slug(server_default="none yet")))
    database.execute("INSERT INTO users (id, name, team_id, visits) VALUES (100, 'New', 1, 1)")
    assert slugs(database)[7] == "name7"
    assert slugs(database)[100] == "none yet"
    assert "fill" not in " ".join(leftovers(database))


@pytest.mark.parametrize("populate", [LOWER, lowered], ids=["expression", "function"])
def test_a_condition_leaves_rows_to_the_server_default(database, populate):
    database.execute(*WORLD)
    report = migrate(database, lambda: required(populate, slug(server_default="x"), where=sa.column("visits") > 30))
    assert report.rows == ROWS
    assert slugs(database) == {n: f"name{n}" if n > 30 else "x" for n in range(1, ROWS + 1)}
    assert migrate(database, lambda: required(populate, slug(server_default="x"), where="visits > 30")).rows == 0


@pytest.mark.parametrize("populate", [LOWER, lowered], ids=["expression", "function"])
def test_a_condition_without_a_default_leaves_rows_and_reports_them(database, populate):
    database.execute(*WORLD)
    with pytest.raises(ViolatingRows, match=r"30 rows have NULL in .*slug") as error:
        migrate(database, lambda: required(populate, where="visits > 30 AND slug IS NULL"))
    assert "where= excludes these rows" in str(error.value)
    assert "Completed and kept" in str(error.value)
    assert not is_not_null(database)
    database.execute("UPDATE users SET slug = 'mine' WHERE slug IS NULL")
    migrate(database, lambda: required(populate, where="visits > 30 AND slug IS NULL"))
    assert slugs(database)[3] == "mine"


def test_a_null_is_reported_and_new_rows_are_still_filled(database):
    database.execute(*WORLD, "UPDATE users SET name = NULL WHERE id IN (3, 5)")
    with pytest.raises(BackfillIncomplete, match="2 of them the new value is NULL") as error:
        migrate(database, required)
    assert "NOT NULL" in str(error.value)
    database.execute("INSERT INTO users (id, name, team_id, visits) VALUES (100, 'New', 1, 1)")
    database.execute("UPDATE users SET name = 'Three' WHERE id = 3")
    assert (slugs(database)[100], slugs(database)[3], slugs(database)[5]) == ("new", "three", None)
    database.execute("UPDATE users SET name = 'Five' WHERE id = 5")
    migrate(database, required)
    assert is_not_null(database)
    assert leftovers(database) == []


def test_an_existing_value_is_kept(database):
    database.execute(*WORLD, "ALTER TABLE users ADD slug varchar(60)", "UPDATE users SET slug = 'own' WHERE id < 5")
    assert migrate(database, required).rows == ROWS - 4
    assert slugs(database)[4] == "own"


def test_an_empty_table(database):
    database.execute(*WORLD, "DELETE FROM users")
    assert migrate(database, required).rows == 0
    assert is_not_null(database)


@pytest.mark.only("pg18", "pg14")
def test_a_schema_and_a_partitioned_table(database):
    database.execute(
        'CREATE SCHEMA "my app"',
        'CREATE TABLE "my app".users (id int NOT NULL, name text, PRIMARY KEY (id)) PARTITION BY RANGE (id)',
        'CREATE TABLE "my app".low PARTITION OF "my app".users FOR VALUES FROM (0) TO (100)',
        'CREATE TABLE "my app".high PARTITION OF "my app".users FOR VALUES FROM (100) TO (1000)',
        "INSERT INTO \"my app\".users SELECT n, 'N' || n FROM generate_series(1, 200) n",
    )
    own = sa.Table("users", sa.MetaData(), sa.Column("name", sa.Text), schema="my app")

    def run(**options):
        value = sa.func.lower(own.c.name)
        return add_required_column("users", slug(), populate=value, schema="my app", **options)

    migrate(database, lambda: run(keep_filled=True))
    database.execute("INSERT INTO \"my app\".users (id, name) VALUES (300, 'X'), (50 + 900, 'Y')")
    found = dict(database.query('SELECT id, slug FROM "my app".users'))
    assert (found[7], found[150], found[300], found[950]) == ("n7", "n150", "x", "y")
    migrate(database, run)
    assert leftovers(database) == []


@pytest.mark.parametrize("column", ['q"x', "a b", "select", "NEW", "Größe", "100%s :p", "tg_op"])
def test_hostile_names(database, column):
    table = "order"
    quoted, name = database.quoted(column), database.quoted(table)
    database.execute(
        f"CREATE TABLE {name} (id int NOT NULL PRIMARY KEY, {database.quoted('group')} varchar(20))",
        f"INSERT INTO {name} VALUES (1, 'A'), (2, 'B')",
    )

    def run(**options):
        wanted = sa.Column(column, sa.String(20))
        return add_required_column(table, wanted, populate=sa.func.lower(sa.column("group")), **options)

    keeps = database.kind != "sqlite"
    migrate(database, lambda: run(keep_filled=keeps))
    if keeps:
        database.execute(f"INSERT INTO {name} (id, {database.quoted('group')}) VALUES (3, 'C')")
        assert database.query(f"SELECT {quoted} FROM {name} WHERE id = 3") == [("c",)]
        migrate(database, run)
    assert database.query(f"SELECT {quoted} FROM {name} WHERE id = 2") == [("b",)]
    migrate(database, lambda: drop_column_if_exists(table, column))
    assert leftovers(database) == []


# --- keep_filled -------------------------------------------------------------------------------------------------


@pytest.mark.only("postgresql", "mysql")
class TestKeepFilled:
    def test_an_old_application_writes_on_until_a_later_call(self, database):
        database.execute(*WORLD)
        migrate(database, lambda: required(keep_filled=True))
        with statements_of(database) as sent:
            assert migrate(database, lambda: required(keep_filled=True)).rows == 0
        assert sent.ddl == []
        insert = "INSERT INTO users (id, name, team_id, visits) VALUES "
        database.execute(f"{insert} (100, 'New', 1, 1), (101, 'Newer', 1, 1)")
        assert slugs(database)[101] == "newer"
        migrate(database, required)
        assert leftovers(database) == []
        with pytest.raises(sa.exc.DBAPIError):
            database.execute(f"{insert} (102, 'Newest', 1, 1)")
        migrate(database, lambda: required(keep_filled=True))
        database.execute(f"{insert} (103, 'Again', 1, 1)")

    def test_dropping_the_column_takes_it_along(self, new_database):
        def prepare(database):
            database.execute(*WORLD)
            migrate(database, lambda: required(keep_filled=True))

        def old_application_writes(database):
            database.execute("DELETE FROM users WHERE id = 100")
            database.execute("INSERT INTO users (id, name, team_id, visits) VALUES (100, 'Old', 1, 1)")
            database.execute("DELETE FROM users WHERE id = 100")

        points = crash_everywhere(
            new_database,
            lambda: drop_column_if_exists("users", "slug"),
            prepare,
            down=True,
            kills=1,
            after_crash=old_application_writes,
        )
        assert points >= 1

    def test_dropping_the_table_takes_it_along(self, database):
        database.execute(*WORLD)
        migrate(database, lambda: required(keep_filled=True))
        migrate(database, lambda: drop_table_if_exists("users"))
        assert leftovers(database) == []

    def test_an_expression_that_fails_does_not_break_the_write(self, database):
        database.execute(*WORLD, "ALTER TABLE users ADD slug varchar(60)")
        raw = sa.text("CAST(10 / (visits - 1000) AS char(20))" if database.kind == "mysql" else "10 / (visits - 1000)")
        with pytest.raises(BackfillIncomplete):
            database.execute("UPDATE users SET name = NULL WHERE id = 1")
            migrate(database, required)
        migrate_quietly(database, raw)
        database.execute("INSERT INTO users (id, name, team_id, visits) VALUES (100, 'Old', 1, 1000)")
        assert slugs(database)[100] is None


def migrate_quietly(database, populate):
    """Brings the trigger of another value."""
    with pytest.raises(Exception, match=r"another backfill|NULL"):
        migrate(database, lambda: required(populate))


@pytest.mark.only("sqlite")
def test_sqlite_cannot_keep_filled(database):
    database.execute(*WORLD)
    with pytest.raises(UnsupportedOnDatabase, match="server default"):
        migrate(database, lambda: required(keep_filled=True))
    migrate(database, lambda: required(column=slug(server_default="x"), keep_filled=True))


# --- stops -------------------------------------------------------------------------------------------------------

BODIES = {
    "expression": lambda: required(column=slug(index=True), batch_size=25),
    "default": lambda: required(column=slug(server_default="x", unique=False), where="visits > 30", batch_size=25),
    "function": lambda: required(lowered, batch_size=25),
}


def without_times(database):
    found = state(database)
    return {key: value for key, value in found.items() if "safeops" not in key}


@pytest.mark.only("pg18")
@pytest.mark.parametrize("body", ["default", "function"])
def test_stopped_anywhere_with_any_values(new_database, body):
    assert crash_everywhere(new_database, BODIES[body], WORLD, kills=1, compare=without_times) >= 8


@pytest.mark.only("pg18", "mysql", "sqlite")
def test_stopped_anywhere(new_database):
    body = "expression"
    points = crash_everywhere(new_database, BODIES[body], WORLD, kills=1, compare=without_times)
    assert points >= 8


@pytest.mark.only("postgresql", "mysql")
def test_two_runners_at_once(database):
    database.execute(*WORLD)
    migrate(database, lambda: None)

    def run():
        done = []
        while not done:
            # Alembic's version table allows one runner at a time; a runner that finds newer work must run again.
            with suppress(sa.exc.IntegrityError, DefinitionMismatch):
                migrate(database, lambda: done.append(required(column=slug(index=True), batch_size=5, pause=0.02).rows))
        return done[0]

    with other_process(run) as one, other_process(run) as two:
        assert one.result() + two.result() == ROWS
    assert is_not_null(database)
    assert leftovers(database) == []


# --- the old application -----------------------------------------------------------------------------------------


@dataclasses.dataclass
class OldApplication:
    """Inserts and updates without the column, all the time, and mirrors each write in a second table."""

    database: object
    errors: list = dataclasses.field(default_factory=list)
    refused: list = dataclasses.field(default_factory=list)
    writes: int = 0

    def __post_init__(self):
        self.database.execute("CREATE TABLE twin AS SELECT * FROM users")
        self.chance, self.next, self.over = random.Random(1), 1000, threading.Event()
        self.engine = self.database.observer(**self._options())

    def _options(self):
        return {"connect_args": {"timeout": 30}} if self.database.kind == "sqlite" else {"pool_pre_ping": False}

    @contextmanager
    def running(self):
        thread = threading.Thread(target=self._go_on)
        thread.start()
        try:
            self.settle()
            yield self
            self.settle(10)
        finally:
            self.over.set()
            thread.join(60)
        assert self.errors == []

    def settle(self, more=20):
        wanted, deadline = self.writes + more, time.monotonic() + 20
        while self.writes + len(self.refused) < wanted and time.monotonic() < deadline and not self.errors:
            time.sleep(0.005)

    def _go_on(self):
        while not self.over.is_set() and not self.errors:
            try:
                self._write()
                self.writes += 1
            except sa.exc.DBAPIError as error:
                self._judge(error)
            time.sleep(0.002)

    def _judge(self, error):
        """A refusal is for NOT NULL alone, and only after that exists."""
        text = str(error.orig).lower()
        null = "null" in text or "default value" in text or "safeops_not_null" in text
        if null and is_not_null(self.database):
            self.refused.append(text)
        else:
            self.errors.append(text)

    def _write(self):
        with self.engine.connect() as connection:
            # As a program does whose writes are never torn by another writer.
            connection = connection.execution_options(isolation_level="AUTOCOMMIT", no_parameters=True)
            connection.exec_driver_sql({"sqlite": "BEGIN IMMEDIATE"}.get(self.database.kind, "BEGIN"))
            try:
                statements = self._statements()
                for statement in statements:
                    for table in ("users", "twin"):
                        if table == "twin" and "CONFLICT" in statement + "DUPLICATE KEY":
                            statement = statement.partition(" ON ")[0]
                        connection.exec_driver_sql(statement.format(table))
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise

    def _statements(self):
        n, choice = self.next, self.chance.random()
        self.next += 3
        columns = "INSERT INTO {} (id, name, team_id, visits) VALUES"
        if choice < 0.3:
            return [f"{columns} ({n}, 'Name{n}', 1, {n}), ({n + 1}, 'Name{n + 1}', 2, 0), ({n + 2}, 'Z{n}', 1, 5)"]
        if choice < 0.5:
            upsert = "ON CONFLICT (id) DO UPDATE SET visits = 7"
            upsert = "ON DUPLICATE KEY UPDATE visits = 7" if self.database.kind == "mysql" else upsert
            key = self.chance.randrange(1, ROWS + 1)
            return [f"UPDATE {{}} SET visits = 6 WHERE id = {key}", f"{columns} ({n}, 'U{n}', 1, 1) {upsert}"]
        if choice < 0.9:
            key = self.chance.randrange(1, ROWS + 1)
            return [f"UPDATE {{}} SET visits = visits + 1 WHERE id = {key}"]
        return [f"DELETE FROM {{}} WHERE id = {self.chance.randrange(900, n)}"]

    def assert_nothing_lost(self, value):
        ours = self.database.query("SELECT id, name, team_id, visits FROM users ORDER BY id")
        twin = self.database.query("SELECT id, name, team_id, visits FROM twin ORDER BY id")
        assert ours == twin
        wrong = [row for row in self.database.query("SELECT id, name, slug FROM users") if row[2] not in value(row[1])]
        assert wrong == []


@reads("name")
def slow(rows):
    time.sleep(0.02)
    return [{"slug": row["name"].lower()} for row in rows]


OLD = {
    "expression": (lambda **_: required(batch_size=4, pause=0.02), False),
    "index": (lambda **_: required(column=slug(index=True), batch_size=4), False),
    "default": (lambda **_: required(column=slug(server_default="new"), batch_size=4, pause=0.02), True),
    "kept": (lambda **_: required(batch_size=4, pause=0.02, keep_filled=True), True),
    "default and function": (lambda **_: required(slow, slug(server_default="new"), batch_size=9), True),
}


@pytest.mark.parametrize("kind", OLD)
def test_an_old_application_inserts_all_the_time(database, kind):
    body, for_good = OLD[kind]
    if kind == "kept" and database.kind == "sqlite":
        pytest.skip("SQLite cannot keep rows filled")
    database.execute(*WORLD)
    application = OldApplication(database)
    with application.running():
        migrate(database, body)
    assert is_not_null(database)
    assert application.writes > 20
    assert bool(application.refused) != for_good
    application.assert_nothing_lost(lambda name: {name.lower(), "new"} if "default" in kind else {name.lower()})


def test_a_function_and_new_rows(database):
    """Nothing can fill them but the function: fill, enforce, fill again."""
    database.execute(*WORLD)
    came = []

    @reads("name")
    def once(rows):
        if len(came) < 3 and len(rows) < 15:
            came.append(900 + len(came))
            if database.kind != "sqlite":
                database.execute(f"INSERT INTO users VALUES ({came[-1]}, 'Late', 1, 1, NULL)")
        return [{"slug": row["name"].lower()} for row in rows]

    migrate(database, lambda: required(once, batch_size=12))
    assert is_not_null(database)
    assert "name7" in slugs(database).values()


def test_the_new_application_is_not_overwritten(database):
    database.execute(*WORLD)
    seen = []

    def throttle(_progress):
        if not seen:
            seen.append(1)
            database.execute("UPDATE users SET slug = 'its own' WHERE id > 20")
            database.execute("INSERT INTO users VALUES (200, 'Own', 1, 1, 'its own'), (201, 'Own', 1, 1, NULL)")

    migrate(database, lambda: required(batch_size=5, throttles=[throttle]))
    found = slugs(database)
    assert (found[20], found[21], found[200], found[201]) == ("name20", "its own", "its own", "own")


@pytest.mark.only("pg18", "pg14")
def test_other_triggers_and_search_path(database):
    database.execute(
        *WORLD,
        "CREATE SCHEMA app",
        "CREATE FUNCTION short(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT left(lower(t), 3)'",
        "CREATE FUNCTION trim_it() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.name := trim(NEW.name); RETURN NEW; END'",
        "CREATE TRIGGER a_trim BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION trim_it()",
    )
    migrate(database, lambda: required(sa.func.short(sa.column("name")), keep_filled=True))
    database.execute(
        "SET search_path TO app",
        "INSERT INTO public.users (id, name, team_id, visits) VALUES (100, '   Padded', 1, 1)",
        "ALTER TABLE public.users ADD extra int, DROP COLUMN visits",
        "INSERT INTO public.users (id, name, team_id) VALUES (101, 'ANOTHER', 1)",
        "SET search_path TO public",
    )
    assert (slugs(database)[100], slugs(database)[101]) == ("pad", "ano")
    database.execute("CREATE TRIGGER z_trim BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION trim_it()")
    migrate(database, lambda: required(sa.func.short(sa.column("name"))))
    with log_lines() as lines:
        migrate(database, lambda: required(sa.func.short(sa.column("name")), keep_filled=True))
    assert any("runs before z_trim" in line for line in lines)


# --- offline -----------------------------------------------------------------------------------------------------

OFFLINE = {
    "expression": lambda: required(column=slug(index=True)),
    "kept": lambda: required(keep_filled=True),
    "default": lambda: required(column=slug(server_default=sa.text("md5(random()::text)")), where="visits > 30"),
    "plain": lambda: required("it's", slug(nullable=False, comment="c", unique=False)),
    "whole row": lambda: required(sa.text("md5(users::text)")),
}


@pytest.mark.only("pg18", "pg14")
@pytest.mark.parametrize("kind", OFFLINE)
def test_rendered_and_run_twice(new_database, kind):
    live, offline = new_database(), new_database()
    for one in (live, offline):
        one.execute(*WORLD)
    script = render(offline, OFFLINE[kind])
    run_sql(offline, script)
    once = state(offline)
    run_sql(offline, script)
    assert_same(once, state(offline), "the second run of the script")
    assert is_not_null(offline)
    migrate(live, OFFLINE[kind])
    drop_state(live)
    if kind == "kept":
        offline.execute("INSERT INTO users (id, name, team_id, visits) VALUES (100, 'Old', 1, 1)")
        assert slugs(offline)[100] == "old"
    elif kind == "expression":
        assert_same(once, state(live), "online")


def test_what_cannot_be_rendered(database):
    with pytest.raises(OnlineOnly, match="Python function"):
        render(database, lambda: required(lowered))
    if database.kind != "postgresql":
        with pytest.raises(OnlineOnly, match=r"NOT NULL of users.slug"):
            render(database, required)


# --- bad input leaves nothing behind -----------------------------------------------------------------------------


def bad(column=None, table="users", populate=LOWER, **options):
    return lambda: add_required_column(table, slug() if column is None else column, populate=populate, **options)


BAD = {
    "no table": (bad(table="userz"), UnknownTable, "userz"),
    "table": (bad(table=3), InvalidArgument, "table name is 3"),
    "column": (bad("slug"), InvalidArgument, "not a sa.Column"),
    "key column": (bad(sa.Column("slug", sa.Integer, primary_key=True)), InvalidArgument, "primary key"),
    "computed": (bad(sa.Column("slug", sa.Text, sa.Computed("name"))), InvalidArgument, "add_column_if_missing"),
    "identity": (bad(sa.Column("slug", sa.Integer, sa.Identity())), InvalidArgument, "add_column_if_missing"),
    "None": (bad(populate=None), InvalidArgument, "populate is None"),
    "mapping": (bad(populate={"slug": "x"}), InvalidArgument, "mapping"),
    "no such column": (bad(populate=sa.column("nam")), InvalidArgument, "nam"),
    "syntax": (bad(populate=sa.text("lower(name")), InvalidArgument, "lower"),
    "parameter": (bad(populate=sa.text("lower(:x)")), InvalidArgument, ":x has no value"),
    "where": (bad(where=sa.text("vizits > 3")), InvalidArgument, "vizits"),
    "where type": (bad(where=3), InvalidArgument, "where is 3"),
    "option": (bad(batchsize=3), InvalidArgument, "batchsize.*batch_size"),
    "batch size": (bad(batch_size=0), InvalidArgument, "add_required_column"),
    "name": (bad(name=""), InvalidArgument, "name is ''"),
    "executor": (bad(executor=3), InvalidArgument, "executor"),
    "progress": (bad(progress=3), InvalidArgument, "progress"),
    "key": (bad(key=["nope"]), UnknownColumn, "nope"),
    "no unique key": (bad(key=["name"]), UnsafeOperation, "unique"),
    "no key": (bad(table="loose"), UnsafeOperation, "no primary key"),
    "reads": (bad(populate=reads("nam")(lambda rows: rows)), UnknownColumn, "nam"),
    "writes": (bad(populate=reads("name", writes=("name",))(lambda rows: rows)), InvalidArgument, "writes"),
    "index": (bad(slug(index=True), table="taken"), DefinitionMismatch, "ix_taken_slug"),
    "referent": (bad(sa.Column("slug", sa.Integer, sa.ForeignKey("nope.id"))), Exception, "nope"),
    "function kept": (bad(populate=lowered, keep_filled=True), InvalidArgument, "server default"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_leaves_nothing_behind(database, kind):
    body, error, words = BAD[kind]
    database.execute(
        *WORLD,
        "CREATE TABLE loose (name varchar(20))",
        "INSERT INTO loose VALUES ('x')",
        "CREATE TABLE taken (id int NOT NULL PRIMARY KEY, name varchar(20))",
        "CREATE INDEX ix_taken_slug ON taken (name)",
    )
    before = state(database)
    with pytest.raises(error, match=f"(?s){words}") as caught:
        migrate(database, body)
    assert "Nothing was changed" in str(caught.value)
    assert_same(before, state(database), "bad input")


@pytest.mark.only("pg18", "pg14")
def test_a_value_of_another_type_leaves_nothing_behind(database):
    database.execute(*WORLD)
    before = state(database)
    for populate in (LOWER, "x"):
        with pytest.raises(InvalidArgument, match=r"rejects|cannot be written"):
            migrate(database, lambda one=populate: required(one, sa.Column("slug", sa.Integer)))
    assert_same(before, state(database), "bad input")


def test_a_column_of_another_type(database):
    database.execute(*WORLD, "ALTER TABLE users ADD slug int")
    with pytest.raises(DefinitionMismatch, match="type is int"):
        migrate(database, required)


def test_json_and_numbers(database):
    database.execute(*WORLD)
    # MariaDB keeps JSON as text with a check, and cannot make such a column NOT NULL online.
    with assured("the table is small"):
        migrate(database, lambda: add_required_column("users", sa.Column("data", sa.JSON), populate={"a": [1, "x"]}))
    migrate(database, lambda: add_required_column("users", sa.Column("score", sa.Numeric(8, 2)), populate=1.5))
    migrate(database, lambda: add_required_column("users", sa.Column("active", sa.Boolean), populate=False))
    found = database.query("SELECT data, score, active FROM users WHERE id = 1")[0]
    assert (str(found[0]).replace('"', "'"), float(found[1]), bool(found[2])) == ("{'a': [1, 'x']}", 1.5, False)


def test_in_a_project(tmp_path, database):
    database.execute(*WORLD)
    up = 'safeops.add_required_column("users", sa.Column("slug", sa.Text), populate=sa.func.lower(sa.column("name")))'
    down = 'safeops.drop_column_if_exists("users", "slug")'
    project = Project(tmp_path, database, {"r1": (up, down)}, imports="import safeops")
    project.upgrade()
    project.downgrade()
    project.upgrade()
    assert is_not_null(database)
    assert database.query("SELECT name FROM safeops_backfill WHERE part = 0") == [("r1/users/slug",)]
