"""``safeops rollback``: it shows which data is lost, prompts for confirmation, and guesses no target."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from tests.runner.deploys import ONE_EACH, Deploy, printed, said, table
from tests.runner.hoard import EACH
from tests.servers import Database

from safeops.errors import InvalidArgument, NotReady, RevisionFailed
from safeops.runner.planning import Plan
from safeops.runner.upgrades import rollback

NAME = 'sa.Column("name", sa.String(50))'
THREE = {
    "r1": table("one"),
    "r2": ('add_column_if_missing("one", sa.Column("name", sa.String(50)))', 'drop_column_if_exists("one", "name")'),
    "r3": table("three"),
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@EACH
def test_it_shows_what_is_lost_and_rolls_back_only_if_confirmed(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Deploy(tmp_path, database, THREE)
    project.main("upgrade")
    database.execute("INSERT INTO one (id, name) VALUES (1, 'a'), (2, 'b')")
    said(capsys)
    assert project.main("rollback", "r1") == 3
    text = said(capsys)
    assert "drop column one.name" in text and "drop table three" in text
    assert "rollback r1 --yes" in text
    for answer, status, left, text in (
        ("n\n", 3, "r3", "Cancelled. Nothing was changed: the database is at r3."),
        ("", 3, "r3", "Cancelled. Nothing was changed: the database is at r3."),
        ("y\n", 0, "r2", "1 revision in "),
    ):
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        assert project.main("rollback") == status
        assert project.current() == (left,)
        assert text in said(capsys)
    assert project.main("rollback", "--backup", "-1", "--yes") == 0
    assert project.main("upgrade", "--backup", "r2") == 0
    assert len(list((tmp_path / "backups").glob("*.json"))) == 2
    said(capsys)
    assert project.main("rollback", "base", "--yes", "--json") == 0
    done = printed(capsys)
    assert (done["before"], done["current"]) == (["r2"], [])
    assert [one["revision"] for one in done["revisions"]] == ["r2", "r1"]
    assert project.main("rollback", "--yes") == 0
    assert said(capsys) == "Nothing to do: the database is at no revision.\n"


@ONE_EACH
def test_the_caller_confirms_the_plan_and_a_backup_is_made(database: Database, tmp_path: Path) -> None:
    project = Deploy(tmp_path, database, THREE)
    project.main("upgrade")
    plans: list[Plan] = []
    assert rollback(project.config, confirm=lambda plan: bool(plans.append(plan))).revisions == ()
    assert [one.revision for one in plans[0].revisions] == ["r3"]
    done = rollback(project.config, "-2", backup=tmp_path / "kept")
    assert done.backup is not None and "-r3." in done.backup.name
    assert project.current() == ("r1",)


@EACH
def test_a_downgrade_that_fails(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = {**THREE, "r2": (THREE["r2"][0], 'op.execute("SELECT * FROM nowhere")')}
    project = Deploy(tmp_path, database, broken)
    project.main("upgrade")
    said(capsys)
    assert project.main("rollback", "-3", "--yes") == 4
    text = " ".join(said(capsys).split())
    assert "Revision r2 failed" in text and "The database is at r2. Completed in this run: r3." in text
    # -3 would be another revision by now.
    assert "alembic.ini rollback base The database is at r2." in text and text.rstrip().endswith("[S705]")
    project.write("r2", *THREE["r2"], down="r1")
    assert rollback(project.config, "base").current == ()


@ONE_EACH
def test_a_revision_that_cannot_be_undone(database: Database, tmp_path: Path) -> None:
    project = Deploy(tmp_path, database, {"r1": (THREE["r1"][0], 'irreversible("Rows were merged.")')})
    project.main("upgrade")
    with pytest.raises(RevisionFailed, match=r"Rows were merged.*(?s:.*)The database is at r1"):
        rollback(project.config)


@ONE_EACH
def test_after_a_merge_the_possible_targets_are_named(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = Deploy(tmp_path, database, {"r1": table("one")})
    for name in ("a", "b"):
        project.write(name, *table(name), down="r1")
    assert project.main("heads", "--merge") == 0
    project.main("upgrade")
    said(capsys)
    assert project.main("rollback", "--yes") == 3
    text = said(capsys)
    assert "safeops rollback a\n" in text and "safeops rollback b\n" in text
    assert project.main("rollback", "a", "--yes") == 0
    assert set(project.current()) == {"a", "b"}
    with pytest.raises(NotReady, match="The target -1 is ambiguous"):
        rollback(project.config)
    with pytest.raises(InvalidArgument, match="There is no downgrade from a, b to nothing"):
        rollback(project.config, "nothing")
