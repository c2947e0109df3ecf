"""Every city is on the globe.

A swapped latitude and longitude has cost us a day before.
"""

from __future__ import annotations

from safeops import create_check_constraint_if_missing, drop_constraint_if_exists

revision: str = "0007"
down_revision: str | None = "0006"


def upgrade() -> None:
    create_check_constraint_if_missing(
        "ck_cities_on_the_globe",
        "cities",
        "latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180",
    )


def downgrade() -> None:
    drop_constraint_if_exists("ck_cities_on_the_globe", "cities", type_="check")
