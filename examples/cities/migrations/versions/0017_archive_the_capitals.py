"""The capitals of countries go into an archive.

No application reads them. The downgrade restores them, and a later revision deletes them permanently:
drop_archives(older_than=90 * 86400).
"""

from __future__ import annotations

import sqlalchemy as sa

from safeops import drop_column_if_exists, restore_column

revision: str = "0017"
down_revision: str | None = "0016"


def upgrade() -> None:
    # safeops: allow drop-column -- in this example one commit stops the reads and drops the column; deploy that in two
    drop_column_if_exists("countries", "capital", archive=True)


def downgrade() -> None:
    restore_column("countries", sa.Column("capital", sa.String(100)))
