"""A revision that cannot continue after a stop is found, with what to write; one that can is not reported."""

import os

import pytest
from tests.testing.kits import USERS, kit_of
from tests.testing.sessions import project_in

from safeops.errors import InvalidArgument
from safeops.testing.checks.stopped_anywhere import check
from safeops.testing.failing import Failed
from safeops.testing.stops import upgrade_stopped_after

TWO_CHANGES = """
op.add_column("users", sa.Column("status", sa.String(10)))
op.create_index("ix_users_status", "users", ["status"])
"""
CONCURRENT = """
op.add_column("users", sa.Column("status", sa.String(10)))
with op.get_context().autocommit_block():
    op.create_index("ix_users_status", "users", ["status"], postgresql_concurrently=True)
"""
ONLY_IF_MISSING = """
with op.get_context().autocommit_block():
    op.create_index("ix_users_n", "users", ["n"], postgresql_concurrently=True, if_not_exists=True)
"""
ADDED = "op.execute('INSERT INTO users (n) VALUES (1)')"
SOUND = """
import safeops
safeops.add_required_column("users", sa.Column("status", sa.String(10)), populate=sa.text("'new'"))
safeops.create_index_if_missing("ix_users_status", "users", ["status"])
"""


def flaw_of(folder, database, *upgrades):
    with kit_of(folder, database, *upgrades) as kit, pytest.raises(Failed) as failed:
        check(kit, kit.project.revisions()[-1])
    return failed.value


def test_helpers_pass(tmp_path, database):
    with kit_of(tmp_path, database, USERS, SOUND) as kit:
        check(kit, kit.project.revision("0002"))


@pytest.mark.only("postgresql")
def test_one_transaction_passes(tmp_path, database):
    with kit_of(tmp_path, database, USERS, TWO_CHANGES) as kit:
        for revision in kit.project.revisions():
            check(kit, revision)


@pytest.mark.only("mysql", "sqlite")
def test_half_done_is_reported_as_a_limit_of_alembic(tmp_path, database):
    flaw = flaw_of(tmp_path, database, USERS, TWO_CHANGES)
    assert "fails if it is stopped after statement 1 of 3, and run again: " in flaw.problem
    assert "Plain Alembic has this limit" in flaw.why
    assert any("the version is 0001; column users.status was left over" in text for text in flaw.details)
    assert any("The second run fails at: ALTER TABLE users ADD COLUMN status" in text for text in flaw.details)
    assert flaw.code.splitlines() == [
        "from safeops import add_column_if_missing, create_index_if_missing",
        "",
        'add_column_if_missing("users", sa.Column("status", sa.String(10)))',
        'create_index_if_missing("ix_users_status", "users", ["status"])',
    ]


@pytest.mark.only("mysql", "sqlite")
def test_a_table_that_is_left_is_reported(tmp_path, database):
    flaw = flaw_of(tmp_path, database, USERS)
    assert any("there is no version; table users was left over" in text for text in flaw.details)
    assert "create_table_if_missing('users',\n    sa.Column('id'" in flaw.code


@pytest.mark.only("sqlite")
def test_for_a_copied_table_env_py_begins_the_transaction(tmp_path, database):
    copied = "with op.batch_alter_table('users') as batch:\n    batch.alter_column('n', type_=sa.BigInteger)"
    flaw = flaw_of(tmp_path, database, USERS, copied)
    assert "unless env.py begins the transaction" in flaw.why
    assert "transactional_ddl=True" in flaw.code


@pytest.mark.only("sqlite")
def test_an_index_in_the_definition_of_a_table_has_a_call_too(tmp_path, database):
    flaw = flaw_of(tmp_path, database, f"{USERS[:-1]}, sa.Index('ix_users_n', 'n'))")
    assert "create_table_if_missing('users'," in flaw.code and "create_index_if_missing(" in flaw.code


@pytest.mark.only("postgresql")
def test_a_commit_in_the_middle_is_found(tmp_path, database):
    flaw = flaw_of(tmp_path, database, USERS, CONCURRENT)
    assert "fails if it is stopped" in flaw.problem and "autocommit_block()" in flaw.why
    assert "add_column_if_missing(" in flaw.code and "create_index_if_missing(" in flaw.code


