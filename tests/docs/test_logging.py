"""The lines on the page about logging are lines that the logger writes."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from safeops import add_column_if_missing, backfill, create_index_if_missing, settings
from tests.concurrency.harness import once_logged
from tests.docs.pages import DOCS, blocks
from tests.docs.scene import set_the_scene
from tests.projects import log_lines, migrate
from tests.servers import Database


@pytest.mark.only("pg18")
def test_the_lines_of_the_page_are_logged(database: Database) -> None:
    (shown,) = [one for one in blocks(DOCS / "how-to/logging.md") if one.language == "text"]
    set_the_scene(database)

    def revision() -> None:
        add_column_if_missing("users", sa.Column("city", sa.String(50)))
        with database.engine().connect() as holder, settings(lock_timeout=0.1):
            holder.exec_driver_sql("SELECT 1 FROM users LIMIT 1")
            with once_logged("waiting for", holder.rollback):
                add_column_if_missing("users", sa.Column("town", sa.String(50)))
        create_index_if_missing("ix_users_city", "users", ["city"])
        backfill("users", {"city": "Paris"})

    with log_lines() as seen:
        migrate(database, revision, revision="4f2a9c")
    written = {_without_numbers(line.replace("public.", "").replace(" postgres,", " app,")) for line in seen}
    assert not [line for line in shown.code.splitlines() if _without_numbers(line) not in written], seen


def _without_numbers(line: str) -> str:
    return re.sub(r"[\d.]+", "N", line)
