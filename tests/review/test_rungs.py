"""The rungs of the ladder on real servers: each sees more than the one before it, and all report what they have seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from tests.review.recorded import project
from tests.servers import Database, Server

from safeops.cli import main

COLUMNS = 'sa.Column("id", sa.Integer), sa.Column("name", sa.Text)'
TABLES = f'op.create_table("big", {COLUMNS})\nop.create_table("few", {COLUMNS})'
INDEXES = "op.create_index('ix_big', 'big', ['name'])\nop.create_index('ix_few', 'few', ['name'])"
OPAQUE = "op.execute('DO $$ BEGIN ALTER TABLE big ALTER COLUMN id TYPE bigint; END $$')"


class Reviewing:
    """A project in the current folder whose first revision is deployed, and whose table ``big`` has rows."""

    def __init__(self, folder: Path, database: Database, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.database, self._capsys = folder, database, capsys
        self.url = database.url.render_as_string(hide_password=False)

    def write(self, *bodies: str) -> None:
        config = project(self.folder, TABLES, *bodies, url=self.url.replace("%", "%%"))
        lines = (f"{name} = {config.get_main_option(name)}" for name in ("script_location", "sqlalchemy.url"))
        (self.folder / "alembic.ini").write_text("\n".join(["[alembic]", *lines]))

    def deploy(self) -> None:
        command.upgrade(Config("alembic.ini"), "r0")
        self.database.execute("INSERT INTO big SELECT n, 'x' FROM generate_series(1, 5000) n")
        self.database.execute("INSERT INTO few VALUES (1, 'x')")
        self.database.execute("ANALYZE")

    def found(self, *arguments: str, status: int) -> dict[str, dict[str, Any]]:
        """What was found, by revision."""
        self._capsys.readouterr()
        assert main(["review", *arguments, "--json"]) == status
        return {one["revision"]: one for one in json.loads(self._capsys.readouterr().out)["revisions"]}


@pytest.fixture
def reviewing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Reviewing:
    monkeypatch.chdir(tmp_path)
    made = Reviewing(tmp_path, database, capsys)
    made.write(INDEXES)
    return made


def tables(revision: dict[str, Any]) -> set[str]:
    return {finding["table"] for finding in revision["findings"] if finding["verdict"] == "unsafe"}


@pytest.mark.only("pg18")
def test_the_live_database_shows_sizes_and_pending_revisions(reviewing: Reviewing) -> None:
    reviewing.deploy()
    found = reviewing.found("--url", reviewing.url, status=1)
    assert set(found) == {"r1"} and found["r1"]["seen"] == "live"
    assert tables(found["r1"]) == {"public.big"}
    (finding,) = (one for one in found["r1"]["findings"] if one["verdict"] == "unsafe")
    assert (finding["rows"], finding["known_from"]) == (5000, "the live database")
    assert set(reviewing.found("--all", "--url", reviewing.url, status=1)) == {"r1"}
    assert tables(reviewing.found("r1", status=1)["r1"]) == {"public.big", "public.few"}


@pytest.mark.only("pg18")
def test_sizes_are_kept_for_reviews_without_a_database(reviewing: Reviewing) -> None:
    reviewing.deploy()
    reviewing.found("--url", reviewing.url, "--write-stats", status=1)
    kept = json.loads(Path("stats.json").read_text())
    assert kept["version"] == 1 and kept["tables"]["public.big"] == 5000 and kept["tables"]["public.few"] == 1
    assert tables(reviewing.found("r1", status=1)["r1"]) == {"public.big"}


@pytest.mark.only("pg18")
def test_a_revision_that_the_database_has_had_is_judged_when_it_is_named(reviewing: Reviewing) -> None:
    reviewing.deploy()
    command.upgrade(Config("alembic.ini"), "head")
    assert reviewing.found("--url", reviewing.url, status=0) == {}
    assert tables(reviewing.found("r1", "--url", reviewing.url, status=1)["r1"]) == {"public.big"}


@pytest.mark.only("pg18")
def test_a_scratch_copy_sees_what_a_text_does_not_show(reviewing: Reviewing, server: Server) -> None:
    reviewing.write(OPAQUE)
    reviewing.found("r1", status=1)
    scratch = server.new_database()
    try:
        url = scratch.render_as_string(hide_password=False)
        (finding,) = reviewing.found("r1", "--scratch-url", url, status=1)["r1"]["findings"]
        assert (finding["seen"], finding["lock"], finding["work"]) == ("scratch", "ACCESS EXCLUSIVE", "rewrite")
        # The copy is empty again, and can be used again.
        again = reviewing.found("r1", "--scratch-url", url, "--server-version", "18", status=1)
        assert again["r1"]["seen"] == "scratch"
    finally:
        server.drop(scratch)


@pytest.mark.only("pg18", "mariadb", "sqlite")
def test_a_copy_is_made_on_the_projects_own_server(reviewing: Reviewing) -> None:
    if reviewing.database.kind == "mysql":
        # Which builds an index while others write.
        reviewing.write("op.alter_column('big', 'id', type_=sa.BigInteger(), existing_type=sa.Integer())")
    found = reviewing.found("--all", "--scratch", status=1)
    assert {one["seen"] for one in found.values()} == {"scratch"}
    # Of several deploys, or in the same schema.
    tried = [one["tried"] for one in found["r1"]["findings"] if one["replacement"]]
    assert set(tried) <= {"same", "differs"}


@pytest.mark.only("pg18")
def test_a_database_that_cannot_be_had_is_an_error(reviewing: Reviewing) -> None:
    nowhere = "postgresql+psycopg://nobody@127.0.0.1:1/nowhere"
    for arguments in (("--url", nowhere), ("--scratch-url", nowhere), ("--url", "no url"), ("--scratch-url", "no url")):
        assert main(["review", "--all", *arguments]) == 4
    reviewing.deploy()
    assert main(["review", "--all", "--scratch-url", reviewing.url]) == 3
