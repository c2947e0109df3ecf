"""Every city is in a country that we know.

The index saves reading every city when a country changes.
"""

from __future__ import annotations

from safeops import create_foreign_key_if_missing, drop_constraint_if_exists, drop_index_if_exists

revision: str = "0006"
down_revision: str | None = "0005"


def upgrade() -> None:
    create_foreign_key_if_missing(
        "fk_cities_country_code", "cities", "countries", ["country_code"], ["iso"], index=True
    )


def downgrade() -> None:
    drop_constraint_if_exists("fk_cities_country_code", "cities", type_="foreignkey")
    drop_index_if_exists("ix_cities_country_code", "cities")
