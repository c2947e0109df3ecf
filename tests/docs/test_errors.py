"""Each error has its page; its message is what the code above it really gives, and the code below fixes it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from safeops import errors
from tests.docs.pages import DOCS, blocks
from tests.docs.provoking import ON_SQLITE, WITHOUT_A_MESSAGE, mend, provoke
from tests.docs.scene import set_the_scene
from tests.servers import Database

CLASSES = {
    one.number: one.__name__
    for one in vars(errors).values()
    if inspect.isclass(one) and issubclass(one, errors.SafeOpsError)
}
SECTIONS = ["The message", "Why it happens", "What to do", "State and running again"]


@pytest.mark.only("pg18")
@pytest.mark.parametrize("number", [one for one in CLASSES if one not in (WITHOUT_A_MESSAGE, *ON_SQLITE)])
def test_the_message_on_the_page_is_real(database: Database, number: str, tmp_path: Path) -> None:
    _message_and_remedy(database, number, tmp_path)


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("number", ON_SQLITE)
def test_the_message_of_another_database_is_real(database: Database, number: str, tmp_path: Path) -> None:
    _message_and_remedy(database, number, tmp_path)


def _message_and_remedy(database: Database, number: str, folder: Path) -> None:
    set_the_scene(database)
    page = blocks(DOCS / "errors" / f"{number}.md")
    code, message = (one for one in page if one.section == "The message")
    error = provoke(database, number, code.code, folder)
    assert error.number == number
    assert _comparable(str(error)) == _comparable(message.code)
    remedies = [one for one in page if one.section == "What to do"]
    assert remedies
    for remedy in remedies:
        mend(database, number, remedy, code, folder)


def _comparable(message: str) -> str:
    """Without line breaks; and numbers, as process ids and seconds, and the place of a backup are others each time."""
    placed = re.sub(r"\S*backups/\S+", "backups/BACKUP", " ".join(message.split()))
    return re.sub(r"\d+(\.\d+)?", "N", placed)


def test_each_error_has_one_page_and_is_in_the_list() -> None:
    titles = {page.stem: page.read_text().splitlines()[0] for page in (DOCS / "errors").glob("S*.md")}
    begun = {number: title.partition(": ")[0] for number, title in titles.items()}
    assert begun == {number: f"# {number} {name}" for number, name in CLASSES.items()}
    # What people search for is in the title too.
    assert not [title for title in titles.values() if len(title.partition(": ")[2].split()) < 3]
    index = (DOCS / "errors/index.md").read_text()
    raised = {number: name for number, name in CLASSES.items() if number != WITHOUT_A_MESSAGE}
    assert not [number for number, name in raised.items() if f"| [{number}]({number}.md) | `{name}` |" not in index]
    assert not [number for number in CLASSES if f"\n{number}\n" not in index]


@pytest.mark.parametrize("page", sorted((DOCS / "errors").glob("S*.md")), ids=lambda page: page.stem)
def test_each_page_has_the_same_parts(page: Path) -> None:
    assert re.findall(r"^## (.*)$", page.read_text(), re.MULTILINE) == SECTIONS
