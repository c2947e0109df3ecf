"""On filled tables the guard refuses what is unsafe by the key, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import servers
from tests.review import keys

from safeops import UnsafeOperation

ENTRIES = keys.load()
GUARDED = keys.ENV.replace(
    "target_metadata = None",
    'target_metadata = None\nfrom safeops import configure\n\nconfigure(guard="raise", lock_timeout=2.0)',
)
PASSED, REFUSED, FAILED = "passed", "refused", "failed"


def outcomes(name: str, entries: list[dict[str, Any]], folder: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Runs each revision under the guard, on its own copy of the filled tables."""
    server = servers.start(name)
    try:
        filled = keys.Filled(server, folder)
        for entry in entries:
            with filled.copied() as url:
                yield entry, outcome(folder, entry, url.render_as_string(hide_password=False))
    finally:
        server.stop()


def outcome(folder: Path, entry: dict[str, Any], url: str) -> str:
    ini = keys.project(folder, [entry["file"]], url)
    (folder / "migrations" / "env.py").write_text(GUARDED)
    try:
        keys.upgrade(ini, entry["revision"])
    except UnsafeOperation:
        return REFUSED
    except Exception:
        return FAILED
    return PASSED


def is_wrong(entry: dict[str, Any], version: str, seen: str) -> bool:
    # What the server itself refuses did no harm.
    return seen == PASSED if entry["unsafe"][version] else seen != PASSED


def wrong(name: str, entries: list[dict[str, Any]], folder: Path) -> dict[str, str]:
    version = name.removeprefix("pg")
    return {
        entry["revision"]: seen for entry, seen in outcomes(name, entries, folder) if is_wrong(entry, version, seen)
    }


@pytest.mark.timeout(600)
def test_a_part_of_the_key(tmp_path: Path) -> None:
    assert wrong("pg18", ENTRIES[::16], tmp_path) == {}


@pytest.mark.exhaustive
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["pg15", "pg18"])
def test_the_key(name: str, tmp_path: Path) -> None:
    assert wrong(name, ENTRIES, tmp_path) == {}
