"""index_replaced_conc

Revision ID: k231
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k231"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index('ix_users_email2', 'users', ['email', 'id'], postgresql_concurrently=True, if_not_exists=True)
        op.drop_index('ix_users_email', 'users', postgresql_concurrently=True, if_exists=True)


def downgrade() -> None:
    pass
