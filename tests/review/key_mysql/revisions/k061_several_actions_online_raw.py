"""several_actions_online_raw

Revision ID: k061
Revises: base0000
"""

from alembic import op

revision = "k061"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN note TEXT, ADD INDEX ix_state (state), RENAME INDEX ix_orders_user TO ix_user")


def downgrade() -> None:
    pass
