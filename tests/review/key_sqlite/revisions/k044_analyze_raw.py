"""analyze_raw

Revision ID: k044
Revises: base0000
"""

from alembic import op

revision = "k044"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ANALYZE")


def downgrade() -> None:
    pass
