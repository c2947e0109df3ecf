"""`safeops rehearse`: the copy is made, production is only read, and a wrong call is explained."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.runner.deploys import Deploy, printed, said, until
from tests.servers import Database

from safeops.cli.rehearse import REHEARSE, rehearsal_lines
from safeops.rehearse.rehearsal import rehearse
from safeops.rehearse.rehearsing import Asked
from safeops.rehearse.reports.html import html

EACH = pytest.mark.only("pg18", "mariadb", "sqlite")
TABLES = 'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(50)))'
ONLINE = ('create_index_if_missing("ix", "users", ["name"])', 'drop_index_if_exists("ix", "users")')
# It sleeps only if there are rows: the revisions are run on an empty database first.
SLOW = ('op.execute("SELECT pg_sleep(60) FROM users LIMIT 1")', "pass")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The traffic runs before and after the upgrade for moments only."""
    monkeypatch.setattr(Asked, "__init__", _with(before=0.5, after=0.5)(Asked.__init__))


def _with(**given: float) -> Callable[[Any], Any]:
    def wrapped(init: Any) -> Any:
        return lambda self, *arguments: init(self, *arguments, **given)

    return wrapped


def project_of(database: Database, folder: Path, revision: tuple[str, str], rows: int = 3000) -> Deploy:
    """Returns a project whose database, production, is at r1 and has rows."""
    project = Deploy(folder, database, {"r1": (TABLES, 'op.drop_table("users")'), "r2": revision})
    assert project.main("upgrade", "r1") == 0
    for start in range(0, rows, 1000):
        database.execute("INSERT INTO users (name) VALUES " + ", ".join(f"('name {start + i}')" for i in range(1000)))
    return project


