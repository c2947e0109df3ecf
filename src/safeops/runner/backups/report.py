"""What was backed up or restored, as it is returned, printed and kept beside the file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safeops.errors import BackupFailed
from safeops.foretold import spelled_size

BESIDE = ".json"
"""What is put behind the name of a backup to name the file that describes it."""

EVERY = 2.0
"""Seconds between two lines that say how far a dump is."""


@dataclass(frozen=True)
class Backup:
    """A backup that is whole.

    Args:
        path: Where it is.
        sha256: The checksum of the file.
        bytes: How large the file is.
        revision: The revisions that the database was at, joined by "+"; "base" where there was none.
        server: What was backed up.
        tool: What wrote it.
        seconds: How long it took.
        rows: How many rows of each table it holds, of empty ones perhaps nothing; None where they were not counted.
        doubts: What it does not hold as of one moment.
    """

    path: Path
    sha256: str
    bytes: int
    revision: str
    server: str
    tool: str
    seconds: float
    rows: dict[str, int] | None = None
    doubts: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int:
        """What ``safeops backup`` exits with: what went wrong was raised."""
        return 0

    def as_json(self) -> dict[str, Any]:
        """Return it as the object of ``--json``."""
        return {"path": str(self.path), **self.described()}

    def described(self) -> dict[str, Any]:
        """Return what is kept beside the file."""
        kept = asdict(replace(self, seconds=round(self.seconds, 3)))
        return {key: value for key, value in kept.items() if key != "path" and (value or key not in ("rows", "doubts"))}


@dataclass(frozen=True)
class Restored:
    """A database that was filled from a backup.

    Args:
        path: The backup.
        database: Where it went, without the password.
        revision: The revisions that it is at, as the file beside the backup says; "" where there is none.
        server: What it went to.
        seconds: How long it took.
        rows: How many rows each table has; None where those of the backup were not counted.
    """

    path: Path
    database: str
    revision: str
    server: str
    seconds: float
    rows: dict[str, int] | None = None

    @property
    def exit_status(self) -> int:
        """What ``safeops restore`` exits with: what went wrong was raised."""
        return 0

    def as_json(self) -> dict[str, Any]:
        """Return it as the object of ``--json``."""
        return {**asdict(self), "path": str(self.path), "seconds": round(self.seconds, 3)}


def described(path: Path) -> dict[str, Any]:
    """Return what is known of a backup; nothing where no file describes it."""
    beside = path.with_name(path.name + BESIDE)
    if not beside.exists():
        return {}
    try:
        found = json.loads(beside.read_text(encoding="utf-8"))
    except ValueError as error:
        found = error
    if isinstance(found, dict):
        return found
    raise BackupFailed(
        f"{beside} does not describe the backup beside it: it is no JSON object.",
        remedy="Restore another backup; or, where you trust this one, move that file away first.",
    )


def paced(say: Callable[[str], None]) -> Callable[[int], None]:
    """Return a progress that says every two seconds how much was written."""
    began = last = time.monotonic()

    def progress(written: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= EVERY:
            last = now
            say(f"{spelled_size(written)} in {now - began:.0f} s")

    return progress
