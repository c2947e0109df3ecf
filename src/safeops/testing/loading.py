"""Loads the project once for all child processes, in the one that they are forked from: its imports may take seconds.

That process gets the project in an environment variable, as it starts.
"""

from __future__ import annotations

import base64
import multiprocessing
import os
import pickle
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection as pipes
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL

from safeops.runner.revisions import scripts_of
from safeops.runner.temporary_database import config_for, environment_variable
from safeops.testing.project import Project
from safeops.testing.running import drivername_of

VARIABLE = "SAFEOPS_PROJECT_TO_LOAD"
FORKED = "forkserver"
LIBRARIES = ("alembic", "sqlalchemy", "safeops", "psycopg", "psycopg2", "asyncpg", "pymysql", "MySQLdb", "aiosqlite")
"""What is loaded once in any case."""
has_threads = False
"""In the process that others are forked from: the project has started threads, which a fork does not have."""


@dataclass(frozen=True)
class SentProject:
    """A project as another process gets it, without streams, connections and the like, which stay in their process.

    Args:
        config: What its configuration has, pickled, as far as it can be sent.
        attributes: The same of its attributes.
    """

    config: dict[str, bytes]
    attributes: dict[str, bytes]

    @classmethod
    def of(cls, config: Config) -> SentProject:
        """Return what can be sent of the project with a configuration."""
        return cls(_sendable(vars(config)), _sendable(config.attributes))

    def received(self) -> Config:
        """Return the configuration, in the process that got it."""
        config = Config()
        vars(config).update({**_received(self.config), "attributes": _received(self.attributes)})
        return config


def _sendable(values: Mapping[str, Any]) -> dict[str, bytes]:
    sent: dict[str, bytes] = {}
    for name, value in values.items():
        with suppress(Exception):
            sent[name] = pickle.dumps(value)
    return sent


def _received(sent: Mapping[str, bytes]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in sent.items():
        with suppress(Exception):
            values[name] = pickle.loads(value)
    return values


# How processes are started --------------------------------------------------------------------------------------

_loaded: Project | None = None
_forks: bool | None = None
"""Whether processes can be forked; None if that is not known yet."""


def load_for_children(project: Project, url: URL) -> None:
    """Have the children of a project be forked from a process that has loaded it.

    Args:
        project: The project.
        url: A database of the tests, which is not connected to.
    """
    global _loaded
    if FORKED not in multiprocessing.get_all_start_methods() or _loaded is not None:
        return
    from multiprocessing import forkserver

    _preload(*sorted(filter(_is_of_library, sys.modules)), "safeops.testing.loaded")
    sent = pickle.dumps((sys.path, SentProject.of(project.config), url))
    os.environ[VARIABLE] = base64.b64encode(sent).decode()
    try:
        forkserver.ensure_running()
    finally:
        del os.environ[VARIABLE]
    _loaded = project


def context_for(project: Project) -> Any:
    """Return how the children of a project are started: by a fork of a process that has loaded what they need, if that is
    possible.
    """
    # Modules of another project may have the same names.
    if FORKED not in multiprocessing.get_all_start_methods() or (_loaded is not None and _loaded is not project):
        return multiprocessing.get_context("spawn")
    if _loaded is None:
        _preload(*sorted(filter(_is_of_library, sys.modules)))
    return multiprocessing.get_context(FORKED if _can_fork() else "spawn")


def _preload(*modules: str) -> None:
    multiprocessing.get_context(FORKED).set_forkserver_preload(["safeops.testing.children", *modules])


def _is_of_library(module: str) -> bool:
    """Return whether the upgrades of this process have loaded a module, and not the project or the tests."""
    return module.partition(".")[0] in LIBRARIES and not module.startswith(__package__)


def _can_fork() -> bool:
    global _forks
    if _forks is None:
        context: Any = multiprocessing.get_context(FORKED)
        own, other = context.Pipe(duplex=False)
        process = context.Process(target=_tell, args=(other,))
        process.start()
        other.close()
        with suppress(EOFError):
            _forks = not own.recv()
        process.join()
    return bool(_forks)


def _tell(pipe: pipes.Connection) -> None:
    pipe.send(has_threads)


# In the process that others are forked from ---------------------------------------------------------------------


def load_project() -> None:
    """Load the project that the environment variable names, if there is one."""
    global has_threads
    sent = os.environ.pop(VARIABLE, None)
    if sent is None:
        return
    path, project, url = pickle.loads(base64.b64decode(sent))
    sys.path[:] = path
    be_silent()
    config = project.received()
    # What fails here fails in the children too, which report it.
    with suppress(BaseException):
        load(config, scripts_of(config), url)
    has_threads = threading.active_count() > 1


def load(config: Config, script: ScriptDirectory, url: URL) -> None:
    """Load the revisions, env.py, and what they import, without a connection."""
    list(script.walk_revisions())
    with environment_variable(url):
        drivername_of(config_for(config, url), script)


def be_silent() -> None:
    """Have this process print nothing from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
