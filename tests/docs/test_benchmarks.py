"""The figures about speed in README and docs are those of the results that the project keeps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.benchmarks import pages, plot
from tests.benchmarks.__main__ import RESULTS
from tests.benchmarks.results import Results
from tests.docs.pages import DOCS, name_of
from tests.docs.pages import pages as all_pages

(FILE,) = RESULTS.glob("*.json")
MEASURED = Results.read(FILE)
REMEDY = f"python -m tests.benchmarks --draw {FILE.relative_to(DOCS.parent)}"
SPEED = re.compile(r"times as (?:fast|slow)|rows a second|\b(?:faster|slower) by|\d× (?:faster|slower)")


@pytest.mark.parametrize("page", pages.pages(), ids=name_of)
def test_the_figures_of_a_page_are_those_of_the_results(page: Path) -> None:
    assert page.read_text() == pages.rendered(page.read_text(), MEASURED), f"render it again: {REMEDY}"


def test_the_plot_shows_the_results() -> None:
    assert pages.PLOT.read_text() == plot.svg(MEASURED), f"draw it again: {REMEDY}"


@pytest.mark.parametrize("page", all_pages(), ids=name_of)
def test_no_other_text_states_a_speed(page: Path) -> None:
    assert SPEED.findall(pages.BLOCK.sub("", page.read_text())) == []


def test_the_page_of_the_measurements_has_no_other_figures() -> None:
    text = pages.BLOCK.sub("", (DOCS / "explanation/benchmarks.md").read_text())
    figures = set(re.findall(r"\d(?:[\d.,]*\d)?", text))
    # These describe the measurement: the bytes of a row, the pause of the writer, the revisions.
    assert figures <= {"110", "2", "99", "100", "1,000", "100,000", "300", "57"}
