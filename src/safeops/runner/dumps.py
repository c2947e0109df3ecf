"""Dumps: writing a whole database to one file and reading it back, and running the programs that do it."""

from __future__ import annotations

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

from sqlalchemy.engine import Engine

from safeops.databases.connections import listening
from safeops.databases.ports import Port
from safeops.errors import BackupFailed

Progress = Callable[[int], None]
"""Called with how many bytes were written so far."""


@dataclass(frozen=True)
class Login:
    """What a driver was called with to connect to a database.

    Args:
        driver: SQLAlchemy's name of the driver.
        positional: The positional arguments.
        named: The keyword arguments: those of the URL and of ``connect_args``, as env.py's listeners changed them.
    """

    driver: str
    positional: Sequence[Any]
    named: Mapping[str, Any]

    def first(self, *names: str) -> Any:
        """Return the first argument of these names that has a value, or None."""
        return next((self.named[name] for name in names if self.named.get(name) not in (None, "")), None)

    @property
    def password(self) -> str:
        """Return the password; empty if there is none."""
        given = self.first("password", "passwd")
        if callable(given):
            raise unusable_login("The engine gets its password from a function")
        return given.decode() if isinstance(given, bytes) else str(given or "")


@contextmanager
def recorded_logins(engine: Engine) -> Iterator[list[Login]]:
    """Record how the engine connects in the block; nothing if a creator makes its connections."""
    logins: list[Login] = []

    def record(dialect: Any, _record: Any, positional: Sequence[Any], named: Mapping[str, Any]) -> None:
        logins.append(Login(dialect.driver, tuple(positional), dict(named)))

    with listening(engine, "do_connect", record):
        yield logins


def last_login(logins: Sequence[Login]) -> Login:
    if not logins:
        raise unusable_login("A creator makes the connections of the engine")
    return logins[-1]


def unusable_login(what: str) -> BackupFailed:
    """Return the error for a login that cannot be passed on to another program."""
    return BackupFailed(
        f"{what}, which cannot be passed to another program.",
        why="A separate program makes the dump. It needs the host, the user, the password and the options as values.",
        remedy="Create the engine from a URL in env.py, with options such as sslmode in it. For changing tokens, write:",
        code='@event.listens_for(engine, "do_connect")\n'
        "def with_token(dialect, record, cargs, cparams):\n"
        '    cparams["password"] = new_token()',
    )


class Dumper(ABC):
    """Writes, checks and restores the dumps of one database, without a connection of SQLAlchemy."""

    is_atomic: ClassVar[bool] = True
    """A restore that fails leaves the target as empty as it was."""

    @property
    @abstractmethod
    def tool(self) -> str:
        """Return the program that writes the dump, with its version."""

    @abstractmethod
    def dump(self, path: Path, progress: Progress) -> None:
        """Write the whole database, as of one moment, to an existing, empty file."""

    @abstractmethod
    def check(self, path: Path) -> None:
        """Raise ToolFailed if a dump is incomplete."""

    @abstractmethod
    def count(self, path: Path) -> dict[str, int]:
        """Count the rows of every table in the dump itself; the names of the tables are quoted as in SQL."""

    @abstractmethod
    def load(self, path: Path, owners: bool) -> None:
        """Fill an empty database; without ``owners`` everything belongs to the user who restores it."""


class Dumps(Port):
    """What a backup must know about a database before its dump begins."""

    place = "safeops.runner.{family}:Dumps"
    asked = "A backup"

    ending: ClassVar[str]
    """What the names of the files end with."""
    magic: ClassVar[bytes]
    """The bytes that a dump begins with."""

    @abstractmethod
    def name(self) -> str:
        """Return the name of the database, or raise BackupFailed if it cannot be dumped."""

    @abstractmethod
    def least_size(self) -> int:
        """Return how many bytes the dump takes at least."""

    def doubts(self) -> list[str]:
        """Describe what the dump will not contain, or not as of one moment."""
        return []

    @abstractmethod
    def dumper(self, logins: Sequence[Login]) -> Dumper:
        """Return what dumps and restores this database.

        Args:
            logins: How its engine has connected; empty if a creator makes the connections.
        """

    @abstractmethod
    def objects(self) -> list[str]:
        """Describe what users created in the database, in any schema: up to five objects."""


