"""Record the source of each city.

So far each city came from GeoNames. The default sets this for all rows without changing a row.
"""

from __future__ import annotations

import sqlalchemy as sa

from safeops import add_column_if_missing, drop_column_if_exists

revision: str = "0002"
down_revision: str | None = "0001"


def upgrade() -> None:
    add_column_if_missing("cities", sa.Column("source", sa.String(20), nullable=False, server_default="geonames"))


def downgrade() -> None:
    drop_column_if_exists("cities", "source")
