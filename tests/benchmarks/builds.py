"""An earlier build of safeops, from the history of git."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import ROOT

PRESENT = ROOT / "src"


@contextmanager
def unpacked(revision: str) -> Iterator[Path]:
    """The folder to import safeops from as it was at a revision."""
    with tempfile.TemporaryDirectory(prefix="safeops-build-") as folder:
        files = _git("archive", revision, "src")
        with tarfile.open(fileobj=io.BytesIO(files)) as archive:
            archive.extractall(folder)
        yield Path(folder).resolve() / "src"


def short(revision: str) -> str:
    """The short hash of a revision; raises CalledProcessError if it is not in the history."""
    return _git("rev-parse", "--short=7", "--verify", f"{revision}^{{commit}}").decode().strip()


def last_release() -> str:
    """The newest tag; without tags the commit that last set the version."""
    tags = _git("tag", "--merged", "HEAD", "--sort=-version:refname").decode().split()
    changed = ("log", "-1", "--format=%h", "-G^__version__", "--", "src/safeops/__init__.py")
    return tags[0] if tags else _git(*changed).decode().strip()


def present() -> str:
    """The commit that is checked out; with a plus if files of the package differ from it."""
    changed = _git("status", "--porcelain", "--", "src").strip()
    return short("HEAD") + ("+" if changed else "")


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", ROOT, *arguments], check=True, stdout=subprocess.PIPE).stdout
