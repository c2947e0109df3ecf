"""several_statements_in_a_loop

Revision ID: k081
Revises: base0000
"""

from alembic import op

revision = "k081"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("users", "orders"):
        op.execute(f"ALTER TABLE {table} ADD COLUMN tenant INT NOT NULL DEFAULT 0")
        op.execute(f"CREATE INDEX ix_{table}_tenant ON {table} (tenant)")


def downgrade() -> None:
    pass
