"""key_of_another_order

Revision ID: k083
Revises: base0000
"""

from alembic import op

revision = "k083"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE legacy DROP PRIMARY KEY, ADD PRIMARY KEY (id, title)")


def downgrade() -> None:
    pass
