"""enum_append_raw

Revision ID: k028
Revises: base0000
"""

from alembic import op

revision = "k028"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users MODIFY status ENUM('new', 'paid', 'closed')")


def downgrade() -> None:
    pass
