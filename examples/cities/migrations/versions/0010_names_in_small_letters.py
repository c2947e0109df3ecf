"""Cities can be found by a lower-case name.

The next deploy writes the new column; until then the application adds cities without it. So the column stays nullable, and
the backfill has a condition: it does not wait for cities that are added in the meantime.
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
