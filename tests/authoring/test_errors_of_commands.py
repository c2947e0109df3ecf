"""Under plain `alembic` too, errors end in a few lines, and no part of a password is printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from tests.authoring.commands import alembic, revision, substitute
from tests.servers import _free_port

from safeops import SafeOpsError, UnknownTable, Unreachable
from safeops.cli import main

FEW = 14


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setattr("safeops.authoring.projects.init.try_env", lambda *_: None)
    assert main(["init"]) == 0
    return tmp_path


def with_url(project: Path, url: str) -> None:
    substitute(project / "alembic.ini", r"(?m)^sqlalchemy\.url =.*$", f"sqlalchemy.url = {url}")


def few_lines(printed: str) -> str:
    assert "Traceback" not in printed
    # Alembic prints a message, and logs it.
    assert len(printed.splitlines()) <= 2 * FEW
    return printed


SPELLED = {
    "an @": ("u:S3cr@et@127.0.0.1:{port}/x", "host in its URL contains an @"),
    "a lone %": ("u:S3cr%et@127.0.0.1:{port}/x", "not doubled"),
    "a : after an @": ("u:S3:cr@h:et/x", "cannot be read"),
    "encoded, and no server": ("u:S3cr%%40et@127.0.0.1:{port}/x", "cannot be reached"),
}


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
@pytest.mark.parametrize("spelled", SPELLED)
def test_a_url_that_does_not_connect(
    project: Path, spelled: str, driver: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url, words = SPELLED[spelled]
    with_url(project, f"postgresql+{driver}://" + url.format(port=_free_port()))
    capsys.readouterr()
    shown = [few_lines(alembic(project, "upgrade head", fails=True))]
    assert main(["status"]) == 4
    shown += ["".join(capsys.readouterr())]
    for printed in shown:
        if driver == "psycopg" or "@" not in spelled:
            assert words in " ".join(printed.split())
        assert "S000" not in printed
        assert not any(secret in printed for secret in ("S3", "et@", "S3cr", ":et"))


def test_the_environment_names_a_server_that_is_down(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"mariadb+pymysql://u:secret@127.0.0.1:{_free_port()}/x"
    printed = few_lines(alembic(project, "upgrade head", fails=True, DATABASE_URL=url))
    assert "cannot be reached" in printed
    assert "secret" not in printed
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(Unreachable):
        command.upgrade(Config("alembic.ini"), "head")


def test_an_error_of_a_helper_is_one_of_alembic_too(project: Path) -> None:
    with_url(project, f"sqlite:///{project}/live.sqlite")
    revision(project, 'import safeops; safeops.enforce_not_null("nothing", "a")', "pass", message="wrong")
    printed = few_lines(alembic(project, "upgrade head", fails=True))
    assert "There is no table nothing." in printed
    with pytest.raises(UnknownTable) as caught:
        command.upgrade(Config("alembic.ini"), "head")
    assert isinstance(caught.value, SafeOpsError)
    assert isinstance(caught.value, CommandError)
