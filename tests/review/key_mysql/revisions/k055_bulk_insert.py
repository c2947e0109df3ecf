"""bulk_insert

Revision ID: k055
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k055"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    kinds = op.create_table("kinds", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("name", sa.String(20)))
    op.bulk_insert(kinds, [{"id": n, "name": f"kind {n}"} for n in range(1, 4_000)])


def downgrade() -> None:
    pass
