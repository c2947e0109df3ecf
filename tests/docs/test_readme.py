"""README: its first screen, its links, and what it shows of a review, which is what the command prints."""

from __future__ import annotations

import re
from pathlib import Path

from tests.authoring.commands import python, started
from tests.docs.pages import DOCS, ROOT, blocks
from tests.docs.test_pages import REVIEWED

SHOP = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0001", None
def upgrade():
    op.create_table("users", sa.Column("id", sa.Integer, primary_key=True))
    op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))
def downgrade():
    op.drop_table("orders")
    op.drop_table("users")
"""
BUYER = '''"""add buyer

Revision ID: 0042
Revises: 0001
"""
import sqlalchemy as sa
from alembic import op
revision = "0042"
down_revision = "0001"
def upgrade() -> None:
{body}
def downgrade() -> None:
    op.drop_column("orders", "buyer_id")
'''


def test_it_shows_what_a_review_prints(tmp_path: Path) -> None:
    before = next(
        block.code
        for block in blocks(ROOT / "README.md")
        if block.section == "Before and after" and "op." in block.code
    )
    body = "".join(f"    {line}\n" for line in before.splitlines())
    python(tmp_path, "-m", "safeops", "init", "migrations")
    versions = tmp_path / "migrations" / "versions"
    (versions / "0001_shop.py").write_text(SHOP)
    (versions / "0042_add_buyer.py").write_text(BUYER.format(body=body.rstrip("\n")))
    url = "url=postgresql+psycopg://localhost/shop"
    printed = started(tmp_path, "-m", "safeops", "-x", url, "review", "0042").stdout
    (shown,) = [block.code for block in blocks(ROOT / "README.md") if block.section == REVIEWED]
    assert shown.strip("\n") in printed


README = (ROOT / "README.md").read_text()
URLS = dict(re.findall(r'^(\w+) = "(https://[^"]*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE))


def test_the_first_line_is_short() -> None:
    title, first = (line for line in README.splitlines()[:4] if line)
    assert title == "# safeops"
    assert len(first.strip("*").split()) <= 10
    assert first in (DOCS / "index.md").read_text()


def test_the_first_screen_has_what_a_reader_looks_for() -> None:
    screen, _, _ = README.partition("## Try it")
    assert "\npip install alembic-safeops\npython -m safeops init\n" in screen
    assert len(re.findall(r"^- \*\*", screen, re.MULTILINE)) == 5
    assert [
        link for link in ("[Documentation]", "[Tutorial]", "[Comparison]", "[Changelog]") if link not in screen
    ] == []


def test_each_link_is_absolute_and_names_a_file_that_exists() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    ours = {link: file for link in links if (file := _file_of(link)) is not None}
    assert len(ours) > 10
    assert not [link for link in links if not link.startswith("https://")]
    assert not [link for link, file in ours.items() if not (ROOT / file).is_file()]
    others = ("https://img.shields.io/badge/", "https://www.geonames.org")
    assert not [link for link in links if link not in ours and not link.startswith(others)]


def _file_of(link: str) -> str | None:
    """Return the file of the repository that a link shows."""
    repository, site = URLS["Repository"], URLS["Documentation"]
    raw = repository.replace("https://github.com", "https://raw.githubusercontent.com")
    page = link.partition("#")[0]
    for base in (f"{repository}/blob/main/", f"{raw}/main/"):
        if page.startswith(base):
            return page.removeprefix(base)
    if page.startswith(site):
        return f"docs/{page.removeprefix(site).removesuffix('.html')}.md"
    return None


def test_a_badge_states_what_the_package_declares() -> None:
    declared = (ROOT / "pyproject.toml").read_text()
    versions = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', declared)
    assert f"badge/python-{versions[0]}%20to%20{versions[-1]}-" in README
    assert 'license = "MIT"' in declared and "badge/licence-MIT-" in README
