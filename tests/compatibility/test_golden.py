"""What is persisted in the databases of users is what it was: names, marks, JSON in triggers, tables, backups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.compatibility.backups import back_up, described
from tests.compatibility.locks import lock_of
from tests.compatibility.persisted import golden, persisted
from tests.compatibility.scenes import scenes
from tests.servers import Database

from safeops import migration_lock


@pytest.mark.timeout(600)
@pytest.mark.only("pg14", "pg18", "mysql", "sqlite")
def test_what_is_persisted_is_what_it_was(database: Database, server_name: str, tmp_path: Path, on_path: None) -> None:
    for scene in scenes(database):
        scene.begin(database)
    back_up(database, tmp_path)
    golden(f"{server_name}.txt", persisted(database) + lock_of(database) + described(tmp_path))


@pytest.mark.only("mysql")
def test_the_row_by_which_one_runner_at_a_time_is_kept_in_a_cluster(database: Database, server_name: str) -> None:
    def clustered(_connection: object, _cursor: object, sql: str, parameters: Any, *_: object) -> tuple[str, Any]:
        return ("SELECT 'wsrep_on', 'ON'" if "'wsrep_on'" in sql else sql), parameters

    sa.event.listen(sa.Engine, "before_cursor_execute", clustered, retval=True)
    try:
        with database.engine().connect() as connection, migration_lock(connection):
            golden(f"runner.{server_name}.txt", persisted(database))
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", clustered)
    assert database.query("SELECT * FROM safeops_runner") == []
