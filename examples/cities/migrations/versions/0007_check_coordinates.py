"""Every city is on the globe.

A swapped latitude and longitude has cost us a day before. PostgreSQL checks existing rows while the
application runs. MariaDB copies the whole table, which safeops refuses outside assured().
"""

from __future__ import annotations

from safeops import assured, create_check_constraint_if_missing, drop_constraint_if_exists

revision: str = "0007"
down_revision: str | None = "0006"

ON_THE_GLOBE = "latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180"


def upgrade() -> None:
    with assured("if the table is copied, that takes only a few seconds"):
        create_check_constraint_if_missing("ck_cities_on_the_globe", "cities", ON_THE_GLOBE)


def downgrade() -> None:
    drop_constraint_if_exists("ck_cities_on_the_globe", "cities", type_="check")
