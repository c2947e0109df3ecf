"""A temporary database is a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL

from safeops.rehearse import embedded


class Embedded(embedded.Embedded):
    """A file in the folder."""

    @classmethod
    @contextmanager
    def serve(cls, folder: Path) -> Iterator[URL]:
        yield URL.create("sqlite", database=str(folder / "rehearsal.sqlite"))
