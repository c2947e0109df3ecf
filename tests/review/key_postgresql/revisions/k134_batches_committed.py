"""batches_committed

Revision ID: k134
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k134"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for low in range(0, 20000, 400):
            op.execute(f"UPDATE users SET notes = '' WHERE id > {low} AND id <= {low + 400}")


def downgrade() -> None:
    pass
