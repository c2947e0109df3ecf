"""Page views are a BIGINT.

The integer is kept in sync, hidden, until a rollback is no longer needed. On PostgreSQL, prepared statements that return
page views must be prepared again.
"""

from __future__ import annotations

import sqlalchemy as sa

from safeops import TypeChange

revision: str = "0015"
down_revision: str | None = "0014"

change = TypeChange("countries", "page_views", sa.BigInteger())


def upgrade() -> None:
    change.switch()


def downgrade() -> None:
    change.undo_switch()
