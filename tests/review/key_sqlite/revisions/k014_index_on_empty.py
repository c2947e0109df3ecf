"""index_on_empty

Revision ID: k014
Revises: base0000
"""

from alembic import op

revision = "k014"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_empty_val", "empty_table", ["val"])


def downgrade() -> None:
    pass
