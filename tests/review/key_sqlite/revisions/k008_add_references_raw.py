"""add_references_raw

Revision ID: k008
Revises: base0000
"""

from alembic import op

revision = "k008"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN payer_id INTEGER REFERENCES users (id)")


def downgrade() -> None:
    pass
