"""enum_insert_raw

Revision ID: k029
Revises: base0000
"""

from alembic import op

revision = "k029"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users MODIFY status ENUM('draft', 'new', 'paid')")


def downgrade() -> None:
    pass
