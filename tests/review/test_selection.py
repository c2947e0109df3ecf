"""Which revisions a review is about."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from tests.review.recorded import project

from safeops.errors import InvalidArgument, SafeOpsError
from safeops.review.selection import Selection, selected


def names(selection: Selection) -> list[str]:
    return [script.revision for script in selection.scripts]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Three revisions, and no database."""
    return project(tmp_path / "migrations", "", "", "")


@pytest.mark.parametrize(
    ("asked", "expected", "one_run"),
    [
        (["r1"], ["r1"], False),
        (["head"], ["r2"], False),
        (["r2", "r0"], ["r0", "r2"], False),
        (["r0:r2"], ["r1", "r2"], True),
        ([":r1"], ["r0", "r1"], True),
        (["r0:"], ["r1", "r2"], True),
    ],
)
def test_revisions_by_name(config: Config, asked: list[str], expected: list[str], one_run: bool) -> None:
    selection = selected(config, asked)
    assert (names(selection), selection.one_run) == (expected, one_run)


def test_revisions_by_file(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert names(selected(config, ["migrations/versions/r1_one.py"])) == ["r1"]
    assert names(selected(config, [str(tmp_path / "migrations/versions/r0_one.py")])) == ["r0"]


@pytest.mark.parametrize("asked", ["r9", "r0:r9", "r2:r0", "nowhere.py", "", "base"])
def test_what_is_not_there_is_refused(config: Config, asked: str) -> None:
    with pytest.raises(InvalidArgument):
        selected(config, [asked])
    with pytest.raises(InvalidArgument):
        selected(config, since="nowhere")


def test_a_file_without_a_revision_is_refused(config: Config, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("")
    with pytest.raises(InvalidArgument, match="is not a revision of this project"):
        selected(config, [str(tmp_path / "other.py")])


def test_all_and_those_that_follow_one(config: Config) -> None:
    assert names(selected(config, all_=True)) == ["r0", "r1", "r2"]
    assert not selected(config, all_=True).one_run
    following = selected(config, since="r0")
    assert names(following) == ["r1", "r2"] and following.one_run


def test_branches_that_follow_one(config: Config, tmp_path: Path) -> None:
    text = (tmp_path / "migrations/versions/r1_one.py").read_text()
    (tmp_path / "migrations/versions/other.py").write_text(text.replace("'r1'", "'other'"))
    assert set(names(selected(config, since="r0"))) == {"r1", "r2", "other"}


# By git ---------------------------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> None:
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, env={**os.environ, **who})


@pytest.fixture
def repository(tmp_path: Path) -> Config:
    """r0 is on the main branch; on another one r1 was committed, and r2 was not."""
    config = project(tmp_path / "migrations", "")
    git(tmp_path, "init", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "one")
    git(tmp_path, "switch", "-c", "work")
    project(tmp_path / "migrations", "", "")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "two")
    project(tmp_path / "migrations", "", "", "")
    return config


def test_without_a_database_it_is_what_the_main_branch_lacks(repository: Config, tmp_path: Path) -> None:
    selection = selected(repository)
    assert names(selection) == ["r1", "r2"] and selection.one_run
    assert selection.why.startswith("added or changed since main, because the database cannot be reached")
    assert names(selected(repository, since="main")) == ["r1", "r2"]
    assert names(selected(repository, since="work")) == ["r2"]
    (tmp_path / "migrations/versions/r0_one.py").write_text(
        (tmp_path / "migrations/versions/r0_one.py").read_text() + "\n# Changed.\n"
    )
    assert names(selected(repository, since="HEAD")) == ["r0", "r2"]


def test_later_commits_of_the_main_branch_are_not_reviewed(repository: Config, tmp_path: Path) -> None:
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "three")
    git(tmp_path, "switch", "main")
    versions = tmp_path / "migrations/versions"
    (versions / "theirs.py").write_text((versions / "r0_one.py").read_text().replace("'r0'", "'theirs'"))
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "theirs")
    git(tmp_path, "switch", "work")
    assert names(selected(repository)) == ["r1", "r2"]


def test_a_renamed_file_is_not_a_changed_one(repository: Config, tmp_path: Path) -> None:
    git(tmp_path, "mv", "migrations/versions/r0_one.py", "migrations/versions/renamed.py")
    assert names(selected(repository)) == ["r1", "r2"]


def test_on_the_main_branch_itself_it_is_all(repository: Config, tmp_path: Path) -> None:
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "three")
    git(tmp_path, "branch", "-D", "main")
    git(tmp_path, "branch", "-m", "main")
    assert names(selected(repository)) == ["r0", "r1", "r2"]


def test_without_git_it_is_all(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert names(selected(config)) == ["r0", "r1", "r2"]


# By the database ------------------------------------------------------------------------------------------------


def test_what_is_pending_on_the_database(tmp_path: Path) -> None:
    config = project(tmp_path, "", "", "", url=f"sqlite:///{tmp_path / 'app.db'}")
    assert names(selected(config)) == ["r0", "r1", "r2"]
    assert not (tmp_path / "app.db").exists()
    command.upgrade(config, "r0")
    selection = selected(config)
    assert names(selection) == ["r1", "r2"] and selection.one_run
    assert selection.why == "pending on the database"
    command.upgrade(config, "head")
    assert names(selected(config)) == []


def test_a_database_at_a_revision_that_no_file_has(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    config = project(tmp_path, "", url=url)
    command.upgrade(config, "head")
    with sa.create_engine(url).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'gone'")
    assert "the database is at gone, and no file has that revision" in selected(config).why


def test_a_server_that_is_silent_is_not_waited_for(tmp_path: Path) -> None:
    # An address that is reserved, and answers nothing.
    config = project(tmp_path, "", url="postgresql+psycopg://nobody@192.0.2.1:5432/app")
    started = time.monotonic()
    assert names(selected(config)) == ["r0"]
    assert time.monotonic() - started < 20


def test_files_that_cannot_be_loaded_are_reported(config: Config, tmp_path: Path) -> None:
    (tmp_path / "migrations/versions/broken.py").write_text("revision = ")
    with pytest.raises(SafeOpsError, match=r"broken\.py"):
        selected(config, all_=True)
