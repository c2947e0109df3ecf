"""check_not_enforced_raw

Revision ID: k020
Revises: base0000
"""

from alembic import op

revision = "k020"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD CONSTRAINT ck_age CHECK (age >= 0) NOT ENFORCED")


def downgrade() -> None:
    pass
