"""asks_inplace_none_raw

Revision ID: k063
Revises: base0000
"""

from alembic import op

revision = "k063"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD INDEX ix_state (state), ALGORITHM=INPLACE, LOCK=NONE")


def downgrade() -> None:
    pass
