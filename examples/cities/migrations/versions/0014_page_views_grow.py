"""Page views get a BIGINT column next to the integer.

The integer will overflow one day. The application does not notice this change; ALTER COLUMN TYPE would copy the table and
block all readers.
"""

from __future__ import annotations

import sqlalchemy as sa

from safeops import TypeChange

revision: str = "0014"
down_revision: str | None = "0013"

change = TypeChange("countries", "page_views", sa.BigInteger())


def upgrade() -> None:
    change.expand()


def downgrade() -> None:
    change.undo_expand()
