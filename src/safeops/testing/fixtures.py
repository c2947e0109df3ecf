"""Fixtures for the tests of ``--safeops``, and for tests that a team writes.

They are there with ``--safeops``. To have them in each run, write in the conftest.py of the root folder:

    pytest_plugins = ["safeops.testing.fixtures"]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import pytest

from safeops.testing.session import SESSION, Session

if TYPE_CHECKING:
    from alembic.config import Config

    from safeops.testing.kit import Kit, Trial
    from safeops.testing.ledger import Ledger
    from safeops.testing.old_application import OldApplication
    from safeops.testing.places import Place
    from safeops.testing.project import Project
    from safeops.testing.rows import Rows
    from safeops.testing.templates import OlderTables, OwnRows

MigratedTo: TypeAlias = "Callable[[str], Trial]"
"""Gives a database that is at a revision."""
StoppedAfter: TypeAlias = "Callable[..., Trial]"
"""Gives a database on which an upgrade was stopped; see ``stopped_after``."""
OldApplications: TypeAlias = "Callable[..., OldApplication]"
"""Gives the application of a release on a database: ``old_application(database, commit=None)``."""


def _session(config: pytest.Config) -> Session:
    """Return the part of the plug-in that has the project, also in a run without ``--safeops``."""
    if SESSION not in config.stash:
        config.stash[SESSION] = Session(config)
        config.add_cleanup(config.stash[SESSION].pytest_unconfigure)
    return config.stash[SESSION]


# What a team may override ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def safeops_config(pytestconfig: pytest.Config) -> Config:
    """The configuration of the Alembic project; override it if no file has it."""
    return _session(pytestconfig).project.config


@pytest.fixture(scope="session")
def safeops_url(pytestconfig: pytest.Config) -> str | None:
    """The URL of an empty database, next to which others are created; None starts a temporary server.

    Override it if only a fixture knows it, as one that starts a container.
    """
    return _session(pytestconfig).url


@pytest.fixture(scope="session")
def safeops_rows() -> OwnRows | None:
    """A function that inserts rows of the team into the database before a revision; None has only sample rows made.

    Override it in a conftest.py next to the configuration of the project. The function gets a connection in a transaction,
    which is committed afterwards, and the identifier of the revision that is tested. Sample rows are then made for the
    tables that it has left empty, unless it returns False.

    Example:
        @pytest.fixture(scope="session")
        def safeops_rows():
            def insert(connection, revision):
                if "users" in sa.inspect(connection).get_table_names():
                    connection.execute(sa.text("INSERT INTO users (name) VALUES ('Ada')"))
            return insert
    """
    return None


@pytest.fixture(scope="session")
def safeops_older_tables() -> OlderTables | None:
    """A function that creates the tables that are older than the first revision; None for a database that begins empty.

    Override it as ``safeops_rows``. The function gets a connection in a transaction, which is committed afterwards.

    Example:
        @pytest.fixture(scope="session")
        def safeops_older_tables():
            return lambda connection: connection.execute(sa.text("CREATE TABLE users (id INTEGER PRIMARY KEY)"))
    """
    return None


@pytest.fixture(scope="session")
def safeops_kit(
    pytestconfig: pytest.Config,
    safeops_config: Config,
    safeops_url: str | None,
    safeops_rows: OwnRows | None,
    safeops_older_tables: OlderTables | None,
) -> Iterator[Kit]:
    """The tools of the tests: databases as they are before a revision."""
    from alembic.util import CommandError

    from safeops.testing.kit import Kit
    from safeops.testing.loading import load_for_children

    with ExitStack() as stack:
        try:
            project, place = _opened(_session(pytestconfig), safeops_config, safeops_url, stack)
        except CommandError as error:
            # The next test would meet it too.
            pytest.exit(f"--safeops: {error}", returncode=pytest.ExitCode.USAGE_ERROR)
        load_for_children(project, place.for_project(place.url))
        kit = Kit(
            project,
            place,
            since=pytestconfig.getoption("safeops_since"),
            lock_timeout=float(pytestconfig.getini("safeops_lock_timeout")),
            own_rows=safeops_rows,
            older_tables=safeops_older_tables,
        )
        stack.callback(kit.close)
        yield kit


def _opened(session: Session, config: Config, url: str | None, stack: ExitStack) -> tuple[Project, Place]:
    """Return the project and the place of its databases: those of the session, or what a team's fixtures have named."""
    from safeops.testing.places import opened
    from safeops.testing.project import Project
    from safeops.testing.running import drivername_of, environment_of

    given = None if config is session.known_config else Project(config)
    if given is None and url == session.url:
        return session.project, session.place()
    project = given or session.project
    place = stack.enter_context(opened(url, drivername_of(project.config, project.script)))
    # As Session.place() does, which also finds out whether env.py needs a connection.
    environment_of(project, place)
    return project, place


# For tests of a team --------------------------------------------------------------------------------------------


@pytest.fixture
def migrated_to(safeops_kit: Kit) -> Iterator[MigratedTo]:
    """Gives a database that is at a revision, with the rows of ``safeops_rows`` and sample rows; it is dropped afterwards.

    Example:
        def test_names_are_split(migrated_to, rows):
            database = migrated_to("0041")
            rows.insert(database, "users", {"name": "Ada Lovelace"})
            database.upgrade("0042")
            assert rows(database, "users")[-1]["last_name"] == "Lovelace"
    """
    with ExitStack() as stack:
        yield lambda revision: stack.enter_context(safeops_kit.at(revision))


@pytest.fixture
def stopped_after(safeops_kit: Kit) -> Iterator[StoppedAfter]:
    """Gives a database on which an upgrade was stopped after so many statements; it is dropped afterwards.

    Called with the number of statements, and the revision, by default the last one. All statements count that change
    something, Alembic's own of the version among them. What a commit had not made permanent is rolled back.

    Example:
        def test_the_backfill_is_completed(stopped_after, rows):
            database = stopped_after(2, "0042")
            database.upgrade("0042")
            assert all(row["status"] for row in rows(database, "users"))
    """
    from safeops.testing.stops import upgrade_stopped_after

    with ExitStack() as stack:

        def stopped(statements: int, revision: str = "head") -> Trial:
            trial = stack.enter_context(safeops_kit.before(revision))
            upgrade_stopped_after(trial, statements)
            return trial

        yield stopped


@pytest.fixture
def rows() -> Rows:
    """Reads and inserts rows of a database of ``migrated_to``."""
    from safeops.testing.rows import Rows

    return Rows()


@pytest.fixture
def old_application(safeops_kit: Kit) -> OldApplications:
    """Gives the application of the release before the revision that a database gets next; it reads and writes by its models.

    ``commit=`` names another release.

    Example:
        def test_the_old_release_keeps_working(migrated_to, old_application):
            database = migrated_to("0041")
            old = old_application(database)
            with old.running():
                database.upgrade("0042")
            old.check()
    """
    from safeops.testing.old_application import old_application_of

    return partial(old_application_of, safeops_kit)


@pytest.fixture
def ledger() -> Ledger:
    """Writes single rows next to the statements of a block, and fails after it if a write is lost that was acknowledged.

    Example:
        def test_no_name_is_lost(migrated_to, ledger):
            database = migrated_to("0041")
            with ledger(database, ["users"]) as writes:
                database.upgrade("0042")
            assert writes.acknowledged
    """
    from safeops.testing.ledger import written_beside

    return written_beside
