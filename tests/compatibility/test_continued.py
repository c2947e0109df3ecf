"""What an earlier release has begun is finished, switched, contracted, undone and restored by this one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.catalogue import all_rows, assert_same, snapshot
from tests.compatibility.backups import restored
from tests.compatibility.persisted import golden, persisted
from tests.compatibility.releases import OLDEST, Release, install
from tests.compatibility.scenes import scenes
from tests.servers import Database, _MySQLFamily

RELEASES = (OLDEST, "cb0550e")


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> list[Release]:
    return [install(commit, tmp_path_factory.mktemp(commit)) for commit in RELEASES]


def continued(database: Database) -> list[str]:
    """Ends each scene, and returns what went wrong."""
    wrong = []
    if database.kind == "sqlite":
        # As if the seconds had passed after which the claim of an ended process expires.
        database.execute("UPDATE safeops_backfill SET lease_until = 0")
    for scene in scenes(database):
        try:
            scene.end(database)
        except Exception as error:
            wrong.append(f"{scene.table}: {type(error).__name__}: {error}")
    return wrong


def emptied(database: Database, new_database: Callable[[], Database]) -> Database:
    """An empty database; on MariaDB and MySQL of the same name, which the triggers of 0a3dd99 have in them."""
    if not isinstance(database.server, _MySQLFamily):
        return new_database()
    database.drop()
    database.server._administer(f"CREATE DATABASE `{database.name}`")
    return database


@pytest.mark.by_default("sqlite")
@pytest.mark.timeout(600)
@pytest.mark.only("pg14", "pg18", "mysql", "sqlite")
def test_what_earlier_releases_began_is_ended_alike(
    new_database: Callable[[], Database], releases: list[Release], server_name: str, tmp_path: Path, on_path: None
) -> None:
    databases = [new_database() for _ in releases]
    folders = [tmp_path / release.commit for release in releases]
    with ThreadPoolExecutor() as executor:
        locks = list(executor.map(Release.begin, releases, databases, folders))
    golden(f"{OLDEST}/{server_name}.txt", persisted(databases[0]) + locks[0])
    backed_up = [(snapshot(database), all_rows(database)) for database in databases]
    for release, database in zip(releases, databases, strict=True):
        wrong = continued(database)
        assert not wrong, f"begun by {release.commit}:\n" + "\n".join(wrong)
    first, second = databases
    assert_same(snapshot(second), snapshot(first), "the schema at the end")
    assert_same(all_rows(second), all_rows(first), "the rows at the end")
    for folder, database, (schema, rows) in zip(folders, databases, backed_up, strict=True):
        empty = emptied(database, new_database)
        restored(folder, empty)
        assert_same(schema, snapshot(empty), f"the schema of the backup in {folder}")
        assert_same(rows, all_rows(empty), f"the rows of the backup in {folder}")
