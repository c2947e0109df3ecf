"""The guard judges what a revision sends itself, before it is sent, by what the live database knows."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.concurrency.harness import held_until_logged
from tests.configured import Configured
from tests.runner.deploys import Deploy, said

from safeops import InvalidArgument, NotReady, UnsafeOperation

pytestmark = pytest.mark.only("pg18")

RAISE = 'guard="raise", lock_timeout=2.0'
INDEX = "op.create_index('ix_users_name', 'users', ['name'])"
SENDING = {
    "op": INDEX,
    "execute": "op.execute('CREATE INDEX ix_users_name ON users (name)')",
    "connection": "op.get_bind().execute(sa.text('CREATE INDEX ix_users_name ON users (name)'))",
    "driver sql": "op.get_bind().exec_driver_sql('CREATE INDEX ix_users_name ON users (name)')",
    "session": "from sqlalchemy.orm import Session\nwith Session(op.get_bind()) as session:\n"
    "    session.execute(sa.text('CREATE INDEX ix_users_name ON users (name)'))",
    "metadata": "table = sa.Table('users', sa.MetaData(), sa.Column('name', sa.Text))\n"
    "sa.Index('ix_users_name', table.c.name).create(op.get_bind())",
    "another connection": "with op.get_bind().engine.begin() as own:\n"
    "    own.exec_driver_sql('CREATE INDEX ix_users_name ON users (name)')",
    "batch": "with op.batch_alter_table('users') as batch:\n    batch.create_index('ix_users_name', ['name'])",
    "getattr": "getattr(op, 'create_' + 'index')('ix_users_name', 'users', ['name'])",
    "several at once": "op.execute('SELECT 1; CREATE INDEX ix_users_name ON users (name); SELECT 2')",
}


@pytest.fixture
def users(database):
    database.execute(
        "CREATE TABLE users (id int PRIMARY KEY, name text, age int)",
        "INSERT INTO users SELECT n, 'name ' || n, n % 90 FROM generate_series(1, 5000) n",
        "CREATE TABLE nobody (id int PRIMARY KEY, name text)",
        "ANALYZE",
    )
    return database


def indexes(users):
    return [index["name"] for index in sa.inspect(users.observer()).get_indexes("users")]


def guarded(tmp_path, users, body, settings=RAISE, down="pass", **more):
    return Configured(tmp_path, users, {"r1": (body, down)}, settings=settings, **more)


@pytest.mark.parametrize("way", SENDING)
def test_all_ways_to_send_it(users, tmp_path, way):
    project = guarded(tmp_path, users, SENDING[way])
    with pytest.raises(UnsafeOperation) as caught:
        project.upgrade()
    message = str(caught.value)
    assert "r1.py:" in message
    assert "Nothing of this statement was done" in message
    assert "SHARE on public.users" in message
    assert 'create_index_if_missing("ix_users_name", "users", ["name"])' in message
    assert 'drop_index_if_exists("ix_users_name", "users")' in message or way == "several at once"
    assert indexes(users) == []
    assert project.current() == ("r0",)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_a_name_with_a_percent_sign(users, tmp_path, driver):
    users.execute('ALTER TABLE users RENAME TO "50%"', 'ALTER TABLE "50%" RENAME name TO "a%b"')
    body = """rates = sa.table("50%", sa.column("id", sa.Integer), sa.column("a%b", sa.Text))
