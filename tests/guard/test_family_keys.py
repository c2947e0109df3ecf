"""On filled tables of MariaDB, MySQL and SQLite the guard refuses what is unsafe by the keys, and nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import SQLAlchemyError
from tests.guard.test_key import FAILED, GUARDED, PASSED, REFUSED, is_wrong
from tests.review import keys
from tests.review.family_keys import FAMILIES, Filled, name_of
from tests.servers import Server

from safeops import SafeOpsError, UnsafeOperation


def outcome(filled: Filled, entry: dict[str, Any]) -> str:
    """What happens to a revision under the guard, on its own filled tables."""
    with filled.made() as url, tempfile.TemporaryDirectory() as folder:
        ini = filled.project(Path(folder), [entry["file"]], url)
        (Path(folder) / "migrations" / "env.py").write_text(GUARDED)
        try:
            keys.upgrade(ini, entry["revision"])
        except UnsafeOperation:
            return REFUSED
        except (SQLAlchemyError, SafeOpsError):
            return FAILED
        return PASSED


def wrong(server: Server, entries: Iterable[dict[str, Any]]) -> dict[str, str]:
    filled, name = Filled(server, FAMILIES[server.kind]), name_of(server)
    seen = {entry["revision"]: (entry, outcome(filled, entry)) for entry in entries if name in entry["unsafe"]}
    return {revision: found for revision, (entry, found) in seen.items() if is_wrong(entry, name, found)}


@pytest.mark.timeout(600)
@pytest.mark.only("mysql", "sqlite")
def test_a_part_of_the_key(server: Server) -> None:
    assert wrong(server, FAMILIES[server.kind].load()[::16]) == {}


@pytest.mark.exhaustive
@pytest.mark.timeout(1800)
@pytest.mark.only("mysql", "sqlite")
def test_the_key(server: Server) -> None:
    assert wrong(server, FAMILIES[server.kind].load()) == {}
