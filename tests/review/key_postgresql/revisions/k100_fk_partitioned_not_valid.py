"""fk_partitioned_not_valid

Revision ID: k100
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k100"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE log ADD COLUMN user_id int")
    op.execute("ALTER TABLE log ADD CONSTRAINT fk_log_user FOREIGN KEY (user_id) REFERENCES users (id) NOT VALID")


def downgrade() -> None:
    pass
