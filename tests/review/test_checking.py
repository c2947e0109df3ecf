"""``safeops check`` reviews what is new as well; all revisions, if the new ones are not known."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from tests.runner.deploys import Deploy, printed, said, table
from tests.servers import Database

from safeops.review import check_and_review

pytestmark = pytest.mark.only("pg18")

INDEX = 'op.create_index("ix_one_name", "one", ["name"])'
UNDO = 'op.drop_index("ix_one_name", "one")'


@pytest.fixture
def deployed(database: Database, tmp_path: Path) -> Deploy:
    """A project whose table is deployed, and whose next revision builds an index under a lock."""
    made = Deploy(tmp_path, database, {"r1": table("one", 'sa.Column("name", sa.Text)')})
    assert made.main("upgrade") == 0
    made.write("r2", INDEX, UNDO, down="r1")
    return made


def test_what_is_pending_is_reviewed_on_the_scratch_database(
    deployed: Deploy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    assert deployed.main("check") == 1
    told = said(capsys)
    assert "2 revisions: no errors" in told and "1 revision: 1 unsafe" in told
    assert "unsafe: index-blocks-writes" in told and "reviewed on a scratch copy" in told
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert deployed.main("check") == 1
    assert "title=unsafe%3A index-blocks-writes::" in capsys.readouterr().out
    assert deployed.main("check", "--no-review") == 0
    capsys.readouterr()
    assert deployed.main("check", "--json") == 1
    found = printed(capsys)
    assert found["revisions"] == 2 and {one["kind"] for one in found["findings"]} <= {"models"}
    assert [one["revision"] for one in found["review"]["revisions"]] == ["r2"]


def test_since_and_the_baseline_are_those_of_both(deployed: Deploy, tmp_path: Path) -> None:
    file = tmp_path / "known.json"
    found = check_and_review(deployed.config, since="r2")
    assert found.reviewed is not None and found.reviewed.revisions == () and found.exit_status == 0
    assert check_and_review(deployed.config, since="r1").exit_status == 1
    assert check_and_review(deployed.config, baseline=file, write_baseline=True).exit_status == 0
    assert set(json.loads(file.read_text())) == {"version", "findings", "review"}
    assert check_and_review(deployed.config, baseline=file).exit_status == 0


def test_a_failure_is_reported_once(deployed: Deploy, capsys: pytest.CaptureFixture[str]) -> None:
    deployed.write("r2", "op.execute('SELECT * FROM nowhere')", "pass", down="r1")
    capsys.readouterr()
    assert deployed.main("check") == 1
    assert said(capsys).count('relation "nowhere" does not exist') == 1


def test_all_are_reviewed_if_the_new_ones_are_not_known(
    deployed: Deploy, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    database.execute("UPDATE alembic_version SET version_num = 'gone'")
    capsys.readouterr()
    assert deployed.main("check") == 1
    assert "2 revisions: 1 unsafe" in said(capsys)


def test_without_the_extra_a_check_shows_what_to_install(
    deployed: Deploy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(("pglast", "safeops.judging.postgresql"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pglast", None)
    capsys.readouterr()
    assert deployed.main("check") == 0
    assert "Not reviewed: A review needs pglast, which is not installed" in said(capsys)
    assert deployed.main("review", "--all") == 4
    assert "pip install 'alembic-safeops[review]'" in said(capsys)
