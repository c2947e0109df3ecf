"""new_table_seeded

Revision ID: k113
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k113"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    kinds = op.create_table(
        'kinds',
        sa.Column('id', sa.Integer(), primary_key=True),
        sa.Column('name', sa.String(20), nullable=False, unique=True),
        sa.CheckConstraint("name <> ''", name='ck_name'),
    )
    op.create_index('ix_kinds_name', 'kinds', ['name'])
    op.bulk_insert(kinds, [{'id': n, 'name': f'kind {n}'} for n in range(5)])
    op.execute("UPDATE kinds SET name = upper(name)")
    op.alter_column('kinds', 'id', type_=sa.BigInteger())


def downgrade() -> None:
    pass
