"""The integer column of page views is dropped."""

from __future__ import annotations

import sqlalchemy as sa

from safeops import TypeChange

revision: str = "0016"
down_revision: str | None = "0015"

change = TypeChange("countries", "page_views", sa.BigInteger())


def upgrade() -> None:
    change.contract()


def downgrade() -> None:
    change.undo_contract()
