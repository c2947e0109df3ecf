"""Cities can be found by a name in small letters.

The application that writes the new column comes with the next deploy; until then it adds cities without one. So nothing
requires it yet, and the condition is our own: what is added meanwhile is left, not waited for.
"""

from __future__ import annotations

import sqlalchemy as sa

from safeops import add_column_if_missing, backfill, drop_column_if_exists

revision: str = "0010"
down_revision: str | None = "0009"


def upgrade() -> None:
    add_column_if_missing("cities", sa.Column("small_name", sa.String(200)))
    small = sa.func.lower(sa.column("name"))
    backfill("cities", {"small_name": small}, where=sa.column("small_name").is_(None))


def downgrade() -> None:
    drop_column_if_exists("cities", "small_name")
