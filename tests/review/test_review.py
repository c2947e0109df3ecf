"""The command as a whole, without a database: what it selects, prints, accepts and exits with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.review.recorded import project

from safeops.cli import main
from safeops.errors import InvalidArgument
from safeops.review import review
from safeops.review.reviewed import Reviewed

TABLE = 'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))'
INDEX = 'op.create_index("ix_users_name", "users", ["name"])'
ADD = 'op.add_column("users", sa.Column("nick", sa.Text))'


class Reviewing:
    """A project in the current folder, which is reviewed by the command line."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def write(self, *bodies: str, **options: str) -> None:
        config = project(self.folder, *bodies, **options)
        lines = (f"{name} = {config.get_main_option(name)}" for name in ("script_location", "sqlalchemy.url"))
        (self.folder / "alembic.ini").write_text("\n".join(["[alembic]", *lines]))

    def file(self, revision: str) -> Path:
        return self.folder / f"versions/{revision}_one.py"

    def text(self, *arguments: str, status: int = 0) -> str:
        """What is printed; standard error is seen in errors."""
        assert main(["review", *arguments]) == status
        self.errors = self._capsys.readouterr()
        return self.errors.out

    def json(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text(*arguments, "--json", status=status))
        return found

    def rules(self, *arguments: str, status: int = 0) -> dict[str, list[str]]:
        """The rules of the findings by revision."""
        revisions = self.json(*arguments, status=status)["revisions"]
        return {one["revision"]: [finding["rule"] for finding in one["findings"]] for one in revisions}

    def notes(self, *arguments: str, status: int = 0) -> set[tuple[str, str]]:
        revisions = self.json(*arguments, status=status)["revisions"]
        return {(one["revision"], note["rule"]) for one in revisions for note in one["notes"]}


@pytest.fixture
def reviewing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Reviewing:
    monkeypatch.chdir(tmp_path)
    return Reviewing(tmp_path, capsys)


def test_with_all_each_revision_is_on_its_own(reviewing: Reviewing) -> None:
    reviewing.write(TABLE, INDEX, ADD)
    found = reviewing.rules("--all", status=1)
    assert found == {"r0": [], "r1": ["index-blocks-writes"], "r2": ["brief-lock"]}


def test_a_table_of_the_same_run_is_new(reviewing: Reviewing) -> None:
    reviewing.write("pass", TABLE, INDEX)
    assert reviewing.rules("--since", "r0") == {"r1": [], "r2": []}
    assert reviewing.rules("--since", "r1", status=1) == {"r2": ["index-blocks-writes"]}
    assert reviewing.rules("r2", status=1) == {"r2": ["index-blocks-writes"]}


def test_files_and_ranges_are_selected_too(reviewing: Reviewing) -> None:
    reviewing.write("pass", TABLE, INDEX)
    assert reviewing.rules("r0:r2") == {"r1": [], "r2": []}
    assert reviewing.rules("versions/r2_one.py", status=1) == {"r2": ["index-blocks-writes"]}


def test_json_is_one_object_even_if_the_project_prints(reviewing: Reviewing) -> None:
    noisy = 'import sys, warnings\nprint("hello")\nwarnings.warn("beware")\nsys.stdout.write("more")'
    reviewing.write(TABLE, f"{noisy}\n{INDEX}", head=noisy)
    (finding,) = reviewing.json("--all", status=1)["revisions"][1]["findings"]
    assert finding["table"] == "public.users"
    assert (finding["lock"], finding["work"], finding["blocks"]) == ("SHARE", "build", "writes")
    assert finding["line"] and INDEX in reviewing.file("r1").read_text().splitlines()[finding["line"] - 1]
    assert finding["verdict"] == "unsafe" and finding["seconds"] is None
    assert finding["statement"] == "CREATE INDEX ix_users_name ON users (name)"


def test_text_shows_place_problem_reason_and_replacement(reviewing: Reviewing) -> None:
    reviewing.write(TABLE, INDEX)
    said = reviewing.text("--all", status=1)
    for part in (
        "versions/r1_one.py:11: unsafe: index-blocks-writes",
        "CREATE INDEX ix_users_name ON users (name)",
        "SHARE on public.users (blocks writes)",
        "/rules/index-blocks-writes.html",
        "2 revisions: 1 unsafe",
    ):
        assert part in said
    assert all(len(line) <= 80 or line.startswith("    ") for line in said.splitlines())


