"""attach_after_validated_check

Revision ID: k206
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k206"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE log_2027 ADD CONSTRAINT c3 CHECK (at >= '2027-01-01' AND at < '2028-01-01') NOT VALID")
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE log_2027 VALIDATE CONSTRAINT c3")
    op.execute("ALTER TABLE log ATTACH PARTITION log_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')")


def downgrade() -> None:
    pass
