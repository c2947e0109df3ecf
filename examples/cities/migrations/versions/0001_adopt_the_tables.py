"""Adopt the existing tables.

They existed before Alembic, full of data. On an empty database, a developer's or a test's, this revision
creates them.
"""

from __future__ import annotations

import sqlalchemy as sa

from safeops import create_table_if_missing

revision: str = "0001"
down_revision: str | None = None


def upgrade() -> None:
    create_table_if_missing(
        "countries",
        sa.Column("iso", sa.String(2), primary_key=True),
        sa.Column("iso3", sa.String(3), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("continent", sa.String(2), nullable=False),
        sa.Column("capital", sa.String(100)),
        sa.Column("population", sa.BigInteger, nullable=False),
        sa.Column("area_km2", sa.Integer, nullable=False),
    )
    create_table_if_missing(
        "cities",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("country_code", sa.String(2), nullable=False),
        sa.Column("admin1_code", sa.String(20)),
        sa.Column("latitude", sa.Double, nullable=False),
        sa.Column("longitude", sa.Double, nullable=False),
        sa.Column("population", sa.Integer, nullable=False),
        sa.Column("timezone", sa.String(40)),
    )


def downgrade() -> None:
    # Nothing to undo: the tables are older than Alembic, and their rows could not be restored.
    pass
