"""create_view_raw

Revision ID: k043
Revises: base0000
"""

from alembic import op

revision = "k043"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE VIEW grown AS SELECT id, age FROM users WHERE age > 17")


def downgrade() -> None:
    pass
