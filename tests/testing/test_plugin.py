"""The plug-in collects the tests of a project as pytest collects others, and stays out of the way without its option."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.testing.sessions import EMAIL, ROOT, USERS, TeamProject, project_in

INDEX = ("op.create_index('ix_email', 'users', ['email'])", "op.drop_index('ix_email', 'users')")
CHECKED = ("-k", "up_down_up or offline")


@pytest.fixture
def project(tmp_path: Path) -> TeamProject:
    made = project_in(tmp_path, "sqlite:///own.sqlite")
    made.chain(USERS, EMAIL, INDEX)
    made.file("tests/test_own.py", "def test_own(): pass")
    made.file("tests/test_skipped.py", "import pytest; pytest.importorskip('not_installed')")
    return made


def collected(project: TeamProject, *arguments: str) -> list[str]:
    output = project.pytest("--collect-only", *arguments).output
    return [line for line in output.splitlines() if "::" in line]


# Collection -----------------------------------------------------------------------------------------------------


def test_each_revision_has_seven_tests_with_readable_ids(project: TeamProject) -> None:
    found = collected(project)
    assert len(found) == 3 * 7 + 1
    # All tests of a revision come one after another: they share a template.
    assert [one.partition("[")[2] for one in found if "[" in one] == ["0001]"] * 7 + ["0002]"] * 7 + ["0003]"] * 7


def test_an_id_has_the_message_of_the_revision(tmp_path: Path) -> None:
    project = project_in(tmp_path, "sqlite:///own.sqlite")
    project.write("1a2b", USERS, message="Add the users, at last.\n\nMore.")
    assert "alembic.ini::test_up_down_up[1a2b_add_the_users_at_last]" in collected(project)


@pytest.mark.parametrize("arguments", [["."], ["tests"], ["alembic.ini", "tests"], [".", "alembic.ini"]])
def test_the_project_is_collected_once(project: TeamProject, arguments: list[str]) -> None:
    assert len(collected(project, *arguments)) == 3 * 7 + 1


def test_the_project_is_collected_also_if_tests_are_elsewhere(project: TeamProject) -> None:
    project.file("pytest.ini", "[pytest]\ntestpaths = tests\n")
    assert len(collected(project)) == 3 * 7 + 1


def test_a_node_id_selects_that_test_alone(project: TeamProject) -> None:
    assert collected(project, "tests/test_own.py::test_own") == ["tests/test_own.py::test_own"]
    one = "alembic.ini::test_offline[0002]"
    assert collected(project, one) == [one]
    assert project.pytest(one)["passed"] == 1


def test_k_and_m_select(project: TeamProject) -> None:
    assert len(collected(project, "-k", "0002")) == 7
    assert collected(project, "-m", "offline") == [f"alembic.ini::test_offline[000{n}]" for n in (1, 2, 3)]
    assert collected(project, "-m", "not safeops") == ["tests/test_own.py::test_own"]


def test_since_selects_the_revisions_after_one(project: TeamProject) -> None:
    assert {one[-5:] for one in collected(project, "-m", "safeops", "--safeops-since", "0002")} == {"0003]"}


def test_pyproject_may_have_the_configuration(project: TeamProject) -> None:
    (project.folder / "alembic.ini").unlink()
    project.file("pyproject.toml", '[tool.alembic]\nscript_location = "%(here)s/migrations"\n')
    assert "pyproject.toml::test_bounded[0001]" in collected(project)


def test_a_configuration_in_another_folder_is_named(project: TeamProject) -> None:
    (project.folder / "backend").mkdir()
    for name in ("alembic.ini", "migrations"):
        (project.folder / name).rename(project.folder / "backend" / name)
    # As Alembic itself takes it: relative to the folder in which it is run.
    project.file(
        "backend/alembic.ini", "[alembic]\nscript_location = migrations\nsqlalchemy.url = sqlite:///own.sqlite\n"
    )
    outcome = project.pytest("--safeops-config", "backend/alembic.ini", *CHECKED)
    assert outcome["passed"] == 6, outcome.output


def test_a_module_may_have_the_suite_too(project: TeamProject) -> None:
    project.file("tests/test_revisions.py", "from safeops.testing.suite import *")
    found = collected(project, "tests/test_revisions.py::test_offline")
    assert found == [f"tests/test_revisions.py::test_offline[000{number}]" for number in (1, 2, 3)]


# Running --------------------------------------------------------------------------------------------------------


def test_the_own_database_is_never_touched(project: TeamProject) -> None:
    outcome = project.pytest(*CHECKED)
    assert (outcome.status, outcome["passed"]) == (0, 6), outcome.output
    assert not (project.folder / "own.sqlite").exists()


def test_the_failed_ones_are_run_again_by_lf(project: TeamProject) -> None:
    project.write("0004", ("op.drop_index('ix_email', 'users')", "pass"), down="0003")
    assert project.pytest(*CHECKED)["failed"] == 1
    again = project.pytest("--lf")
    assert (again["failed"], again["passed"]) == (1, 0), again.output


def test_workers_of_xdist_share_the_work(project: TeamProject) -> None:
    outcome = project.pytest("-n", "2", *CHECKED)
    assert (outcome.status, outcome["passed"]) == (0, 6), outcome.output


def test_a_failure_names_the_revision_and_how_to_run_it_alone(project: TeamProject) -> None:
    project.write("0004", ("op.drop_index('ix_email', 'users')", "pass"), down="0003", message="drop it")
    output = project.pytest("-k", "up_down_up").output
    assert "0004 (drop it) has an empty downgrade() (0004.py:" in output
    assert "pytest --safeops 'alembic.ini::test_up_down_up[0004_drop_it]'" in output
    assert "Traceback" not in output and "kit.py" not in output


def test_without_the_option_nothing_is_collected_or_imported(project: TeamProject) -> None:
    assert project.pytest(safeops=False)["passed"] == 1
    names = ("sqlalchemy", "alembic", "safeops.testing.session")
    code = f"import safeops.testing.plugin, sys; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "src", capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# One clear error ------------------------------------------------------------------------------------------------


def refusal(project: TeamProject, *arguments: str, **environment: str) -> str:
    """Return the message with which pytest refuses to run; it has no traceback."""
    outcome = project.pytest(*arguments, **environment)
    assert outcome.status == pytest.ExitCode.USAGE_ERROR, outcome.output
    assert "Traceback" not in outcome.output
    return outcome.output


def test_a_file_that_does_not_load_is_named(project: TeamProject) -> None:
    (project.folder / "migrations/versions/0002.py").write_text("import nothing_of_that_name\n")
    assert "0002.py:1: ModuleNotFoundError" in refusal(project)


def test_several_heads_are_refused(project: TeamProject) -> None:
    project.write("other", EMAIL, down="0001")
    assert "The revisions have 2 heads: 0003, other." in refusal(project)


def test_a_missing_env_py_is_refused(project: TeamProject) -> None:
    (project.folder / "migrations/env.py").unlink()
    assert "There is no env.py in" in refusal(project)


def test_a_missing_driver_is_named(project: TeamProject) -> None:
    project.file(
        "alembic.ini", "[alembic]\nscript_location = %(here)s/migrations\nsqlalchemy.url = mysql+asyncmy://u@h/d\n"
    )
    output = refusal(project)
    assert "The driver of the database URL cannot be imported" in output
    assert "pip install asyncmy" in output


def test_an_env_py_that_fails_is_named(project: TeamProject) -> None:
    env = project.folder / "migrations/env.py"
    text = env.read_text()
    env.write_text("import sys\nsys.exit('pass -x db=URL')\n" + text)
    assert "env.py:2): ProcessExit: pass -x db=URL" in refusal(project)
    env.write_text("import os\nos.environ['NEEDED']\n" + text)
    assert "KeyError: 'NEEDED'" in refusal(project)
    assert project.pytest("-k", "up_down_up", NEEDED="1")["passed"] == 3


def test_a_database_with_tables_is_refused(project: TeamProject) -> None:
    import sqlite3

    with sqlite3.connect(project.folder / "used.sqlite") as connection:
        connection.execute("CREATE TABLE t (id INTEGER)")
    output = refusal(project, "--safeops-url", "sqlite:///used.sqlite")
    assert "The database at --safeops-url is not empty: it has table t" in output


def test_a_server_that_cannot_be_reached_is_reported_once(project: TeamProject) -> None:
    output = refusal(project, "--safeops-url", "postgresql+psycopg://u@127.0.0.1:1/d")
    assert "The database at --safeops-url cannot be reached: " in output


def test_a_missing_project_is_reported(tmp_path: Path) -> None:
    assert "--safeops: there is no alembic.ini" in refusal(TeamProject(tmp_path))


def test_a_server_that_cannot_be_started_must_be_named(project: TeamProject) -> None:
    project.file(
        "alembic.ini", "[alembic]\nscript_location = %(here)s/migrations\nsqlalchemy.url = mysql+pymysql://u@h/d\n"
    )
    output = refusal(project)
    assert "--safeops-url is missing, and no temporary MySQL can be started." in output
    assert "pytest --safeops --safeops-url URL" in output
