"""A whole database written to one file, and read back from it."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar

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

    place = "safeops.runner.{family}:Dumps"
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


# Programs -------------------------------------------------------------------------------------------------------


CHUNK = 1 << 16
SHOWN = 2000
"""How many letters of what a program complains of are shown: the last ones."""


class ToolFailed(Exception):
    """A program, or a library that does the same work, has failed.

    Args:
        tool: Its name.
        said: What it said.
    """

    def __init__(self, tool: str, said: str) -> None:
        self.tool, self.said = tool, said
        super().__init__(f"{tool}: {said}")


@dataclass(frozen=True)
class Program:
    """A program that was found.

    Args:
        path: Where it is.
        text: What it says of its version; empty where it does not run.
    """

    path: Path
    text: str

    @property
    def version(self) -> tuple[int, ...]:
        # MariaDB's programs have a version of their own, and come from a release.
        found = re.search(r"(?:Distrib|from) (\d+[\d.]*\d)", self.text) or re.search(r"(\d[\d.]*)", self.text)
        return tuple(map(int, found[1].split("."))) if found else ()

    @property
    def major(self) -> int:
        return self.version[0] if self.version else 0

    def __str__(self) -> str:
        return f"{self.path.name} {'.'.join(map(str, self.version)) or '(does not run)'}"


def find_programs(name: str, folders: Iterable[Path]) -> Iterator[Program]:
    """Give every program of a name, in the order of the folders."""
    for folder in dict.fromkeys(folders):
        if found := shutil.which(name, path=str(folder)):
            yield Program(Path(found), _version_of(Path(found)))


def _version_of(path: Path) -> str:
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=30)
        return done.stdout.strip() if done.returncode == 0 else ""
    return ""


def path_folders() -> list[Path]:
    """Return the folders of PATH."""
    return [Path(one) for one in os.environ.get("PATH", os.defpath).split(os.pathsep) if one]


@contextmanager
def secret_file(text: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Give a file that a program can read and nobody else: its path, and the descriptors to hand down.

    On Linux it has no name, so that a run that is killed leaves nothing behind. An environment variable would stand in
    /proc/PID/environ, which monitoring reads, and in the environment of whatever the program starts.
    """
    if Path("/proc/self/fd").is_dir():
        with tempfile.TemporaryFile() as unnamed:
            unnamed.write(text.encode())
            unnamed.flush()
            yield f"/dev/fd/{unnamed.fileno()}", (unnamed.fileno(),)
        return
    descriptor, path = tempfile.mkstemp(prefix="safeops-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as named:
            named.write(text)
        yield path, ()
    finally:
        os.unlink(path)


@dataclass(frozen=True)
class Run:
    """A program with its arguments.

    Args:
        command: The program and its arguments, which everybody on the machine can read.
        environment: Its environment.
        descriptors: What it inherits.
        secret: What must not stand in a message.
    """

    command: Sequence[str | Path]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    descriptors: tuple[int, ...] = ()
    secret: str = ""

    def output(self) -> Generator[bytes, None, None]:
        """Give what it prints, as it prints it; raise ToolFailed where it fails. Closing it ends the program."""
        with tempfile.TemporaryFile() as complaints, self._started(complaints, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            while chunk := process.stdout.read(CHUNK):
                yield chunk
            self._end(process, complaints)

    def text(self) -> str:
        """Return all that it prints."""
        return b"".join(self.output()).decode(errors="replace")

    def feed(self, chunks: Iterable[bytes] = ()) -> None:
        """Have it read what is given; raise ToolFailed where it fails."""
        with tempfile.TemporaryFile() as complaints, self._started(complaints, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            # One that has failed reads no more; its status and its complaint say why.
            with suppress(BrokenPipeError):
                for chunk in chunks:
                    process.stdin.write(chunk)
                process.stdin.close()
            self._end(process, complaints)

    @contextmanager
    def _started(
        self, complaints: IO[bytes], stdin: int = subprocess.DEVNULL, stdout: int = subprocess.DEVNULL
    ) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(
            self.command,
            stdin=stdin,
            stdout=stdout,
            stderr=complaints,
            env=self.environment,
            pass_fds=self.descriptors,
        )
        try:
            yield process
        finally:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(BrokenPipeError):
                        pipe.close()
            process.wait()

    def _end(self, process: subprocess.Popen[bytes], complaints: IO[bytes]) -> None:
        status = process.wait()
        if status == 0:
            return
        complaints.seek(0)
        said = complaints.read().decode(errors="replace")
        if self.secret:
            said = said.replace(self.secret, "***")
        tool = Path(self.command[0]).name
        raise ToolFailed(tool, said.strip()[-SHOWN:] or f"it ended with status {status} and said nothing")
