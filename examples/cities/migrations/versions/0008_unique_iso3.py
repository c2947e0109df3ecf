"""No two countries share an ISO 3166 alpha-3 code.

On SQLite this rebuilds a table that 234,908 rows refer to.
"""

from __future__ import annotations

from safeops import create_unique_constraint_if_missing, drop_constraint_if_exists

revision: str = "0008"
down_revision: str | None = "0007"


def upgrade() -> None:
    create_unique_constraint_if_missing("uq_countries_iso3", "countries", ["iso3"])


def downgrade() -> None:
    drop_constraint_if_exists("uq_countries_iso3", "countries", type_="unique")
