"""index_conc_after_column

Revision ID: k084
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k084"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('users', sa.Column('nick', sa.Text()))
    with op.get_context().autocommit_block():
        op.create_index('ix_users_nick', 'users', ['nick'], unique=True, postgresql_concurrently=True)


def downgrade() -> None:
    pass