def test_an_unknown_effect_is_not_silently_accepted(reviewing: Reviewing) -> None:
    reviewing.write(TABLE, f"{ADD}\nraise ValueError('no such thing')", "op.execute('DO $$ BEGIN PERFORM f(); END $$')")
    found = reviewing.rules("--all", status=2)
    assert found["r1"] == ["brief-lock", "unseen"]
    assert "unseen" in found["r2"]
    (unseen,) = (f for f in reviewing.json("r1", status=2)["revisions"][0]["findings"] if f["rule"] == "unseen")
    assert unseen["verdict"] == "unsafe" and "no such thing" in unseen["why"]


def test_a_revision_without_any_known_statement_is_reported(reviewing: Reviewing) -> None:
    reviewing.write("raise ValueError('at once')")
    assert reviewing.json("--all", status=2)["revisions"][0]["seen"] == "unseen"
    assert "(not reviewed)" in reviewing.text("--all", status=2)


# What is accepted -----------------------------------------------------------------------------------------------


def test_a_comment_accepts_with_a_reason_and_a_useless_one_is_a_note(reviewing: Reviewing) -> None:
    reviewing.write(TABLE, f"{INDEX}  # safeops: allow index-blocks-writes -- forty rows")
    assert reviewing.rules("r1") == {"r1": []}
    assert "accepted: index-blocks-writes, by a comment: forty rows" in reviewing.text("r1")
    reviewing.write(TABLE, f"{INDEX}  # safeops: allow index-blocks-writes")
    assert reviewing.rules("r1", status=1) == {"r1": ["index-blocks-writes"]}
    assert ("r1", "allow-without-reason") in reviewing.notes("r1", status=1)
    reviewing.write(TABLE, f"{ADD}  # safeops: allow truncate, nosuch -- why")
    assert {("r1", "unused-allow"), ("r1", "unknown-allow")} <= reviewing.notes("r1")
    reviewing.write(TABLE, f"{ADD}  # safeops: allow downgrade, models -- of a check")
    assert not {rule for _, rule in reviewing.notes("r1") if "allow" in rule}


def test_assured_accepts_and_is_reported(reviewing: Reviewing) -> None:
    reviewing.write(TABLE, f'from safeops import assured\nwith assured("forty rows"):\n    {INDEX}')
    (accepted,) = reviewing.json("r1")["revisions"][0]["accepted"]
    assert (accepted["rule"], accepted["by"], accepted["reason"]) == ("index-blocks-writes", "assured", "forty rows")


def test_a_baseline_outlives_moved_lines_and_other_values(reviewing: Reviewing) -> None:
    update = "op.execute('UPDATE users SET name = {}')"
    reviewing.write(TABLE, f"{INDEX}\n{update.format(1)}")
    assert reviewing.text("--all", "--write-baseline", status=2) == ""
    assert "--baseline review-baseline.json --write-baseline" in reviewing.errors.err
    reviewing.text("--all", "--baseline", "known.json", "--write-baseline")
    reviewing.write(TABLE, f"x = 1\n{update.format(2)}\n\n{INDEX}")
    assert reviewing.rules("--all", "--baseline", "known.json")["r1"] == []
    reviewing.write(TABLE, f"{INDEX}\nop.drop_column('users', 'name')")
    assert reviewing.rules("--all", "--baseline", "known.json", status=1)["r1"] == ["drop-column"]


def test_fix_writes_what_is_equal_and_reviews_again(reviewing: Reviewing) -> None:
    reviewing.write(TABLE, f"{INDEX}\nop.execute('TRUNCATE users')")
    said = reviewing.text("r1", "--fix", status=1)
    assert "Rewrote versions/r1_one.py" in said and "index-blocks-writes" not in said and "truncate" in said
    assert 'create_index_if_missing("ix_users_name", "users", ["name"])' in reviewing.file("r1").read_text()
    before = reviewing.file("r1").read_text()
    reviewing.text("r1", "--fix", status=1)
    assert reviewing.file("r1").read_text() == before


