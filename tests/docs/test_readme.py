"""What README shows of a review is what the command prints for README's own revision."""

from __future__ import annotations

from pathlib import Path

from tests.authoring.commands import python, started
from tests.docs.pages import ROOT, blocks
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
