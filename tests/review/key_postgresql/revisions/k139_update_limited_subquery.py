"""update_limited_subquery

Revision ID: k139
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k139"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE users SET notes = 'x' WHERE id IN (SELECT id FROM users ORDER BY id LIMIT 100)")


def downgrade() -> None:
    pass