@pytest.mark.only("postgresql")
def test_an_index_that_is_half_built_is_found(tmp_path, database):
    flaw = flaw_of(tmp_path, database, USERS, ONLY_IF_MISSING)
    assert "ends in another state if it is stopped in the middle of statement" in flaw.problem
    assert any("index ix_users_n on users: it is not valid" in text for text in flaw.details)
    assert "create_index_if_missing(" in flaw.code


def test_an_update_that_is_applied_twice_is_found(tmp_path, database):
    twice = "with op.get_context().autocommit_block():\n    op.execute('UPDATE users SET n = n + 1 + 5 % 5')"
    flaw = flaw_of(tmp_path, database, USERS, twice)
    assert "ends in another state if it is stopped after statement 1 of 2" in flaw.problem
    assert any("users.n was" in text for text in flaw.details)
    assert 'backfill("users", {"n": sa.text("n + 1 + 5 % 5")}, where=True)' in flaw.code


@pytest.mark.only("postgresql", "sqlite")
def test_values_that_differ_from_run_to_run_pass(tmp_path, database):
    with kit_of(tmp_path, database, USERS, "op.execute('UPDATE users SET n = random() * 1000')") as kit:
        check(kit, kit.project.revision("0002"))


def test_a_row_whose_key_the_server_counts(tmp_path, database):
    """No rollback returns the number, so the key is another one after a stop; a row that is added twice is found."""
    with kit_of(tmp_path, database, USERS, ADDED, f"with op.get_context().autocommit_block():\n    {ADDED}") as kit:
        check(kit, kit.project.revision("0002"))
        with pytest.raises(Failed, match=r"ends in another state"):
            check(kit, kit.project.revision("0003"))


def test_a_commit_is_followed_by_a_kill(tmp_path, database):
    note = f"import os; open({str(tmp_path / 'pids')!r}, 'a').write(f'{{os.getpid()}} ')"
    with kit_of(tmp_path, database, USERS, f"{note}\n{SOUND}") as kit:
        check(kit, kit.project.revision("0002"))
    pids = (tmp_path / "pids").read_text().split()
    assert {*pids} > {str(os.getpid())}


@pytest.mark.only("mysql", "sqlite")
def test_a_test_of_a_team_stops_after_a_statement(tmp_path, database):
    with kit_of(tmp_path, database, USERS, TWO_CHANGES) as kit, kit.before("0002") as trial:
        upgrade_stopped_after(trial, 1)
        assert trial.current() == ("0001",)
        assert "column users.status" in trial.state().schema
        assert "index ix_users_status on users" not in trial.state().schema
        with pytest.raises(InvalidArgument, match=r"no statement 4.*\n  1\. ALTER TABLE users ADD COLUMN"):
            upgrade_stopped_after(trial, 4)


@pytest.mark.only("pg18")
def test_statements_that_change_nothing_are_not_counted(tmp_path, database):
    with (
        kit_of(tmp_path, database, USERS, SOUND) as kit,
        kit.before("0002") as trial,
        pytest.raises(InvalidArgument) as caught,
    ):
        upgrade_stopped_after(trial, 99)
    listed = str(caught.value)
    assert ". ALTER TABLE users ADD COLUMN" in listed
    assert "PREPARE" not in listed and " BEGIN" not in listed
    assert max(map(len, listed.splitlines())) < 200


STOPPED = """
import sqlalchemy as sa


def test_what_stays(stopped_after, rows):
    database = stopped_after(1, "0002")
    assert database.current() == ("0001",)
    assert [row["status"] for row in rows(database, "users")] == [None] * 10


def test_the_last_revision_is_the_default(stopped_after):
    assert stopped_after(1).revision.revision == "0002"
"""


@pytest.mark.only("sqlite")
def test_the_fixture(tmp_path):
    project = project_in(tmp_path, "sqlite:///own.sqlite")
    project.chain((USERS, "pass"), (TWO_CHANGES, "pass"))
    project.file("tests/test_own.py", STOPPED)
    assert project.pytest("tests/test_own.py::test_what_stays", "tests/test_own.py")["passed"] == 2
