"""``safeops heads``: one head, or the revision that makes one of several."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.runner.deploys import Deploy, printed, said, table
from tests.servers import Database

pytestmark = pytest.mark.only("sqlite")


def test_heads_are_shown_and_merged(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Deploy(tmp_path, database, {"r1": table("one")})
    assert project.main("heads", "--merge") == 0
    assert said(capsys) == "r1\n"
    for name in ("a", "b"):
        project.write(name, *table(name), down="r1")
    assert project.main("heads") == 1
    assert "safeops heads --merge" in said(capsys)
    assert project.main("heads", "--merge", "--json") == 0
    found = printed(capsys)
    assert Path(found["merged"]).exists()
    assert [one["message"] for one in found["heads"]] == ["merge a and b"]
    assert project.main("upgrade") == 0


def test_a_file_that_does_not_load(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Deploy(tmp_path, database, {"r1": table("one")})
    project.write("r2", "pass", down="r0")
    assert project.main("heads") == 4
    assert "r0" in said(capsys)
