"""sequence_and_statistics

Revision ID: k192
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k192"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SEQUENCE numbers START 100")
    op.execute("ALTER SEQUENCE users_id_seq INCREMENT 1 CACHE 5")
    op.execute("SELECT setval('numbers', 500)")
    op.execute("CREATE STATISTICS st_users ON age, status FROM users")
    op.execute("ANALYZE users")


def downgrade() -> None:
    pass
