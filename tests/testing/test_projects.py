"""The kit finds the fault of each project, and nothing on the sound ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from tests.servers import Database
from tests.testing import elsewhere, faults, helpers, variations
from tests.testing.environments import by_init
from tests.testing.making import Made
from tests.testing.running import Outcome, run_kit

# Runs of many projects, each with a start of pytest.
pytestmark = pytest.mark.timeout(1200)
FAULTY = {"pg18": (*faults.FAULTY, *variations.FAULTY_ENVS), **elsewhere.FAULTY}
SOUND = {"pg18": Made("sound", faults.ENV, faults.SOUND), **elsewhere.SOUND}
SHORT = ("no migration lock", "no lock timeout", "losses")
"""The projects of a run without --whole: faults of env.py, and the fault that is found by chance if it is found badly."""

NewDatabase = Callable[[], Database]


@pytest.mark.only("pg18")
@pytest.mark.parametrize("name", SHORT)
def test_a_fault_is_found_and_no_other(new_database: NewDatabase, name: str, tmp_path: Path) -> None:
    _find([one for one in FAULTY["pg18"] if one.name == name], new_database, tmp_path)


@pytest.mark.whole
@pytest.mark.only("pg18")
def test_each_fault_is_found_on_postgresql(new_database: NewDatabase, tmp_path: Path) -> None:
    _find([one for one in FAULTY["pg18"] if one.name not in SHORT], new_database, tmp_path)


@pytest.mark.whole
@pytest.mark.only("sqlite")
def test_each_fault_is_found_on_sqlite(new_database: NewDatabase, tmp_path: Path) -> None:
    _find(FAULTY["sqlite"], new_database, tmp_path)


@pytest.mark.whole
@pytest.mark.only("mariadb")
def test_each_fault_is_found_on_mariadb(new_database: NewDatabase, tmp_path: Path) -> None:
    _find(FAULTY["mariadb"], new_database, tmp_path)


@pytest.mark.only("pg18", "mariadb", "sqlite")
def test_nothing_is_found_in_a_sound_project(new_database: NewDatabase, server_name: str, tmp_path: Path) -> None:
    _find([SOUND[server_name]], new_database, tmp_path)


@pytest.mark.whole
@pytest.mark.only("pg18")
def test_nothing_is_found_with_a_sound_env_py(new_database: NewDatabase, tmp_path: Path) -> None:
    _find(variations.SOUND_ENVS, new_database, tmp_path)


@pytest.mark.whole
@pytest.mark.only("pg18")
def test_nothing_is_found_in_a_project_with_helpers(new_database: NewDatabase, tmp_path: Path) -> None:
    _find([Made("helpers", by_init(), helpers.SOUND)], new_database, tmp_path)


@pytest.mark.exhaustive
@pytest.mark.only("mariadb", "mysql97", "sqlite")
def test_nothing_is_found_in_one_elsewhere(new_database: NewDatabase, tmp_path: Path) -> None:
    _find([Made("helpers", by_init(), helpers.SOUND)], new_database, tmp_path)


def _find(projects: Iterable[Made], new_database: NewDatabase, folder: Path) -> None:
    """Assert that exactly the expected tests fail in each project."""
    for project in projects:
        outcome = _run(project, new_database(), folder / project.name.replace(" ", "_"))
        assert not outcome.errors, outcome.output
        assert set(outcome.failed) == project.expected, f"{project}\n{outcome.output}"


def _run(project: Made, database: Database, folder: Path) -> Outcome:
    folder.mkdir()
    project.write(folder, database.url.render_as_string(hide_password=False))
    # What is deployed has no release before it.
    return run_kit(folder, database.url, "--safeops-since=0001")
