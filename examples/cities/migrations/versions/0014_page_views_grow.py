"""Page views get a BIGINT beside the integer.

They will not fit for ever. The application sees nothing of it, where ALTER COLUMN TYPE would copy the table while nobody can
read it.
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