op.execute(rates.update().values({"a%b": "x"}).where(rates.c.id % 2 == 0))"""
    env = "async" if driver == "asyncpg" else "sync"
    project = guarded(tmp_path, users.with_driver(driver), body, env=env)
    with pytest.raises(UnsafeOperation) as caught:
        project.upgrade()
    assert "%%" not in str(caught.value)
    assert "ROW EXCLUSIVE on public.50%; 2,500 rows" in str(caught.value)


@pytest.mark.parametrize("driver, env", [("psycopg2", "sync"), ("asyncpg", "async"), ("psycopg", "async")])
def test_with_each_driver(users, tmp_path, driver, env):
    project = guarded(tmp_path, users.with_driver(driver), INDEX, env=env)
    with pytest.raises(UnsafeOperation):
        project.upgrade()
    assert indexes(users) == []


def test_what_was_done_before_in_the_transaction_is_rolled_back(users, tmp_path):
    project = guarded(tmp_path, users, f"op.add_column('users', sa.Column('nick', sa.Text()))\n{INDEX}")
    with pytest.raises(UnsafeOperation, match="rolled back"):
        project.upgrade()
    assert [column["name"] for column in sa.inspect(users.observer()).get_columns("users")] == ["id", "name", "age"]


SAFE = {
    "a column": "op.add_column('users', sa.Column('nick', sa.Text()))",
    "a table": "op.create_table('t', sa.Column('id', sa.Integer, primary_key=True))\nop.create_index('ix', 't', ['id'])",
    "a filled table": "op.execute('CREATE TABLE t AS SELECT * FROM users')\nop.execute('CREATE INDEX ix ON t (id)')",
    "an empty table": "op.create_index('ix', 'nobody', ['name'])",
    "online": "with op.get_context().autocommit_block():\n"
    "    op.create_index('ix', 'users', ['name'], postgresql_concurrently=True)",
    "few rows": "op.execute('UPDATE users SET age = 1 WHERE id < 50')",
    "by key": "for n in range(5):\n    op.execute(sa.text('UPDATE users SET age = 1 WHERE id = :n').bindparams(n=n))",
    "a helper": "from safeops import create_index_if_missing\ncreate_index_if_missing('ix', 'users', ['name'])",
    "a helper's table": "from safeops import create_table_if_missing\n"
    "create_table_if_missing('t', sa.Column('id', sa.Integer, primary_key=True))\n"
    "op.execute('INSERT INTO t SELECT id FROM users')\nop.create_index('ix', 't', ['id'])",
    "proven by a check": "op.execute('ALTER TABLE users ADD CONSTRAINT c CHECK (age IS NOT NULL) NOT VALID')\n"
    "op.get_bind().commit()\n"
    "op.execute('ALTER TABLE users VALIDATE CONSTRAINT c')\nop.get_bind().commit()\n"
    "op.alter_column('users', 'age', nullable=False)\nop.get_bind().commit()\nop.get_bind().begin()",
    "a drop of an empty table": "op.drop_table('nobody')",
    "a rename in an empty table": "op.alter_column('nobody', 'name', new_column_name='title')",
}


@pytest.mark.parametrize("case", SAFE)
def test_what_is_safe_passes(users, tmp_path, case):
    project = guarded(tmp_path, users, SAFE[case])
    if case == "proven by a check":
        project.write(
            "r1",
            SAFE[case]
            .replace("op.get_bind().commit()\n", "")
            .replace("op.get_bind().commit()", "")
            .replace("op.get_bind().begin()", "")
            .split("\n")[0],
            down="r0",
        )
        project.write("r2", "op.execute('ALTER TABLE users VALIDATE CONSTRAINT c')", down="r1")
        project.write("r3", "op.alter_column('users', 'age', nullable=False)", down="r2")
    project.upgrade()
    assert not [line for line in project.log if "unsafe" in line]


UNSAFE = {
    "rows by a join": "op.execute('UPDATE users SET age = 1 WHERE name IS NOT NULL')",
    "rows one by one": "for n in range(1, 2500):\n"
    "    op.execute(sa.text('UPDATE users SET age = 1 WHERE id = :n').bindparams(n=n))",
    "many at once": "op.get_bind().execute(sa.text('UPDATE users SET age = 1 WHERE id = :n'),"
    " [{'n': n} for n in range(2500)])",
    "held": "op.execute('ALTER TABLE nobody ADD COLUMN x int')\nop.execute('LOCK TABLE users')\n"
    "op.execute('CREATE TABLE t AS SELECT count(*) FROM users')\nop.execute('UPDATE users SET age = 3')",
    "unseen": "op.execute(\"DO $$ BEGIN EXECUTE 'CREATE INDEX ix ON us' || 'ers (name)'; END $$\")",
    "a type": "op.alter_column('users', 'age', type_=sa.BigInteger())",
    "a drop": "op.drop_column('users', 'age')",
}


@pytest.mark.parametrize("case", UNSAFE)
def test_what_is_unsafe_is_refused(users, tmp_path, case):
    project = guarded(tmp_path, users, UNSAFE[case])
    with pytest.raises(UnsafeOperation) as caught:
        project.upgrade()
    if case == "unseen":
        assert "--scratch-url" in str(caught.value)
        assert "assured(" in str(caught.value)
    assert users.query("SELECT count(*) FROM users WHERE age = 1 AND id % 90 <> 1") == [(0,)]


@pytest.mark.parametrize("after", ["", "\nop.add_column('users', sa.Column('nick', sa.Text()))"])
def test_a_revision_that_catches_the_refusal_does_not_end_well(users, tmp_path, after):
    project = guarded(tmp_path, users, f"try:\n    {INDEX}\nexcept Exception:\n    pass{after}")
    with pytest.raises(UnsafeOperation, match="index-blocks-writes"):
        project.upgrade()
    assert project.current() == ("r0",)
    assert indexes(users) == []


def test_a_warning_lets_it_run(users, tmp_path):
    project = guarded(tmp_path, users, INDEX, 'guard="warn"')
    project.upgrade()
    assert indexes(users) == ["ix_users_name"]
    assert any(line.startswith("revision r1: unsafe: index-blocks-writes") for line in project.log)


@pytest.mark.parametrize("settings", ['guard="off"', "lock_timeout=2.0"])
def test_it_is_off_by_default(users, tmp_path, settings):
    project = guarded(tmp_path, users, INDEX, settings)
    project.upgrade()
    assert indexes(users) == ["ix_users_name"]
    assert project.log == []


def test_a_reason_lets_it_run_and_is_logged(users, tmp_path):
    body = f"from safeops import assured\nwith assured('nobody writes at night'):\n    {INDEX}"
    project = guarded(tmp_path, users, body)
    project.upgrade()
    assert indexes(users) == ["ix_users_name"]
    assert any("revision r1: assured (nobody writes at night): index-blocks-writes" in line for line in project.log)


def test_a_block_of_settings_switches_it_off(users, tmp_path):
    guarded(tmp_path, users, f"from safeops import settings\nwith settings(guard='off'):\n    {INDEX}").upgrade()
    assert indexes(users) == ["ix_users_name"]


def test_small_tables_pass(users, tmp_path):
    guarded(tmp_path, users, INDEX, 'guard="raise", small_table=10_000').upgrade()
    assert indexes(users) == ["ix_users_name"]


def test_older_revisions_pass(users, tmp_path):
    revisions = {"r1": (INDEX, "pass"), "r2": ("op.execute('CREATE INDEX b ON users (age)')", "pass")}
    project = Configured(tmp_path, users, revisions, settings='guard="raise", guard_from="r2"')
    with pytest.raises(UnsafeOperation, match="Revision r2"):
        project.upgrade()
    assert indexes(users) == ["ix_users_name"]
    assert project.current() == ("r1",)


def test_an_unknown_revision_is_refused_before_anything_runs(users, tmp_path):
    with pytest.raises(InvalidArgument, match="'nothing'"):
        guarded(tmp_path, users, INDEX, 'guard="raise", guard_from="nothing"')
    assert not sa.inspect(users.observer()).has_table("alembic_version")


@pytest.mark.parametrize("settings", ["guard='loud'", "guard_from=7", "small_table=-1", "small_table=True"])
def test_settings_are_checked(users, tmp_path, settings):
    with pytest.raises(InvalidArgument):
        guarded(tmp_path, users, INDEX, settings)


def test_without_parsers_it_shows_what_to_install(users, tmp_path, monkeypatch):
    from safeops.execution import guarding

    monkeypatch.setattr(guarding, "PARSERS", ("pglast", "no_such_parser"))
    with pytest.raises(NotReady, match=r"alembic-safeops\[review\]"):
        guarded(tmp_path, users, INDEX)
    guarded(tmp_path, users, INDEX, "lock_timeout=2.0").upgrade()


def test_what_judges_fails_refuses(users, tmp_path, monkeypatch):
    from safeops.judging.judge import Judge

    project = guarded(tmp_path, users, "op.execute('SELECT 1')")
    monkeypatch.setattr(Judge, "judge", lambda *_: 1 / 0)
    with pytest.raises(UnsafeOperation, match="cannot be judged: ZeroDivisionError"):
        project.upgrade()


def test_a_downgrade_is_judged_by_its_locks(users, tmp_path):
    project = guarded(
        tmp_path,
        users,
        "op.add_column('users', sa.Column('nick', sa.Text()))",
        down="op.drop_column('users', 'nick')",
    )
    project.upgrade()
    project.downgrade("r0")
    project.write("r1", "pass", "op.alter_column('users', 'age', nullable=False)", down="r0")
    project.upgrade()
    with pytest.raises(UnsafeOperation) as caught:
        project.downgrade("r0")
    assert "in downgrade()" not in str(caught.value)


def test_a_table_of_an_earlier_revision_of_the_run_is_new(users, tmp_path):
    revisions = {
        "r1": ("op.execute('CREATE TABLE t AS SELECT * FROM users')", "pass"),
        "r2": ("op.create_index('ix', 't', ['name'])\nop.drop_column('t', 'age')", "pass"),
    }
    Configured(tmp_path, users, revisions, settings=RAISE).upgrade()


def test_in_one_transaction_the_locks_of_an_earlier_revision_are_held(users, tmp_path):
    users.execute("CREATE TABLE busy AS SELECT * FROM users")
    revisions = {
        "r1": ("op.add_column('users', sa.Column('nick', sa.Text()))", "pass"),
        "r2": ("op.execute('CREATE TABLE t AS SELECT * FROM busy')\nop.create_index('ix', 't', ['id'])", "pass"),
        "r3": (
            "op.execute('ALTER TABLE busy ADD CONSTRAINT c CHECK (id > 0) NOT VALID')\n"
            "op.execute('ALTER TABLE busy VALIDATE CONSTRAINT c')",
            "pass",
        ),
    }
    project = Configured(tmp_path, users, revisions, settings=RAISE, env="one_transaction")
    with pytest.raises(UnsafeOperation):
        project.upgrade()
    assert project.current() == ("r0",)


def test_a_table_of_an_earlier_run_is_not(users, tmp_path):
    revisions = {
        "r1": ("op.execute('CREATE TABLE t AS SELECT * FROM users')", "pass"),
        "r2": ("op.create_index('ix', 't', ['name'])", "pass"),
    }
    project = Configured(tmp_path, users, revisions, settings=RAISE)
    project.upgrade("r1")
    with pytest.raises(UnsafeOperation):
        project.upgrade()


def test_a_database_is_made_revision_by_revision_as_test_suites_do(database, tmp_path):
    revisions = {
        "r1": (
            "op.create_table('t', sa.Column('id', sa.Integer, primary_key=True), sa.Column('a', sa.Text()))",
            "pass",
        ),
        "r2": ("op.create_index('ix', 't', ['a'])\nop.alter_column('t', 'a', nullable=False)", "pass"),
        "r3": ("op.alter_column('t', 'a', new_column_name='b')\nop.execute('UPDATE t SET b = 1')", "pass"),
        "r4": ("op.drop_column('t', 'b')\nop.rename_table('t', 'u')", "pass"),
        "r5": ("op.drop_table('u')", "pass"),
    }
    project = Configured(tmp_path, database, revisions, settings=RAISE)
    for revision in revisions:
        project.upgrade(revision)
    assert project.current() == ("r5",)


@pytest.mark.parametrize("mode", ["ACCESS SHARE", "ACCESS EXCLUSIVE"])
def test_what_passes_is_bounded_and_tried_again(users, tmp_path, mode):
    project = guarded(
        tmp_path,
        users,
        "op.add_column('users', sa.Column('nick', sa.Text()))",
        'guard="raise", lock_timeout=0.2, retry_budget=20',
    )
    with held_until_logged(users, "users", mode):
        project.upgrade()
    assert any("waiting for lock to run ALTER TABLE users ADD COLUMN nick" in line for line in project.log)


ENV = 'from safeops import configure; configure(guard="raise", lock_timeout=2.0)'


def test_under_the_runner(users, tmp_path, capsys):
    project = Deploy(tmp_path, users, {"r1": (INDEX, "op.drop_index('ix_users_name')")}, before=ENV)
    assert project.main("upgrade") == 4
    told = said(capsys)
    assert "index-blocks-writes" in told
    assert "S301" in told


def test_plan_and_check_are_not_guarded(users, tmp_path, capsys):
    # The plan shows what it is; the guard speaks when it runs.
    project = Deploy(tmp_path, users, {"r1": (INDEX, "op.drop_index('ix_users_name')")}, before=ENV)
    assert project.main("plan") == 1
    assert "S301" not in said(capsys)
    assert project.main("check") in (0, 1)
    assert "S301" not in said(capsys)
    assert indexes(users) == []
