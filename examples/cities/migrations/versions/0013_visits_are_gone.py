"""The old name visits is dropped.

Run it after the last process of the old application has ended. The downgrade restores the old name, with all counts.
"""

from __future__ import annotations

from safeops import ColumnRename

revision: str = "0013"
down_revision: str | None = "0012"

rename = ColumnRename("countries", "visits", "page_views")


def upgrade() -> None:
    rename.contract()


def downgrade() -> None:
    rename.undo_contract()
