"""type_enum_swap

Revision ID: k065
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k065"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TYPE user_status2 AS ENUM ('new', 'paid', 'void')")
    op.execute("ALTER TABLE users ALTER COLUMN status TYPE user_status2 USING status::text::user_status2")
    op.execute("DROP TYPE user_status")
    op.execute("ALTER TYPE user_status2 RENAME TO user_status")


def downgrade() -> None:
    pass
