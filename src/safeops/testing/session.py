"""What the plug-in does in a session with ``--safeops``: loads the project, starts a server, collects the tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from safeops.testing.marks import MARKS
from safeops.testing.reports import Reports

if TYPE_CHECKING:
    from alembic.config import Config

    from safeops.testing.places import Place
    from safeops.testing.project import Project, Revision

FIXTURES, SUITE = "safeops.testing.fixtures", "safeops.testing.suite"
PARAMETER = "safeops_revision"
PLACE = "safeops_place"
"""The key under which a worker of xdist gets the URL of the server."""
PREFIX = "test_"


def register(config: pytest.Config) -> None:
    """Take part in a session."""
    session = Session(config)
    config.stash[SESSION] = session
    config.pluginmanager.register(session, "safeops-session")
    config.pluginmanager.register(Reports(config), "safeops-reports")
    config.pluginmanager.import_plugin(FIXTURES)
    session.add_project_to_arguments()


class ProjectFile(pytest.Module):
    """The configuration file of the project: its tests are those of the suite."""

    def _getobj(self) -> ModuleType:
        return import_module(SUITE)

    def funcnamefilter(self, name: str) -> bool:
        return name.removeprefix(PREFIX) in MARKS

    def classnamefilter(self, name: str) -> bool:
        return False


class Session:
    """The part of the plug-in that only a session with ``--safeops`` has."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self._opened = ExitStack()
        self._project: Project | None = None
        self._place: Place | None = None

    # The project ------------------------------------------------------------------------------------------------

    @property
    def path(self) -> Path | None:
        """The configuration file of the project; None if there is none."""
        option, setting = self.config.getoption("safeops_config"), self.config.getini("safeops_config")
        if option:
            return Path(self.config.invocation_params.dir, option)
        if setting:
            return Path(self.config.inipath.parent if self.config.inipath else self.config.rootpath, setting)
        places = [self.config.invocation_params.dir, self.config.rootpath]
        names = [os.environ.get("ALEMBIC_CONFIG") or "alembic.ini", "pyproject.toml"]
        return next((place / name for name in names for place in places if _has_project(place / name)), None)

    @property
    def project(self) -> Project:
        """The project, loaded once; pytest ends with a usage error if it cannot be loaded."""
        if self._project is None:
            with usage_errors():
                self._project = self._loaded()
        return self._project

    @property
    def known_config(self) -> Config | None:
        """The configuration of the project, if it was loaded."""
        return self._project.config if self._project is not None else None

    def _loaded(self) -> Project:
        from safeops.testing.project import Project

        if self.path is None or not self.path.is_file():
            wanted = self.path or "alembic.ini, and no [tool.alembic] in pyproject.toml"
            raise pytest.UsageError(
                f"--safeops: there is no {wanted}. Name the configuration of the Alembic project:"
                " pytest --safeops --safeops-config FILE"
            )
        arguments = [*self.config.getini("safeops_x"), *self.config.getoption("safeops_x")]
        return Project.at(self.path, arguments)

    def revisions(self) -> tuple[Revision, ...]:
        """Return the revisions to test."""
        with usage_errors():
            return self.project.revisions(self.config.getoption("safeops_since"))

    # The databases ----------------------------------------------------------------------------------------------

    @property
    def url(self) -> str | None:
        """The database that the team has named, or the server that another process has started for all workers."""
        told: str | None = getattr(self.config, "workerinput", {}).get(PLACE)
        return told or self.config.getoption("safeops_url") or self.config.getini("safeops_url") or None

    def place(self) -> Place:
        """Return the place of the databases, whose server is started when it is first needed, or raise SafeOpsError."""
        from safeops.testing.places import opened
        from safeops.testing.running import drivername_of, environment_of

        if self._place is None:
            drivername = drivername_of(self.project.config, self.project.script)
            self._place = self._opened.enter_context(opened(self.url, drivername))
            # A project that cannot be run at all is one error, not one for each test.
            environment_of(self.project, self._place)
        return self._place

    # Hooks ------------------------------------------------------------------------------------------------------

    def add_project_to_arguments(self) -> None:
        """Have pytest collect the configuration file, also if it looks for tests elsewhere."""
        arguments = self.config.args
        if self.path is None or any("::" in one for one in arguments):
            return
        path = self.path.resolve()
        given = {Path(self.config.invocation_params.dir, one).resolve() for one in arguments}
        # In a folder that is searched, pytest finds it. Early versions of pytest 8 lose the rest of a folder that overlaps.
        if given.isdisjoint((path, *path.parents)):
            arguments.append(str(path))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        # Before anything is collected: an error is then one line, not a traceback for each file.
        self.revisions()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Give a worker of xdist the URL of the server."""
        with usage_errors():
            node.workerinput[PLACE] = self.place().url.render_as_string(hide_password=False)

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        if self.path is not None and file_path == self.path.resolve():
            return ProjectFile.from_parent(parent, path=file_path)
        return None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if PARAMETER in metafunc.fixturenames:
            revisions = self.revisions()
            # By session: pytest then runs all tests of a revision one after another, on the same template.
            metafunc.parametrize(PARAMETER, revisions, ids=[one.id for one in revisions], scope="session")

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        # First: -m selects by these marks.
        for item in items:
            name = getattr(item, "originalname", "").removeprefix(PREFIX)
            if name in MARKS and PARAMETER in getattr(item, "fixturenames", ()):
                item.add_marker("safeops")
                item.add_marker(name)

    def pytest_unconfigure(self) -> None:
        self._opened.close()


SESSION = pytest.StashKey[Session]()


def _has_project(path: Path) -> bool:
    if path.name != "pyproject.toml":
        return path.is_file()
    return path.is_file() and "[tool.alembic]" in path.read_text(encoding="utf-8", errors="replace")


@contextmanager
def usage_errors() -> Iterator[None]:
    """Have pytest end with one message, without a traceback, if the project or the database cannot be used."""
    from alembic.util import CommandError

    try:
        yield
    except CommandError as error:
        raise pytest.UsageError(f"--safeops: {error}") from error
