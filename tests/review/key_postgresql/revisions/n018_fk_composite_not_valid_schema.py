"""fk_composite_not_valid_schema

Revision ID: n018
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n018"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("owners", sa.Column("id", sa.Integer(), primary_key=True), schema="aux")
    op.create_foreign_key("fk_a_owner", "a", "owners", ["id"], ["id"], source_schema="aux", referent_schema="aux", postgresql_not_valid=True)


def downgrade() -> None:
    pass
