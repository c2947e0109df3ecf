"""Two runners without a lock are found in each run; with one they are not reported."""

import argparse
import multiprocessing
import os

import pytest
from tests.testing.kits import LOCKED, USERS, kit_of

from safeops.testing import children
from safeops.testing.checks.two_at_once import check
from safeops.testing.failing import Failed

PLAIN = 'op.add_column("users", sa.Column("status", sa.String(10)))'
HELPERS = """
import safeops
safeops.add_required_column("users", sa.Column("status", sa.String(10)), populate=sa.text("'new'"))
"""
OWN_LOCK = """connection.execute(sa.text("SELECT pg_advisory_lock(7)"))
        connection.commit()
        with context.begin_transaction():"""
IS_CHILD = f"import os, time; is_child = os.getpid() != {os.getpid()}"


def flaw_of(folder, database, upgrade, **options):
    with kit_of(folder, database, USERS, upgrade, **options) as kit, pytest.raises(Failed) as failed:
        check(kit, kit.project.revision("0002"))
    assert not multiprocessing.active_children()
    return failed.value


@pytest.mark.parametrize("upgrade", [PLAIN, HELPERS, "pass"])
def test_two_runners_without_a_lock_are_found(tmp_path, database, upgrade):
    flaw = flaw_of(tmp_path, database, upgrade)
    assert "0002 (0002): two upgrades at once, and one fails (the other one succeeds): " in flaw.problem
    assert "Both had read the version before one of them wrote it." in flaw.details
    assert "with migration_lock(connection), context.begin_transaction():" in flaw.code


def test_the_first_revision_of_all_is_found(tmp_path, database):
    with kit_of(tmp_path, database, USERS) as kit, pytest.raises(Failed) as failed:
        check(kit, kit.project.revision("0001"))
    assert "0001 (0001): two upgrades at once" in failed.value.problem
    # Elsewhere one of them may find the table that the other has created.
    if database.url.get_backend_name() == "postgresql":
        assert "created Alembic's table of versions" in failed.value.why


@pytest.mark.parametrize("upgrade", [PLAIN, HELPERS])
def test_with_the_lock_one_finds_nothing_to_do(tmp_path, database, upgrade):
    with kit_of(tmp_path, database, USERS, upgrade, begin=LOCKED) as kit:
        for revision in kit.project.revisions():
            check(kit, revision)


@pytest.mark.only("postgresql")
def test_a_lock_of_the_team_passes(tmp_path, database):
    with kit_of(tmp_path, database, USERS, PLAIN, begin=OWN_LOCK) as kit:
        check(kit, kit.project.revision("0002"))


@pytest.mark.only("postgresql")
def test_a_lock_of_the_team_that_gives_up_is_found(tmp_path, database):
    begin = OWN_LOCK.replace("SELECT pg", "SET lock_timeout = '10ms'; SELECT pg")
    flaw = flaw_of(tmp_path, database, PLAIN, begin=begin)
    assert "lock timeout" in flaw.problem
    assert "it waited for the other one, and gave up" in flaw.why


@pytest.mark.only("postgresql")
def test_a_lock_of_the_team_for_which_the_other_one_waits_in_a_transaction(tmp_path, database):
    body = """
with op.get_context().autocommit_block():
    op.execute("SET lock_timeout = '300ms'")
    op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_n")
    op.create_index("ix_n", "users", ["n"], postgresql_concurrently=True)
"""
    flaw = flaw_of(tmp_path, database, body, begin=OWN_LOCK)
    assert "the two wait for each other" in flaw.why
    assert not any("Both had read the version" in text for text in flaw.details)


@pytest.mark.only("sqlite")
def test_a_runner_that_hangs_is_ended_and_reported(tmp_path, database, monkeypatch):
    monkeypatch.setattr(children, "PATIENCE", 1.0)
    flaw = flaw_of(tmp_path, database, f"{IS_CHILD}; time.sleep(600 * is_child)", begin=LOCKED)
    assert "it did not end: for 1 s it did nothing new" in flaw.problem


@pytest.mark.only("sqlite")
def test_a_runner_that_dies_is_reported(tmp_path, database):
    flaw = flaw_of(tmp_path, database, f"{IS_CHILD}; is_child and os._exit(3)", begin=LOCKED)
    assert "its process died with exit status 3" in flaw.problem


@pytest.mark.only("sqlite")
def test_a_runner_has_the_variables_and_the_arguments_of_this_process(tmp_path, database, monkeypatch):
    look = "import os; assert os.environ['SHOP'] == 'open' and context.get_x_argument(as_dictionary=True)['shop'] == 'open'"
    with kit_of(tmp_path, database, USERS, look, begin=LOCKED) as kit:
        monkeypatch.setenv("SHOP", "open")
        kit.project.config.cmd_opts = argparse.Namespace(x=["shop=open"])
        check(kit, kit.project.revision("0002"))