def write(path: Path, chunks: Iterable[bytes], progress: Progress) -> None:
    """Write a file in chunks and report its size after each."""
    written = 0
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
            written += len(chunk)
            progress(written)


# Programs -------------------------------------------------------------------------------------------------------


CHUNK = 1 << 16
SHOWN = 2000
"""How many characters of a program's error output are shown: the last ones."""


class ToolFailed(Exception):
    """A program, or a library that does the same work, has failed.

    Args:
        tool: Its name.
        output: What it reported.
    """

    def __init__(self, tool: str, output: str) -> None:
        self.tool, self.output = tool, output
        super().__init__(f"{tool}: {output}")


@dataclass(frozen=True)
class Program:
    """A program that was found.

    Args:
        path: Its path.
        version_text: What it prints about its version; empty if it does not run.
    """

    path: Path
    version_text: str

    @property
    def version(self) -> tuple[int, ...]:
        # MariaDB's programs print their own version before that of the release.
        release = re.search(r"(?:Distrib|from) (\d+[\d.]*\d)", self.version_text)
        number = release or re.search(r"(\d[\d.]*)", self.version_text)
        return tuple(map(int, number[1].split("."))) if number else ()

    @property
    def major(self) -> int:
        return self.version[0] if self.version else 0

    def __str__(self) -> str:
        return f"{self.path.name} {'.'.join(map(str, self.version)) or '(does not run)'}"


def find_programs(name: str, folders: Iterable[Path]) -> Iterator[Program]:
    """Yield each program of a name, in the order of the folders."""
    for folder in dict.fromkeys(folders):
        if path := shutil.which(name, path=str(folder)):
            yield Program(Path(path), _version_text(path))


def _version_text(path: str) -> str:
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=30)
        return done.stdout.strip() if done.returncode == 0 else ""
    return ""


def path_folders() -> list[Path]:
    """Return the folders of PATH."""
    return [Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder]


@contextmanager
def secret_file(text: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Provide a file that only a program started from here can read: its path, and the descriptors to inherit.

    On Linux it has no name, so a run that is killed leaves nothing behind. An environment variable would be visible in
    /proc/PID/environ, which monitoring reads, and be inherited by every process that the program starts.
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
        command: The program and its arguments, which all users of the machine can read.
        environment: Its environment.
        descriptors: The open files that it inherits.
        secret: What must not appear in a message.
    """

    command: Sequence[str | Path]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    descriptors: tuple[int, ...] = ()
    secret: str = ""

    def output(self) -> Generator[bytes, None, None]:
        """Yield what it prints, as it prints it; raise ToolFailed if it fails. Closing the generator ends the program."""
        with tempfile.TemporaryFile() as errors, self._started(errors, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            while chunk := process.stdout.read(CHUNK):
                yield chunk
            self._end(process, errors)

    def text(self) -> str:
        """Return all that it prints."""
        return b"".join(self.output()).decode(errors="replace")

    def feed(self, chunks: Iterable[bytes]) -> None:
        """Write to its standard input; raise ToolFailed if it fails."""
        with tempfile.TemporaryFile() as errors, self._started(errors, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            # A program that has failed reads no further; its status and its error output explain why.
            with suppress(BrokenPipeError):
                for chunk in chunks:
                    process.stdin.write(chunk)
                process.stdin.close()
            self._end(process, errors)

    @contextmanager
    def _started(
        self, errors: IO[bytes], stdin: int = subprocess.DEVNULL, stdout: int = subprocess.DEVNULL
    ) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(
            self.command, stdin=stdin, stdout=stdout, stderr=errors, env=self.environment, pass_fds=self.descriptors
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

    def _end(self, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        status = process.wait()
        if status == 0:
            return
        errors.seek(0)
        output = errors.read().decode(errors="replace")
        if self.secret:
            output = output.replace(self.secret, "***")
        tool = Path(self.command[0]).name
        raise ToolFailed(tool, output.strip()[-SHOWN:] or f"it ended with status {status} and no output")
