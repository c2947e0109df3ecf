"""What the verbs print: in colours on a terminal, plain where nobody looks."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from safeops.cli import main

SHOW = "import sys; from safeops.cli.shown import show; show('[bold]3 revisions :tada:')"


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
    for verb in ("status", "plan", "backup", "upgrade", "rollback", "heads", "check"):
        assert main([verb]) == 4
        said = capsys.readouterr()
        assert "There is no Alembic project here" in said.err, verb
        assert "safeops -c path/to/alembic.ini" in said.err
        assert said.out == ""
    assert not list(tmp_path.iterdir())
