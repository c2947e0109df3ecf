"""new_table_with_fk

Revision ID: k114
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k114"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'addresses',
        sa.Column('id', sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column('user_id', sa.Integer(), sa.ForeignKey('users.id', ondelete='CASCADE'), nullable=False, index=True),
        sa.Column('street', sa.Text()),
    )


def downgrade() -> None:
    pass
