"""enum_replace_by_varchar_check

Revision ID: n004
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n004"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("users", "status", type_=sa.String(16), existing_type=sa.Enum(name="user_status"), postgresql_using="status::varchar(16)")
    op.execute("DROP TYPE user_status")


def downgrade() -> None:
    pass
