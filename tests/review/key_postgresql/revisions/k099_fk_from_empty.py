"""fk_from_empty

Revision ID: k099
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k099"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE empty_table ADD FOREIGN KEY (id) REFERENCES users")


def downgrade() -> None:
    pass
