"""fill_new_table_from_another

Revision ID: k054
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k054"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("emails", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("email", sa.String(100)))
    op.execute("INSERT INTO emails (id, email) SELECT id, email FROM users")


def downgrade() -> None:
    pass
