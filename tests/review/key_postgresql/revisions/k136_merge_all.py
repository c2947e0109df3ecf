"""merge_all

Revision ID: k136
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k136"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    MERGE INTO users u USING orders o ON u.id = o.user_id
    WHEN MATCHED THEN UPDATE SET age = 1
    WHEN NOT MATCHED THEN DO NOTHING
    """)


def downgrade() -> None:
    pass
