"""The key records what the servers do: measured again, each revision has the result of key.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.review import keys
from tests.review.measure_key import judge, measured
from tests.whole import sample

ENTRIES = keys.load()


def test_each_revision_is_in_the_key() -> None:
    files = {f"revisions/{path.name}" for path in (keys.KEY / "revisions").glob("*.py")}
    assert files - {f"revisions/{keys.BASE}_base.py"} == {entry["file"] for entry in ENTRIES}


@pytest.mark.parametrize("version", ["15", "18"])
def test_nearly_half_of_the_key_is_safe(version: str) -> None:
    unsafe = sum(entry["unsafe"][version] for entry in ENTRIES)
    assert 0.4 <= 1 - unsafe / len(ENTRIES) <= 0.6


@pytest.mark.whole
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["pg15", "pg18"])
def test_the_servers_agree_with_the_key(name: str, tmp_path: Path) -> None:
    version = name.removeprefix("pg")
    differences = {}
    for entry, truth in measured(name, sample(ENTRIES, 20), tmp_path):
        now = judge({**entry, "truth": {version: truth}})
        if _told(truth) != _told(entry["truth"][version]) or now[version] != entry["unsafe"][version]:
            differences[entry["revision"]] = (truth, entry["truth"][version])
    assert differences == {}


def _told(truth: dict[str, Any]) -> dict[str, Any]:
    """Without the locks, which are looked at from outside in autocommit, and without the words of an error."""
    return {name: value for name, value in truth.items() if name not in ("locks", "error")}
