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

FEW = 12


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setattr("safeops.authoring.init.try_env", lambda *_: None)
    assert main(["init"]) == 0
    return tmp_path


def with_url(project: Path, url: str) -> None:
    substitute(project / "alembic.ini", r"(?m)^sqlalchemy\.url =.*$", f"sqlalchemy.url = {url}")


def few_lines(printed: str) -> str:
    assert "Traceback" not in printed
    assert len([line for line in printed.splitlines() if line.strip()]) <= FEW
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


@pytest.mark.parametrize(
    ("begins", "remedy"),
    [
        ("postgres", "postgresql+psycopg://user:password@localhost/database"),
        ("mysql+nosuch", "mysql+pymysql://user:password@localhost/database"),
        ("mysql+asyncmy", "pip install asyncmy"),
        ("mysql", "pip install mysqlclient"),
    ],
)
def test_a_url_without_a_driver(project: Path, begins: str, remedy: str, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"{begins}://u:S3cret@127.0.0.1/x"
    with_url(project, url)
    shown = few_lines(alembic(project, "upgrade head", fails=True))
    assert remedy in shown
    capsys.readouterr()
    assert main(["status"]) == 4
    (project / "a.dump").touch()
    assert main(["restore", "a.dump", "--into", url]) == 4
    shown += (told := "".join(capsys.readouterr()))
    assert "S001" in told
    assert "S3cret" not in shown


@pytest.mark.parametrize("verb", ["restore a.dump --into", "check --scratch-url", "stamp base --verify --scratch-url"])
@pytest.mark.parametrize("driver", ["postgresql+psycopg", "mysql+pymysql"])
def test_an_option_with_a_password_that_has_an_at_sign(
    project: Path, verb: str, driver: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with_url(project, f"sqlite:///{project}/live.sqlite")
    revision(project, "pass", "pass", message="nothing")
    alembic(project, "upgrade head")
    (project / "a.dump").touch()
    capsys.readouterr()
    assert main([*verb.split(), f"{driver}://u:S3@cret@127.0.0.1:1/x"]) == 4
    told = "".join(capsys.readouterr())
    assert "contains an @" in told
    assert "cret" not in told.replace("secret", "")


PLACEHOLDERS = ("set by DATABASE_URL", "postgresql://${USER}:${PASSWORD}@${HOST}:${PORT}/x", "postgresql://u:p:q@h:r/x")


@pytest.mark.parametrize("written", PLACEHOLDERS)
def test_the_url_of_the_file_does_not_matter_if_it_is_not_used(project: Path, written: str) -> None:
    url = f"sqlite:///{project}/live.sqlite"
    with_url(project, written)
    alembic(project, f"-x url={url} upgrade head")
    alembic(project, "upgrade head", DATABASE_URL=url)
    assert (project / "live.sqlite").is_file()
    assert "cannot be read" in few_lines(alembic(project, "upgrade head", fails=True))


def test_env_may_fill_in_what_the_file_leaves_open(project: Path) -> None:
    with_url(project, f"sqlite:///{project}/%(DB_NAME)s.sqlite")
    assert "%(name)s without a value" in few_lines(alembic(project, "upgrade head", fails=True))
    line = r"(?m)^configure\(lock_timeout=2.0.*\)$"
    substitute(
        project / "migrations/env.py",
        line,
        'configure(lock_timeout=2.0)\nconfig.set_section_option("alembic", "DB_NAME", "a")',
    )
    alembic(project, "upgrade head")
    assert (project / "a.sqlite").is_file()


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


def test_an_error_of_env_is_reported_with_its_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_url(project, f"sqlite:///{project}/live.sqlite")
    substitute(project / "migrations/env.py", r"(?m)^target_metadata = None$", "from no_such_app import Base")
    line = (project / "migrations/env.py").read_text().splitlines().index("from no_such_app import Base") + 1
    capsys.readouterr()
    assert main(["upgrade"]) == 4
    assert f"No module named 'no_such_app' (migrations/env.py:{line})" in " ".join(capsys.readouterr().err.split())
