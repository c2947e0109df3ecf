"""fk_inline_to_new_table

Revision ID: n020
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n020"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("countries", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("ALTER TABLE users ADD COLUMN country_id int REFERENCES countries (id)")


def downgrade() -> None:
    pass
