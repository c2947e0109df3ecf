"""``require_current``: a service starts only on the database that its code was written for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from tests.catalogue import assert_same, definitions
from tests.projects import Project
from tests.runner.hoard import EACH
from tests.servers import Database

from safeops.errors import InvalidArgument, NotCurrent, SafeOpsError
from safeops.runner import require_current

pytestmark = EACH

REVISIONS = {"r1": ("pass", "pass"), "r2": ("pass", "pass"), "r3": ("pass", "pass")}


@pytest.fixture
def project(database: Database, tmp_path: Path) -> Project:
    made = Project(tmp_path, database, REVISIONS)
    # env.py is not run.
    (tmp_path / "migrations/broken.py").write_text("raise RuntimeError")
    return made


def test_it_names_the_revision_of_the_database_and_those_that_the_code_needs(
    database: Database, project: Project
) -> None:
    before = definitions(database, exact=True)
    with pytest.raises(
        NotCurrent, match="is at no revision, but this code needs r3: 3 revisions are pending"
    ) as caught:
        require_current(database.engine(), project.config)
    assert_same(before, definitions(database, exact=True), "the check")
    assert caught.value.code == "safeops upgrade"
    project.upgrade("r2")
    (project.folder / "migrations/env.py").write_text("raise RuntimeError('env.py was run')")
    with pytest.raises(NotCurrent, match="is at r2, but this code needs r3: 1 revision is pending"):
        require_current(database.engine(), project.config)
    database.execute("UPDATE alembic_version SET version_num = 'r3'")
    require_current(database.engine(), project.config)
    require_current(database.engine(), str(project.folder / "alembic.ini"))


def test_a_database_that_other_code_has_migrated(database: Database, project: Project) -> None:
    project.upgrade()
    database.execute("UPDATE alembic_version SET version_num = 'newer'")
    with pytest.raises(NotCurrent, match="is at newer, but this code has no revision newer: it needs r3"):
        require_current(database.engine(), project.config)


def test_another_version_table(database: Database, tmp_path: Path) -> None:
    project = Project(tmp_path, database, REVISIONS, configure={"version_table": "versions"})
    project.upgrade()
    with pytest.raises(NotCurrent):
        require_current(database.engine(), project.config)
    require_current(database.engine(), project.config, version_table="versions")
    config = project.config
    config.set_main_option("version_table", "versions")
    require_current(database.engine(), config)


@pytest.mark.only("pg15", "pg18", "sqlite")
@pytest.mark.parametrize("driver", ["psycopg", "asyncpg", "aiosqlite"])
def test_asynchronous_engines_in_and_outside_a_running_loop(database: Database, project: Project, driver: str) -> None:
    if (driver == "aiosqlite") != (database.kind == "sqlite"):
        pytest.skip("another database's")
    pytest.importorskip(driver)
    engine = create_async_engine(database.with_driver(driver).url)
    database.execute("CREATE TABLE something (id int)")

    async def ask() -> None:
        async with engine.connect() as connection:
            await connection.execute(sa.text("SELECT 1"))

    async def start_up() -> None:
        try:
            await ask()
            require_current(engine, project.config)
            await ask()
        finally:
            # The next run has its own loop.
            await engine.dispose()

    with pytest.raises(NotCurrent):
        require_current(engine, project.config)
    with pytest.raises(NotCurrent):
        asyncio.run(start_up())
    project.upgrade()
    require_current(engine, project.config)
    asyncio.run(start_up())


@pytest.mark.only("pg18")
def test_a_pool_keeps_what_it_had(database: Database, project: Project) -> None:
    project.upgrade()
    engine = sa.create_engine(database.url, pool_size=1, max_overflow=0)
    require_current(engine, project.config)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SHOW transaction_read_only")) == "off"
    engine.dispose()


@pytest.mark.only("pg18", "mysql")
def test_a_server_that_is_not_there(database: Database, project: Project) -> None:
    with pytest.raises(SafeOpsError, match="cannot be reached"):
        require_current(sa.create_engine(database.url.set(port=1)), project.config)


@pytest.mark.only("sqlite")
def test_an_argument_that_is_not_an_engine(database: Database, project: Project) -> None:
    with pytest.raises(InvalidArgument, match="got str, not an engine"):
        require_current("sqlite://", project.config)
