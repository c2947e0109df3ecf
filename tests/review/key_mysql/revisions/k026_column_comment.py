"""column_comment

Revision ID: k026
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k026"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("users", "age", comment="in years", existing_type=sa.Integer(), existing_nullable=True)


def downgrade() -> None:
    pass
