"""Every city is on the globe.

A swapped latitude and longitude has cost us a day before. PostgreSQL checks the old rows while the application
goes on; MariaDB copies the whole table for it, and safeops refuses that unless somebody says that it is fine.
"""

from __future__ import annotations

from safeops import assured, create_check_constraint_if_missing, drop_constraint_if_exists

revision: str = "0007"
down_revision: str | None = "0006"

ON_THE_GLOBE = "latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180"


def upgrade() -> None:
    with assured("where the table has to be copied, it is small enough: a few seconds"):
        create_check_constraint_if_missing("ck_cities_on_the_globe", "cities", ON_THE_GLOBE)


def downgrade() -> None:
    drop_constraint_if_exists("ck_cities_on_the_globe", "cities", type_="check")
