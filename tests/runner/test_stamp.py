"""``safeops stamp REV --verify``: the database is stamped only if its schema is that of the revisions."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.catalogue import assert_same, definitions
from tests.projects import Project
from tests.runner.deploys import ONE_EACH, Deploy, printed, said, table
from tests.runner.hoard import EACH, with_user
from tests.servers import Database

from safeops.errors import NotReady, SafeOpsError
from safeops.runner.stamping import stamp

RICH = """
create_table_if_missing("teams", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(40)))
create_table_if_missing("users", sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("email", sa.String(100), nullable=False, server_default="none"),
    sa.Column("born", sa.DateTime, server_default=sa.func.now()), sa.Column("rank", sa.Numeric(10, 2)),
    sa.Column("mood", sa.Enum("sad", "glad", name="mood")),
    sa.Column("team_id", sa.Integer, sa.ForeignKey("teams.id", ondelete="CASCADE", name="fk_users_team")),
    sa.UniqueConstraint("email", name="uq_users_email"))
create_index_if_missing("ix_users_rank", "users", ["rank", "email"])
"""
REVISIONS = {"r1": (RICH, "pass"), "r2": table("late")}


def forget(database: Database) -> None:
    database.execute("DELETE FROM alembic_version")


def scratch_databases(database: Database) -> list[str]:
    with database.observer().connect() as connection:
        names = sa.inspect(connection).get_schema_names()
        if database.kind == "postgresql":
            names = [row[0] for row in connection.exec_driver_sql("SELECT datname FROM pg_database")]
    return [one for one in names if one.startswith("safeops_scratch_")]


@EACH
def test_what_the_revisions_would_have_made_is_stamped(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = Deploy(tmp_path, database, REVISIONS)
    project.main("upgrade", "r1")
    forget(database)
    before = definitions(database)
    said(capsys)
    assert project.main("stamp", "r1", "--verify", "--json") == 0
    assert printed(capsys) == {"before": [], "current": ["r1"], "differences": []}
    assert project.main("stamp", "head", "--verify") == 1
    assert "op.create_table('late'" in said(capsys)
    assert project.current() == ("r1",)
    assert project.main("stamp", "head") == 0
    assert project.current() == ("r2",)
    assert_same(before, definitions(database), "the schema")
    assert scratch_databases(database) == []


@ONE_EACH
@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ("ALTER TABLE teams ADD COLUMN extra integer", "drop_column('teams', 'extra')"),
        ("CREATE INDEX ix_extra ON teams (name)", "drop_index("),
        ("DROP TABLE users", "create_table('users'"),
        ("CREATE TABLE strange (a integer)", "drop_table('strange')"),
    ],
)
def test_what_differs_is_shown(database: Database, tmp_path: Path, change: str, shown: str) -> None:
    project = Deploy(tmp_path, database, {"r1": REVISIONS["r1"]})
    project.main("upgrade")
    forget(database)
    database.execute(change)
    done = stamp(project.config, "head")
    assert shown in "\n".join(done.differences)
    assert (done.exit_status, project.current()) == (1, ())


@EACH
def test_a_revision_that_no_file_has_is_replaced(database: Database, tmp_path: Path) -> None:
    project = Deploy(tmp_path, database, REVISIONS)
    project.main("upgrade")
    database.execute("UPDATE alembic_version SET version_num = 'gone'")
    assert stamp(project.config, "r2").before == ("gone",)
    assert project.current() == ("r2",)


@ONE_EACH
@pytest.mark.parametrize("way", ["creator", "connection"])
def test_an_env_that_cannot_be_led_away_touches_nothing(database: Database, tmp_path: Path, way: str) -> None:
    """A creator of the engine and a connection that exists already cannot be redirected."""
    url = database.url.render_as_string(hide_password=False)
    kept = f"import sys, types, contextlib\nkept = sys.modules.setdefault({str(tmp_path)!r}, types.SimpleNamespace())\n"
    if way == "creator":
        kept += f"ours = sa.create_engine({url!r})\narguments, options = ours.dialect.create_connect_args(ours.url)"
        driver = "ours.dialect.import_dbapi().connect(*arguments, **options)"
        engine = f"sa.create_engine(URL, creator=lambda: {driver}, poolclass=sa.pool.NullPool)"
    else:
        kept += f"kept.one = getattr(kept, 'one', None) or sa.create_engine({url!r}).connect()"
        engine = "types.SimpleNamespace(connect=lambda: contextlib.nullcontext(kept.one))"
    project = Deploy(tmp_path, database, REVISIONS, before=kept, engine=engine)
    before = definitions(database)
    with pytest.raises(SafeOpsError, match="instead of the scratch database"):
        stamp(project.config, "head")
    if way == "connection":
        sys.modules[str(tmp_path)].one.close()
    assert_same(before, definitions(database), "the schema")
    assert scratch_databases(database) == []


@ONE_EACH
def test_an_engine_of_the_application_with_its_pool(database: Database, tmp_path: Path) -> None:
    url = database.url.render_as_string(hide_password=False)
    kept = f"import sys, types\nkept = sys.modules.setdefault({str(tmp_path)!r}, types.SimpleNamespace())"
    kept += (
        f"\nif not hasattr(kept, 'engine'):\n    kept.engine = sa.create_engine({url!r}, poolclass=sa.pool.QueuePool)"
    )
    project = Deploy(tmp_path, database, REVISIONS, before=kept, engine="kept.engine")
    assert project.main("upgrade", "r1") == 0
    forget(database)
    assert stamp(project.config, "r1").differences == ()
    assert project.current() == ("r1",)


@ONE_EACH
def test_a_revision_that_fails_on_an_empty_database(database: Database, tmp_path: Path) -> None:
    project = Deploy(tmp_path, database, {"r1": ("op.execute('INSERT INTO nowhere VALUES (1)')", "pass")})
    database.execute("CREATE TABLE nowhere (a integer)")
    with pytest.raises(NotReady, match="Revision r1 fails on an empty database"):
        stamp(project.config, "head")
    assert scratch_databases(database) == []
    with pytest.raises(SafeOpsError, match="There is no revision r9"):
        stamp(project.config, "r9")


@pytest.mark.only("pg18", "mysql")
def test_a_user_who_cannot_create_databases_names_one(
    database: Database, tmp_path: Path, new_database: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(new_database)
    project = Deploy(tmp_path, with_user(database, "deployer", "x"), {"r1": REVISIONS["r1"]})
    project.main("upgrade")
    forget(database)
    said(capsys)
    assert project.main("stamp", "head", "--verify") == 3
    assert "--scratch-url URL" in said(capsys)
    empty = new_database()
    url = with_user(empty, "deployer", "x").url.render_as_string(hide_password=False)
    if database.kind == "mysql":
        with database.server.admin.cursor() as cursor:
            cursor.execute(f"GRANT ALL PRIVILEGES ON `{database.name}`.* TO 'deployer'@'%'")
    assert project.main("stamp", "head", "--verify", "--scratch-url", url) == 0
    forget(database)
    assert project.main("stamp", "head", "--verify", "--scratch-url", url) == 3
    assert "is not empty" in said(capsys)
    assert project.current() == ()


@pytest.mark.only("pg18")
def test_an_asynchronous_env(database: Database, tmp_path: Path) -> None:
    driver = database.with_driver("asyncpg")
    project = Project(tmp_path, driver, REVISIONS, env="async", imports="from safeops import *")
    project.upgrade()
    forget(database)
    assert stamp(project.config, "head").current == ("r2",)
    assert scratch_databases(database) == []
