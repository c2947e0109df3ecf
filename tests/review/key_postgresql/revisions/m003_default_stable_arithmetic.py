"""default_stable_arithmetic

Revision ID: m003
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m003"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE items ADD COLUMN due timestamptz NOT NULL DEFAULT (now() + interval '14 days'), ADD COLUMN made_by text DEFAULT current_user")


def downgrade() -> None:
    pass
