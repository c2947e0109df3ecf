"""The pages of the documentation, and the blocks of code on them.

A comment directly above a block holds what only the tests need:

    <!-- fails: TEXT -->            it ends in this error
    <!-- offline fails: TEXT -->    it does under --sql
    <!-- takes: MODE on TABLE -->   PostgreSQL holds this lock when it has run
    <!-- on: NAME -->               SQL that is sent to that database instead of PostgreSQL; Python that also runs on it
    <!-- on NAME: ERROR -->         on that database it ends in this error, before anything is changed
    <!-- stays: REASON -->          its downgrade does not restore the previous schema
    <!-- one way -->                its downgrade is refused
    <!-- rendered -->               SQL that the revisions of the page render for PostgreSQL
    <!-- sent by env.py -->         SQL that the env.py of the page sends
    <!-- run -->                    SQL that is run
    <!-- file: NAME -->             it is written to that file
    <!-- append: NAME -->           it is put at the end of that file
    <!-- edit: NAME: LINE -->       it is put into that file, in place of the line
    <!-- replace: NAME: A => B -->  it is in that file after A was replaced by B
    <!-- part of: NAME -->          it is in that file
    <!-- printed -->                the commands before it print it
    <!-- apart -->                  commands in a separate folder
    <!-- before: COMMAND -->        what a reader has done already
    <!-- not run: REASON -->        nothing runs it
"""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import safeops

ROOT = Path(safeops.__file__).parents[2]
DOCS = ROOT / "docs"

_BLOCK = re.compile(
    r"(?P<marks>(?:^<!--[^\n]*-->\n)*)^(?P<fence>```+)(?P<language>[^\n]*)\n(?P<code>.*?)^(?P=fence)\n",
    re.DOTALL | re.MULTILINE,
)


@dataclasses.dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    number: int
    language: str
    section: str
    code: str
    marks: str

    def mark(self, name: str) -> str | None:
        """Return the text after `name:` in a comment above the block; "" if there is no text."""
        found = re.search(rf"<!-- {name}(?:: (.*?))? -->", self.marks)
        return found and (found[1] or "")

    @property
    def is_revision(self) -> bool:
        return self.language == "python" and "def upgrade(" in self.code

    @property
    def is_env(self) -> bool:
        return self.language == "python" and "context.configure(" in self.code

    def load(self, folder: Path) -> ModuleType:
        """Load the block as a module from a file, as Alembic loads a revision."""
        file = folder / f"{self.page.stem.replace('-', '_')}_{self.number}.py"
        file.write_text(self.code)
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(page, number, found["language"].strip(), _section(text[: found.start()]), found["code"], found["marks"])
        for number, found in enumerate(_BLOCK.finditer(text))
    ]


def _section(before: str) -> str:
    headings = re.findall(r"^## (.*)$", re.sub(_BLOCK, "", before), re.MULTILINE)
    return str(headings[-1]) if headings else ""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT if page.name == "README.md" else DOCS).with_suffix(""))


def pages(folder: str = "") -> list[Path]:
    """Return the pages of a folder, or all pages and the README."""
    if folder:
        return sorted((DOCS / folder).glob("*.md"))
    return [ROOT / "README.md", *sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)]


def with_revisions() -> list[Path]:
    """Return the pages of which each Python block is one revision, or lines of one."""
    apart = (DOCS / "tutorial.md", *pages("errors"), *pages("rules"))
    return [page for page in pages() if page not in apart and any(one.is_revision for one in blocks(page))]
