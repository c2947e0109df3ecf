"""The tutorial works word for word, in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.console import Console
from tests.docs.following import follow
from tests.docs.pages import DOCS, blocks
from tests.servers import Database


@pytest.mark.only("sqlite", "pg18")
def test_the_tutorial(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # On the page it is a SQLite file; what is exported before stays.
    monkeypatch.setenv("DATABASE_URL", database.url.render_as_string(hide_password=False))
    console = Console()
    for block in blocks(DOCS / "tutorial.md"):
        follow(block, console)
    assert "(head)" in console.output
    assert database.query("SELECT count(*) FROM users WHERE full_name LIKE 'User %' AND email_lower LIKE 'user%'") == [
        (10_000,)
    ]
