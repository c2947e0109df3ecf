"""Page views are a BIGINT.

The integer follows, hidden, as long as we may want to go back. On PostgreSQL, statements that were prepared before and
return page views have to be prepared again.
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
