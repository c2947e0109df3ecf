"""The files of backups: their names, how one gets its final name once it is complete, leftovers, and failures."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from safeops.errors import BackupFailed, Unreachable
from safeops.planned import size_text
from safeops.runner.dumps import ToolFailed

NO_BACKUP = "No backup was made, and no file was left; running again is safe."
PARTIAL = ".partial"
TIME = "%Y%m%dT%H%M%SZ"
# The time separates the parts: a revision has no hyphen here.
_NAMED = r"-\d{8}T\d{6}Z-[^-]+"
LONGEST, LONGEST_HEADS = 120, 80
"""Bytes that the database's name and its revisions may take: file systems allow 255 bytes for the whole name."""


@dataclass(frozen=True)
class BackupFiles:
    """The files of the backups of one database.

    Args:
        folder: The folder.
        name: The name of the database.
        ending: What the names of the files end with.
    """

    folder: Path
    name: str
    ending: str

    @contextmanager
    def new(self, revision: str) -> Iterator[tuple[Path, Path]]:
        """Provide the name of a new backup, and the file to write first, which is not taken for a backup."""
        while True:
            with suppress(_NameTaken), partial_file(self._named(revision)) as partial:
                final = partial.with_suffix("")
                if not final.exists():
                    yield final, partial
                    return
            # Another run has the name of this second.
            time.sleep(0.1)

    def _named(self, revision: str) -> Path:
        heads = "+".join(safe(head).replace("-", "%2D") for head in revision.split("+"))
        now = time.strftime(TIME, time.gmtime())
        return self.folder / f"{safe(self.name)}-{now}-{heads[:LONGEST_HEADS]}{self.ending}"

    def older(self, newest: Path) -> list[Path]:
        """Return the other backups of this database, the newest first."""
        named = re.compile(re.escape(safe(self.name)) + _NAMED + re.escape(self.ending))
        paths = [path for path in self.folder.iterdir() if named.fullmatch(path.name) and path != newest]
        return sorted(paths, key=lambda path: path.name[len(safe(self.name)) :], reverse=True)


class _NameTaken(Exception):
    """Another run has the name, or removed the file as a leftover."""


def safe(name: str) -> str:
    """Escape a name for any file system; different names stay different."""
    escaped = "".join(char if re.match(r"[\w.-]", char) else _escaped(char) for char in name)
    if escaped.startswith(("-", ".")):
        escaped = _escaped(escaped[0]) + escaped[1:]
    if len(escaped.encode()) <= LONGEST:
        return escaped
    cut = escaped.encode()[: LONGEST - 17].decode(errors="ignore")
    return f"{cut}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _escaped(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())


@contextmanager
def partial_file(final: Path) -> Iterator[Path]:
    """Provide the file that is written before it gets its final name; afterwards it does not exist, also after a failure.

    This process holds a lock on it, by which others know that it is not a leftover.
    """
    partial = final.with_name(final.name + PARTIAL)
    try:
        descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except FileExistsError:
        raise _NameTaken from None
    try:
        # On a file system without locks, no file is removed as a leftover.
        with suppress(OSError):
            _lock(descriptor)
        if not os.fstat(descriptor).st_nlink:
            # Another run removed it before it was locked.
            raise _NameTaken
        yield partial
    finally:
        partial.unlink(missing_ok=True)
        os.close(descriptor)


def complete(partial: Path, final: Path) -> None:
    """Give a file its final name once all of it is on the disk."""
    sync(partial)
    partial.replace(final)
    sync(final.parent)


def sync(path: Path) -> None:
    if sys.platform == "win32" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create a folder that other users cannot read, and whose files git ignores."""
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True)
        (folder / ".gitignore").write_text("*\n")


def remove_left_over(folder: Path) -> None:
    """Remove the leftovers of runs that were killed; running ones hold a lock on their file."""
    named = re.compile(rf".+{_NAMED}{re.escape(PARTIAL)}")
    for path in folder.iterdir():
        if named.fullmatch(path.name):
            with suppress(OSError):
                _remove_unless_locked(path)


def _remove_unless_locked(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        _lock(descriptor, wait=False)
        path.unlink()
    finally:
        os.close(descriptor)


def _lock(descriptor: int, *, wait: bool = True) -> None:
    """Lock an open file until this process ends, or raise OSError."""
    if sys.platform == "win32":
        # Windows does not remove a file that is open.
        return
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


# What can go wrong ----------------------------------------------------------------------------------------------


@contextmanager
def explaining_unreachable() -> Iterator[None]:
    """Raise BackupFailed if the database cannot be reached."""
    try:
        yield
    except Unreachable as error:
        # The error of env.py's connection is already explained.
        raise BackupFailed(error.problem, why=error.why, remedy=error.remedy, code=error.code) from error
    except (DBAPIError, OSError) as error:
        raise BackupFailed(
            f"The database cannot be reached or queried: {_first_line(error)}.",
            remedy="Check the server, the user, the password and the name of the database.",
        ) from error


def _first_line(error: BaseException) -> str:
    text = str(getattr(error, "orig", None) or error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


@contextmanager
def explaining_failures(folder: Path, state: str = NO_BACKUP) -> Iterator[None]:
    """Raise the failure of a program or of the disk as BackupFailed.

    Args:
        folder: The folder that the block writes to.
        state: What is left after a failure.
    """
    try:
        yield
    except ToolFailed as error:
        raise BackupFailed(f"{error.tool} failed:\n{textwrap.indent(error.output, '  ')}", state=state) from error
    except OSError as error:
        raise _disk_failure(error, folder, state) from error


def _disk_failure(error: OSError, folder: Path, state: str) -> BackupFailed:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return BackupFailed(f"{error.strerror or error}: {error.filename or folder}.", state=state)
    free = f" ({size_text(shutil.disk_usage(folder).free)} are free there)"
    return BackupFailed(
        f"Cannot write to {folder}: {os.strerror(error.errno)}{free}.",
        state=state,
        remedy="Free some space, or write the backup to another folder:",
        code="safeops backup --to /a/larger/disk",
    )
