"""List the cities of a status, smallest first.

The page of cities to review reads along this index.
"""

from __future__ import annotations

from safeops import create_index_if_missing, drop_index_if_exists

revision: str = "0005"
down_revision: str | None = "0004"


def upgrade() -> None:
    create_index_if_missing("ix_cities_status_population", "cities", ["status", "population"])


def downgrade() -> None:
    drop_index_if_exists("ix_cities_status_population", "cities")
