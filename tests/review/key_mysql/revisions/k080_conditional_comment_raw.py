"""conditional_comment_raw

Revision ID: k080
Revises: base0000
"""

from alembic import op

revision = "k080"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("/*!50000 ALTER TABLE orders MODIFY user_id BIGINT */")


def downgrade() -> None:
    pass
