"""Releases of safeops as they were, from the history of git: each in its own folder and process."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from tests.compatibility.backups import back_up
from tests.compatibility.locks import lock_of
from tests.servers import ROOT, Database

OLDEST = "0a3dd99"


@dataclass(frozen=True)
class Release:
    """A release, installed.

    Args:
        commit: Its commit.
        folder: The folder of its package.
    """

    commit: str
    folder: Path

    def begin(self, database: Database, backups: Path) -> str:
        """Has it begin each scene in a database and back it up, and returns what its lock is."""
        server = database.server
        known = {"kind": server.kind, "product": server.product, "drivername": server.drivername}
        asked = {
            "folder": str(self.folder),
            "url": database.url.render_as_string(hide_password=False),
            "server": {**known, "version": server.version},
            "backups": str(backups),
            "recent": self.commit != OLDEST,
        }
        path = os.pathsep.join([str(self.folder), str(ROOT)])
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
            check=False,
        )
        assert done.returncode == 0, f"{self.commit}: {done.stdout}{done.stderr}"
        return (backups / "lock").read_text()


def install(commit: str, folder: Path) -> Release:
    """Takes a release out of the history, or skips the test if there is none, as in an sdist."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "archive", "--format=zip", commit, "src"], capture_output=True, check=False
    )
    if done.returncode:
        missing = f"release {commit} is not in the history here: {done.stderr.decode().strip()}"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    with zipfile.ZipFile(io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder)
    return Release(commit, folder / "src")


def main() -> None:
    """In the process of the release: begin each scene, back the database up, and take the lock."""
    asked: dict[str, Any] = json.load(sys.stdin)
    from tests.compatibility.scenes import scenes

    import safeops

    assert Path(safeops.__file__).is_relative_to(asked["folder"]), f"another safeops: {safeops.__file__}"
    server: Any = SimpleNamespace(**{**asked["server"], "version": tuple(asked["server"]["version"])})
    database = Database(sa.make_url(asked["url"]), server)
    for scene in scenes(database):
        scene.begin(database, recent=asked["recent"])
    back_up(database, Path(asked["backups"]))
    Path(asked["backups"], "lock").write_text(lock_of(database))


if __name__ == "__main__":
    main()
