"""Row security: a migration sees all rows of a table, or it is refused before its first change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from safeops import (
    ColumnRename,
    SafeOpsError,
    TypeChange,
    UnsafeOperation,
    add_column_if_missing,
    add_required_column,
    backfill,
    create_check_constraint_if_missing,
    create_foreign_key_if_missing,
    create_index_if_missing,
    create_unique_constraint_if_missing,
    drop_column_if_exists,
    enforce_not_null,
    reads,
    restore_column,
    validate_constraint,
)
from tests.projects import migrate, render, run_sql
from tests.servers import Database

pytestmark = pytest.mark.only("postgresql")

ROWS = 30
# One row of ten is visible: some rows are worse than none, because a count of them is not 0.
HIDE = (
    'ALTER TABLE "My t" ENABLE ROW LEVEL SECURITY',
    'ALTER TABLE "My t" FORCE ROW LEVEL SECURITY',
    'CREATE POLICY p ON "My t" USING (id % 10 = 0)',
)
SHOW = ('ALTER TABLE "My t" DISABLE ROW LEVEL SECURITY',)
HIDE_PARENTS = tuple(one.replace('"My t"', "parents") for one in HIDE)


@dataclasses.dataclass(frozen=True)
class Scene:
    """A database as its superuser and as the owner of the tables."""

    admin: Database
    owner: Database

    def run(self, helper: Callable[[], object], as_: str = "") -> object:
        database = self.owner if not as_ else dataclasses.replace(self.owner, url=self.owner.url.set(username=as_))
        with database.engine().connect() as connection:
            return migrate(self.admin, helper, connection=connection)

    def shape(self) -> list[object]:
        """What a change of the schema would change, at a fraction of the time of a dump."""
        return self.admin.query(
            "SELECT 'relation', relname::text, relchecks FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " UNION SELECT 'column', attname, attnum FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
            " WHERE relnamespace = 'public'::regnamespace"
            " UNION SELECT 'constraint', conname, convalidated::int FROM pg_constraint"
            " UNION SELECT 'trigger', tgname, 0 FROM pg_trigger UNION SELECT 'function', proname, 0 FROM pg_proc"
            " ORDER BY 1, 2, 3"
        )

    def refuses(self, helper: Callable[[], object]) -> UnsafeOperation:
        migrate(self.admin, lambda: None)
        before = self.shape()
        with pytest.raises(UnsafeOperation, match="Row security of public") as raised:
            self.run(helper)
        assert self.shape() == before
        assert "Nothing was changed" in str(raised.value)
        return raised.value


@pytest.fixture
def scene(database: Database) -> Iterator[Scene]:
    role = f"owner of {database.name}"
    database.execute(
        f'CREATE ROLE "{role}" LOGIN',
        f'ALTER SCHEMA public OWNER TO "{role}"',
        f'GRANT CREATE ON DATABASE {database.name} TO "{role}"',
        "CREATE TABLE parents (id integer PRIMARY KEY)",
        'CREATE TABLE "My t" (id integer PRIMARY KEY, a integer, n integer)',
        f"INSERT INTO parents SELECT generate_series(1, {ROWS})",
        f'INSERT INTO "My t" (id, a) SELECT g, g FROM generate_series(1, {ROWS}) g',
        f'ALTER TABLE parents OWNER TO "{role}"',
        f'ALTER TABLE "My t" OWNER TO "{role}"',
        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)",
        f'ALTER TABLE alembic_version OWNER TO "{role}"',
    )
    yield Scene(database, dataclasses.replace(database, url=database.url.set(username=role)))
    database.execute(f'DROP OWNED BY "{role}" CASCADE', f'DROP ROLE "{role}"')


@reads("a", writes=("n",))
def from_a(rows):
    return [{"n": row["a"]} for row in rows]


HELPERS = {
    "backfill": lambda: backfill("My t", {"n": sa.column("a")}),
    "backfill of each row": lambda: backfill("My t", {"n": sa.column("a")}, where=True),
    "backfill by a function": lambda: backfill("My t", from_a),
    "backfill in parallel": lambda: backfill("My t", {"n": sa.column("a")}, executor=ThreadPoolExecutor(2)),
    "required column": lambda: add_required_column("My t", sa.Column("r", sa.Integer), populate=sa.column("a")),
    "rename": lambda: ColumnRename("My t", "a", "b").expand(),
    "type": lambda: TypeChange("My t", "a", sa.BigInteger()).expand(),
    "not null": lambda: enforce_not_null("My t", "n"),
    "unique": lambda: create_unique_constraint_if_missing("uq", "My t", ["a"]),
    "unique index": lambda: create_index_if_missing("uq", "My t", ["a"], unique=True),
    "check": lambda: create_check_constraint_if_missing("ck", "My t", "a > 0"),
    "foreign key": lambda: create_foreign_key_if_missing("fk", "My t", "parents", ["a"], ["id"], index=True),
    "column with a key": lambda: add_column_if_missing("My t", sa.Column("r", sa.Integer, sa.ForeignKey("parents.id"))),
    "column without a value": lambda: add_column_if_missing("My t", sa.Column("r", sa.Integer, nullable=False)),
    "archive": lambda: drop_column_if_exists("My t", "a", archive=True),
}


@pytest.mark.parametrize("helper", HELPERS.values(), ids=HELPERS)
def test_a_migration_that_does_not_see_all_rows_is_refused_before_its_first_change(scene, helper):
    scene.admin.execute(*HIDE)

    error = scene.refuses(helper)

    assert 'ALTER TABLE public."My t" NO FORCE ROW LEVEL SECURITY' in error.code
    assert "BYPASSRLS" in error.code


def test_columns_whose_values_do_not_depend_on_rows_are_added_by_any_role(scene):
    scene.admin.execute(*HIDE)

    for column in (sa.Column("plain", sa.Integer), sa.Column("filled", sa.Integer, nullable=False, server_default="7")):
        assert scene.run(lambda column=column: add_column_if_missing("My t", column)) is True

    assert scene.admin.query('SELECT count(*), count(plain), sum(filled) FROM "My t"') == [(ROWS, 0, 7 * ROWS)]


def test_a_superuser_and_an_owner_whose_policies_are_not_forced_see_all_rows(scene):
    scene.admin.execute(*HIDE, 'ALTER TABLE "My t" NO FORCE ROW LEVEL SECURITY')
    scene.run(HELPERS["rename"])
    scene.run(ColumnRename("My t", "a", "b").contract)
    scene.admin.execute('ALTER TABLE "My t" FORCE ROW LEVEL SECURITY', "SET row_security = on")

    assert migrate(scene.admin, lambda: backfill("My t", {"n": sa.column("b")})).rows == ROWS
    assert scene.admin.query('SELECT count(*), count(b), count(n) FROM "My t"') == [(ROWS, ROWS, ROWS)]


def test_a_role_that_bypasses_row_security_sees_all_rows(scene):
    role = f"bypassing {scene.admin.name}"
    scene.admin.execute(*HIDE, f'CREATE ROLE "{role}" LOGIN BYPASSRLS IN ROLE "{scene.owner.url.username}"')

    scene.run(HELPERS["type"], as_=role)
    scene.run(TypeChange("My t", "a", sa.BigInteger()).switch, as_=role)

    assert scene.admin.query('SELECT count(a), count(safeops_a) FROM "My t"') == [(ROWS, ROWS)]
    scene.admin.execute(f'DROP OWNED BY "{role}" CASCADE', f'DROP ROLE "{role}"')


def test_a_policy_for_writes_or_for_another_role_counts_as_the_server_counts_it(scene):
    owner = scene.owner.url.username
    scene.admin.execute(*HIDE[:2], f'CREATE POLICY r ON "My t" FOR SELECT TO "{owner}" USING (true)')

    scene.refuses(HELPERS["backfill"])


RENAME, CHANGE = ColumnRename("My t", "a", "b"), TypeChange("My t", "a", sa.Text())
PHASES = {
    "contract": ([RENAME.expand], RENAME.contract),
    "undo_expand": ([RENAME.expand], RENAME.undo_expand),
    "undo_contract": ([RENAME.expand, RENAME.contract], RENAME.undo_contract),
    "switch": ([CHANGE.expand], CHANGE.switch),
    "undo_switch": ([CHANGE.expand, CHANGE.switch], CHANGE.undo_switch),
    "undo_contract of a type": ([CHANGE.expand, CHANGE.switch, CHANGE.contract], CHANGE.undo_contract),
}


@pytest.mark.parametrize("name", PHASES)
def test_a_policy_that_comes_between_two_phases_stops_the_next_one_until_it_is_lifted(scene, name):
    before, phase = PHASES[name]
    for one in before:
        scene.run(one)
    scene.admin.execute(*HIDE)

    scene.refuses(phase)

    scene.admin.execute(*SHOW)
    assert scene.run(phase) is True


def test_rows_that_an_archive_would_restore_unseen_are_not_left_out(scene):
    scene.run(HELPERS["archive"])
    scene.admin.execute(*HIDE)
    restore = lambda: restore_column("My t", sa.Column("a", sa.Integer))  # noqa: E731

    scene.refuses(restore)
    scene.admin.execute(*SHOW)

    assert scene.run(restore) is True
    assert scene.admin.query('SELECT count(a) FROM "My t"') == [(ROWS,)]


REFERRING = {
    "create": lambda: create_foreign_key_if_missing("fk", "My t", "parents", ["a"], ["id"]),
    "validate": lambda: validate_constraint("fk_given", "My t"),
    "rename": ColumnRename("My t", "n", "m").expand,
    "rename of what is referred to": ColumnRename("My t", "id", "key").expand,
}


@pytest.mark.parametrize("name", REFERRING)
def test_the_other_table_of_a_foreign_key_counts_too(scene, name):
    scene.admin.execute(
        *HIDE_PARENTS,
        'ALTER TABLE "My t" ADD CONSTRAINT fk_given FOREIGN KEY (n) REFERENCES parents NOT VALID',
        'ALTER TABLE parents ADD CONSTRAINT fk_back FOREIGN KEY (id) REFERENCES "My t" (id)',
    )

    assert "public.parents" in str(scene.refuses(REFERRING[name]))


def test_rows_of_another_table_that_an_expression_reads_count_too(scene):
    scene.admin.execute(*HIDE_PARENTS)
    value = sa.text('(SELECT max(p.id) FROM parents p WHERE p.id = "My t".a)')

    assert "public.parents" in str(scene.refuses(lambda: backfill("My t", {"n": value})))


def test_a_policy_on_a_partition_holds_for_those_who_read_the_partition_only(scene):
    owner = scene.owner.url.username
    scene.admin.execute(
        "CREATE TABLE split (id integer PRIMARY KEY, a integer, b integer) PARTITION BY RANGE (id)",
        "CREATE TABLE split_1 PARTITION OF split FOR VALUES FROM (1) TO (100)",
        "INSERT INTO split (id, a) VALUES (1, 1), (2, 2)",
        f'ALTER TABLE split OWNER TO "{owner}"',
        f'ALTER TABLE split_1 OWNER TO "{owner}"',
        *(one.replace('"My t"', "split_1") for one in HIDE),
    )

    assert scene.run(lambda: backfill("split", {"b": sa.column("a")})).rows == 2
    scene.refuses(lambda: backfill("split_1", {"b": sa.column("a")}))


def test_a_script_of_sql_stops_if_rows_are_hidden(scene):
    scene.admin.execute(*HIDE)
    for helper in (HELPERS["backfill"], HELPERS["rename"], HELPERS["foreign key"]):
        script = render(scene.admin, helper)
        with pytest.raises(AssertionError, match="row-level security"):
            run_sql(scene.admin, f'SET SESSION AUTHORIZATION "{scene.owner.url.username}";\n{script}')
    assert scene.admin.query('SELECT count(n) FROM "My t"') == [(0,)]


def test_the_setting_of_the_session_is_as_before_afterwards(scene):
    with scene.admin.engine().connect() as connection:
        for setting in ("on", "off"):
            connection.exec_driver_sql(f"SET row_security = {setting}")
            connection.commit()
            migrate(scene.admin, lambda: enforce_not_null("My t", "a"), connection=connection)
            assert connection.exec_driver_sql("SHOW row_security").scalar() == setting
            connection.commit()


def test_a_policy_that_comes_in_the_middle_of_a_backfill_ends_it_and_reports_what_is_kept(scene):
    def hide(progress):
        if progress.batches == 1:
            scene.admin.execute(*HIDE)

    with pytest.raises(SafeOpsError, match="Row security of public") as raised:
        scene.run(lambda: backfill("My t", {"n": sa.column("a")}, batch_size=10, progress=hide))
    assert "10 rows are done and kept" in str(raised.value)
    scene.admin.execute(*SHOW)

    assert scene.run(HELPERS["backfill"]).remaining == 0
    assert scene.admin.query('SELECT count(n) FROM "My t"') == [(ROWS,)]
