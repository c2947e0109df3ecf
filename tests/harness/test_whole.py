"""What the default run leaves out, and that --whole and the names of servers add."""

import subprocess
import sys

from tests.servers import CORE, ROOT
from tests.whole import _chosen

MODULES = ("tests/harness/test_servers.py", "tests/harness/test_lifecycle.py")


def collected(*options: str) -> set[str]:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *options, *MODULES]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return {line.rpartition("::")[2] for line in done.stdout.splitlines() if "::" in line}


def test_by_default_a_mechanism_is_tried_once_and_a_life_on_each_of_the_core():
    names = collected()
    assert "test_each_database_is_new_and_empty[pg18]" in names
    assert "test_each_database_is_new_and_empty[sqlite]" not in names
    assert "test_foreign_keys_on_request[sqlite]" in names
    lives = {name for name in names if name.startswith("test_what_does_not_look_fails")}
    assert lives == {f"test_what_does_not_look_fails[{server}]" for server in ("pg18", "mariadb", "sqlite")}


def test_with_whole_a_life_runs_on_each_kind_and_a_case_on_two_servers():
    names = collected("--whole")
    assert {f"test_what_does_not_look_fails[{server}]" for server in ("pg18", "mariadb", "sqlite")} <= names
    generic = {name for name in names if name.startswith("test_each_database_is_new_and_empty")}
    assert "test_each_database_is_new_and_empty[pg18]" in generic
    assert len(generic & {f"test_each_database_is_new_and_empty[{server}]" for server in ("mariadb", "sqlite")}) == 1
    everywhere = collected("--exhaustive")
    assert names < everywhere
    assert {f"test_each_database_is_new_and_empty[{server}]" for server in ("pg18", "mysql97", "sqlite")} <= everywhere
    assert "test_every_postgresql_starts[pg14]" in everywhere


def test_cases_are_spread_over_the_servers():
    core, spread = {*CORE}, range(12)
    assert all(_chosen(number, core, "pg18", alone=False) - {"pg18"} for number in spread)
    assert set.union(*(_chosen(number, core, "pg18", alone=False) for number in spread)) == core
    assert all(len(_chosen(number, core, "pg18", alone=True)) == 1 for number in spread)
    assert set.union(*(_chosen(number, core, "pg18", alone=True) for number in spread)) == core
    assert _chosen(1, {"pg18", "mysql97"}, "pg18", alone=True) == core, "no further one of the core"
    assert _chosen(1, {"pg18", "sqlite"}, "pg18", alone=False) == core, "a test for these two alone"


def test_all_run_on_the_requested_servers():
    names = collected("--databases", "mysql97,sqlite")
    assert {f"test_each_database_is_new_and_empty[{server}]" for server in ("mysql97", "sqlite")} <= names
    assert not [name for name in names if "pg18" in name]
