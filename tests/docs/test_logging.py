"""The lines on the page about logging are lines that the logger writes."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from safeops import add_column_if_missing, backfill, create_index_if_missing
from tests.docs.pages import DOCS, blocks
from tests.docs.scene import set_the_scene
from tests.projects import log_lines, migrate
from tests.servers import Database


def _revision() -> None:
    add_column_if_missing("users", sa.Column("city", sa.String(50)))
    create_index_if_missing("ix_users_city", "users", ["city"])
    backfill("users", {"city": "Paris"})


@pytest.mark.only("pg18")
def test_the_lines_of_the_page_are_logged(database: Database) -> None:
    (shown,) = [one for one in blocks(DOCS / "how-to/logging.md") if one.language == "text"]
    set_the_scene(database)
    with log_lines() as seen:
        migrate(database, _revision, revision="4f2a9c")
    written = {_without_numbers(line.replace("public.", "")) for line in seen}
    assert not [line for line in shown.code.splitlines() if _without_numbers(line) not in written], seen


def _without_numbers(line: str) -> str:
    return re.sub(r"[\d.]+", "N", line)
