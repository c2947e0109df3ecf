"""enum_postgresql_dialect

Revision ID: n003
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n003"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    from sqlalchemy.dialects import postgresql
    kind = postgresql.ENUM("a", "b", name="kind", create_type=False)
    kind.create(op.get_bind(), checkfirst=True)
    op.add_column("orders", sa.Column("kind", kind, nullable=True))


def downgrade() -> None:
    pass
