"""What is persisted in the databases of users is what it was: names, marks, JSON in triggers, tables, backups."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.compatibility.backups import back_up, described
from tests.compatibility.persisted import golden, persisted
from tests.compatibility.scenes import scenes
from tests.servers import Database


@pytest.mark.only("pg14", "pg18", "mysql", "sqlite")
def test_what_is_persisted_is_what_it_was(database: Database, server_name: str, tmp_path: Path, on_path: None) -> None:
    for scene in scenes(database):
        scene.begin(database)
    back_up(database, tmp_path)
    golden(f"{server_name}.txt", persisted(database) + described(tmp_path))
