"""comment_inside_raw

Revision ID: k079
Revises: base0000
"""

from alembic import op

revision = "k079"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("/* ALTER TABLE users DROP COLUMN name; */ ALTER TABLE users ADD COLUMN nick TEXT -- MODIFY age BIGINT")


def downgrade() -> None:
    pass
