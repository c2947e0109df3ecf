"""What the verbs print: in colours on a terminal, plain where nobody looks."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from safeops.cli import main
from safeops.cli.command import fitting

SHOW = "import sys; from safeops.cli.command import show; show('[bold]3 revisions :tada:')"


def on_a_terminal(code: str) -> str:
    ours, theirs = pty.openpty()
    environ = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "CI")}
    subprocess.run([sys.executable, "-c", code], stdout=theirs, env=environ | {"TERM": "xterm-256color"}, check=True)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    return shown


def test_a_terminal_gets_colours_and_the_text_as_it_is() -> None:
    pytest.importorskip("rich")
    shown = on_a_terminal(SHOW)
    assert "\x1b[" in shown
    assert "bold" in shown
    assert ":tada:" in shown


def test_without_rich_a_terminal_gets_plain_text() -> None:
    assert (
        on_a_terminal(f"import sys; sys.modules['rich.console'] = None; {SHOW}").strip() == "[bold]3 revisions :tada:"
    )


def test_a_pipe_gets_plain_text() -> None:
    assert subprocess.check_output([sys.executable, "-c", SHOW], text=True) == "[bold]3 revisions :tada:\n"


def test_where_there_is_no_project_it_says_how_to_name_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for verb in ("status", "plan", "backup", "upgrade", "rollback", "heads", "check", "review"):
        assert main([verb]) == 4
        said = capsys.readouterr()
        assert "There is no Alembic project here: there is no file alembic.ini." in said.err, verb
        assert "safeops -c path/to/alembic.ini" in said.err
        assert said.out == ""
    assert not list(tmp_path.iterdir())


def test_a_configuration_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.ini").write_text("[alembic]\nscript_location = %(here)s\n")
    assert main(["-c", "nosuch.ini", "heads"]) == 4
    assert "There is no file nosuch.ini." in capsys.readouterr().err
    assert main(["-c", "here.ini", "-n", "nosuch", "heads"]) == 4
    assert "here.ini has no section [nosuch]." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["frob"], "'review')"),
        (["upgrade", "--wait", "-5"], "'-5' is no number of seconds: give 0 or more"),
        (["upgrade", "--health-patience", "nan"], "'nan' is no number of seconds"),
        (["backup", "--keep", "0"], "'0' is no number of backups: give 1 or more"),
    ],
)
def test_arguments_that_are_wrong_are_told_in_lines_that_fit(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 4
    said = capsys.readouterr().err
    assert told in " ".join(said.split())
    assert max(map(len, said.splitlines())) <= 80


def test_code_in_a_message_is_not_broken() -> None:
    code = "    safeops upgrade --health-check http://localhost:8000/health --rollback-on-failure  [S001]"
    assert list(fitting(f"{'word ' * 20}\n{code}"))[-1] == code
