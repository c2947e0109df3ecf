"""Visits are page views: both names stand.

Deploy the application that says page_views once this is done. Until the next revision either of them may write.
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
