"""``safeops heads``: one head, or the revision that makes one of several."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.runner.deploys import Deploy, printed, said, table
from tests.servers import Database

pytestmark = pytest.mark.only("sqlite")


def test_heads_are_shown_and_merged(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Deploy(tmp_path, database, {})
    assert project.main("heads", "--merge") == 0
    assert said(capsys) == "There are no revisions yet.\n"
    project.write("r1", *table("one"), down=None)
    assert project.main("heads", "--merge") == 0
    assert said(capsys) == "There is one head: nothing to merge.\nr1\n"
    for name in ("a", "b"):
        project.write(name, *table(name), down="r1")
    assert project.main("heads") == 1
    assert "safeops heads --merge" in said(capsys)
    assert project.main("heads", "--merge", "--json") == 0
    found = printed(capsys)
    assert Path(found["merged"]).exists()
    assert [one["message"] for one in found["heads"]] == ["merge a and b"]
    assert project.main("upgrade") == 0


@pytest.mark.filterwarnings("error")
def test_files_that_do_not_load(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Deploy(tmp_path, database, {"r1": table("one"), "r2": table("two"), "r3": table("three")})
    versions = tmp_path / "migrations/versions"
    (versions / "r1.py").write_text("revision = 'r1'\nx = 1; down_revision = 'r0'\ndepends_on = ('r2', 'gone')\n")
    assert _reported_by_each(project, capsys) == [
        "r1.py:2: down_revision is 'r0', and no file has that revision",
        "r1.py:3: depends_on is 'gone', and no file has that revision",
    ]
    (versions / "r2.py").write_text("revision = 'r2'\n\n\ndef upgrade(:\n")
    (versions / "r3.py").write_text("revision = 'r3'\nimport nowhere\n")
    (versions / "r4.py").write_text("revision = 'r4'\n")
    broken = [
        "r2.py:4: SyntaxError: invalid syntax (r2.py, line 4)",
        "r3.py:2: ModuleNotFoundError: No module named 'nowhere'",
        "r4.py:1: down_revision is missing",
    ]
    assert _reported_by_each(project, capsys) == broken
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert project.main("check") == 1
    shown = [one for one in capsys.readouterr().out.splitlines() if one.startswith("::error ")]
    assert len(shown) == 3 and "r2.py,line=4,title=safeops check::SyntaxError" in shown[0]
    for name, down in (("r1", "r3"), ("r2", "r1"), ("r3", "r2"), ("r4", None)):
        project.write(name, "pass", down=down)
    (told,) = _reported_by_each(project, capsys)
    assert told.startswith("Cycle is detected in revisions")


def _reported_by_each(project: Deploy, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Returns what the commands report, and checks that check finds the same."""
    for verb in ("upgrade", "status", "plan", "rollback"):
        assert project.main(verb) == 4
        assert "The revisions cannot be loaded:" in said(capsys)
    assert project.main("heads", "--json") == 4
    found: list[str] = [line.strip() for line in printed(capsys)["error"]["message"].splitlines() if line[:2] == "  "]
    assert project.main("check", "--json") == 1
    for one, told in zip(printed(capsys)["findings"], found, strict=False):
        place = f"{Path(one['file']).name}:{one['line']}: " if one["file"] else ""
        assert (one["kind"], one["level"], f"{place}{one['message']}") == ("load", "error", f"{told}.")
    assert found.pop().startswith("safeops check")
    return found
