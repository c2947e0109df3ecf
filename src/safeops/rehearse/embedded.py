"""A temporary database for a rehearsal that names none: a file, or a server that never outlives the process."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from sqlalchemy.dialects import registry
from sqlalchemy.engine import URL

from safeops.databases import KINDS, database_class
from safeops.databases.ports import Port
from safeops.errors import InvalidArgument
from safeops.rehearse.temporary_folder import temporary_folder

PREFIX = "safeops-rehearsal-"


class Embedded(Port):
    """Starts a database that needs no server of the user's."""

    place = "safeops.rehearse.{family}.embedded:Embedded"
    asked = "A temporary database"

    package: ClassVar[str | None] = None
    """The package that has the server; None if it needs none."""

    @classmethod
    @abstractmethod
    def serve(cls, folder: Path) -> AbstractContextManager[URL]:
        """Provide an empty database in a folder, for the block."""


@contextmanager
def temporary_server(
    own: URL | None, *, option: str = "--into", command: str = "safeops rehearse", folder: Path | None = None
) -> Iterator[URL]:
    """Provide an empty database of the same kind as the project's, which is removed after the block.

    Args:
        own: The URL of the project's own database.
        option: The option that names a database instead, for messages.
        command: The command that has it.
        folder: The folder for the data; by default that of temporary files.
    """
    dialect = own.get_dialect() if own is not None else registry.load(KINDS[0])
    kind = database_class(dialect())
    if not Embedded.serves(kind):
        raise InvalidArgument(
            f"{option} is missing, and no temporary {kind.product} can be started.",
            remedy="Create an empty database, and name it:",
            code=f"{command} {option} URL",
        )
    served = Embedded.class_of(kind)
    if served.package is not None and find_spec(served.package) is None:
        raise InvalidArgument(
            f"{option} is missing, and the package {served.package}, which has a {kind.product} server, is not installed.",
            remedy="Install it, or create an empty database and name it:",
            code=f"pip install {served.package.replace('_', '-')}\n{command} {option} URL",
        )
    with temporary_folder(PREFIX, folder) as made, served.serve(made) as url:
        yield url.set(drivername=own.drivername if own is not None else url.drivername)
