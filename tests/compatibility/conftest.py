"""What the tests of persisted formats share."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.servers import Database


@pytest.fixture
def on_path(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs of the server itself, if they are not those of the machine."""
    if database.server.product == "mysql":
        monkeypatch.setenv("PATH", str(Path(database.server.dump).parent), prepend=":")  # type: ignore[attr-defined]
