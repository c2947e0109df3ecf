"""type_json_to_jsonb

Revision ID: k053
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k053"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    from sqlalchemy.dialects import postgresql
    op.alter_column('users', 'payload', type_=postgresql.JSONB(), existing_type=sa.JSON(), postgresql_using='payload::jsonb')


def downgrade() -> None:
    pass
