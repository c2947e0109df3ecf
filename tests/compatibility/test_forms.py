"""Each form in which a release has written something is read with the same meaning, without a server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.compatibility.persisted import GOLDEN
from tests.compatibility.releases import OLDEST

from safeops.databases.triggers import Pair, pair_of
from safeops.naming import Name

NOTE = re.compile(r"/\*safeops \{.*?\*/|'safeops \{[^']*'")


def pairs(file: Path) -> set[Pair]:
    notes = NOTE.findall(file.read_text(encoding="utf-8"))
    found = {pair_of(f"BEGIN {note} END", Name("t")) for note in notes}
    return {pair for pair in found if pair is not None}


@pytest.mark.parametrize("server", ["pg14", "pg18", "mariadb", "mysql97", "sqlite"])
def test_the_note_of_a_pair_is_read_in_each_form(server: str) -> None:
    now, then = (pairs(GOLDEN / folder / f"{server}.txt") for folder in ("", OLDEST))
    # What 0a3dd99 could not begin is in the other alone.
    assert then <= now
    (hostile,) = (pair for pair in then if pair.name.startswith("safeops_hostile"))
    assert hostile.shadow in ("the 'new' a = 100%", "the 'new' */ a = 100%")
    assert hostile.source == "a" and hostile.winner == hostile.shadow and not hostile.switched
    (kept,) = (pair for pair in then if pair.name == "safeops_kept_b_type")
    assert kept.switched and kept.back and "/* of b; and: 'so' */ * 2" in kept.back
