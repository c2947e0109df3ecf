"""A temporary database for a rehearsal that names none: a file, or a server that never outlives the process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy.dialects import registry
from sqlalchemy.engine import URL

from safeops.databases import KINDS, database_class
from safeops.databases.ports import Port
from safeops.errors import InvalidArgument

PREFIX = "safeops-rehearsal-"
# Also after a kill -9 of the process: the pipe then ends.
WATCH = """
import os, shutil, signal, sys, time
sys.stdin.read()
pid = os.path.join(sys.argv[1], "data", "postmaster.pid")
try:
    number = int(open(pid).readline())
    os.kill(number, signal.SIGQUIT)
    while os.path.exists(pid):
        time.sleep(0.05)
        os.kill(number, 0)
except (OSError, ValueError):
    pass
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""


class Embedded(Port):
    """Starts a database that needs no server of the user's."""

    place = "safeops.rehearse.{family}.embedded:Embedded"
    asked = "A temporary database"

    @classmethod
    @abstractmethod
    def serve(cls, folder: Path) -> AbstractContextManager[URL]:
        """Provide an empty database in a folder, for the block."""


@contextmanager
def temporary_server(own: URL | None) -> Iterator[URL]:
    """Provide an empty database of the same kind as the project's, which is removed after the block."""
    dialect = own.get_dialect() if own is not None else registry.load(KINDS[0])
    kind = database_class(dialect())
    if not Embedded.serves(kind):
        raise InvalidArgument(
            f"--into is missing, and no temporary {kind.product} can be started.",
            remedy="Create an empty database, and name it:",
            code="safeops rehearse --into URL",
        )
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as folder,
        _watched(folder),
        Embedded.class_of(kind).serve(Path(folder)) as url,
    ):
        yield url.set(drivername=own.drivername if own is not None else url.drivername)


@contextmanager
def _watched(folder: str) -> Iterator[None]:
    command = [sys.executable, "-c", WATCH, folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True):
        yield
