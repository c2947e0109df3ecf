"""Visits become page views: both names work.

Then deploy the application that uses page_views. Until the next revision, both versions can write.
"""

from __future__ import annotations

from safeops import ColumnRename

revision: str = "0012"
down_revision: str | None = "0011"

rename = ColumnRename("countries", "visits", "page_views")


def upgrade() -> None:
    rename.expand()


def downgrade() -> None:
    rename.undo_expand()