# What is known of the server ------------------------------------------------------------------------------------


def test_small_tables_of_the_stats_may_be_locked(reviewing: Reviewing) -> None:
    reviewing.write(TABLE, INDEX)
    for rows, status in ((40, 0), (4_000_000, 1)):
        Path("stats.json").write_text(json.dumps({"version": 1, "tables": {"public.users": rows}}))
        reviewing.json("r1", status=status)
    (finding,) = reviewing.json("r1", status=1)["revisions"][0]["findings"]
    assert (finding["rows"], finding["known_from"]) == (4_000_000, "stats.json") and finding["seconds"] > 1
    assert "about 6.0 s for 4,000,000 rows (from stats.json)" in " ".join(reviewing.text("r1", status=1).split())
    reviewing.json("r1", "--small-table", "5000000")
    Path("other.json").write_text('{"version": 1, "tables": {"users": 40}}')
    reviewing.json("r1", "--stats", "other.json")
    reviewing.json("r1", "--stats", "gone.json", status=4)
    Path("stats.json").write_text("[]")
    assert "not a file of row counts" in reviewing.text("r1", status=4) + reviewing.errors.err


def test_the_version_of_the_server_counts(reviewing: Reviewing) -> None:
    virtual = "op.execute('ALTER TABLE users ADD COLUMN n int GENERATED ALWAYS AS (id + 1) VIRTUAL')"
    reviewing.write(TABLE, virtual)
    assert reviewing.rules("r1") == {"r1": ["brief-lock"]}
    assert reviewing.text("--server-version", "new", "r1", status=2) == ""
    assert "'new' is not a version of a server" in reviewing.errors.err


# Notes and errors -----------------------------------------------------------------------------------------------


def test_heads_and_downgrades_are_notes(reviewing: Reviewing) -> None:
    reviewing.write(TABLE, ADD)
    other = reviewing.file("r1").read_text().replace("'r1'", "'other'").replace("nick", "nack")
    reviewing.file("other").write_text(other)
    notes = reviewing.notes("--all")
    assert {("r0", "missing-downgrade"), ("r1", "missing-downgrade")} <= notes
    assert [revision for revision, rule in sorted(notes) if rule == "several-heads"] == ["r1"]


def test_a_downgrade_that_loses_values_is_a_note(reviewing: Reviewing) -> None:
    reviewing.write(TABLE, "op.drop_column('users', 'name')")
    file = reviewing.file("r1")
    file.write_text(file.read_text().replace("def downgrade():\n    pass", "def downgrade():\n    " + ADD))
    (note,) = reviewing.json("r1", status=1)["revisions"][0]["notes"]
    assert note["rule"] == "lossy-downgrade" and file.read_text().splitlines()[note["line"] - 1] == "def downgrade():"


def test_wrong_arguments_are_reported(reviewing: Reviewing) -> None:
    reviewing.write(TABLE)
    assert reviewing.text("nosuch", status=4) == ""
    assert "nosuch" in reviewing.errors.err
    assert "error" in reviewing.json("nosuch", status=4)
    reviewing.text("--format", "html", status=2)
    reviewing.text("--baseline", "gone.json", "--all", status=4)
    assert "There is no baseline gone.json" in reviewing.errors.err


def test_python_gets_the_same(reviewing: Reviewing) -> None:
    reviewing.write(TABLE, INDEX)
    from alembic.config import Config

    found = review(Config("alembic.ini"), ["r1"])
    assert isinstance(found, Reviewed) and found.exit_status == 1
    assert [finding.rule for finding in found.findings] == ["index-blocks-writes"]
    with pytest.raises(InvalidArgument):
        review(Config("alembic.ini"), ["nosuch"])


@pytest.mark.parametrize("name", ["sarif", "github", "gitlab", "markdown", "json", "text"])
def test_each_format_is_printed(reviewing: Reviewing, name: str) -> None:
    reviewing.write(TABLE, INDEX)
    said = reviewing.text("--all", "--format", name, status=1)
    assert "index-blocks-writes" in said
    if name in ("sarif", "gitlab", "json"):
        json.loads(said)
