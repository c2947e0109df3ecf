"""The files of backups: their names, how one becomes whole in a moment, and what dead runs have left over."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PARTIAL = ".partial"
TIME = "%Y%m%dT%H%M%SZ"
# The time keeps the parts apart: a revision has no hyphen.
_NAMED = r"-\d{8}T\d{6}Z-[^-]+"
LONGEST, LONGEST_HEADS = 120, 80
"""How much of the name of the database, and of its revisions, is kept: file systems take 255 bytes altogether."""


@dataclass(frozen=True)
class Place:
    """Where the backups of one database go.

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
        """Give the name of a new backup and that of the file to write first, which nobody takes for a backup."""
        while True:
            with suppress(_Taken), claimed(self._named(revision)) as partial:
                final = partial.with_suffix("")
                if not final.exists():
                    yield final, partial
                    return
            # Another run took this second.
            time.sleep(0.1)

    def _named(self, revision: str) -> Path:
        heads = "+".join(safe(one).replace("-", "%2D") for one in revision.split("+"))
        now = time.strftime(TIME, time.gmtime())
        return self.folder / f"{safe(self.name)}-{now}-{heads[:LONGEST_HEADS]}{self.ending}"

    def older(self, newest: Path) -> list[Path]:
        """Return the other backups of this database, the newest first."""
        named = re.compile(re.escape(safe(self.name)) + _NAMED + re.escape(self.ending))
        found = [one for one in self.folder.iterdir() if named.fullmatch(one.name) and one != newest]
        return sorted(found, key=lambda one: one.name[len(safe(self.name)) :], reverse=True)


class _Taken(Exception):
    """Another run has the name, or took its file for left over."""


def safe(name: str) -> str:
    """Spell a name so that any file system takes it, and no two names come out the same."""
    spelled = "".join(one if re.match(r"[\w.-]", one) else _escaped(one) for one in name)
    if spelled.startswith(("-", ".")):
        spelled = _escaped(spelled[0]) + spelled[1:]
    if len(spelled.encode()) <= LONGEST:
        return spelled
    cut = spelled.encode()[: LONGEST - 17].decode(errors="ignore")
    return f"{cut}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _escaped(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode())


@contextmanager
def claimed(final: Path) -> Iterator[Path]:
    """Give the file that is written before it gets its final name; afterwards it is gone, whatever happened.

    As long as this run lives, it holds a lock on it, by which others know that it is not left over.
    """
    partial = final.with_name(final.name + PARTIAL)
    try:
        descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except FileExistsError:
        raise _Taken from None
    try:
        # Where files cannot be locked, none is ever taken for left over.
        with suppress(OSError):
            _lock(descriptor)
        if not os.fstat(descriptor).st_nlink:
            # Before it was locked.
            raise _Taken
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
    """Make a folder that others cannot read, and whose files git leaves alone."""
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True)
        (folder / ".gitignore").write_text("*\n")


def remove_left_over(folder: Path) -> None:
    """Remove what runs that were killed have left over; those that live hold a lock on theirs."""
    named = re.compile(rf".+{_NAMED}{re.escape(PARTIAL)}")
    for one in folder.iterdir():
        if named.fullmatch(one.name):
            with suppress(OSError):
                _remove_unless_locked(one)


def _remove_unless_locked(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        _lock(descriptor, wait=False)
        path.unlink()
    finally:
        os.close(descriptor)


def _lock(descriptor: int, *, wait: bool = True) -> None:
    """Lock an open file for as long as this process lives, or raise OSError."""
    if sys.platform == "win32":
        # It does not remove a file that is open.
        return
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
