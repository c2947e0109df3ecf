"""Loading revisions runs each of their files: in a project of hundreds that takes longer than the rest of a command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.config import Config
from tests.projects import Project
from tests.runner.hoard import EACH
from tests.servers import Database

from safeops.cli import main
from safeops.runner import check, plan, stamp, status, upgrade

pytestmark = EACH

LOADED = "with open({file!r}, 'a') as file:\n    file.write('x')"


def project_that_counts(folder: Path, database: Database) -> tuple[Project, Callable[[], int]]:
    """A project at its newest revision, and how often files of revisions were loaded since the last question."""
    count = folder / "loaded"
    project = Project(folder, database, {"r1": ("pass", "pass")}, imports=LOADED.format(file=str(count)))

    def loaded() -> int:
        number = len(count.read_text())
        count.write_text("")
        return number

    project.upgrade()
    loaded()
    return project, loaded


@pytest.mark.parametrize("command", [status, plan, upgrade], ids=lambda command: command.__name__)
def test_a_command_loads_the_revisions_once(
    database: Database, tmp_path: Path, command: Callable[[Config], object]
) -> None:
    project, loaded = project_that_counts(tmp_path, database)
    command(project.config)
    assert loaded() == 1


def test_heads_loads_the_revisions_once(database: Database, tmp_path: Path) -> None:
    project, loaded = project_that_counts(tmp_path, database)
    assert main(["-c", str(project.config.config_file_name), "heads"]) == 0
    assert loaded() == 1


def test_an_upgrade_loads_the_revisions_once_more_for_its_plan(database: Database, tmp_path: Path) -> None:
    """The plan runs them: what they keep in their modules must be new for the run itself."""
    project, loaded = project_that_counts(tmp_path, database)
    project.write("r2", "pass", down="r1")
    upgrade(project.config)
    files = 2
    assert loaded() == 2 * files


def test_a_check_loads_the_revisions_once(database: Database, tmp_path: Path) -> None:
    project, loaded = project_that_counts(tmp_path, database)
    check(project.config)
    assert loaded() == 1


def test_a_stamp_loads_the_revisions_once_and_once_in_alembic(database: Database, tmp_path: Path) -> None:
    project, loaded = project_that_counts(tmp_path, database)
    stamp(project.config, "head", verify=True)
    assert loaded() == 2
