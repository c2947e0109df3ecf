"""The keys of MariaDB, MySQL and SQLite: they record what the servers do, and a review finds the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.review import keys
from tests.review.family_keys import FAMILIES, name_of
from tests.review.measure_families import judge, measured
from tests.review.scoring import knowable, reviewed, score, unsafe_in
from tests.servers import Server
from tests.whole import sample

PRODUCTS = {"mysql 9.7": "MySQL", "mariadb 10.11": "MariaDB", "sqlite 3.40": "SQLite"}
"""Each server that a key was measured on."""


@pytest.mark.parametrize("family", FAMILIES)
def test_each_revision_is_in_the_key(family: str) -> None:
    folder = FAMILIES[family].folder
    files = {f"revisions/{path.name}" for path in (folder / "revisions").glob("*.py")}
    assert files - {f"revisions/{keys.BASE}_base.py"} == {entry["file"] for entry in FAMILIES[family].load()}


@pytest.mark.parametrize("name", PRODUCTS)
def test_about_half_of_the_key_is_safe(name: str) -> None:
    entries = _entries(name)
    assert 0.4 <= sum(entry["unsafe"][name] for entry in entries) / len(entries) <= 0.65


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_review_without_a_database_knows_the_key(name: str, tmp_path: Path) -> None:
    family = FAMILIES["sqlite" if name.startswith("sqlite") else "mysql"]
    ini = keys.project(tmp_path, ["*"], family.offline_urls[PRODUCTS[name]], key=family.folder)
    version = ["--server-version", name.partition(" ")[2]]
    found = score(name, unsafe_in(reviewed(ini, *version)), knowable(_entries(name), "offline"), name)
    assert (found.precision, found.recall) >= (0.95, 0.95), (found.false_alarms, found.misses)


@pytest.mark.whole
@pytest.mark.timeout(1800)
@pytest.mark.only("mysql", "sqlite")
def test_the_servers_agree_with_the_key(server: Server) -> None:
    name = name_of(server)
    if name not in PRODUCTS:
        pytest.skip(f"the key was not measured on {name}")
    differences = {}
    for entry, truth in measured(server, sample(_entries(name), 12)):
        now = judge({**entry, "truth": {name: truth}})
        if _told(truth) != _told(entry["truth"][name]) or now[name] != entry["unsafe"][name]:
            differences[entry["revision"]] = (truth, entry["truth"][name])
    assert differences == {}


def _entries(name: str) -> list[dict[str, Any]]:
    family = FAMILIES["sqlite" if name.startswith("sqlite") else "mysql"]
    return [entry for entry in family.load() if name in entry["truth"]]


def _told(truth: dict[str, Any]) -> dict[str, Any]:
    """Without the words of an error."""
    return {name: value for name, value in truth.items() if name != "error"}
