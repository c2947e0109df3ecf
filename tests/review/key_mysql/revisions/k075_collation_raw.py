"""collation_raw

Revision ID: k075
Revises: base0000
"""

from alembic import op

revision = "k075"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users MODIFY code VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")


def downgrade() -> None:
    pass
