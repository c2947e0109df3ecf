"""Each block is run by a test, each page has its parts, each helper has a place in the reference."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from alembic.operations import Operations

import safeops
from safeops import review, runner
from safeops.cli import COMMANDS
from tests.docs.following import is_followed
from tests.docs.pages import DOCS, ROOT, Block, blocks, name_of, pages, with_revisions
from tests.docs.running import is_fragment
from tests.docs.sql import is_rendered, is_run, is_sent, is_sent_by_env

PARTS = ["Do this", "Not this", "What the database does", "On each database", "Undo"]
TASKS = [page for page in pages("how-to") if page.stem not in ("index", "logging", "troubleshooting")]
LINES = 70
REVIEWED = "Review revisions in CI"
"""The section of README whose block test_readme.py compares with what a review prints."""
NOT_RUN = {
    "how-to/several-runners": 1,
    "how-to/offline": 1,
    "how-to/check-in-ci": 2,
    "how-to/review-in-ci": 3,
    "how-to/test-migrations": 1,
    "how-to/trace": 2,
    "how-to/rehearse": 2,
    "how-to/rehearsal-traffic": 3,
}


def is_tried(block: Block) -> bool:
    """Return whether a test runs the block, or compares it with what runs."""
    if block.language.startswith("{"):
        return True
    if block.page.parent.name == "errors" and block.page.stem != "S000":
        return block.section in ("The message", "What to do")
    if block.page.parent.name == "rules":
        return block.language == "python"
    if block.page.name == "README.md" and block.section == REVIEWED:
        return block.language == "text"
    if block.page.stem == "logging" and block.language == "text":
        return True
    if block.page.stem == "tutorial":
        return block.language in ("sh", "text", "python")
    return (
        is_followed(block)
        or block.is_env
        or is_fragment(block)
        or (block.is_revision and block.page in with_revisions())
        or (is_sent(block) and block.page in with_revisions())
        or is_rendered(block)
        or is_run(block)
        or (is_sent_by_env(block) and any(one.is_env for one in blocks(block.page)))
    )


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_block_is_tried(page: Path) -> None:
    left = [one for one in blocks(page) if not is_tried(one)]
    assert not [one for one in left if one.mark("not run") is None]
    assert len(left) == NOT_RUN.get(name_of(page), 0)


def test_fences_are_paired() -> None:
    """No block may be read as text."""
    for page in pages():
        fences = re.findall(r"^```", page.read_text(), re.MULTILINE)
        assert len(fences) == 2 * len(blocks(page)), page


@pytest.mark.parametrize("page", TASKS, ids=name_of)
def test_a_task_has_its_parts_and_fits_on_a_screen(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == PARTS
    prose = [line for line in text.splitlines() if line.strip() and not line.startswith(("|", "<!--"))]
    assert len(prose) <= LINES


def test_the_links_lead_somewhere() -> None:
    for page in pages():
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            assert re.match(r"https?://", link) or (page.parent / link).exists(), (page.name, link)


def test_each_helper_is_in_the_reference_and_in_the_table_of_locks() -> None:
    reference = "".join(page.read_text() for page in pages("reference"))
    locks = (DOCS / "reference/locks.md").read_text()
    public = [name for name in safeops.__all__ if name[0].islower()]
    assert not [name for name in public if f":: safeops.{name}\n" not in reference]
    assert not [name for name in public if f"`{name}" not in locks]
    assert ":: safeops.autogenerate.safe_operations\n" in reference


def test_the_reference_makes_what_would_be_out_of_date() -> None:
    made = [one for page in pages("reference") for one in re.findall(r"made at the build: (.*?) -->", page.read_text())]
    verbs = [f"help {command.name}" for command in COMMANDS]
    assert [one for one in made if one != "exit-codes"] == ["patterns", "help", *verbs]
    assert "exit-codes" in made
    reference = (DOCS / "reference/running.md").read_text()
    assert not [name for name in runner.__all__ if f":: safeops.runner.{name}\n" not in reference]
    assert not [name for name in review.__all__ if f":: safeops.review.{name}\n" not in reference]
    assert all(f"def {name}" in (DOCS / "conf.py").read_text() for name in ("patterns", "command_line", "exit_codes"))


def test_the_two_commands_are_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "\n    pip install -e '.[demo]' && python examples/cities/run.py\n" in readme
    assert "\n    pip install -e '.[test]' && python -m pytest\n" in readme


def test_the_cheat_sheet_has_each_directive_and_each_helper() -> None:
    cells = re.findall(r"(?<!`)`([^`]+)`", (DOCS / "reference/cheat-sheet.md").read_text())
    text = " ".join(cells)
    extending = {"context", "create_module_class_proxy", "implementation_for", "invoke", "register_operation"}
    directives = {name for name in dir(Operations) if name[0] != "_"} - extending
    assert not [name for name in sorted(directives) if f"op.{name}(" not in text]
    public = {name for name in safeops.__all__ if name[0].islower()} | {"ColumnRename", "TableRename", "TypeChange"}
    assert not [name for name in sorted(public) if not re.search(rf"(?<![.\w]){name}\(", text)]


def test_the_calls_of_the_cheat_sheet_have_arguments_that_exist() -> None:
    page = (DOCS / "reference/cheat-sheet.md").read_text()
    calls = [one for cell in re.findall(r"(?<!`)`([^`]+)`", page) for one in _calls(cell)]
    for one in calls:
        module, _, name = ast.unparse(one.func).rpartition(".")
        called = getattr(Operations, name) if module else getattr(safeops, name)
        unbound = [None] if module else []
        inspect.signature(called).bind(*unbound, *one.args, **{str(given.arg): given for given in one.keywords})
    assert len(calls) > 80


def _calls(code: str) -> Iterator[ast.Call]:
    """Yield the calls of directives and helpers in code, without those whose arguments are left out."""
    with suppress(SyntaxError):
        for node in ast.walk(ast.parse(re.sub(r"^with (.*):$|^@", r"\1", code))):
            if isinstance(node, ast.Call) and node.args and "..." not in map(ast.unparse, node.args):
                name = ast.unparse(node.func)
                if name in safeops.__all__ or re.fullmatch(r"op\.\w+", name):
                    yield node
