"""Count the visits of each country's page.

Each country starts with one for every million people, so the ranking has an order on its first day. The default is for
the application that runs now: it adds countries without the column.
"""

from __future__ import annotations

import sqlalchemy as sa

from safeops import add_required_column, drop_column_if_exists

revision: str = "0011"
down_revision: str | None = "0010"


def upgrade() -> None:
    add_required_column(
        "countries",
        sa.Column("visits", sa.Integer, nullable=False, server_default="0"),
        populate=sa.column("population", sa.BigInteger) // 1_000_000,
    )


def downgrade() -> None:
    drop_column_if_exists("countries", "visits")
