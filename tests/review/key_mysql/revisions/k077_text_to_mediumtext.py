"""text_to_mediumtext

Revision ID: k077
Revises: base0000
"""

from alembic import op

revision = "k077"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users MODIFY notes MEDIUMTEXT")


def downgrade() -> None:
    pass
