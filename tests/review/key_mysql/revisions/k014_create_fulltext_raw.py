"""create_fulltext_raw

Revision ID: k014
Revises: base0000
"""

from alembic import op

revision = "k014"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE FULLTEXT INDEX ft_notes ON users (notes)")


def downgrade() -> None:
    pass
