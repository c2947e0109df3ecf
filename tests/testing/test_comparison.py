"""The page that sets the kit next to other tools has the measured results."""

from __future__ import annotations

import json

from tests.testing.comparison import KIT, PAGE, RESULTS, cases, rendered


def test_the_page_has_the_results() -> None:
    page = PAGE.read_text()
    assert rendered(page, json.loads(RESULTS.read_text())) == page


def test_the_results_are_those_of_the_projects() -> None:
    """What the kit finds is what test_projects.py holds it to."""
    results = json.loads(RESULTS.read_text())
    expected = {
        f"{group}: {name}": sorted({one.partition("[")[0] for one in made.expected}) for group, name, made in cases()
    }
    assert {name: found[KIT] for name, found in results["faults"].items()} == expected
    assert not results["sound"][KIT]