def url_of(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


@EACH
def test_production_is_read_and_the_copy_is_rehearsed_on(
    database: Database, new_database: Callable[[], Database], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project, copy = project_of(database, tmp_path, ONLINE), new_database()
    before = database.query("SELECT count(*), max(id) FROM users")
    arguments = ("--into", url_of(copy), "--like", url_of(database), "--rows", "2000", "--max-wait", "60")
    capsys.readouterr()
    assert project.main("rehearse", *arguments, "--json") == 0
    report = printed(capsys)
    assert database.query("SELECT count(*), max(id) FROM users") == before
    assert database.query("SELECT version_num FROM alembic_version") == [("r1",)]
    assert report["verdict"] == {"ok": True, "judged": True, "findings": []}
    assert [one["revision"] for one in report["revisions"]] == ["r2"]
    assert report["copy"]["kind"] == "filled" and sum(report["copy"]["rows"].values()) == pytest.approx(2000, rel=0.2)
    assert report["traffic"]["writes"] > 0 and report["traffic"]["lost"] == 0
    assert report["back"] == {**report["back"], "same_schema": True, "same_rows": True, "again_same": True}
    assert report["at_production_size"]["r2"]["rows"] == pytest.approx(3000, rel=0.2)
    assert any("ix" in one["sql"] and "INDEX" in one["sql"] for one in report["statements"])
    # The small copy is dropped, the other one kept at the newest revision.
    assert copy.query("SELECT version_num FROM alembic_version") == [("r2",)]


@pytest.mark.only("pg18")
def test_text_and_markdown(database: Database, new_database: Callable[[], Database], tmp_path: Path) -> None:
    plain = (
        'op.create_index("ix", "users", ["name"]); op.execute("SELECT pg_sleep(3) FROM users LIMIT 1")',
        'op.drop_index("ix")',
    )
    project = project_of(database, tmp_path, plain)
    into = url_of(new_database())
    found = rehearse(project.config, into=into, rows=1000, max_wait=1.5, project=False)
    assert found.exit_status == 1
    text = "\n".join(rehearsal_lines(found))
    assert "SHARE on public.users: writes wait" in text and 'create_index_if_missing("ix", "users", ["name"])' in text
    assert "Not ready: " in text and "schema as before, rows as before" in text
    markdown = REHEARSE.formats["markdown"](found)
    assert markdown.startswith("### safeops rehearse: Not ready: ") and "```python" in markdown
    assert "| `public.users` | during |" in markdown


@EACH
def test_production_itself_is_refused(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = project_of(database, tmp_path, ONLINE)
    capsys.readouterr()
    assert project.main("rehearse", "--into", url_of(database)) == 3
    told = said(capsys)
    assert "The database at --into is the project's own database." in told
    # It is refused before anything is run.
    assert "a tenth of the rows" not in told


@EACH
def test_a_database_that_cannot_be_reached_is_named_by_its_option(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = project_of(database, tmp_path, ONLINE)
    url = sa.URL.create(database.url.drivername, "nobody", None, "127.0.0.1", 1, "nothing")
    away = "sqlite:////no/such/folder/file" if database.kind == "sqlite" else url.render_as_string()
    for option in ("--into", "--like"):
        capsys.readouterr()
        assert project.main("rehearse", option, away) == 4
        told = " ".join(said(capsys).split())
        assert f"The database at {option} cannot be reached" in told and f"Check the URL given by {option}" in told
        assert "env.py" not in told


@pytest.mark.only("sqlite")
def test_copies_that_exclude_each_other(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = project_of(database, tmp_path, ONLINE)
    capsys.readouterr()
    assert project.main("rehearse", "--rows", "5", "--as-is") == 2
    assert "--rows and --as-is exclude each other" in said(capsys)


@pytest.mark.only("sqlite")
@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--traffic", "missing.sql"), "file of the traffic"),
        (("nowhere",), "no upgrade to nowhere"),
        (("nowhere:head",), "There is no revision nowhere"),
    ],
)
def test_a_wrong_call_is_refused_before_a_copy_is_made(
    database: Database,
    new_database: Callable[[], Database],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    what: str,
) -> None:
    project, copy = project_of(database, tmp_path, ONLINE), new_database()
    capsys.readouterr()
    assert project.main("rehearse", *arguments, "--into", url_of(copy), "--rows", "10") == 4
    assert what in said(capsys)
    assert copy.query("SELECT name FROM sqlite_master") == []


@EACH
@pytest.mark.by_hand("mariadb", "sqlite")
def test_a_revision_that_fails_on_the_copy(
    database: Database, new_database: Callable[[], Database], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = project_of(database, tmp_path, ('op.drop_column("users", "nothing")', "pass"))
    capsys.readouterr()
    assert project.main("rehearse", "--into", url_of(new_database()), "--rows", "1000") == 4
    text = said(capsys)
    assert "On the copy: Revision r2 failed" in text and "Production was not changed" in text
    assert "Correct the revision, and rehearse it again" in text


@pytest.mark.only("pg18")
def test_ctrl_c_leaves_nothing_running_and_names_what_is_left(
    database: Database, new_database: Callable[[], Database], tmp_path: Path
) -> None:
    project, copy = project_of(database, tmp_path, SLOW), new_database()
    arguments = ("--into", url_of(copy), "--rows", "1000", "--no-projection")
    sleeping = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{copy.name}'"
    with project.start("rehearse", *arguments) as runner:
        until(lambda: database.query(f"{sleeping} AND query LIKE '%pg_sleep(60)%' AND state = 'active'") == [(1,)])
        runner.send_signal(signal.SIGINT)
        _, errors = runner.communicate(timeout=120)
    assert runner.returncode == 3, errors
    assert "The rehearsal was stopped" in errors and "DROP DATABASE" in errors.upper()
    until(lambda: database.query(sleeping) == [(0,)])


@pytest.mark.only("pg18")
def test_a_kill_leaves_nothing_running(
    database: Database, new_database: Callable[[], Database], tmp_path: Path
) -> None:
    project, copy = project_of(database, tmp_path, (SLOW[0].replace("60", "5"), "pass")), new_database()
    sessions = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{copy.name}'"
    with project.start("rehearse", "--into", url_of(copy), "--rows", "1000", "--no-projection") as runner:
        until(lambda: database.query(f"{sessions} AND query LIKE '%pg_sleep(5)%' AND state = 'active'") == [(1,)])
        runner.kill()
    # The server ends the session that sleeps when it next writes to it.
    until(lambda: database.query(sessions) == [(0,)])


@pytest.mark.only("pg18")
def test_a_file_of_statements_as_traffic(
    database: Database, new_database: Callable[[], Database], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = project_of(database, tmp_path, ONLINE)
    file = tmp_path / "traffic.sql"
    file.write_text("\\set id random(1, 1000)\n-- rate: 50/s\nUPDATE users SET name = 'x' WHERE id = :id;\n")
    capsys.readouterr()
    arguments = ("--rows", "1000", "--no-projection", "--max-wait", "60", "--traffic", str(file), "--json")
    assert project.main("rehearse", "--into", url_of(new_database()), *arguments) == 0
    report = printed(capsys)
    assert report["traffic"]["writes"] > 0
    # The rows that it writes are not known, so none are compared.
    assert report["back"]["same_rows"] is None and report["back"]["same_schema"]
    assert report["traffic"]["compared_rows"] == 0 and "no write was lost" not in report["summary"]
    assert any("None is in the ledger" in text for text in report["measured"])


@pytest.mark.only("pg18")
def test_the_statements_that_production_has_counted_as_traffic(
    database: Database, new_database: Callable[[], Database], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = project_of(database, tmp_path, ONLINE)
    # As the extension has it; the server of the tests does not load it.
    database.execute(
        "CREATE VIEW pg_stat_statements AS SELECT oid AS dbid, 'SELECT name FROM users WHERE id = $1' AS query,"
        " 10::bigint AS calls FROM pg_database WHERE datname = current_database()"
    )
    capsys.readouterr()
    arguments = ("--rows", "1000", "--no-projection", "--max-wait", "10", "--traffic", url_of(database), "--json")
    assert project.main("rehearse", "--into", url_of(new_database()), *arguments) == 0
    report = printed(capsys)
    assert report["traffic"]["reads"] > 0 and report["traffic"]["writes"] == 0


@EACH
@pytest.mark.by_hand("sqlite")
def test_traffic_keeps_to_a_key_that_the_revisions_add(
    database: Database, new_database: Callable[[], Database], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unique = (
        'create_unique_constraint_if_missing("uq", "users", ["name"])',
        'drop_constraint_if_exists("uq", "users", type_="unique")',
    )
    copy = new_database()
    project = project_of(copy, tmp_path, unique)
    Deploy(tmp_path, database, project.revisions)
    capsys.readouterr()
    assert project.main("rehearse", "--as-is", "--into", url_of(copy), "--max-wait", "60", "--json") == 0
    report = printed(capsys)
    assert report["traffic"]["writes"] > 0 and report["copy"]["kind"] == "as is"
    assert report["at_production_size"] is None


@pytest.mark.only("mariadb")
def test_a_statement_of_which_no_lock_is_seen_is_not_called_free(
    database: Database, new_database: Callable[[], Database], tmp_path: Path
) -> None:
    analyzed = ('op.execute("ANALYZE TABLE users")', "pass")
    project = project_of(database, tmp_path, analyzed, rows=0)
    into = url_of(new_database())
    found = rehearse(project.config, into=into, rows=10, traffic="none", project=False)
    (analyze,) = [one for one in found.as_json()["statements"] if "ANALYZE" in one["sql"]]
    assert (analyze["locks"], analyze["seen"], analyze["effect"]) == ({}, "not seen", "unknown")
    assert "Locks       not seen" in "\n".join(rehearsal_lines(found))
    assert "unknown" in html(found.as_json())
