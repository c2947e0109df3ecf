"""A whole database written to one file, and read back from it."""

from __future__ import annotations

import gzip
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import event
from sqlalchemy.engine import Engine

from safeops.databases.ports import Port
from safeops.errors import BackupFailed

Progress = Callable[[int], None]
"""Told how many bytes were written so far."""


@dataclass(frozen=True)
class Login:
    """What a driver was called with to reach a database.

    Args:
        driver: SQLAlchemy's name of it.
        positional: Its positional arguments.
        named: Its keyword arguments; those of the URL, those of ``connect_args``, and what env.py's listeners made of them.
    """

    driver: str
    positional: Sequence[Any]
    named: Mapping[str, Any]

    def first(self, *names: str) -> Any:
        """Return the first argument of these names that was given, or None."""
        return next((self.named[name] for name in names if self.named.get(name) not in (None, "")), None)

    @property
    def password(self) -> str:
        """Return the password; empty where there is none."""
        given = self.first("password", "passwd")
        if callable(given):
            raise foreign_login("The engine gets its password from a function")
        return given.decode() if isinstance(given, bytes) else str(given or "")


@contextmanager
def logins(engine: Engine) -> Iterator[list[Login]]:
    """Note how the engine reaches its database while the block connects; nothing where a creator of its own does."""
    seen: list[Login] = []

    def note(dialect: Any, _record: Any, positional: Sequence[Any], named: Mapping[str, Any]) -> None:
        seen.append(Login(dialect.driver, tuple(positional), dict(named)))

    event.listen(engine, "do_connect", note)
    try:
        yield seen
    finally:
        event.remove(engine, "do_connect", note)


def foreign_login(what: str) -> BackupFailed:
    """Say that a program cannot be told how to reach the database."""
    return BackupFailed(
        f"{what}, which no other program can be told.",
        why="A dump is made by a program of its own, which needs host, user, password and options by themselves.",
        remedy="Give the engine a URL in env.py, with options such as sslmode in it; set what changes, as tokens do, so:",
        code='@event.listens_for(engine, "do_connect")\n'
        "def with_token(dialect, record, cargs, cparams):\n"
        '    cparams["password"] = new_token()',
    )


class Dumper(ABC):
    """Writes, checks and reads the dumps of one database, without a connection of ours."""

    restores_at_once: ClassVar[bool] = True
    """A restore that fails leaves the target as empty as it was."""

    @property
    @abstractmethod
    def tool(self) -> str:
        """Return what writes the dump, with its version."""

    @abstractmethod
    def dump(self, path: Path, progress: Progress) -> None:
        """Write the whole database, as it is at one moment, to a file that stands and is empty."""

    @abstractmethod
    def check(self, path: Path) -> None:
        """Raise ToolFailed where a dump is not whole."""

    @abstractmethod
    def count(self, path: Path) -> dict[str, int]:
        """Count the rows of every table in the dump itself; the tables are spelled as SQL does."""

    @abstractmethod
    def load(self, path: Path, owners: bool) -> None:
        """Fill an empty database; where ``owners`` is false what it makes belongs to whoever restores it."""


class Dumps(Port):
    """What a backup must know of a database before its dump begins."""

    place = "safeops.runner.dumps.{family}:Dumps"
    asked = "A backup"

    @abstractmethod
    def dump_name(self) -> str:
        """Return the name of the database, or raise BackupFailed where it is none that could be dumped."""

    @abstractmethod
    def least_dump_size(self) -> int:
        """Return how many bytes the dump will have at least."""

    def dump_doubts(self) -> list[str]:
        """Say what the dump will not hold, or not as of one moment."""
        return []

    @abstractmethod
    def dumper(self, login: Login | None) -> Dumper:
        """Return who dumps and restores this database.

        Args:
            login: How it was reached; None where a creator did it.
        """

    @abstractmethod
    def things(self) -> list[str]:
        """Describe what stands in the database that a user made, in any schema: a few at most."""


def write(path: Path, chunks: Iterable[bytes], progress: Progress) -> None:
    """Write a file piece by piece, telling how much there is."""
    written = 0
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
            written += len(chunk)
            progress(written)


def unzipped(path: Path) -> Iterator[bytes]:
    """Give the lines of a compressed file."""
    with gzip.open(path, "rb") as lines:
        yield from lines
