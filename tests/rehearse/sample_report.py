"""Makes the sample report of the docs on a temporary PostgreSQL: ``python -m tests.rehearse.sample_report``."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alembic.config import Config

from safeops.rehearse import rehearse
from safeops.rehearse.reports.html import html

PAGE = Path(__file__).parents[2] / "docs/_static/rehearsal.html"
ROWS = 1_000_000
ENV = """
import sqlalchemy as sa
from alembic import context
from alembic.util import CommandError

URL = context.config.get_main_option("sqlalchemy.url")
if not URL:
    raise CommandError("No database given.")
with sa.create_engine(URL, poolclass=sa.pool.NullPool).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
TABLES = '''"""The tables."""
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0041", None


def upgrade() -> None:
    op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(80)))
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("buyer_id", sa.Integer, sa.ForeignKey("users.id"), nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("note", sa.Text),
    )


def downgrade() -> None:
    op.drop_table("orders")
    op.drop_table("users")
'''
BLOCKS = '''"""List the orders of a buyer."""
from alembic import op

revision, down_revision = "0042", "0041"


def upgrade() -> None:
    op.create_index("ix_orders_buyer_id", "orders", ["buyer_id", "note"])


def downgrade() -> None:
    op.drop_index("ix_orders_buyer_id", "orders")
'''


def rehearsed(folder: Path, rows: int) -> dict[str, Any]:
    """Rehearse a revision that blocks writes, in a project that is made in a folder."""
    files = {"env.py": ENV, "versions/0041_tables.py": TABLES, "versions/0042_orders_of_a_buyer.py": BLOCKS}
    (folder / "versions").mkdir()
    for name, content in files.items():
        (folder / name).write_text(content)
    config = Config()
    config.set_main_option("script_location", str(folder))
    return rehearse(config, rows=rows).as_json()


def main() -> int:
    """Write the page."""
    with TemporaryDirectory() as folder:
        page = html(rehearsed(Path(folder), ROWS))
    PAGE.write_text(page, encoding="utf-8")
    print(f"{PAGE}: {len(page.encode()):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
