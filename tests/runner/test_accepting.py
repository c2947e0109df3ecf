"""What ``check`` requires of a project that has grown: only of new revisions, and not what its team has accepted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.runner.deploys import Deploy, said, table
from tests.servers import Database

from safeops.errors import InvalidArgument, NotReady
from safeops.runner import check, status
from safeops.runner.checks import Checked
from safeops.runner.revisions import merge
from safeops.runner.upgrades import upgrade

pytestmark = pytest.mark.only("sqlite")

LOOKS = "if op.get_bind().execute(sa.text('SELECT 1')).scalar() == 1:\n    " + table("three")[0]


def grown(folder: Path, database: Database) -> Deploy:
    """Three revisions as older projects have them: without a downgrade, with an empty one, and with a query."""
    made = Deploy(folder, database, {"r1": table("one"), "r2": (table("two")[0], "pass"), "r3": (LOOKS, "pass")})
    text = (folder / "migrations/versions/r1.py").read_text()
    (folder / "migrations/versions/r1.py").write_text(text[: text.index("def downgrade")])
    return made


def errors(found: Checked) -> list[str]:
    return [one.name for one in found.findings if one.level == "error"]


def label(project: Deploy, revision: str, name: str) -> None:
    file = project.folder / f"migrations/versions/{revision}.py"
    file.write_text(file.read_text().replace("branch_labels = None", f"branch_labels = {name!r}"))


def branches(folder: Path, database: Database, *labels: str) -> Deploy:
    made = Deploy(folder, database, {"b0": table("b")})
    for revision, name in zip(("c1", "e1"), labels or ("", ""), strict=True):
        made.write(revision, *table(revision), down="b0")
        if name:
            label(made, revision, name)
    return made


def test_old_revisions_must_only_load_and_run(database: Database, tmp_path: Path) -> None:
    made = grown(tmp_path, database)
    old = ["downgrade:r1", "downgrade:r2", "downgrade:r3", "offline:r3"]
    assert errors(check(made.config)) == old
    assert errors(check(made.config, since="r2")) == old[2:]
    assert errors(check(made.config, since="r3")) == []
    made.write("r4", *table("four"), down="r3")
    assert errors(check(made.config, since="r3")) == []
    made.write("r4", table("four")[0], "op.execute('DROP TABLE nope')", down="r3")
    assert errors(check(made.config, since="r3")) == ["down:r4"]
    made.write("r2", "op.execute('SELECT * FROM nope')", down="r1")
    assert errors(check(made.config, since="r3")) == ["up:r2"]
    with pytest.raises(InvalidArgument, match="There is no revision nope"):
        check(made.config, since="nope")


def test_a_baseline_accepts_what_is_found_now(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, file = grown(tmp_path, database), tmp_path / "baseline.json"
    with pytest.raises(InvalidArgument, match="There is no baseline"):
        check(made.config, baseline=file)
    assert made.main("check", "--baseline", str(file), "--write-baseline") == 0
    assert "3 revisions: no errors, 4 accepted" in said(capsys)
    assert json.loads(file.read_text())["findings"] == ["downgrade:r1", "downgrade:r2", "downgrade:r3", "offline:r3"]
    made.write("r4", table("four")[0], "pass", down="r3")
    assert errors(check(made.config, baseline=file)) == ["downgrade:r4"]
    file.write_text("[]")
    with pytest.raises(InvalidArgument, match="is not a baseline"):
        check(made.config, baseline=file)
    assert made.main("check", "--write-baseline") == 2


def test_one_finding_is_accepted_by_an_option_or_by_a_comment_with_a_reason(database: Database, tmp_path: Path) -> None:
    made = grown(tmp_path, database)
    assert errors(check(made.config, ignore=["downgrade"])) == ["offline:r3"]
    assert errors(check(made.config, ignore=["downgrade:r1", "offline:r3"])) == ["downgrade:r2", "downgrade:r3"]
    for revision, comment in {
        "r1": "downgrade",
        "r2": "offline -- why",
        "r3": "downgrade, offline -- never undone",
    }.items():
        file = tmp_path / f"migrations/versions/{revision}.py"
        file.write_text(f"# safeops: allow {comment}\n{file.read_text()}")
    assert errors(check(made.config)) == ["downgrade:r1", "downgrade:r2"]


def test_branches_with_their_own_labels_stay_separate(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = branches(tmp_path, database, "contract", "expand")
    assert made.main("upgrade") == 0
    found = status(made.config)
    assert (found.exit_status, found.attention, sorted(found.current)) == (0, (), ["c1", "e1"])
    assert made.main("check") == 0
    capsys.readouterr()
    assert made.main("heads") == 0
    assert "--merge" not in said(capsys)
    with pytest.raises(NotReady, match="these branches stay separate"):
        merge(made.config)


@pytest.mark.parametrize("labels", [(), ("one", "")])
def test_branches_without_labels_must_be_merged(
    database: Database, tmp_path: Path, labels: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    made = branches(tmp_path, database, *labels)
    with pytest.raises(NotReady, match="2 heads"):
        upgrade(made.config)
    upgrade(made.config, "heads")
    found = status(made.config)
    assert found.exit_status == 2
    assert "give each its own branch label" in found.attention[0].advice
    assert errors(check(made.config))[0].startswith("heads:There are 2 heads: c1, e1.")
    assert made.main("heads") == 1
    (tmp_path / "migrations/script.py.mako").unlink()
    capsys.readouterr()
    assert made.main("heads", "--merge") == 4
    told = said(capsys)
    assert "script.py.mako" in told and "safeops init" in told and "Nothing was changed" in told


LACKING = {
    "the lock": ("with migration_lock(connection):", "if True:", "migration_lock()"),
    "the transactions": (
        "transaction_per_migration=True",
        "transaction_per_migration=False",
        "transaction_per_migration",
    ),
}


@pytest.mark.parametrize("kind", LACKING)
def test_what_env_lacks_is_found_and_warned_of(database: Database, tmp_path: Path, kind: str) -> None:
    made = Deploy(tmp_path, database, {"r1": table("one")})
    right, wrong, word = LACKING[kind]
    env = tmp_path / "migrations/env.py"
    env.write_text(env.read_text().replace(right, wrong))
    # The import is still there.
    assert "import migration_lock" in env.read_text()
    (finding,) = (one for one in check(made.config).findings if one.level == "error")
    assert finding.kind == "env"
    assert word in finding.message and finding.file == str(env)
    warned: list[str] = []
    upgrade(made.config, warn=warned.append)
    assert len(warned) == 1 and word in warned[0]
    env.write_text(f"# safeops: allow env -- another tool starts one runner\n{env.read_text()}")
    assert errors(check(made.config)) == []


def test_a_revision_of_the_database_that_no_file_has(database: Database, tmp_path: Path) -> None:
    made = Deploy(tmp_path, database, {"r1": table("one")})
    made.main("upgrade")
    assert errors(check(made.config)) == []
    database.execute("UPDATE alembic_version SET version_num = 'gone'")
    assert errors(check(made.config)) == ["database:gone"]
    assert errors(check(made.config, scratch_url=f"sqlite:///{tmp_path}/scratch.sqlite")) == []


@pytest.mark.parametrize("name", ["base", "head", "heads", "current"])
@pytest.mark.parametrize("more", [False, True])
def test_a_revision_with_a_name_of_alembics_own(
    database: Database, tmp_path: Path, name: str, more: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Deploy(tmp_path, database, {"r0": table("a"), name: table("b"), **({"r2": table("c")} if more else {})})
    verbs = [["status"], ["plan"], ["check"], ["upgrade"], ["heads"], ["backup"], ["rollback", "--yes"]]
    for verb in verbs:
        assert made.main(*verb) == (1 if verb == ["check"] else 4)
        assert f"revision is '{name}', a word that Alembic reserves" in " ".join(said(capsys).split())
