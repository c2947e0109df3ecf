"""The copy before a revision is made once: what a trial changes there is undone without the revisions before it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from tests.projects import Project
from tests.review.recorded import ENV, project
from tests.servers import Database
from tests.terminals import on_terminal, screen

from safeops.judging.replacements import Replacement
from safeops.judging.sent import Sent
from safeops.review import review
from safeops.review.scratch import record_scratch
from safeops.review.trials import Trial, Trials

TABLES = """
op.create_table("users", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("name", sa.String(50)))
op.execute("INSERT INTO users VALUES (7, 'one')")
"""
NAMES = ("a", "b", "c")
INDEXES = "\n".join(f"op.create_index('ix_{one}', 'users', ['name', 'id'])" for one in NAMES)
DATABASE = "op.get_bind().scalar(sa.text('SELECT current_database()'))"


def index(name: str, then: str = "") -> Replacement:
    """A replacement that commits: the copy must be restored after it."""
    code = f"create_index_if_missing('ix_{name}', 'users', ['name', 'id'])"
    return Replacement(f"{code}\n{then}", f"drop_index_if_exists('ix_{name}', 'users')")


class Trying:
    """A project whose replacements are tried, and the revisions that ran for that."""

    def __init__(self, folder: Path, database: Database, before: str) -> None:
        self.ran = folder / "ran.txt"
        own = Project(folder, database)
        own.write("tables", self._counted("tables", TABLES + before), down=None)
        own.write("r1", self._counted("r1", INDEXES), down="tables")
        own.write("r2", self._counted("r2", INDEXES.replace("ix_", "ix_later_")), down="r1")
        self.config = own.config

    def _counted(self, revision: str, upgrade: str) -> str:
        return f"open({str(self.ran)!r}, 'a').write('{revision} ')\n{upgrade}"

    def tried(self, written: dict[str, list[Replacement]], scratch_url: str | None = None) -> list[Trial | None]:
        """The trials of the statements of some revisions, in that order."""
        script = ScriptDirectory.from_config(self.config)
        selected: list[Any] = [script.get_revision(one) for one in written]
        recordings = list(record_scratch(self.config, selected, scratch_url))
        self.ran.write_text("")
        found: list[Trial | None] = []
        with Trials(self.config, scratch_url) as trials:
            for one, recording in zip(selected, recordings, strict=True):
                sent = [event for event in recording.events if isinstance(event, Sent)]
                found += trials.tried(one, recording, list(zip(sent, written[one.revision], strict=True)))
        return found

    def times(self, revision: str) -> int:
        """How often a revision ran for the trials."""
        return self.ran.read_text().split().count(revision)


BOTH = {"r1": [index(one) for one in NAMES], "r2": [index(f"later_{one}") for one in NAMES]}
GOOD = [Trial(has_undo=True)] * 6


def temporary(database: Database, folder: Path) -> list[str]:
    """The scratch databases of a server."""
    if database.kind == "sqlite":
        return [str(one) for one in folder.glob("safeops*")]
    sql = "SELECT datname FROM pg_database" if database.kind == "postgresql" else "SHOW DATABASES"
    return [name for (name,) in database.query(sql) if name.startswith("safeops")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("given", [False, True])
def test_revisions_before_run_once(folder: Path, database: Database, new_database: Any, given: bool) -> None:
    trying = Trying(folder, database, "")
    url = new_database().url.render_as_string(hide_password=False) if given else None
    assert trying.tried(BOTH, url) == GOOD
    if database.kind != "mysql":
        # Each replacement has a run with the statement, and one with the replacement.
        assert (trying.times("tables"), trying.times("r1")) == (1, 3 * 2 + 1)
    assert temporary(database, folder) == []


@pytest.mark.only("pg18", "sqlite")
def test_sessions_that_were_left_open(folder: Path, database: Database) -> None:
    """One of a pool, and one that the revision did not close."""
    left = "import sys\nsys.left_open = [*getattr(sys, 'left_open', []), op.get_bind().engine.connect()]"
    pool = "sys.left_open.append(sa.create_engine(op.get_bind().engine.url)); sys.left_open[-1].connect().close()"
    trying = Trying(folder, database, f"{left}\n{pool}")
    assert trying.tried(BOTH) == GOOD
    assert trying.times("tables") == 1
    assert temporary(database, folder) == []


@pytest.mark.only("pg18", "sqlite")
def test_rows_and_schema_are_those_before(folder: Path, database: Database) -> None:
    """Each trial finds the rows and tables of the revisions before, and none of another trial."""
    rows = "op.get_bind().scalar(sa.text('SELECT sum(id) FROM users'))"
    spoil = f"assert {rows} == 7, {rows}\nop.execute('DELETE FROM users')\nop.execute('CREATE TABLE spoilt (a int)')"
    trying = Trying(folder, database, "")
    found = trying.tried({"r1": [index(one, spoil) for one in NAMES]})
    assert [trial.error if trial else "not tried" for trial in found] == [None] * 3
    assert trying.times("tables") == 1


@pytest.mark.only("pg18")
@pytest.mark.parametrize(
    "sql", ["ALTER DATABASE \"{}\" SET safeops.test = 'on'", 'GRANT CONNECT ON DATABASE "{}" TO pg_monitor']
)
def test_what_a_copy_would_lack(folder: Path, database: Database, sql: str) -> None:
    """PostgreSQL does not copy settings and privileges of a database: the revisions run again then."""
    look = "has_set = 'SELECT count(*) FROM pg_database d LEFT JOIN pg_db_role_setting ON setdatabase = d.oid'"
    where = "' WHERE datname = current_database() AND (setconfig IS NOT NULL OR datacl IS NOT NULL)'"
    check = f"{look} {where}\nassert op.get_bind().scalar(sa.text(has_set)) == 1"
    trying = Trying(folder, database, f"op.execute({sql!r}.format({DATABASE}))")
    found = trying.tried({"r1": [index(one, check) for one in NAMES]})
    assert found == [Trial(has_undo=True)] * 3
    assert trying.times("tables") == 3
    assert temporary(database, folder) == []


@pytest.mark.only("pg18")
def test_without_the_right_to_create_databases(folder: Path, database: Database, new_database: Any) -> None:
    """The given database is emptied then, and the revisions run again."""
    given, role = new_database(), f"plain_{database.name}"
    given.execute(f"CREATE ROLE {role} LOGIN", f"ALTER DATABASE {given.name} OWNER TO {role}")
    trying = Trying(folder, database, "")
    try:
        own = given.url.set(username=role).render_as_string(hide_password=False)
        assert trying.tried(BOTH, own) == GOOD
        assert sa.inspect(given.observer()).get_table_names() == []
    finally:
        given.execute(f"ALTER DATABASE {given.name} OWNER TO postgres", f"DROP ROLE {role}")


@pytest.mark.only("pg18")
@pytest.mark.parametrize("given", [False, True])
def test_a_copy_that_cannot_be_made_again(folder: Path, database: Database, new_database: Any, given: bool) -> None:
    """The revisions run again on a new one: here the server finds that the saved one was only half dropped."""
    lose = "op.execute(\"UPDATE pg_database SET datconnlimit = -2 WHERE datname LIKE 'safeops%saved'\")"
    trying = Trying(folder, database, "")
    url = new_database().url.render_as_string(hide_password=False) if given else None
    assert trying.tried({"r1": [index("a", lose), index("b"), index("c")]}, url) == [Trial(has_undo=True)] * 3
    assert trying.times("tables") == 2
    assert temporary(database, folder) == []


@pytest.mark.only("pg18", "sqlite")
def test_stopped(folder: Path, database: Database) -> None:
    """Ctrl-C, and SIGTERM, which raises the same: neither the copy nor the saved one is left."""
    trying = Trying(folder, database, "")
    with pytest.raises(KeyboardInterrupt):
        trying.tried({"r1": [index("a"), index("b", "raise KeyboardInterrupt"), index("c")]})
    assert temporary(database, folder) == []


@pytest.mark.only("pg18", "sqlite")
@pytest.mark.parametrize("given", [False, True])
def test_an_engine_that_outlives_env_py(folder: Path, database: Database, new_database: Any, given: bool) -> None:
    """Its pool holds a connection to a copy that is dropped, and to one that is restored."""
    name = f"engine_of_{folder.name}"
    pooled = f"import sys\n    with vars(sys).setdefault({name!r}, create_engine(url)).connect() as"
    env = ENV.replace("with create_engine(url).connect() as", pooled)
    assert env != ENV
    url, empty = (one.url.render_as_string(hide_password=False) for one in (database, new_database()))
    table = "op.create_table('t', sa.Column('a', sa.Integer()))"
    config = project(
        folder, table, "op.create_index('ix', 't', ['a'])", "op.create_index('ix2', 't', ['a'])", url=url, env=env
    )
    found = review(config, all_revisions=True, scratch=True, scratch_url=empty if given else None)
    assert [finding.tried for one in found.revisions for finding in one.findings] == ["same", "same"]


REVIEW = """
from safeops.cli import main
from safeops.review import progress
progress.SHOW_AFTER = 0.0
print(main(["review", "--all", "--scratch", "--json"]))
"""


@pytest.mark.only("sqlite")
def test_a_long_review_shows_how_far_it_is(tmp_path: Path, database: Database) -> None:
    table = "op.create_table('t', sa.Column('a', sa.Integer()))"
    config = project(tmp_path, table, "op.create_index('ix', 't', ['a'])", url=str(database.url))
    lines = (f"{name} = {config.get_main_option(name)}" for name in ("script_location", "sqlalchemy.url"))
    (tmp_path / "alembic.ini").write_text("\n".join(["[alembic]", *lines]))
    written, _ = on_terminal([sys.executable, "-c", REVIEW], folder=tmp_path)
    first, second, *report, status, _ = screen(written, 100)
    for line, verb in ((first, "running on the scratch copy"), (second, "trying the replacements")):
        assert line.startswith(verb)
        assert line.endswith("2 of 2 revisions")
    assert (report[0], status) == ("{", "1")
