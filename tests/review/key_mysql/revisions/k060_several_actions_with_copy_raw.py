"""several_actions_with_copy_raw

Revision ID: k060
Revises: base0000
"""

from alembic import op

revision = "k060"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN note TEXT, ADD INDEX ix_state (state), MODIFY total DECIMAL(14,2)")


def downgrade() -> None:
    pass
