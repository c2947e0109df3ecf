"""The revisions on the pages go up, up again and down; the code they replace fails or locks as the page states."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import Block, blocks, name_of, pages, with_revisions
from tests.docs.running import execute, is_fragment, run_fragment, up_twice_and_down
from tests.docs.scene import set_the_scene
from tests.docs.sql import is_rendered, is_run, is_sent, missing, spaced, statements
from tests.projects import render
from tests.servers import Database

FRAGMENTS = [one for page in pages() for one in blocks(page) if is_fragment(one)]


@pytest.mark.parametrize("page", with_revisions(), ids=name_of)
def test_the_revisions_go_up_twice_and_down(database: Database, page: Path, tmp_path: Path) -> None:
    set_the_scene(database)
    revisions = [one for one in blocks(page) if one.is_revision]
    sent = up_twice_and_down(database, revisions, tmp_path)
    # Statements of one transaction may go out as one text.
    each = [one for text in sent for one in (text, *text.split(";\n"))]
    plain = [spaced(one.replace(f"{database.name}.", "")) for one in each]
    for block in blocks(page):
        if is_sent(block) and (block.mark("on") or "postgresql") == database.kind:
            assert not missing(plain, statements(block))


@pytest.mark.parametrize(
    "page", [page for page in with_revisions() if any(map(is_rendered, blocks(page)))], ids=name_of
)
def test_what_is_shown_as_rendered_is_rendered(page: Path, tmp_path: Path) -> None:
    text = "".join(render("postgresql://", one.load(tmp_path).upgrade) for one in blocks(page) if one.is_revision)
    lines = [spaced(one) for one in text.splitlines()]
    for block in filter(is_rendered, blocks(page)):
        assert not missing(lines, [spaced(one) for one in block.code.splitlines()]), text


@pytest.mark.only("pg18")
@pytest.mark.parametrize("block", FRAGMENTS, ids=lambda one: f"{name_of(one.page)}-{one.number}")
def test_a_fragment_does_what_the_page_states(database: Database, block: Block) -> None:
    set_the_scene(database)
    held = run_fragment(database, block)
    said = re.findall(r"<!-- takes: (.*?) -->", block.marks)
    assert not [lock for lock in said if lock not in held], held
    offline = block.mark("offline fails")
    if offline:
        with pytest.raises(Exception, match="inspection") as raised:
            render(database, lambda: execute(block.code))
        assert offline in type(raised.value).__name__


@pytest.mark.only("mariadb", "mysql97")
@pytest.mark.parametrize(
    "block",
    [one for one in FRAGMENTS if one.mark("on") == "mysql"],
    ids=lambda one: f"{name_of(one.page)}-{one.number}",
)
def test_a_fragment_for_mysql_runs_there(database: Database, block: Block) -> None:
    set_the_scene(database)
    run_fragment(database, block)


@pytest.mark.only("pg18")
def test_sql_to_be_run_is_run(database: Database) -> None:
    shown = [one for page in pages() for one in blocks(page) if is_run(one)]
    assert shown
    for block in shown:
        database.query(block.code.rstrip(";\n"))
