"""fk_to_new_table

Revision ID: n019
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n019"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("countries", sa.Column("id", sa.Integer(), primary_key=True))
    op.add_column("users", sa.Column("country_id", sa.Integer(), nullable=True))
    op.create_foreign_key("fk_country", "users", "countries", ["country_id"], ["id"])


def downgrade() -> None:
    pass
