"""Give cities a status with its own type.

SQLite has no named types: there the first call has nothing to do, and the column is a VARCHAR.
"""

from __future__ import annotations

import sqlalchemy as sa

from safeops import add_column_if_missing, create_enum_if_missing, drop_column_if_exists, drop_enum_if_exists

STATUSES = ["listed", "in_review", "hidden"]

revision: str = "0004"
down_revision: str | None = "0003"


def upgrade() -> None:
    create_enum_if_missing("city_status", STATUSES)
    status = sa.Enum(*STATUSES, name="city_status")
    add_column_if_missing("cities", sa.Column("status", status, nullable=False, server_default="listed"))


def downgrade() -> None:
    drop_column_if_exists("cities", "status")
    drop_enum_if_exists("city_status")
