"""``safeops check``: what is wrong with the revisions is found before they are deployed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.catalogue import assert_same, definitions
from tests.runner.deploys import ONE_EACH, Deploy, gate, printed, said, table, until
from tests.runner.hoard import EACH
from tests.runner.test_stamp import scratch_databases
from tests.servers import Database

from safeops.runner.checks import check

MODELS = """
metadata = sa.MetaData()
sa.Table("one", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(50)))
"""
ADDED = ('add_column_if_missing("one", sa.Column("name", sa.String(50)))', 'drop_column_if_exists("one", "name")')
GOOD = {
    "r1": table("one"),
    "r2": ADDED,
    "r3": ("""backfill("one", {"name": sa.text("'x'")})""", 'forget_backfill("r3/one/name")'),
}


def found(project: Deploy) -> list[tuple[str, str, str]]:
    findings = check(project.config).findings
    return [(one.kind, one.level, Path(one.file).stem if one.file else "") for one in findings]


@EACH
def test_a_project_in_which_all_is_well(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database.execute("CREATE TABLE untouched (a integer)")
    project = Deploy(tmp_path, database, GOOD, before=MODELS, models="metadata")
    before = definitions(database)
    assert project.main("check", "--json") == 0
    assert {one["level"] for one in printed(capsys)["findings"]} <= {"note"}
    assert project.main("check") == 0
    assert "\n3 revisions: no errors\n" in said(capsys)
    assert_same(before, definitions(database), "the schema")
    assert scratch_databases(database) == []


@ONE_EACH
def test_models_that_do_not_agree(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Deploy(tmp_path, database, {"r1": table("one")}, before=MODELS, models="metadata")
    assert project.main("check") == 1
    text = said(capsys)
    assert "The models and the revisions differ" in text and "op.add_column('one'" in text


@pytest.mark.only("sqlite")
def test_downgrades_that_are_missing(database: Database, tmp_path: Path) -> None:
    up = THING = table("t")[0]
    bodies = {
        "r1": (up, "pass"),
        "r2": (THING.replace('"t"', '"u"'), "raise NotImplementedError('write it')"),
        "r3": ("pass", "pass"),
        "r4": (THING.replace('"t"', '"v"'), "# Nothing to undo: it is not ours to drop.\npass"),
        "r5": (THING.replace('"t"', '"w"'), "irreversible('no way')"),
        "r6": (THING.replace('"t"', '"x"'), "drop_table_if_exists('x')"),
        # As `alembic revision` writes it.
        "r7": (THING.replace('"t"', '"y"'), '"""Downgrade schema."""\npass'),
        "r8": (THING.replace('"t"', '"z"'), "..."),
        "r9": (THING.replace('"t"', '"a"'), "return None\n# Nothing to undo: at the end"),
    }
    project = Deploy(tmp_path, database, bodies)
    file = tmp_path / "migrations/versions/r6.py"
    file.write_text(file.read_text().split("def downgrade")[0])
    missing = [name for kind, level, name in found(project) if (kind, level) == ("downgrade", "error")]
    assert missing == ["r1", "r2", "r6", "r7", "r8"]


@EACH
def test_a_revision_that_fails_is_shown_at_its_line(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {"r1": table("one"), "r2": (f'{table("two")[0]}\nop.execute("SELECT * FROM nowhere")', "pass\npass")}
    project = Deploy(tmp_path, database, {**bad, "r2": (bad["r2"][0], 'drop_table_if_exists("two")')})
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert project.main("check") == 1
    line = (tmp_path / "migrations/versions/r2.py").read_text().split("SELECT * FROM nowhere")[0].count("\n") + 1
    shown = [one for one in capsys.readouterr().out.splitlines() if one.startswith("::error ")]
    assert len(shown) == 1
    assert f"r2.py,line={line},title=safeops check::Revision r2 fails in upgrade()" in shown[0]
    assert scratch_databases(database) == []


@EACH
def test_downgrades_that_do_not_restore_the_schema(database: Database, tmp_path: Path) -> None:
    base = {"r1": table("one")}
    fails = {**base, "r2": (table("two")[0], 'op.execute("SELECT * FROM nowhere")')}
    assert found(Deploy(tmp_path / "fails", database, fails))[-1] == ("down", "error", "r2")
    twice = {"r1": base["r1"], "r2": ("op.execute('CREATE TABLE raw (a int)')", "# Nothing to undo\npass")}
    assert found(Deploy(tmp_path / "twice", database, twice))[-1] == ("up", "error", "r2")
    # What the first downgrades leave exists before the second upgrade.
    left = {"r1": base["r1"], "r2": (table("more")[0], 'op.rename_table("more", "less")')}
    last = check(Deploy(tmp_path / "left", database, left).config).findings[-1]
    assert (last.kind, last.level) == ("down", "error") and "results in another schema" in last.message


@ONE_EACH
def test_an_irreversible_revision_is_a_note(database: Database, tmp_path: Path) -> None:
    project = Deploy(tmp_path, database, {"r1": table("one"), "r2": (ADDED[0], 'irreversible("because")')})
    assert ("down", "note", "r2") in found(project)
    assert check(project.config).exit_status == 0


@ONE_EACH
def test_sql_that_cannot_be_rendered(database: Database, tmp_path: Path) -> None:
    revisions = {
        "r1": table("one"),
        "r2": ("op.get_bind().execute(sa.text('SELECT 1')).scalar()", "pass"),
        "r3": ('backfill("one", later, where=True)', "pass"),
    }
    project = Deploy(tmp_path, database, revisions)
    file = tmp_path / "migrations/versions/r3.py"
    file.write_text(
        file.read_text().replace(
            "def upgrade", "@reads('id', writes=('id',))\ndef later(rows):\n    return rows\n\n\ndef upgrade"
        )
    )
    offline = [one for one in check(project.config).findings if one.kind == "offline"]
    assert ("error", "r2") in [(one.level, Path(one.file or "").stem) for one in offline]
    assert "--sql has no rows to read" in offline[0].message
    assert any(one.level == "note" and "r3" in one.message for one in offline)


@ONE_EACH
def test_heads_and_a_scratch_database_at_a_url(
    database: Database, tmp_path: Path, new_database: Callable[[], Database], capsys: pytest.CaptureFixture[str]
) -> None:
    project = Deploy(tmp_path, database, {"r1": table("one")})
    for name in ("a", "b"):
        project.write(name, *table(name), down="r1")
    url = new_database().url.render_as_string(hide_password=False)
    ini = tmp_path / "alembic.ini"
    ini.write_text(ini.read_text().replace("sqlalchemy.url = ", "unused = "))
    assert project.main("check", "--scratch-url", url) == 1
    assert "There are 2 heads: a, b." in said(capsys)
    assert project.main("check", "--scratch-url", url) == 3
    assert "is not empty" in said(capsys)


@ONE_EACH
def test_a_signal_leaves_no_scratch_database(database: Database, tmp_path: Path) -> None:
    project = Deploy(tmp_path, database, {"r1": (gate(tmp_path, "r1"), "pass")})
    with project.start("check") as runner:
        until((tmp_path / "at_r1").exists)
        runner.send_signal(signal.SIGTERM)
        assert runner.wait() == 3
        assert runner.stderr is not None and "Stopped by Ctrl-C or SIGTERM." in runner.stderr.read()
    assert scratch_databases(database) == []
    assert project.current() == ()


@pytest.mark.only("mysql")
def test_defaults_that_are_expressions_are_the_same_the_second_time(database: Database, tmp_path: Path) -> None:
    """Alembic alone takes DEFAULT (uuid()), and that of a column whose rename is open, for different from itself."""
    columns = (
        'sa.Column("id", sa.Integer, primary_key=True)',
        'sa.Column("u", sa.String(36), server_default=sa.text("(uuid())"))',
        "sa.Column(\"c\", sa.String(36), server_default=sa.text(\"(concat('a', 'b'))\"))",
        'sa.Column("n", sa.String(9), nullable=False)',
        'sa.Column("p", sa.String(20), server_default="it\'s 100 %")',
    )
    bodies = {
        "r1": (f'create_table_if_missing("t", {", ".join(columns)})', 'drop_table_if_exists("t")'),
        "r2": ('ColumnRename("t", "n", "m").expand()', 'ColumnRename("t", "n", "m").undo_expand()'),
    }
    assert [one for one in found(Deploy(tmp_path, database, bodies)) if one[1] != "note"] == []


def test_generated_columns_are_compared(database: Database, tmp_path: Path) -> None:
    """Alembic calls a custom comparison for them too, and fails before it does."""
    columns = (
        'sa.Column("id", sa.Integer, primary_key=True)',
        'sa.Column("n", sa.Integer, server_default="5")',
        'sa.Column("d", sa.Integer, sa.Computed("n * 2", persisted=True))',
    )
    if database.kind == "postgresql":
        columns = (*columns, 'sa.Column("i", sa.Integer, sa.Identity(start=7))')
    bodies = {"r1": (f'create_table_if_missing("t", {", ".join(columns)})', 'drop_table_if_exists("t")')}
    assert [one for one in found(Deploy(tmp_path, database, bodies)) if one[1] != "note"] == []
